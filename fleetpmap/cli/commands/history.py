"""fleetpmap history.   DIR/ ─► snapshot_file ─► history ─► [history] ─► report, exit status

The last run is read as a whole, for the limits and the coverage; of the others only what the trends need.
"""

from __future__ import annotations

import time
from datetime import datetime
from functools import cache
from pathlib import Path

from fleetpmap.catalogue import merge_keys
from fleetpmap.cli.deliver import BROKEN, deliver, print_broken_rules, print_notes
from fleetpmap.cli.gate_rules import judge_by, rules_from
from fleetpmap.cli.options import (
    DirectoryArgument,
    GateOptions,
    HistoryOptions,
    OutputOptions,
    ShapeOptions,
    TalkOptions,
)
from fleetpmap.cli.outputs import output_of, shape_from
from fleetpmap.cli.past_runs import PastRuns
from fleetpmap.cli.pipeline import command_line
from fleetpmap.cli.storage import load_run, needs_polars

_NOTHING = 5
"""Exit status where no run has a size."""
_INCOMPLETE = 3


def history(
    where: DirectoryArgument,
    what: HistoryOptions,
    shape: ShapeOptions,
    to: OutputOptions,
    gate: GateOptions,
    talk: TalkOptions,
) -> int:
    """Show the trends over all runs of a directory: leaks, steps, saw-teeth, and when a limit is reached."""
    from fleetpmap.cli.confined import reader

    began, started = time.monotonic(), datetime.now().astimezone()
    plan, by = output_of("history", to, shape), merge_keys(what.by)
    rules = rules_from(gate.fail_if, "history")
    needs_polars(where.directory)
    child = reader()  # forks, so it comes before the imports that start threads
    shown = shape_from(shape)
    from fleetpmap.report import Report, Shape
    from fleetpmap.report.shape import AS_IT_IS
    from fleetpmap.report.views.history import GATHERED, timeline, with_deploys
    from fleetpmap.report.views.history import history as history_report
    from fleetpmap.snapshot import Run
    from fleetpmap.snapshot_file import entries_between

    runs = entries_between(Path(where.directory), what.since, what.until)
    is_page = plan.format == "html"
    reading = PastRuns(child, (by, *(GATHERED if is_page else ())), f"{what.metric}_kib")
    histories, last = reading.histories(runs), load_run(reading.read[-1], child, quiet=True)
    past, over_time = histories[by], timeline(histories) if is_page else None
    over_time = with_deploys(over_time, reading.code_at) if over_time else None
    run, notes = Run(started, time.monotonic() - began, command_line()), tuple(reading.notes(runs))

    @cache
    def report_of(shape: Shape) -> Report:
        return history_report(past, last, run, notes=notes, shape=shape, directory=where.directory, timeline=over_time)

    judge = judge_by(rules, lambda: report_of(AS_IT_IS), [last.coverage])
    report = judge(report_of(shown))
    deliver(report, plan, to.color, quiet=talk.quiet)
    print_notes(report, last, plan, talk)
    print_broken_rules(report)
    if report.broken_rules:
        return BROKEN
    if reading.unread or not last.coverage.complete:
        return _INCOMPLETE
    return 0 if len(past) else _NOTHING
