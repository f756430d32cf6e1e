"""Sums over rows, and how a null counts in them.   MappingTable, groups ─► [adding] ─► report, evidence"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps import NULL
from fleetpmap.table.mapping_table import MappingTable
from fleetpmap.table.narrow_columns import IntArray, slices


def sums(values: IntArray, group: NDArray[np.integer], groups: int) -> IntArray:
    """Sum `values` in each of `groups` groups; NULL for a group without a known value.

    `group` is each row's group. A null adds nothing to a group that has known values, so a report must name the hosts
    that its sum leaves out. Values 4 -1 -1 of groups 0 0 1 give 4 -1.
    """
    return _summed(((values[part], group[part]) for part in slices(len(values))), groups)


def metric_sums(table: MappingTable, metric: str, group: NDArray[np.integer], groups: int) -> IntArray:
    """Sum a metric of a table as `sums` does. A part of the metric is made at a time: a fleet has millions of rows."""
    parts = ((table.rows(part.start, part.stop, base=0), group[part]) for part in slices(len(table)))
    return _summed(((rows.metrics[metric], of_rows) for rows, of_rows in parts), groups)


def _summed(parts: Iterable[tuple[IntArray, NDArray[np.integer]]], groups: int) -> IntArray:
    total, counted = np.zeros(groups), np.zeros(groups, dtype=np.int64)
    for values, group in parts:
        rows = np.bincount(group, minlength=groups)
        if values.strides == (0,) and len(values):  # one value for all rows
            total += rows * max(int(values[0]), 0)
            counted += rows * (values[0] != NULL)
            continue
        known = values != NULL
        # bincount adds doubles: exact up to 2^53 KiB, eight exbibytes.
        total += np.bincount(group, weights=np.where(known, values, 0), minlength=groups)
        counted += rows if known.all() else np.bincount(group[known], minlength=groups)
    return np.where(counted > 0, total.astype(np.int64), NULL)


def count(mappings: IntArray, group: NDArray[np.integer], groups: int) -> IntArray:
    """Count the mappings in each of `groups` groups. `mappings` is a table's column, or a part of it."""
    total = np.zeros(groups)
    for part in slices(len(mappings)):
        total += np.bincount(group[part], weights=mappings[part], minlength=groups)
    return total.astype(np.int64)


def total(values: IntArray) -> int | None:
    """Return the sum of the known values; None if there are none."""
    known = values != NULL
    return int(values.sum(where=known, dtype=np.int64)) if known.any() else None
