"""The commands, a file each.   options ─► [commands] ─► pipeline, or what the command needs of it

Each command reads its options, calls the stages in the order of docs/architecture.md, and returns the exit status. A
command imports numpy, paramiko and the stages only when it runs, so that --help is quick.
"""

from functools import partial

from fleetpmap.cli.app import app
from fleetpmap.cli.commands import demo, diff, doctor, explore, fields, history, hosts, ps, run, show, watch
from fleetpmap.cli.mistyped import Command
from fleetpmap.cli.option_groups import with_groups

__all__ = ["app"]

command = partial(app.command, cls=Command)
# The order of --help.
command(epilog=run.EXAMPLES)(with_groups(run.run))
command()(with_groups(show.show))
command()(with_groups(explore.explore))
command()(with_groups(watch.watch))
command()(with_groups(diff.diff))
command()(with_groups(history.history))
command()(with_groups(ps.ps))
command()(with_groups(hosts.hosts))
command()(with_groups(doctor.doctor))
command()(with_groups(fields.fields))
command()(with_groups(demo.demo))
