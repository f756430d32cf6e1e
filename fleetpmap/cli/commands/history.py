"""fleetpmap history.   DIR/ ─► snapshot_file ─► history ─► [history] ─► report, exit status

Runs are read one after the other, each under the limits of `confined`, and only as far as the report needs them. A file
that cannot be read is left out, and named.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fleetpmap.catalogue import merge_keys
from fleetpmap.cli.commands.diff import selection_of_command
from fleetpmap.cli.deliver import BROKEN, deliver, print_broken_rules, print_notes
from fleetpmap.cli.gate_rules import judge_by, rules_from
from fleetpmap.cli.option_values import View
from fleetpmap.cli.options import (
    DirectoryArgument,
    GateOptions,
    HistoryOptions,
    OutputOptions,
    ShapeOptions,
    ShowOptions,
    TalkOptions,
)
from fleetpmap.cli.outputs import column_list, output_from
from fleetpmap.cli.pipeline import command_line
from fleetpmap.cli.storage import needs_polars
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.cli.confined import Reader
    from fleetpmap.history import History
    from fleetpmap.snapshot import Snapshot

_MOST_NAMED = 5
"""Files that could not be read, each with its reason; further ones are counted."""
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
    plan = output_from(
        ShowOptions(view=View("hosts")), ShapeOptions(human=shape.human, kib=shape.kib), to, report="history"
    )
    by, columns = merge_keys(what.by), None if shape.columns is None else column_list(shape.columns)
    rules = rules_from(gate.fail_if, "history")
    needs_polars(where.directory)
    child = reader()  # forks, so it comes before the imports that start threads
    from fleetpmap.report import Report, Shape
    from fleetpmap.report.shape import AS_IT_IS
    from fleetpmap.report.views.history import history as history_report
    from fleetpmap.snapshot import Run
    from fleetpmap.snapshot_file import entries_between

    paths = [run.path for run in entries_between(Path(where.directory), what.since, what.until)]
    reading = _Reading(child, by, f"{what.metric}_kib")
    past, last = reading.of(paths)
    run, notes = Run(started, time.monotonic() - began, command_line()), tuple(reading.notes(len(paths)))

    @cache
    def report_of(shape: Shape) -> Report:
        return history_report(past, last, run, notes=notes, shape=shape, directory=where.directory)

    judge = judge_by(rules, lambda: report_of(AS_IT_IS), [last.coverage])
    report = judge(report_of(Shape(shape.sort, shape.top, columns)))
    deliver(report, plan, to.color, quiet=talk.quiet)
    print_notes(report, last, plan, talk)
    print_broken_rules(report)
    if report.broken_rules:
        return BROKEN
    if reading.unread or not last.coverage.complete:
        return _INCOMPLETE
    return 0 if len(past) else _NOTHING


class _Reading:
    """Reads runs, and remembers those that cannot be read."""

    def __init__(self, child: Reader, by: Sequence[str], metric: str) -> None:
        self._child, self._by, self._metric = child, by, metric
        self._selections: Counter[str] = Counter()
        self.unread: list[str] = []
        """Why a file could not be read, for each of these."""

    def of(self, paths: Sequence[Path]) -> tuple[History, Snapshot]:
        """Return what the runs have in common, and the last run as a whole.

        Raises:
            UsageError: none of them can be read.
        """
        import polars

        from fleetpmap.history import Gathering, attributes_for, texts_for
        from fleetpmap.snapshot_file import load_part

        polars.thread_pool_size()  # starts its threads, whose memory must not count as a file's
        gathering = Gathering(self._by, self._metric)
        attributes, texts = attributes_for(self._by), texts_for(self._by)
        read: list[Path] = []
        for path in paths:
            try:
                with self._child.reading(str(path), _hint(path)):
                    part = load_part(path, attributes, texts, self._metric)
            except UsageError as error:
                self.unread.append(error.message)
                continue
            gathering.add(part)
            self._selections[part.run.command] += 1
            read.append(path)
        return gathering.history() if read else self._nothing(paths), self._whole(read)

    def _whole(self, paths: Sequence[Path]) -> Snapshot:
        """Load the last run, for its limits and its coverage.

        Raises:
            UsageError: it cannot be loaded, though the part that a trend needs could.
        """
        from fleetpmap.snapshot_file import load_snapshot

        with self._child.reading(str(paths[-1]), _hint(paths[-1])):
            return load_snapshot(paths[-1])

    def _nothing(self, paths: Sequence[Path]) -> History:
        raise UsageError(
            f"{paths[0].parent}: none of its {len(paths)} runs can be read; {self.unread[0]}",
            hint="fetch them again from where they were saved",
        )

    def notes(self, runs: int) -> Iterator[str]:
        """Yield notes on the files that could not be read, and on runs that looked for other processes."""
        if self.unread:
            yield f"{len(self.unread)} of {runs} runs could not be read, and are left out:"
            yield from self.unread[:_MOST_NAMED]
            if more := len(self.unread) - _MOST_NAMED:
                yield from [f"and {more} more"] if more > 0 else []
        looked_for: Counter[str] = Counter()
        for command, count in self._selections.items():
            looked_for[selection_of_command(command) or "processes of an unknown selection"] += count
        if len(looked_for) > 1:
            named = "; ".join(f"{what} ({count})" for what, count in looked_for.most_common(_MOST_NAMED))
            yield f"the runs looked for different processes, which come and go with that: {named}"


def _hint(path: Path) -> str:
    return f"move it away: the other runs of {path.parent} are as they were"
