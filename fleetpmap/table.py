"""Rows of (host, pid, mapping), in columns.   smaps ─► naming ─► [table] ─► snapshot

A MappingTable is the parser's columns with the names and the derived sizes added, for one host or a fleet. What adds
up adds up here: `sums` and `total` own the meeting of a null and a sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpmap.naming import Names, name_mappings
from fleetpmap.smaps import NULL, Coded, SmapsColumns
from fleetpmap.units import KIB

Rule = Literal["sum", "upper bound", "distinct"]
IntArray = NDArray[np.signedinteger]
"""Whole numbers: int64 in every snapshot and every sum, narrower in the table of one host (see from_columns)."""
_INT32_MAX = 2**31 - 1
ROLLUP = "[totals]"
"""The path of the only row of a process whose smaps_rollup was read: it stands for all mappings, from first to last.
As long as the kernel's own `[rollup]`, which the parser takes for a mistake."""

METRICS: Mapping[str, Rule] = {
    "size_kib": "upper bound",
    "rss_kib": "upper bound",
    "pss_kib": "sum",
    "uss_kib": "sum",
    "dirty_kib": "upper bound",
    "swap_kib": "upper bound",
    "swap_pss_kib": "sum",
    "hugetlb_kib": "upper bound",
}
"""The sizes of every report, and what their sum over several processes is."""

KERNEL_KEYS: Mapping[str, tuple[str, ...]] = {
    "rss_kib": ("Rss",),
    "pss_kib": ("Pss",),
    "uss_kib": ("Private_Clean", "Private_Dirty"),
    "dirty_kib": ("Shared_Dirty", "Private_Dirty"),
    "swap_kib": ("Swap",),
    "swap_pss_kib": ("SwapPss",),
    "hugetlb_kib": ("Shared_Hugetlb", "Private_Hugetlb"),
}
"""The kernel's fields that each size is the sum of; size_kib is the range itself."""


@dataclass(frozen=True, slots=True)
class MappingTable:
    """One slot per mapping in every array; rows of one process are together, in the kernel's order."""

    process: NDArray[np.int32]
    """Slot of the row's process in the list of processes that comes with the table."""
    start: NDArray[np.uint64]
    end: NDArray[np.uint64]
    perms: Coded
    offset: NDArray[np.uint64]
    device: Coded
    inode: NDArray[np.uint64]
    path: Coded
    """As the kernel printed it."""
    mapping: Coded
    """The name to compare by (see naming)."""
    kind: Coded
    deleted: NDArray[np.bool_]
    fields: Mapping[str, IntArray]
    """Kernel key to values, NULL where the host's kernel lacks it."""
    flags: Coded
    metrics: Mapping[str, IntArray]
    """The keys of METRICS to KiB, NULL where unknown."""

    def __len__(self) -> int:
        return len(self.process)


def from_columns(columns: SmapsColumns) -> MappingTable:
    """The table of one host. `columns.process` becomes the row's process as it is.

    Fields and metrics are as narrow as their values allow, for these tables wait until all hosts are in; `concatenate`
    gives them 64 bits.
    """
    names: Names = name_mappings(columns)
    fields = {key: _compact(column) for key, column in columns.fields.items()}
    return MappingTable(
        process=columns.process,
        start=columns.start,
        end=columns.end,
        perms=columns.perms,
        offset=columns.offset,
        device=columns.device,
        inode=columns.inode,
        path=columns.path,
        mapping=names.mapping,
        kind=names.kind,
        deleted=names.deleted,
        fields=fields,
        flags=columns.flags,
        metrics={
            key: _compact(column) for key, column in _metrics(columns.start, columns.end, columns.path, fields).items()
        },
    )


def _metrics(
    start: NDArray[np.uint64], end: NDArray[np.uint64], path: Coded, fields: Mapping[str, IntArray]
) -> dict[str, IntArray]:
    # In bytes the difference always fits int64; the addresses themselves do not (vsyscall lies above 2^63).
    size = (end - start).astype(np.int64) // KIB
    if ROLLUP in path.names:
        size[is_rollup(path)] = NULL
    metrics: dict[str, IntArray] = {"size_kib": size}
    unknown = _repeated(NULL, len(start))
    for name, keys in KERNEL_KEYS.items():
        parts = [fields.get(key, unknown) for key in keys]
        metrics[name] = parts[0] if len(parts) == 1 else _added(*parts)
    return metrics


def is_rollup(path: Coded) -> NDArray[np.bool_]:
    """Which rows stand for all mappings of their process."""
    code = path.names.index(ROLLUP) if ROLLUP in path.names else len(path.names)
    rolled: NDArray[np.bool_] = path.codes == code
    return rolled


def _added(one: IntArray, other: IntArray) -> IntArray:
    both = np.add(one, other, dtype=np.int64)
    both[(one == NULL) | (other == NULL)] = NULL
    return both


def _repeated(value: int, length: int) -> IntArray:
    """A column of one value, which takes no memory: it is the same slot in every row, and cannot be written to."""
    return np.broadcast_to(np.int64(value), length)


def _compact(column: IntArray) -> IntArray:
    """The same column in less memory: nearly half of a host's have one value only (huge pages, swap), few are wide."""
    if not len(column):
        return column
    low, high = int(column.min()), int(column.max())
    if low == high:
        return _repeated(low, len(column))
    return column.astype(np.int32, copy=False) if high <= _INT32_MAX else column


def concatenate(tables: Sequence[tuple[MappingTable, int]]) -> MappingTable:
    """Tables one below the other, each with the slot that its process 0 gets. A key that one lacks is NULL there."""
    parts = [table for table, _ in tables]
    if not parts:
        return _EMPTY
    # dict, not set: the order of the columns is the order in which the hosts brought them.
    keys = dict.fromkeys(key for table in parts for key in table.fields)
    start, end = (_join([getattr(table, name) for table in parts], np.uint64) for name in ("start", "end"))
    fields = {key: _join_field(parts, key) for key in keys}
    path = _join_coded([table.path for table in parts])
    return MappingTable(
        process=_join([table.process + np.int32(base) for table, base in tables], np.int32),
        start=start,
        end=end,
        perms=_join_coded([table.perms for table in parts]),
        offset=_join([table.offset for table in parts], np.uint64),
        device=_join_coded([table.device for table in parts]),
        inode=_join([table.inode for table in parts], np.uint64),
        path=path,
        mapping=_join_coded([table.mapping for table in parts]),
        kind=_join_coded([table.kind for table in parts]),
        deleted=_join([table.deleted for table in parts], np.bool_),
        fields=fields,
        flags=_join_coded([table.flags for table in parts]),
        metrics=_metrics(start, end, path, fields),
    )


def _join_field(tables: Sequence[MappingTable], key: str) -> IntArray:
    columns = [
        table.fields[key] if key in table.fields else _repeated(NULL, len(table)) for table in tables if len(table)
    ]
    first = {int(column[0]) for column in columns}
    if len(first) == 1 and all(column.strides == (0,) for column in columns):
        return _repeated(first.pop(), sum(map(len, columns)))
    return np.concatenate(columns, dtype=np.int64)


_Scalar = TypeVar("_Scalar", bound=np.generic)


def _join(arrays: list[NDArray[_Scalar]], dtype: type[_Scalar]) -> NDArray[_Scalar]:
    return np.concatenate(arrays, dtype=dtype)


def _join_coded(columns: list[Coded]) -> Coded:
    slots: dict[str, int] = {}
    parts = []
    for column in columns:
        # The last slot keeps null null: code -1 looks there.
        recode = np.array([*(slots.setdefault(name, len(slots)) for name in column.names), -1], dtype=np.int32)
        parts.append(recode[column.codes])
    return Coded(np.concatenate(parts, dtype=np.int32), tuple(slots))


def sums(values: IntArray, group: NDArray[np.integer], groups: int) -> IntArray:
    """The sum of `values` in each of `groups` groups; NULL for a group without a single known value.

    A null adds nothing to a group that knows some values: whoever shows the sum says which hosts it leaves out.
    """
    known = values != NULL
    # bincount adds doubles: exact up to 2^53 KiB, eight exbibytes.
    total = np.bincount(group, weights=np.where(known, values, 0), minlength=groups).astype(np.int64)
    counted = np.bincount(group, weights=known, minlength=groups)
    return np.where(counted > 0, total, NULL)


def total(values: IntArray) -> int | None:
    """The sum of the known values; None when there is none."""
    known = values[values != NULL]
    return int(known.sum()) if len(known) else None


def distinct(values: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """The different values, in order."""
    # Without the counts, numpy imports its masked arrays: 8 ms.
    different: NDArray[_Scalar] = np.unique(values, return_counts=True)[0]
    return different


def distinct_per_group(values: NDArray[np.integer], group: NDArray[np.integer], groups: int) -> IntArray:
    """How many different non-negative `values` each group holds."""
    if not len(values):
        return np.zeros(groups, dtype=np.int64)
    span = int(values.max()) + 1
    pairs = distinct(group.astype(np.int64) * span + values)
    return np.bincount(pairs // span, minlength=groups).astype(np.int64)


_NO_ADDRESSES = np.zeros(0, np.uint64)
_NO_TEXT = Coded(np.zeros(0, np.int32), ())
_EMPTY = from_columns(
    SmapsColumns(
        process=np.zeros(0, np.int32),
        start=_NO_ADDRESSES,
        end=_NO_ADDRESSES,
        perms=_NO_TEXT,
        offset=_NO_ADDRESSES,
        device=_NO_TEXT,
        inode=_NO_ADDRESSES,
        path=_NO_TEXT,
        fields={},
        flags=_NO_TEXT,
    )
)
