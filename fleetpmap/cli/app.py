"""The commands.   options ─► [app] ─► choices ─► collect ─► report ─► output

Each command reads its options, calls the stages in the order of the house, and returns the exit status. What a command
needs is imported when it runs: --help must not wait for numpy or paramiko.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from fleetpmap.cli import complete
from fleetpmap.cli.deliver import deliver, exit_status, export, rows_to_stdout, say, talk
from fleetpmap.cli.inputs import hosts_from, inventory_from, notes_about, selection_from, ssh_options_from
from fleetpmap.cli.interrupt import interruptible
from fleetpmap.cli.keeping import keeping
from fleetpmap.cli.option_groups import with_groups
from fleetpmap.cli.option_values import Format, Shell, View
from fleetpmap.cli.options import (
    DiffOptions,
    HostArguments,
    HostOptions,
    KeepOptions,
    OutputOptions,
    PathArguments,
    ProcessOptions,
    RunningOptions,
    ShapeOptions,
    ShowOptions,
    TalkOptions,
    TwoArguments,
    WatchOptions,
)
from fleetpmap.cli.outputs import Output, check_hosts, check_rollup, column_list, output_from, watch_output
from fleetpmap.errors import UsageError
from fleetpmap.version import __version__

if TYPE_CHECKING:
    from fleetpmap.collection.collector import Question
    from fleetpmap.collection.interpret import Keep
    from fleetpmap.inventory import Host
    from fleetpmap.processes import Selection
    from fleetpmap.report import Report, ViewOptions
    from fleetpmap.snapshot import HostSnapshot, Snapshot

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
    keep: KeepOptions,
    how: RunningOptions,
) -> int:
    """Read the memory maps of the matching processes on all the hosts, and report."""
    output = _output(show, shape, to, keep, how)
    selection = selection_from(matching, required=True)
    fleet = _fleet(which, how)
    check_hosts(output, [host.name for host in fleet])
    is_stream = output.is_stream and not how.once_per_machine
    on_answer = rows_to_stdout(output) if is_stream else None
    with keeping(keep) as keeper:
        sums = None if keep.save else output.sums
        snapshot = _collect(fleet, selection, how, sums=sums, on_answer=on_answer, keep=keeper.host)
        kept = keeper.finish(snapshot, how)
    status = _show(snapshot, output, to, how, rows_written=is_stream)
    return status if kept else 2


@app.command()
@with_groups
def show(
    what: PathArguments,
    matching: ProcessOptions,
    show: ShowOptions,
    shape: ShapeOptions,
    to: OutputOptions,
    talk: TalkOptions,
) -> int:
    """Show what was kept (a capture, a copy of /proc, a saved snapshot) in any view, without a network."""
    from fleetpmap.cli.confined import reader
    from fleetpmap.cli.kept import snapshot_from

    output = output_from(show, shape, to)
    snapshot = snapshot_from(what.paths, selection_from(matching, required=False), _command(), reader())
    check_hosts(output, [host.name for host in snapshot.hosts])
    return _show(snapshot, output, to, RunningOptions(verbose=talk.verbose, quiet=talk.quiet))


@app.command()
@with_groups
def watch(
    which: HostOptions,
    matching: ProcessOptions,
    show: ShowOptions,
    shape: ShapeOptions,
    often: WatchOptions,
    how: RunningOptions,
) -> int:
    """Look again every few seconds, over connections that stay open: on a screen with keys, or a line a round."""
    from fleetpmap.cli.watching import keep_watching

    output = watch_output(show, shape)
    if how.rollup:
        check_rollup(output, kept=bool(often.save))
    selection = selection_from(matching, required=True)
    fleet = _fleet(which, how)
    check_hosts(output, [host.name for host in fleet])
    return keep_watching(fleet, _question(fleet, selection, how), output, often, how, _command())


@app.command()
@with_groups
def diff(two: TwoArguments, what: DiffOptions, shape: ShapeOptions, to: OutputOptions, talk: TalkOptions) -> int:
    """Show what grew between two runs that were kept: by mapping, kind, process or host."""
    from fleetpmap.cli.growth import show_growth

    return show_growth(two, what, shape, to, talk, app)


@app.command()
@with_groups
def ps(
    which: HostOptions, matching: ProcessOptions, shape: ShapeOptions, to: OutputOptions, how: RunningOptions
) -> int:
    """List the processes that run would read, without reading their maps."""
    from fleetpmap.report import Shape
    from fleetpmap.report import ps as listed
    from fleetpmap.snapshot import Run, Snapshot

    _refuse_rollup(how, "ps")
    output = output_from(ShowOptions(view=View("processes")), shape, to, report="ps")
    selection = selection_from(matching, required=False)
    # A column that it does not have is missing from a list of nobody too, and that one asks nobody.
    listed(Snapshot.assemble((), Run(datetime.now(UTC), 0.0, "")), Shape.of(output.options))
    snapshot = _collect(_fleet(which, how), selection, how, smaps=False)
    return _answer(listed(snapshot, Shape.of(output.options)), snapshot, output, to, how)


@app.command()
@with_groups
def hosts(which: HostOptions, to: OutputOptions, how: RunningOptions) -> int:
    """List the hosts that the options select, and how each would be reached; contacts nobody."""
    from fleetpmap.cli.routes import routes

    _refuse_rollup(how, "hosts")
    output = output_from(ShowOptions(view=View("hosts")), ShapeOptions(), to, report="routes")
    deliver(routes(_fleet(which, how), ssh_options_from(how), _command()), output, to.color, quiet=how.quiet)
    return 0


@app.command()
@with_groups
def doctor(
    named: HostArguments, which: HostOptions, matching: ProcessOptions, to: OutputOptions, how: RunningOptions
) -> int:
    """Try each step to the hosts (name, TCP, banner, host key, login, shell, sudo, tools, /proc), and say the fix."""
    from fleetpmap.doctor import Stopwatch
    from fleetpmap.doctor import doctor as examined

    output = output_from(ShowOptions(view=View("hosts")), ShapeOptions(), to, report="doctor")
    selection = selection_from(matching, required=False)
    reading = selection != selection_from(ProcessOptions(), required=False)
    if not reading:
        _refuse_rollup(how, "doctor without --match or another process option")
    fleet = _fleet(replace(which, host=[*which.host, *named.hosts]), how)
    watch = Stopwatch()
    snapshot = _collect(fleet, selection, how, smaps=reading, watch=watch.start)
    full = output.format not in ("table", "plain")
    report = examined(snapshot, fleet, watch.times, ssh_options_from(how), listed_only=not reading, full=full)
    status = _answer(report, snapshot, output, to, how)
    # Without a process option nobody asked for what a plain login may not read.
    return 0 if status == 3 and not reading and not snapshot.coverage.failures else status


@app.command()
@with_groups
def fields(shape: ShapeOptions, to: OutputOptions) -> int:
    """Explain the kernel's fields: unit, first kernel, how each totals over processes, meaning."""
    from fleetpmap.report import Shape
    from fleetpmap.report import fields as explained

    output = output_from(ShowOptions(view=View("hosts")), ShapeOptions(human=shape.human), to, report="fields")
    columns = None if shape.columns is None else column_list(shape.columns)
    deliver(explained(_command(), Shape(shape.sort, shape.top, columns)), output, to.color, quiet=False)
    return 0


@app.command()
@with_groups
def demo(
    matching: ProcessOptions,
    show: ShowOptions,
    shape: ShapeOptions,
    to: OutputOptions,
    keep: KeepOptions,
    how: RunningOptions,
) -> int:
    """Run against a small fleet of real SSH servers on loopback, inside this process."""
    from fleetpmap.demo import demo_inventory

    output = _output(show, shape, to, keep, how)
    selection = selection_from(matching, required=False)
    with keeping(keep) as keeper, demo_inventory() as inventory:
        fleet = hosts_from(inventory, HostOptions(), how)
        check_hosts(output, [host.name for host in fleet])
        say(f"demo: {len(fleet)} SSH servers on 127.0.0.1, each with the recorded /proc of another host")
        # The servers and their keys are made for this run: nothing of the user's own ssh set-up may take part.
        snapshot = _collect(fleet, selection, replace(how, ssh_config="none"), keep=keeper.host)
        kept = keeper.finish(snapshot, how)
        status = _show(snapshot, output, to, how)
    if status:
        say(f"demo: `fleetpmap run` would exit with status {status} here, to tell scripts so")
    return 0 if kept else 2


def _output(
    show: ShowOptions, shape: ShapeOptions, to: OutputOptions, keep: KeepOptions, how: RunningOptions
) -> Output:
    output = output_from(show, shape, to)
    if how.rollup:
        check_rollup(output, kept=bool(keep.save or keep.capture))
    return output


def _refuse_rollup(how: RunningOptions, command: str) -> None:
    if how.rollup:
        raise UsageError(f"--rollup says how memory is read, and {command} reads none", hint="leave out --rollup")


def _fleet(which: HostOptions, how: RunningOptions) -> tuple[Host, ...]:
    inventory = inventory_from(which)
    if inventory is None and not (which.host or which.group or which.hosts_from) and not how.quiet:
        say("no inventory and no -H: this machine, without SSH")
    fleet = hosts_from(inventory, which, how)
    if inventory is not None and not how.quiet:
        for note in notes_about(inventory, fleet):
            say(note)
    return fleet


def _question(fleet: Sequence[Host], selection: Selection, how: RunningOptions, *, smaps: bool = True) -> Question:
    """What to ask of every host; asks the user for passwords, and gets this process ready for many hosts."""
    from fleetpmap.cli.passwords import with_secrets
    from fleetpmap.cli.tuning import trim_footprint
    from fleetpmap.collection.collector import Question

    trim_footprint()
    ssh, become_password = with_secrets(ssh_options_from(how), fleet, how)
    return Question(
        selection,
        smaps=smaps,
        rollups=how.verbose > 1,
        rollup_only=how.rollup,
        ssh=ssh,
        become_password=become_password,
    )


def _collect(
    fleet: Sequence[Host],
    selection: Selection,
    how: RunningOptions,
    *,
    smaps: bool = True,
    sums: Collection[str] | None = None,
    watch: Callable[[Host], None] = lambda host: None,
    on_answer: Callable[[HostSnapshot], None] | None = None,
    keep: Keep | None = None,
) -> Snapshot:
    from fleetpmap.cli.progress import Progress
    from fleetpmap.collection.collector import collect

    question = _question(fleet, selection, how, smaps=smaps)

    def on_start(host: Host) -> None:
        watch(host)
        progress.started(host.name)

    def on_host(answer: HostSnapshot) -> None:
        progress.done(answer.name, answer.status)
        if on_answer:
            on_answer(answer)

    quiet = how.quiet or (on_answer is not None and sys.stdout.isatty())  # else the progress line would run into rows
    with interruptible() as stop, Progress(len(fleet), stop, quiet=quiet) as progress:
        return collect(
            fleet,
            question,
            command=_command(),
            jobs=how.jobs,
            deadline_s=how.deadline,
            machines_once=how.once_per_machine,
            stop=stop,
            sums=sums,
            on_start=on_start,
            on_host=on_host,
            keep=keep,
        )


def _show(
    snapshot: Snapshot, output: Output, to: OutputOptions, how: RunningOptions, *, rows_written: bool = False
) -> int:
    from fleetpmap.report import VIEWS, page

    @cache
    def report(view: View, options: ViewOptions, format_: Format) -> Report:
        return page(VIEWS[view], snapshot, options) if format_ == "html" else VIEWS[view](snapshot, options)

    whole = replace(output.options, columns=None, sort=None, top=None)
    exported = export(lambda view, format_: report(view, whole, format_), output, quiet=how.quiet)
    main = report(output.view, output.options, output.format)
    status = _answer(main, snapshot, output, to, how, rows_written=rows_written)
    return status if exported else 2


def _answer(
    report: Report,
    snapshot: Snapshot,
    output: Output,
    to: OutputOptions,
    how: RunningOptions,
    *,
    rows_written: bool = False,
) -> int:
    deliver(report, output, to.color, quiet=how.quiet, rows_written=rows_written)
    talk(report, snapshot, output, how)
    return exit_status(snapshot)


def _command() -> str:
    return shlex.join(["fleetpmap", *sys.argv[1:]])
