"""The commands.   options ─► [app] ─► choices ─► collect ─► report ─► output

Each command reads its options, calls the stages in the order of the house, and returns the exit status. What a command
needs is imported when it runs: --help must not wait for numpy or paramiko.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from fleetpmap.cli import complete
from fleetpmap.cli.choices import hosts_from, inventory_from, selection_from, ssh_options_from
from fleetpmap.cli.destinations import Output, column_list, output_from
from fleetpmap.cli.groups import with_groups
from fleetpmap.cli.interrupt import interruptible
from fleetpmap.cli.options import (
    HostOptions,
    OutputOptions,
    ProcessOptions,
    RunningOptions,
    ShapeOptions,
    ShowOptions,
)
from fleetpmap.cli.output import deliver, exit_status, export, say, talk
from fleetpmap.cli.values import Shell, View
from fleetpmap.version import __version__

if TYPE_CHECKING:
    from fleetpmap.inventory import Host
    from fleetpmap.processes import Selection
    from fleetpmap.report import Report, ViewOptions
    from fleetpmap.snapshot import Snapshot

app = typer.Typer(
    name="fleetpmap",
    help="Where is this service's memory, on all our hosts? pmap for a fleet, over SSH.",
    no_args_is_help=True,
    add_completion=False,  # typer's own option asks which shell we run in, where the user may want another
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_EXAMPLES = """\
Examples:

fleetpmap run --match nginx

fleetpmap run -g web --match gunicorn --view hosts --sort pss

fleetpmap run -H 'web[01-20]' --unit app --export hosts=hosts.csv

Exit status: 0 all is there, 2 usage, 3 a host failed or a process could not be read, 4 no host answered, \
5 nothing matched, 124 deadline, 130 interrupted.
"""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fleetpmap {__version__}")
        raise typer.Exit


def _print_completion(shell: Shell | None) -> None:
    if shell:
        typer.echo(complete.script(shell))
        raise typer.Exit


@app.callback()
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
            help=f"Print what makes {', '.join(Shell)} complete hosts and options with Tab.",
        ),
    ] = None,
) -> None:
    """Where is this service's memory, on all our hosts? pmap for a fleet, over SSH."""


@app.command(epilog=_EXAMPLES)
@with_groups
def run(
    which: HostOptions,
    matching: ProcessOptions,
    show: ShowOptions,
    shape: ShapeOptions,
    to: OutputOptions,
    how: RunningOptions,
) -> int:
    """Read the memory maps of the matching processes on all the hosts, and report."""
    output = output_from(show, shape, to)
    selection = selection_from(matching, required=True)
    return _show(_collect(_fleet(which, how), selection, how), output, to, how)


@app.command()
@with_groups
def ps(
    which: HostOptions, matching: ProcessOptions, shape: ShapeOptions, to: OutputOptions, how: RunningOptions
) -> int:
    """List the processes that run would read, without reading their maps."""
    from fleetpmap.report import ps as listed
    from fleetpmap.snapshot import Run, Snapshot

    output = output_from(ShowOptions(view=View.processes), shape, to)
    selection = selection_from(matching, required=False)
    # A column that it does not have is missing from a list of nobody too, and that one asks nobody.
    listed(Snapshot.assemble((), Run(datetime.now(UTC), 0.0, "")), output.options.shape)
    snapshot = _collect(_fleet(which, how), selection, how, smaps=False)
    return _answer(listed(snapshot, output.options.shape), snapshot, output, to, how)


@app.command()
@with_groups
def hosts(which: HostOptions, to: OutputOptions, how: RunningOptions) -> int:
    """List the hosts that the options select, and how each would be reached; contacts nobody."""
    from fleetpmap.cli.routes import routes

    output = output_from(ShowOptions(view=View.hosts), ShapeOptions(), to)
    deliver(routes(_fleet(which, how), ssh_options_from(how), _command()), output, to.color, quiet=how.quiet)
    return 0


@app.command()
@with_groups
def fields(shape: ShapeOptions, to: OutputOptions) -> int:
    """Explain the kernel's fields: unit, first kernel, how each totals over processes, meaning."""
    from fleetpmap.report import Shape
    from fleetpmap.report import fields as explained

    output = output_from(ShowOptions(view=View.hosts), ShapeOptions(human=shape.human), to)
    columns = None if shape.columns is None else column_list(shape.columns)
    deliver(explained(_command(), Shape(shape.sort, shape.top, columns)), output, to.color, quiet=False)
    return 0


@app.command()
@with_groups
def demo(
    matching: ProcessOptions, show: ShowOptions, shape: ShapeOptions, to: OutputOptions, how: RunningOptions
) -> int:
    """Run against a small fleet of real SSH servers on loopback, inside this process."""
    from fleetpmap.demo import demo_inventory

    output = output_from(show, shape, to)
    selection = selection_from(matching, required=False)
    with demo_inventory() as inventory:
        fleet = hosts_from(inventory, HostOptions(), how)
        say(f"demo: {len(fleet)} SSH servers on 127.0.0.1, each with the recorded /proc of another host")
        # The servers and their keys are made for this run: nothing of the user's own ssh set-up may take part.
        status = _show(_collect(fleet, selection, replace(how, ssh_config="none")), output, to, how)
    if status:
        say(f"demo: `fleetpmap run` would exit with status {status} here, to tell scripts so")
    return 0


def _fleet(which: HostOptions, how: RunningOptions) -> tuple[Host, ...]:
    inventory = inventory_from(which)
    if inventory is None and not (which.host or which.group or which.hosts_from) and not how.quiet:
        say("no inventory and no -H: this machine, without SSH")
    return hosts_from(inventory, which, how)


def _collect(fleet: Sequence[Host], selection: Selection, how: RunningOptions, *, smaps: bool = True) -> Snapshot:
    from fleetpmap.cli.footprint import trim_footprint
    from fleetpmap.collector import Question, collect
    from fleetpmap.render.progress import Progress

    trim_footprint()
    question = Question(selection, smaps=smaps, rollups=how.verbose > 1, ssh=ssh_options_from(how))
    with interruptible() as stop, Progress(len(fleet), stop, quiet=how.quiet) as progress:
        return collect(
            fleet,
            question,
            command=_command(),
            jobs=how.jobs,
            deadline_s=how.deadline,
            stop=stop,
            on_start=lambda host: progress.started(host.name),
            on_host=lambda answer: progress.done(answer.host, answer.status),
        )


def _show(snapshot: Snapshot, output: Output, to: OutputOptions, how: RunningOptions) -> int:
    from fleetpmap.report import VIEWS

    @cache
    def report(view: View, options: ViewOptions) -> Report:
        return VIEWS[view](snapshot, options)

    whole = replace(output.options, columns=None, sort=None, top=None)
    exported = export(lambda view: report(view, whole), output, quiet=how.quiet)
    status = _answer(report(output.view, output.options), snapshot, output, to, how)
    return status if exported else 2


def _answer(report: Report, snapshot: Snapshot, output: Output, to: OutputOptions, how: RunningOptions) -> int:
    deliver(report, output, to.color, quiet=how.quiet)
    talk(report, snapshot, output, how)
    return exit_status(snapshot)


def _command() -> str:
    return shlex.join(["fleetpmap", *sys.argv[1:]])
