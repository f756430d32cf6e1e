"""Different values of a column, numbered and counted.   [distinct_values] ─► summed_rows, report"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpmap.table.narrow_columns import IntArray, slices

_Scalar = TypeVar("_Scalar", bound=np.generic)
_SMALL = 1 << 16
"""Largest number for which `distinct` and `numbered` make a table of all numbers, however few values there are."""


def distinct(values: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """Return the different values, in ascending order."""
    if values.dtype.kind == "i" and len(values) and values.min() >= 0 and values.max() <= _most_in_table(values):
        is_there = np.zeros(int(values.max()) + 1, np.bool_)
        is_there[values] = True
        return np.flatnonzero(is_there).astype(values.dtype)
    # Without the counts, numpy imports its masked arrays: 8 ms.
    different: NDArray[_Scalar] = np.unique(values, return_counts=True)[0]
    return different


def numbered(values: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the different values, ascending, and the place of each value among them; no value is negative.

    As np.unique, by a table of all values up to the largest, which takes a tenth of the time of sorting them.
    """
    largest = int(values.max(initial=0))
    if largest > _most_in_table(values):
        different, place = np.unique(values, return_inverse=True)
        return different.astype(np.intp), place
    table = np.zeros(largest + 1, np.intp)
    table[values] = 1
    different = np.flatnonzero(table)
    table[different] = np.arange(len(different))
    return different, table[values]


def _most_in_table(values: NDArray[Any]) -> int:
    """Return the largest number for which a table of all numbers takes less time than sorting."""
    return max(_SMALL, 4 * len(values))


def first_rows(group: NDArray[np.intp], groups: int) -> NDArray[np.intp]:
    """Return the first row of each group; every group has one."""
    first = np.zeros(groups, np.intp)
    first[group[::-1]] = np.arange(len(group) - 1, -1, -1)  # of the rows of a group, the last one assigned stays
    return first


def distinct_per_group(values: NDArray[np.integer], group: NDArray[np.integer], groups: int) -> IntArray:
    """Count the different `values` in each group. All values are non-negative."""
    if not len(values):
        return np.zeros(groups, dtype=np.int64)
    span = int(values.max()) + 1
    if groups * span <= _most_in_table(values):
        is_there = np.zeros((groups, span), np.bool_)
        for part in slices(len(values)):
            is_there[group[part], values[part]] = True
        counts: IntArray = np.count_nonzero(is_there, axis=1)
        return counts
    pairs = group.astype(np.int64)  # a copy, and the only one: a fleet has millions of rows
    pairs *= span
    pairs += values
    pairs = distinct(pairs)
    return np.bincount(pairs // span, minlength=groups).astype(np.int64)
