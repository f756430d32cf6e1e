"""The screen of explore and watch.   Rounds, stored runs ─► Source ─► [screen] ─► explore

Textual is imported here, when the screen begins, and by no other command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from fleetpmap.cli.deliver import deliver, exit_status, print_stderr
from fleetpmap.cli.interrupt import INTERRUPTED, TERMINATED
from fleetpmap.cli.option_values import Color, View
from fleetpmap.cli.options import OutputOptions, ShapeOptions, ShowOptions
from fleetpmap.cli.outputs import output_from
from fleetpmap.cli.pmap_options import is_c_locale
from fleetpmap.cli.storage import save_to
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.collection.collector import Question
    from fleetpmap.explore.source import Source
    from fleetpmap.inventory import Host
    from fleetpmap.report import Report
    from fleetpmap.report import View as PageView
    from fleetpmap.snapshot import Snapshot
    from fleetpmap.watch import Rounds

_HUNG_UP = 129
"""Exit status after the terminal is lost, as shells give it for SIGHUP."""
_HANG_UP_S = 2.0
"""Seconds to wait at the end for the thread that asks; a host that hangs would hold it until its deadline."""


def has_screen() -> bool:
    """Return True if there is a terminal to draw on, with keys."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def live_source(rounds: Rounds, fleet: Sequence[Host], question: Question) -> Source:
    """Return the source of hosts that are asked again and again."""
    from fleetpmap.cli.no_match import hints
    from fleetpmap.explore.source import Source

    return Source(
        name=fleet[0].name if len(fleet) == 1 else f"{len(fleet)} hosts",
        look=rounds.look,
        doctor=partial(_diagnosed, fleet, question),
        write=write,
        hints=partial(hints, selection=question.selection),
        ascii_only=is_c_locale(),
    )


def show_live(rounds: Rounds, source: Source, stop: Event) -> int:
    """Show hosts that are asked again and again, until the screen is left; return the exit status.

    Raises:
        FleetpmapError: the error that ended the screen.
    """
    with rounds:
        try:
            return show(source, stop)
        finally:
            stop.set()


def show(source: Source, stop: Event | None = None) -> int:
    """Show the screen until it is left; return the exit status, that of the last snapshot after q.

    `stop` ends the look that is under way; a file is written to its end. With an interval, the line of the last round
    stays on the terminal.

    Raises:
        FleetpmapError: the error that ended the screen.
    """
    from fleetpmap.explore import app, signals

    screen = app.Explore(source, stop)
    ended = screen.run()
    if stop is not None:
        stop.set()
    if screen.asking.thread is not None:
        screen.asking.thread.join(_HANG_UP_S)
    if (writes := screen.writing.thread) is not None and writes.is_alive():
        writes.join(None if ended == signals.QUIT else _HANG_UP_S)
        print_stderr(screen.writing.said)
    statuses = {signals.TERMINATED: TERMINATED, signals.HUNG_UP: _HUNG_UP}
    if ended in statuses:
        return statuses[ended]
    if screen.fault is not None:
        raise screen.fault
    if screen.return_code:  # Textual has printed the traceback of a fault
        return screen.return_code
    if course := screen.shown.course:
        from fleetpmap.watch import round_line

        print(round_line(course.last, course.first, human_sizes=source.human), flush=True)
    if ended == signals.INTERRUPTED:
        return INTERRUPTED
    return exit_status(screen.shown.snapshot) if screen.shown.snapshot else 0


def _diagnosed(fleet: Sequence[Host], question: Question, name: str) -> Report:
    """Try each step to one host, as `fleetpmap doctor` does."""
    from fleetpmap.cli.pipeline import command_line
    from fleetpmap.collection.collector import collect
    from fleetpmap.doctor import Stopwatch, doctor

    hosts = [host for host in fleet if host.name == name]
    watch = Stopwatch()
    asked = replace(question, smaps=False)
    snapshot = collect(hosts, asked, command=command_line(), jobs=1, on_start=watch.start)
    return doctor(snapshot, hosts, watch.times, question.ssh, listed_only=True, full=True)


def write(report: Report, snapshot: Snapshot, name: str) -> str:
    """Write what is shown, in the format of the suffix: parquet is the snapshot itself. Returns what was written.

    Raises:
        UsageError: no format has the suffix, it cannot hold the report, or the file cannot be written.
    """
    try:
        return _written(report, snapshot, name)
    except UsageError as error:  # in the words of the key, which has a name and no options
        message = error.message.removeprefix("-o ").removeprefix("--save ")
        hint = error.hint.removesuffix(", or add --format")
        raise UsageError(message, hint="" if "--" in hint else hint) from error


def _written(report: Report, snapshot: Snapshot, name: str) -> str:
    if name.lower().endswith(".parquet") and (save := save_to(name)):
        save(snapshot)
        return f"{name}: the snapshot, for `fleetpmap explore` and `show`"
    plan = output_from(ShowOptions(view=View(report.view)), ShapeOptions(), OutputOptions(output=name))
    rows = len(report.tables[0])
    if plan.format == "html":
        from fleetpmap.report import page

        report = page(_as_it_is(report), snapshot, plan.options, lambda one: one)
    deliver(report, plan, Color.auto, quiet=True)
    return f"{name}: {rows} {'row' if rows == 1 else 'rows'} of {report.view}"


def _as_it_is(report: Report) -> PageView:
    """Return a finished report as a view; of one with many rows a page has the first."""
    from fleetpmap.report.shape import Shape, shaped

    return lambda _, options: replace(report, tables=(shaped(report.tables[0], Shape(top=options.top)),))
