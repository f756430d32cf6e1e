"""Hosts side by side as one sees them: colours, and what looks alike put together.   compare ─► [heat] ─► page_sections

The distance of a cell from the row's median (or from the baseline) gives its colour, in steps of MiB that are the same
for the whole page, so that noise stays pale beside a leak. Within the rule's floor, 10 % of the median or 1 MiB, there
is no colour. Hosts whose cells have the same colours share a column; rows without any colour come last. A row explains
as much as its part is of all distances from the medians.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.model import NOT_MAPPED, NOT_RUN, Cell, Column, Table
from fleetpmap.report.outliers import FLOOR_SHARE, MIB

STEPS_MIB = (1, 4, 16, 64)
"""Least distance for each colour, MiB."""
STATISTICS = ("median_kib", "spread_kib")
MOST_NAME = 60
"""Characters of the name of hosts that share a column."""

Steps = NDArray[np.int8]
"""(row, host): 1 … 4 above the median, -1 … -4 below it, 0 without a colour."""


@dataclass(frozen=True, slots=True)
class Heat:
    """A comparison by (row, host), without its row of counts and without `(N more)`."""

    rows: NDArray[np.intp]
    """(row,): its row in the table, what explains most first, rows without a colour last."""
    hosts: tuple[Column, ...]
    steps: Steps
    out: NDArray[np.bool_]
    """(row, host): True for outliers."""
    explained: NDArray[np.float64]
    """(row,): percent of all distances from the medians; 0 if there are none."""
    groups: tuple[tuple[int, ...], ...]
    """Hosts that look alike, as indices of `hosts`: those furthest from the medians first."""
    names: tuple[str, ...]
    """(group,): the hosts in brackets: `web-[01-17]`."""
    is_delta: bool
    """True if the cells are differences from a baseline."""

    @property
    def plain_rows(self) -> int:
        """Number of rows, from the last, without a colour."""
        return int((~(self.steps.any(axis=1) | self.out.any(axis=1))).sum())


def host_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Return the columns of hosts."""
    return tuple(column for column in columns if column.unit in ("KiB", "delta") and column.name not in STATISTICS)


def heat(table: Table) -> Heat:
    """Return the colours of a comparison, and what looks alike."""
    hosts = host_columns(table.columns)
    count = len(table) - table.counts - (table.more > 0)
    is_delta = any(column.unit == "delta" for column in hosts)
    apart, known = _apart(table, hosts, count, is_delta=is_delta)
    is_far = np.abs(apart) > FLOOR_SHARE * _medians(table, count)[0][:, None]
    magnitude = np.searchsorted(np.array(STEPS_MIB) * MIB, np.abs(apart), side="left")
    steps = np.where(known & is_far, np.sign(apart) * magnitude, 0).astype(np.int8)
    out = np.zeros(steps.shape, dtype=np.bool_)
    for slot, column in enumerate(hosts):
        rows = [row - table.counts for row in column.outliers if table.counts <= row < table.counts + count]
        out[rows, slot] = True
    distances = np.abs(apart).sum(axis=1)
    explained = 100 * distances / (distances.sum() or 1)
    is_plain = ~(steps.any(axis=1) | out.any(axis=1))
    order = np.lexsort((np.arange(count), -explained, is_plain))
    groups = _alike(steps, out, known, np.abs(apart).sum(axis=0), hosts, is_delta=is_delta)
    return Heat(
        rows=order + table.counts,
        hosts=hosts,
        steps=steps[order],
        out=out[order],
        explained=explained[order],
        groups=groups,
        names=tuple(_name([hosts[slot].name for slot in group]) for group in groups),
        is_delta=is_delta,
    )


def marks(found: Heat, group: Sequence[int]) -> Mapping[int, str]:
    """Return the CSS classes of a group's cells by row of the table: `a1` … above, `b1` … below, `out`."""
    css: dict[int, str] = {}
    out: list[bool] = np.logical_or.reduce(found.out[:, list(group)], axis=1).tolist()
    for row, step, is_out in zip(found.rows.tolist(), found.steps[:, group[0]].tolist(), out, strict=True):
        words = [f"{'a' if step > 0 else 'b'}{abs(step)}"] if step else []
        if text := " ".join([*words, *(["out"] if is_out else [])]):
            css[row] = text
    return css


def together(columns: Sequence[Column], name: str) -> Column:
    """Return one column for those of hosts that look alike: the median of the known sizes of each row."""
    if len(columns) == 1:
        return columns[0]
    cells: list[Cell] = []
    for row in zip(*(column.cells() for column in columns), strict=True):
        known = sorted(cell for cell in row if isinstance(cell, int))
        cells.append(known[len(known) // 2] if known else row[0])
    outliers = frozenset().union(*(column.outliers for column in columns))
    totals = sorted(column.total for column in columns if column.total is not None)
    total = totals[len(totals) // 2] if totals else None
    return Column(name, columns[0].unit, cells, columns[0].rule, total, outliers)


def _medians(table: Table, count: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the medians, and which are known; if --columns left them out, there is nothing to compare with."""
    column = next((column for column in table.columns if column.name == "median_kib"), None)
    cells = column.cells(table.counts, table.counts + count) if column else [None] * count
    known = np.array([isinstance(cell, int) for cell in cells], dtype=np.bool_)
    return np.array([cell if isinstance(cell, int) else 0 for cell in cells], dtype=np.float64), known


def _apart(
    table: Table, hosts: Sequence[Column], count: int, *, is_delta: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the distances from the medians, (row, host), 0 where there is none, and where they are known."""
    medians, has_median = _medians(table, count)
    values = np.zeros((count, len(hosts)))
    known = np.zeros((count, len(hosts)), dtype=np.bool_)
    for slot, column in enumerate(hosts):
        if is_delta and column.unit == "KiB":
            continue  # the baseline
        cells = column.cells(table.counts, table.counts + count)
        # Not mapped counts as 0, as in the rule.
        known[:, slot] = [isinstance(cell, int) or cell == NOT_MAPPED for cell in cells]
        values[:, slot] = [cell if isinstance(cell, int) else 0 for cell in cells]
    known &= has_median[:, None]
    apart = values if is_delta else values - medians[:, None]
    return np.where(known, apart, 0), known


def _alike(
    steps: Steps,
    out: NDArray[np.bool_],
    known: NDArray[np.bool_],
    apart: NDArray[np.float64],
    hosts: Sequence[Column],
    *,
    is_delta: bool,
) -> tuple[tuple[int, ...], ...]:
    """Group the hosts that look alike; a baseline is alone, and first."""
    groups: dict[tuple[bytes | int, ...], list[int]] = {}
    for slot, column in enumerate(hosts):
        is_base = is_delta and column.unit == "KiB"
        alone: tuple[bytes | int, ...] = (slot,) if is_base or out[:, slot].any() else ()
        words = np.array([cell == NOT_RUN for cell in column.cells()], dtype=np.bool_)
        key = (*alone, steps[:, slot].tobytes(), known[:, slot].tobytes(), words.tobytes())
        groups.setdefault(key, []).append(slot)
    ranked = sorted(
        groups.values(),
        key=lambda group: (
            not (is_delta and hosts[group[0]].unit == "KiB"),
            not known[:, group].any(),  # hosts without any figure come last
            -apart[group].mean(),
            group,
        ),
    )
    return tuple(map(tuple, ranked))


def _name(hosts: Sequence[str]) -> str:
    text = fold(hosts)
    return text if len(text) <= MOST_NAME else f"{len(hosts)} hosts: {text[: MOST_NAME - 12]}…"
