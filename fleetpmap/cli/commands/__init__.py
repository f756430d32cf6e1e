"""The commands, a file each.   options ─► [commands] ─► pipeline, or what the command needs of it

Each command reads its options, calls the stages in the order of docs/architecture.md, and returns the exit status. A
command imports numpy, paramiko and the stages only when it runs, so that --help is quick.
"""

from fleetpmap.cli.app import app
from fleetpmap.cli.commands import demo, diff, doctor, explore, fields, history, hosts, ps, run, show, watch
from fleetpmap.cli.examples import epilog
from fleetpmap.cli.mistyped import Command
from fleetpmap.cli.option_groups import with_groups

__all__ = ["app"]

# The order of --help.
for function in (
    *(run.run, show.show, explore.explore, watch.watch, diff.diff, history.history, ps.ps, hosts.hosts),
    *(doctor.doctor, fields.fields, demo.demo),
):
    name = function.__name__
    app.command(name, cls=Command, epilog=epilog(name))(with_groups(function))
