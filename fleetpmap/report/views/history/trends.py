"""The view history: a row for each series, with its trend and class.   History, rows ─► [trends] ─► Report

Leaks come first, by the days until their limit and then by their rate; then steps by their height; then the other
classes by their rate. What is not there any more comes last.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import overload

import numpy as np

from fleetpmap.history import History
from fleetpmap.report.grouping import coded, key_column
from fleetpmap.report.model import Cell, Column, Report, Table, Timeline
from fleetpmap.report.shape import AS_IT_IS, Shape, shaped
from fleetpmap.report.views.history.charts import charts
from fleetpmap.report.views.history.history_notes import history_notes
from fleetpmap.report.views.history.rows import Row, rows_of
from fleetpmap.report.views.history.sparkline import sparkline
from fleetpmap.report.views.history.trend_findings import TrendFindings
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Run, Snapshot

MOST_ROWS = 20
"""Rows on a terminal, unless --top gives another number."""


def history(
    past: History,
    last: Snapshot,
    run: Run,
    notes: Iterable[str] = (),
    shape: Shape = AS_IT_IS,
    *,
    directory: str = "",
    timeline: Timeline | None = None,
) -> Report:
    """Return a row for each series, ranked by what matters.

    `last`: the last run of the history, for the limits and the coverage. `run`: when and by which command the report
    was made. `notes`: further notes, such as on runs that could not be read. `directory`: where the runs are stored,
    for the next commands; empty if unknown. `timeline`: the services over time, for a page.

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    rows = rows_of(past, last)
    table = _table(past.by, rows)
    report = Report(
        "history",
        (shaped(table, shape),),
        (*history_notes(past, rows), *notes),
        last.coverage,
        run,
        findings=tuple(TrendFindings(past, last, directory).of(rows)),
        charts=tuple(charts(past, rows[: shape.top or len(rows)])),
        timeline=timeline,
    )
    drawn = replace(table, columns=(*table.columns, Column("trend", "text", _Signs(past, rows))))
    columns = shape.columns and (*shape.columns, "trend")
    brief = shaped(drawn, Shape(shape.sort, MOST_ROWS if shape.top is None else shape.top, columns))
    return replace(report, brief=replace(report, tables=(brief,)))


def _table(by: Sequence[str], rows: Sequence[Row]) -> Table:
    keys = (key_column(key, coded(row.key[key] for row in rows)) for key in by)
    lines = [row.judgement.trend for row in rows]
    return Table(
        "rows",
        (
            *keys,
            Column("first_kib", "KiB", np.array([row.first_kib for row in rows], np.int64)),
            Column("last_kib", "KiB", np.array([row.last_kib for row in rows], np.int64)),
            Column("slope_kib_per_day", "delta", [row.slope for row in rows]),
            Column("low", "delta", [line and _whole(line.low) for line in lines]),
            Column("high", "delta", [line and _whole(line.high) for line in lines]),
            Column("class", "text", coded(row.judgement.kind for row in rows)),
            Column("limit_in_days", "number", [row.days_left and int(row.days_left[0]) for row in rows], null="-"),
        ),
        last="mapping" if "mapping" in by else None,
        is_ranked=True,
    )


def _whole(slope: float) -> Cell:
    return round(slope) if math.isfinite(slope) else None


class _Signs(Sequence[str]):
    """The sparkline of each row, drawn on access: of thousands of rows, a terminal shows a few."""

    def __init__(self, past: History, rows: Sequence[Row]) -> None:
        self._past, self._rows = past, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[slot] for slot in range(len(self))[index]]
        row = self._rows[index]
        sizes = [None if size == NULL else size for size in self._past.sizes[row.slot].tolist()]
        return sparkline(sizes, row.floor)
