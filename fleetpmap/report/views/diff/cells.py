"""What each process has in each row, before and after.   old, new, pairs ─► [cells] ─► difference, growth_findings

A cell is what one process, as a pair of `pairs`, has in one row: in one combination of the keys of --by.

    by mapping     app (pid 812 in both)    cache (pid 900, restarted as 1031)
    [heap]         4096 → 24678             12288 → 4096
    /memfd:x       not there → 3072

Rows add up their cells. A pair counts in one row of its processes' keys also if these differ: in that of the new
process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpmap.report.grouping import coded, grouped, key_of_rows
from fleetpmap.report.views.diff.noise import WITNESSES, Sides, have_changed
from fleetpmap.report.views.diff.pairs import Pairs
from fleetpmap.smaps import NULL, Coded
from fleetpmap.snapshot import Process, Snapshot
from fleetpmap.table import METRICS, IntArray, concatenate, sums

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of all rows; each array but those of `keys` has one element for each cell."""

    keys: Mapping[str, Coded]
    """The keys of --by; each has one element for each row."""
    rows: int
    row: IntArray
    """Index of the cell's row."""
    pair: IntArray
    """Index of the cell's process in Pairs.pairs."""
    sizes: Mapping[str, Sides]
    """Those of the metric and of WITNESSES; 0 on a side without a mapping, NULL where the kernel lacks the size."""
    was_there: Flags
    """True if the old process had a mapping of this row."""
    is_there: Flags
    """True if the new process has one."""
    changed: Flags
    """True if the size has changed by more than noise."""

    def summed(self, metric: str) -> Sides:
        """Sum up the cells of each row in which the size is known in both runs; NULL for a row without any."""
        sides = self.sizes[metric]
        return Sides(*(sums(np.where(sides.known, side, NULL), self.row, self.rows) for side in sides))

    def count(self, of: Flags) -> IntArray:
        """Count the cells of each row for which `of` is True."""
        return np.bincount(self.row[of], minlength=self.rows)

    def any(self, of: Flags) -> Flags:
        """Return, for each row, True if `of` is True for any of its cells."""
        return self.count(of) > 0


class Compared:
    """The mappings of both runs in one table; those of processes that cannot be compared are left out."""

    def __init__(self, old: Snapshot, new: Snapshot, pairs: Pairs) -> None:
        base = len(old.processes)
        table = concatenate([(old.table, 0), (new.table, base)])
        processes: list[Process] = [*old.processes, *new.processes]
        pair_of = np.full(len(processes), NULL, dtype=np.int64)
        for slot, pair in enumerate(pairs.pairs):
            if pair.new is not None:
                pair_of[base + pair.new] = slot
            if pair.old is not None:
                pair_of[pair.old] = slot
            if pair.old is not None and pair.new is not None:
                processes[pair.old] = processes[base + pair.new]
        self.processes = tuple(
            old.processes[pair.old or 0] if pair.new is None else new.processes[pair.new] for pair in pairs.pairs
        )
        """The process of each pair: the new one, or the old one that is gone."""
        self.host_codes = coded(process.host for process in self.processes).codes
        """A number for the host of each pair."""
        self._both = Snapshot((), tuple(processes), table, new.run)
        self._pairs = len(pairs.pairs)
        self._kept = np.flatnonzero(pair_of[table.process] != NULL)
        self._pair = pair_of[table.process[self._kept]]
        self._is_new = table.process[self._kept] >= base

    def cells(self, by: Sequence[str], metric: str) -> Cells:
        """Return the cells for the keys `by`, of KEYS, and the size `metric`, of METRICS."""
        texts = {key: key_of_rows(self._both, key) for key in by}
        keys = {key: Coded(column.codes[self._kept], column.names) for key, column in texts.items()}
        row_of_mapping, first = grouped([*keys.values()])
        # Row and pair are packed into one number, so that np.unique can group by both.
        packed, cell = np.unique(row_of_mapping * max(self._pairs, 1) + self._pair, return_inverse=True)
        row, pair = np.divmod(packed, max(self._pairs, 1))
        there = [np.bincount(cell[side], minlength=len(packed)) > 0 for side in (~self._is_new, self._is_new)]
        sizes = {name: self._sides(name, cell, there) for name in (metric, *WITNESSES)}
        return Cells(
            keys={key: Coded(column.codes[first], column.names) for key, column in keys.items()},
            rows=len(first),
            row=row,
            pair=pair,
            sizes=sizes,
            was_there=there[0],
            is_there=there[1],
            changed=have_changed(metric, sizes),
        )

    def _sides(self, metric: str, cell: NDArray[np.intp], there: Sequence[Flags]) -> Sides:
        table = self._both.table
        values = table.metrics[metric] if metric in METRICS else table.fields.get(metric)
        values = np.full(len(self._kept), NULL) if values is None else values[self._kept]
        old, new = (
            np.where(is_there, sums(values[side], cell[side], len(is_there)), 0)
            for side, is_there in zip((~self._is_new, self._is_new), there, strict=True)
        )
        return Sides(old, new)
