"""The typer app, with the options of the program itself.   [app] ─► commands, which add themselves to it"""

from __future__ import annotations

from typing import Annotated

import typer

from fleetpmap.cli import complete
from fleetpmap.cli.examples import epilog
from fleetpmap.cli.mistyped import Program
from fleetpmap.cli.option_values import Shell
from fleetpmap.version import __version__

app = typer.Typer(
    name="fleetpmap",
    cls=Program,
    epilog=epilog(""),
    help="Where is this service's memory, on all our hosts? pmap for a fleet, over SSH.",
    no_args_is_help=True,
    add_completion=False,  # typer's own option detects the shell we run in, but the user may want another one
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fleetpmap {__version__}")
        raise typer.Exit


def _print_completion(shell: Shell | None) -> None:
    if shell:
        typer.echo(complete.script(shell))
        raise typer.Exit


@app.callback(help=app.info.help)
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    show_completion: Annotated[
        Shell | None,
        typer.Option(
            "--show-completion",
            metavar="SHELL",
            callback=_print_completion,
            is_eager=True,
            help=f"Print the script that makes {', '.join(Shell)} complete hosts and options with Tab.",
        ),
    ] = None,
) -> None:
    """Take the options of the program itself, before a command's; their callbacks do the work."""
