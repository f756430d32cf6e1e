"""The commands, a file each.   options ─► [commands] ─► pipeline, or what the command needs of it

Each command reads its options, calls the stages in the order of docs/architecture.md, and returns the exit status. A
command imports numpy, paramiko and the stages only when it runs, so that --help is quick.
"""

from fleetpmap.cli.app import app
from fleetpmap.cli.commands import demo, diff, doctor, fields, history, hosts, ps, run, show, watch
from fleetpmap.cli.option_groups import with_groups

__all__ = ["app"]

# The order of --help.
app.command(epilog=run.EXAMPLES)(with_groups(run.run))
app.command()(with_groups(show.show))
app.command()(with_groups(watch.watch))
app.command()(with_groups(diff.diff))
app.command()(with_groups(history.history))
app.command()(with_groups(ps.ps))
app.command()(with_groups(hosts.hosts))
app.command()(with_groups(doctor.doctor))
app.command()(with_groups(fields.fields))
app.command()(with_groups(demo.demo))
