"""fleetpmap explore.   options ─► Rounds, or stored runs ─► Source ─► [explore] ─► the screen

The only command that imports Textual.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fleetpmap.cli.deliver import deliver, exit_status
from fleetpmap.cli.inputs import selection_from
from fleetpmap.cli.interrupt import INTERRUPTED, TERMINATED, interruptible
from fleetpmap.cli.option_values import Color, View
from fleetpmap.cli.options import (
    ExploreOptions,
    HostOptions,
    OutputOptions,
    ProcessOptions,
    RunningOptions,
    ShapeOptions,
    ShowOptions,
)
from fleetpmap.cli.outputs import output_from
from fleetpmap.cli.pipeline import command_line, fleet_from, question_from
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

_HUNG_UP = 129
"""Exit status after the terminal is lost, as shells give it for SIGHUP."""


def explore(which: HostOptions, matching: ProcessOptions, what: ExploreOptions, how: RunningOptions) -> int:
    """Walk through the memory of a fleet on a screen: service, host, process, mapping, VMA, and back."""
    _check(what, which, how)
    if what.paths:
        return _shown(_stored(what.paths, matching, how))
    selection = selection_from(matching, required=True)
    fleet = fleet_from(which, how)
    question = question_from(fleet, selection, how)
    from fleetpmap.explore.source import Source
    from fleetpmap.watch import Rounds

    with interruptible() as stop:
        rounds = Rounds(
            fleet,
            question,
            command=command_line(),
            jobs=how.jobs,
            deadline_s=how.deadline,
            machines_once=how.once_per_machine,
            stop=stop,
        )
        source = Source(
            name=fleet[0].name if len(fleet) == 1 else f"{len(fleet)} hosts",
            look=lambda: rounds.look().snapshot,
            interval_s=what.interval,
            doctor=partial(_diagnosed, fleet, question),
            write=_write,
            ascii_only=is_c_locale(),
        )
        with rounds:
            try:
                return _shown(source)
            finally:
                stop.set()


def _check(what: ExploreOptions, which: HostOptions, how: RunningOptions) -> None:
    """Check what can be known before a host is asked or a file is read.

    Raises:
        UsageError: there is no terminal, Textual is not installed, or options exclude each other.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        raise UsageError("explore: there is no terminal to draw on", hint="use run, or show for a stored run")
    if find_spec("textual") is None:
        hint = "run `pip install 'fleetpmap[explore]'`"
        raise UsageError("explore: needs textual, not installed here", hint=hint)
    if how.rollup:
        raise UsageError("--rollup reads no mappings, and explore walks through them", hint="leave out --rollup")
    if what.paths and (which != HostOptions() or what.interval is not None):
        hint = "leave out the options of hosts and --interval, or the paths"
        raise UsageError(f"explore: {what.paths[0]} is a stored run, for which no host is asked", hint=hint)


def _stored(paths: Sequence[str], matching: ProcessOptions, how: RunningOptions) -> Source:
    from fleetpmap.cli.confined import reader
    from fleetpmap.cli.storage import snapshot_from
    from fleetpmap.explore.source import Source

    selection, child = selection_from(matching, required=False), reader()
    snapshot = snapshot_from(paths, selection, command_line(), child, quiet=how.quiet)
    name = paths[0] if len(paths) == 1 else f"{len(paths)} stored runs"
    return Source(name=name, snapshot=snapshot, write=_write, ascii_only=is_c_locale())


def _shown(source: Source) -> int:
    """Show the screen until it is left; return the exit status, that of the last snapshot after q."""
    from fleetpmap.explore import app

    screen = app.Explore(source)
    ended = screen.run()
    statuses = {app.INTERRUPTED: INTERRUPTED, app.TERMINATED: TERMINATED, app.HUNG_UP: _HUNG_UP}
    if ended in statuses:
        return statuses[ended]
    if screen.return_code:  # Textual has printed the traceback of a fault
        return screen.return_code
    return exit_status(screen.shown.snapshot) if screen.shown.snapshot else 0


def _diagnosed(fleet: Sequence[Host], question: Question, name: str) -> Report:
    """Try each step to one host, as `fleetpmap doctor` does."""
    from fleetpmap.collection.collector import collect
    from fleetpmap.doctor import Stopwatch, doctor

    hosts = [host for host in fleet if host.name == name]
    watch = Stopwatch()
    asked = replace(question, smaps=False)
    snapshot = collect(hosts, asked, command=command_line(), jobs=1, on_start=watch.start)
    return doctor(snapshot, hosts, watch.times, question.ssh, listed_only=True, full=True)


def _write(report: Report, snapshot: Snapshot, name: str) -> str:
    """Write what is shown, in the format of the suffix: parquet is the snapshot itself. Returns what was written.

    Raises:
        UsageError: no format has the suffix, it cannot hold the report, or the file cannot be written.
    """
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
