"""The difference of a list from the same list of a marked snapshot.   two Tables ─► [differences] ─► Table

A row that was not there counts from 0 if the hosts that it is about had answered, else its difference is not known.
All rows at once are arrays: a list of 60,000 VMAs has its differences at the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from fleetpmap.explore.places import KEYS_OF, Place
from fleetpmap.report import Cell, Column, Report, Table
from fleetpmap.report.grouping import HexTexts
from fleetpmap.smaps import NULL, Coded
from fleetpmap.table import IntArray

SINCE_MARK = "since_mark_kib"
_DIFFERS = frozenset({"KiB", "count"})
"""Units of which a difference tells something."""
_MOST = 2**62
"""Codes of several columns are one number below this."""
_SMALL = 2**23
"""Whole numbers below this, as pids are, are codes as they stand."""
Flags = NDArray[np.bool_]


class Differences(Sequence[Cell]):
    """The cells of a column of differences, made as they are asked for. An array has -1 as null, which is one here."""

    def __init__(self, values: IntArray, known: Flags) -> None:
        self.values, self.known = values, known

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> Cell: ...
    @overload
    def __getitem__(self, index: slice) -> list[Cell]: ...
    def __getitem__(self, index: int | slice) -> Cell | list[Cell]:
        if isinstance(index, slice):
            pairs = zip(self.values[index].tolist(), self.known[index].tolist(), strict=True)
            return [value if is_known else None for value, is_known in pairs]
        return int(self.values[index]) if self.known[index] else None

    @property
    def order(self) -> NDArray[np.intp]:
        """The rows by magnitude, the largest first and unknown ones last, as --sort has them."""
        return np.argsort(np.where(self.known, -np.abs(self.values), 1), kind="stable")


def difference(now: Table, before: Report, place: Place, *, everywhere: bool) -> Table:
    """Return the table with the difference from the same list of a marked snapshot.

    The column SINCE_MARK has that of the size by which rows are compared; `everywhere`: every size and count becomes
    its difference.
    """
    keys = KEYS_OF[place.level]
    marked = before.tables[0]
    names = {column.name for column in marked.columns}
    here, knew = rows_in(marked, now, keys), _known_before(now, before, keys)

    def changed(column: Column) -> Differences:
        values, is_known = _numbers(column)
        if column.name in names:
            old, old_known = _numbers(marked.column(column.name))
            old, old_known = np.append(old, 0), np.append(old_known, False)  # row -1: not there
            was, was_known = old[here], np.where(here < 0, knew, old_known[here])
        else:
            was, was_known = np.zeros_like(values), (here < 0) & knew
        return Differences(values - was, is_known & was_known)

    columns = list(now.columns)
    if everywhere:
        columns = [_as_difference(c, changed(c)) if c.unit in _DIFFERS and c.name not in keys else c for c in columns]
        return replace(now, columns=tuple(columns), share=None, zeros=frozenset())
    size = now.share or next((name for name in ("pss_kib", "rss_kib") if name in names), None)
    at = next((slot for slot, column in enumerate(columns) if column.name == size), None)
    if at is not None:
        columns.insert(at + 1, Column(SINCE_MARK, "delta", changed(columns[at])))
    return replace(now, columns=tuple(columns))


def _as_difference(column: Column, cells: Sequence[Cell]) -> Column:
    return Column(column.name, "delta" if column.unit == "KiB" else "number", cells)


def _known_before(now: Table, before: Report, keys: Sequence[str]) -> Flags:
    """Return for each row if its hosts had answered when the snapshot was marked."""
    failed = {failure.host for failure in before.coverage.failures}
    if "host" not in keys:
        return np.full(len(now), not failed and before.coverage.answered > 0)
    hosts = now.column("host").values
    if not isinstance(hosts, Coded):
        return np.array([host not in failed for host in now.column("host").cells()], dtype=np.bool_)
    return np.array([*(name not in failed for name in hosts.names), False])[np.asarray(hosts.codes)]


def _numbers(column: Column) -> tuple[IntArray, Flags]:
    """Return the cells as integers, and which of them are known."""
    values = column.values
    if isinstance(values, np.ndarray) and values.dtype.kind == "i":
        return values.astype(np.int64), np.asarray(values != NULL)
    cells = column.cells()
    known = np.array([isinstance(cell, int) for cell in cells], dtype=np.bool_)
    return np.array([cell if isinstance(cell, int) else 0 for cell in cells], dtype=np.int64), known


def rows_in(other: Table, table: Table, keys: Sequence[str]) -> NDArray[np.intp]:
    """Return, for each row of `table`, the row of `other` with the same cells in these columns; -1 where none has."""
    if other is table:
        return np.arange(len(table))
    count = len(other)
    whole, bound = np.zeros(count + len(table), np.int64), 1
    for name in keys:
        codes = _common(other.column(name), table.column(name))
        largest = int(codes.max(initial=0)) + 1
        if bound * largest >= _MOST:
            whole = np.unique(whole, return_inverse=True)[1].astype(np.int64)
            bound = len(whole)
        whole, bound = whole * largest + codes, bound * largest
    if not count:
        return np.full(len(table), -1, np.intp)
    order = np.argsort(whole[:count], kind="stable")
    at = np.minimum(np.searchsorted(whole[:count], whole[count:], sorter=order), count - 1)
    found = order[at]
    return np.where(whole[found] == whole[count:], found, -1)


def _common(one: Column, other: Column) -> IntArray:
    """Return the cells of both columns as codes from 0, equal ones for equal cells: those of `one` first."""
    slots: dict[str, int] = {}
    if isinstance(one.values, Coded) and isinstance(other.values, Coded):
        return np.concatenate([_codes(column, slots) for column in (one.values, other.values)])
    cells: NDArray[Any] = np.concatenate([_plain(one), _plain(other)])
    if cells.dtype.kind == "i" and cells.max(initial=0) < _SMALL:
        return cells.astype(np.int64) + 1  # a null is -1
    return np.unique(cells, return_inverse=True)[1].astype(np.int64)


def _codes(column: Coded, slots: dict[str, int]) -> IntArray:
    """Return the codes of a column by `slots`, which gets the names that it lacks."""
    codes = np.array([*(slots.setdefault(name, len(slots) + 1) for name in column.names), 0], dtype=np.int64)
    part: IntArray = codes[np.asarray(column.codes)]  # a null has code -1, which is the last
    return part


def _plain(column: Column) -> NDArray[Any]:
    values = column.values
    if isinstance(values, HexTexts):
        return values.values
    return values if isinstance(values, np.ndarray) else np.array([str(cell) for cell in column.cells()])
