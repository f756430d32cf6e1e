"""fleetpmap history.   DIR/ ─► snapshot_file ─► history ─► [history] ─► report, exit status

Runs are read one after the other, each under the limits of `confined`, and only as far as the report needs them. A file
that cannot be read is left out, and named.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
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
from fleetpmap.cli.storage import load_run, needs_polars
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.cli.confined import Reader
    from fleetpmap.history import History
    from fleetpmap.snapshot import Snapshot
    from fleetpmap.snapshot_file import Entry, Part

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

    runs = entries_between(Path(where.directory), what.since, what.until)
    reading = _Reading(child, by, f"{what.metric}_kib")
    past, last = reading.of(runs)
    run, notes = Run(started, time.monotonic() - began, command_line()), tuple(reading.notes(runs))

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

    def of(self, runs: Sequence[Entry]) -> tuple[History, Snapshot]:
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
        read: list[Entry] = []
        for run in runs:
            part = self._part(run, lambda path: load_part(path, attributes, texts, self._metric))
            if part is not None:
                gathering.add(part)
                self._selections[part.run.command] += 1
                read.append(run)
        if not read:
            raise self._nothing(runs)
        return gathering.history(), load_run(read[-1], self._child, quiet=True)

    def _part(self, run: Entry, load: Callable[[Path], Part]) -> Part | None:
        """Load the part of a run, put together from its shards; None if no file of it can be read."""
        from fleetpmap.snapshot_file import joined

        parts: list[Part] = []
        for path in run.paths:
            try:
                with self._child.reading(str(path), _hint(path)):
                    parts.append(load(path))
            except UsageError as error:
                self.unread.append(error.message)
        return joined(parts) if run.shards and parts else next(iter(parts), None)

    def _nothing(self, runs: Sequence[Entry]) -> UsageError:
        return UsageError(
            f"{runs[0].path.parent}: none of its {len(runs)} runs can be read; {self.unread[0]}",
            hint="fetch them again from where they were saved",
        )

    def notes(self, runs: Sequence[Entry]) -> Iterator[str]:
        """Yield notes on the files that were not read, and on runs that looked for other processes."""
        if self.unread:
            files, kind = sum(len(run.paths) for run in runs), "files" if any(run.shards for run in runs) else "runs"
            yield f"{len(self.unread)} of {files} {kind} could not be read, and are left out:"
            yield from _some(self.unread)
        if left_out := [note for run in runs for note in run.notes]:
            yield f"{len(left_out)} files of shards are in no run:"
            yield from _some(left_out)
        looked_for: Counter[str] = Counter()
        for command, count in self._selections.items():
            looked_for[selection_of_command(command) or "processes of an unknown selection"] += count
        if len(looked_for) > 1:
            named = "; ".join(f"{what} ({count})" for what, count in looked_for.most_common(_MOST_NAMED))
            yield f"the runs looked for different processes, which come and go with that: {named}"


def _some(sentences: Sequence[str]) -> Iterator[str]:
    yield from sentences[:_MOST_NAMED]
    if (more := len(sentences) - _MOST_NAMED) > 0:
        yield f"and {more} more"


def _hint(path: Path) -> str:
    return f"move it away: the other runs of {path.parent} are as they were"
