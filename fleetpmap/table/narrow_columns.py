"""Columns of numbers and texts in little memory.   [narrow_columns] ─► the rest of table

The tables of all hosts are in memory together. So a column of one value takes no memory, and the others are as narrow
as their values allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps import NULL, Coded
from fleetpmap.smaps.columns import in_row_order

IntArray = NDArray[np.signedinteger]
"""Whole numbers, NULL where unknown: int64 in METRICS and sums; as narrow as the values allow in a table."""
_Scalar = TypeVar("_Scalar", bound=np.generic)
_SLICE = 1 << 18
"""Rows that are added up at a time."""


def repeated(value: int, length: int) -> IntArray:
    """Return a read-only column of one value. All rows share one item (stride 0), so it takes no memory."""
    # The same as np.broadcast_to, in a fifth of the time.
    column: IntArray = np.ndarray((length,), np.int64, np.array([value]), strides=(0,))
    column.flags.writeable = False
    return column


def _is_repeated(columns: Sequence[NDArray[Any]]) -> bool:
    """Return True if every column repeats one value without memory, and it is the same value in all."""
    return len({column[0] for column in columns}) == 1 and all(column.strides == (0,) for column in columns)


def compact(column: IntArray) -> IntArray:
    """Return the column in less memory: nearly half of a host's have one value (huge pages, swap), few are wide."""
    if not len(column):
        return column
    low, high = int(column.min()), int(column.max())
    if low == high:
        return repeated(low, len(column))
    return column.astype(_type_up_to(high), copy=False)


def compact_coded(codes: NDArray[np.signedinteger], names: Sequence[str]) -> Coded:
    """Return a column with its names in the order of the rows, and its codes as narrow as their number allows."""
    codes, names = in_row_order(codes, names)
    return Coded(codes.astype(_type_up_to(len(names) + 1)), tuple(names))  # so that a code + 1 fits, too


def _type_up_to(high: int) -> np.dtype[np.signedinteger]:
    """Return the narrowest type for NULL and the numbers up to `high`."""
    return np.min_scalar_type(-max(high, 0) - 1)


def added(first: IntArray, second: IntArray) -> IntArray:
    """Add two columns; NULL where one of them is."""
    if len(first) and first.strides == second.strides == (0,):
        one, other = int(first[0]), int(second[0])
        return repeated(NULL if NULL in (one, other) else one + other, len(first))
    both = np.add(first, second, dtype=np.int64)
    both[(first == NULL) | (second == NULL)] = NULL
    return both


def join_arrays(columns: Sequence[NDArray[_Scalar]]) -> NDArray[_Scalar]:
    """Concatenate columns of any type."""
    some = [column for column in columns if len(column)]
    if _is_repeated(some):
        return np.broadcast_to(some[0][0], sum(map(len, some)))
    return np.concatenate(columns)


def join_numbers(columns: Sequence[IntArray]) -> IntArray:
    """Concatenate columns of whole numbers, as narrow as all of them are."""
    columns = [column for column in columns if len(column)]
    if _is_repeated(columns):
        return repeated(int(columns[0][0]), sum(map(len, columns)))
    types = [_type_up_to(int(column[0])) if column.strides == (0,) else column.dtype for column in columns]
    return np.concatenate(columns, dtype=np.result_type(*types)) if columns else np.zeros(0, np.int8)


def join_coded(columns: Sequence[Coded]) -> Coded:
    """Concatenate columns of texts; names follow the order of the rows."""
    if not any(column.names for column in columns):  # a table of sums has no device
        return Coded(np.broadcast_to(np.int32(NULL), sum(map(len, columns))), ())
    slots: dict[str, int] = {}
    recodes: dict[int, NDArray[np.int32]] = {}  # hosts that were parsed together share their names
    parts = []
    for column in columns:
        recode = recodes.get(id(column.names))
        if recode is None:
            # Code -1 indexes the last item, so null stays null.
            recode = np.array([*(slots.setdefault(name, len(slots)) for name in column.names), -1], dtype=np.int32)
            recodes[id(column.names)] = recode
        parts.append(recode[column.codes])
    return compact_coded(np.concatenate(parts, dtype=np.int32), list(slots))


def slices(rows: int) -> Iterator[slice]:
    """Yield the rows in slices, since bincount makes copies of eight bytes a row of all that it is given."""
    for start in range(0, rows, _SLICE):
        yield slice(start, start + _SLICE)
