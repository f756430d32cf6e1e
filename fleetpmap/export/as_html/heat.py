"""Colours of the cells of a comparison, by distance from the median.   report (compare) ─► [heat] ─► tables

The distance of a cell from the row's median (or from the baseline) gives its colour, in steps of MiB that are the same
for the whole page, so that noise stays pale beside a leak. Within the rule's floor, 10 % of the median or 1 MiB, there
is no colour.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from fleetpmap.report.model import NOT_RUN, Cell, Column, Table
from fleetpmap.report.outliers import FLOOR_SHARE, MIB

MOST_HOSTS = 100
"""Hosts that get a column; if there are more, outliers come first."""
STEPS_MIB = (1, 4, 16, 64)
"""Least distance for each colour, MiB."""
_STEPS = [step * MIB for step in STEPS_MIB]
_STATISTICS = ("median_kib", "spread_kib")


def host_columns(columns: Iterable[Column]) -> list[Column]:
    """Return the columns of hosts."""
    return [column for column in columns if column.unit in ("KiB", "delta") and column.name not in _STATISTICS]


def shown_hosts(table: Table) -> tuple[Column, ...]:
    """Return the columns with at most MOST_HOSTS hosts: the baseline, hosts with an outlier, then the first ones."""
    ranked = sorted(host_columns(table.columns), key=lambda column: (column.unit == "delta", not column.outliers))
    left_out = {column.name for column in ranked[MOST_HOSTS:]}
    return tuple(column for column in table.columns if column.name not in left_out)


def heat(table: Table, columns: tuple[Column, ...]) -> Mapping[tuple[int, str], str]:
    """Return CSS classes by (row, column name): `a1` … `a4` above the median, `b1` … `b4` below, `out` for outliers."""
    # If --columns left out the median, there is nothing to compare with, and no cell has a colour.
    medians = next((column.cells() for column in table.columns if column.name == "median_kib"), [None] * len(table))
    deltas = any(column.unit == "delta" for column in columns)
    marks: dict[tuple[int, str], str] = {}
    for column in host_columns(columns):
        if deltas and column.unit == "KiB":
            continue  # the baseline
        for row, cell in enumerate(column.cells()[table.counts :], table.counts):
            mark = _step(cell, medians[row], is_delta=deltas)
            if row in column.outliers:
                mark += " out"
            if mark:
                marks[row, column.name] = mark
    return marks


def _step(cell: Cell, median: Cell, *, is_delta: bool) -> str:
    if cell in (None, NOT_RUN) or not isinstance(median, int):
        return ""
    value = cell if isinstance(cell, int) else 0  # not mapped counts as 0, as in the rule
    apart = value if is_delta else value - median
    step = bisect_left(_STEPS, abs(apart))
    if not step or abs(apart) <= FLOOR_SHARE * median:
        return ""
    return f"{'a' if apart > 0 else 'b'}{step}"
