"""Rows of (host, pid, mapping), in columns.   smaps ─► naming ─► [table] ─► snapshot

A MappingTable is the parser's columns with the names and the derived sizes added, for one host or a fleet. What adds
up adds up here: `sums` and `total` own the meeting of a null and a sum. `summed` is the same memory in fewer rows, for
who asks for nothing but sums.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import SIZES
from fleetpmap.naming import Names, name_mappings
from fleetpmap.smaps import NULL, Coded, SmapsColumns
from fleetpmap.smaps.columns import in_row_order
from fleetpmap.units import KIB

Rule = Literal["sum", "upper bound", "distinct"]
IntArray = NDArray[np.signedinteger]
"""Whole numbers, NULL where unknown: int64 in METRICS and every sum, as narrow as values allow in a table's fields."""
_Scalar = TypeVar("_Scalar", bound=np.generic)
_INT32_MAX, _INT64_MAX = 2**31 - 1, 2**63 - 1
ROLLUP = "[totals]"
"""The path of the only row of a process whose smaps_rollup was read: it stands for all mappings, from first to last.
As long as the kernel's own `[rollup]`, which the parser takes for a mistake."""

METRICS: Mapping[str, Rule] = {size.column: size.rule for size in SIZES}
"""Columns of the sizes, in order, to what their sum over several processes is."""
KERNEL_KEYS: Mapping[str, tuple[str, ...]] = {size.column: size.kernel_keys for size in SIZES if size.kernel_keys}
"""Columns of the sizes to the kernel's fields that they are the sum of; size_kib is the range itself."""


@dataclass(frozen=True, slots=True)
class MappingTable:
    """One slot per mapping in every array; rows of one process are together, in the kernel's order."""

    process: NDArray[np.int32]
    """Slot of the row's process in the list of processes that comes with the table."""
    mappings: IntArray
    """How many mappings the row stands for: one, but in what `summed` made."""
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
    flags: Coded
    fields: Mapping[str, IntArray]
    """Kernel key to values, NULL where the host's kernel lacks it."""

    def __len__(self) -> int:
        return len(self.process)

    @property
    def metrics(self) -> Mapping[str, IntArray]:
        """The keys of METRICS to KiB as int64, NULL where unknown; each worked out when it is asked for."""
        return _Metrics(self)

    def rows(self, start: int, stop: int, *, base: int) -> MappingTable:
        """Some of the rows, sharing memory with all; the process in slot `base` gets slot 0."""
        columns: dict[str, Any] = {name: getattr(self, name)[start:stop] for name in _ARRAYS}
        columns |= {name: Coded((text := getattr(self, name)).codes[start:stop], text.names) for name in _TEXTS}
        columns["process"] = columns["process"] - np.int32(base) if base else columns["process"]
        return MappingTable(**columns, fields={key: column[start:stop] for key, column in self.fields.items()})


_ARRAYS = ("process", "mappings", "start", "end", "offset", "inode", "deleted")
_TEXTS = ("perms", "device", "path", "mapping", "kind", "flags")


class _Metrics(Mapping[str, IntArray]):
    """The sizes of a table's rows."""

    def __init__(self, table: MappingTable) -> None:
        self._table = table

    def __getitem__(self, name: str) -> IntArray:
        if name == "size_kib":
            return _sizes(self._table)
        unknown = _repeated(NULL, len(self._table))
        parts = [self._table.fields.get(key, unknown) for key in KERNEL_KEYS[name]]
        return parts[0].astype(np.int64, copy=False) if len(parts) == 1 else _added(*parts)

    def __iter__(self) -> Iterator[str]:
        return iter(METRICS)

    def __len__(self) -> int:
        return len(METRICS)


def from_columns(columns: SmapsColumns) -> MappingTable:
    """The parser's columns as a table. `columns.process` becomes the row's process as it is.

    Fields are as narrow as their values allow: the tables of all hosts wait for one another.
    """
    names: Names = name_mappings(columns)
    return MappingTable(
        process=columns.process,
        mappings=_repeated(1, len(columns.process)),
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
        flags=columns.flags,
        fields={key: _compact(column) for key, column in columns.fields.items()},
    )


def _sizes(table: MappingTable) -> IntArray:
    # In bytes the difference always fits int64; the addresses themselves do not (vsyscall lies above 2^63).
    size = (table.end - table.start).astype(np.int64) // KIB
    if ROLLUP in table.path.names:
        size[is_rollup(table.path)] = NULL
    return size


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
    # As np.broadcast_to, in a fifth of the time.
    column: IntArray = np.ndarray((length,), np.int64, np.array([value]), strides=(0,))
    column.flags.writeable = False
    return column


def _is_repeated(columns: Sequence[NDArray[Any]]) -> bool:
    """Whether all rows of all of these are the same slot's value."""
    return len({column[0] for column in columns}) == 1 and all(column.strides == (0,) for column in columns)


def _compact(column: IntArray) -> IntArray:
    """The same column in less memory: nearly half of a host's have one value only (huge pages, swap), few are wide."""
    if not len(column):
        return column
    low, high = int(column.min()), int(column.max())
    if low == high:
        return _repeated(low, len(column))
    return column.astype(np.int32, copy=False) if high <= _INT32_MAX else column


def summed(table: MappingTable, by: Collection[str] = ("path",)) -> MappingTable:
    """The same memory in fewer rows: one for each process, and with `by` for each path (its name and kind with it) and
    each `perms` in it. Every sum stays.

    Of the kernel's fields, those that METRICS are made of; a row's are all known or all NULL. It begins at 0 and ends
    at the size of its mappings together. What it is not summed by says nothing.
    """
    keys = []
    if "path" in by or ROLLUP in table.path.names:  # a rollup is known by its path
        keys += ["path", "mapping", "kind"]
    if "perms" in by:
        keys.append("perms")
    fields = {key: table.fields[key] for keys_ in KERNEL_KEYS.values() for key in keys_ if key in table.fields}
    group, first = _groups(table.process, [getattr(table, key) for key in keys], list(fields.values()))
    rows = len(first)
    texts = {name: Coded(np.broadcast_to(np.int32(NULL), rows), ()) for name in _TEXTS}
    for key in keys:
        column: Coded = getattr(table, key)
        texts[key] = Coded(column.codes[first], column.names)
    nothing = np.broadcast_to(np.uint64(0), rows)
    return MappingTable(
        process=table.process[first],
        mappings=_compact(count(table.mappings, group, rows)),
        start=nothing,
        end=np.bincount(group, weights=table.end - table.start, minlength=rows).astype(np.uint64),
        offset=nothing,
        inode=nothing,
        deleted=table.deleted[first],
        fields={key: _compact(sums(column, group, rows)) for key, column in fields.items()},
        **texts,
    )


def _groups(
    process: NDArray[np.int32], keys: Sequence[Coded], fields: Sequence[IntArray]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The group of every row, and each group's first row: equal in all keys, and in which of the fields are NULL."""
    parts = [(key.codes + 1, len(key.names) + 1) for key in keys]
    parts += [(unknown, 2) for column in fields if (unknown := column == NULL).any()]
    group, span = process.astype(np.int64), int(process.max(initial=0)) + 1
    for values, size in parts:
        if span * size > _INT64_MAX:
            _, group = np.unique(group, return_inverse=True)
            span = len(group)
        group, span = group * size + values, span * size
    _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
    order = np.argsort(first)  # the kernel's order
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    return place[inverse], first[order]


def concatenate(tables: Iterable[tuple[MappingTable, int]]) -> MappingTable:
    """Tables one below the other, each with the slot that its process 0 gets. A key that one lacks is NULL there.

    What the tables hold is let go of column by column, so that a fleet is not in memory twice, if nobody else has it.
    """
    lengths: list[int] = []
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in _ARRAYS}
    texts: dict[str, list[Coded]] = {name: [] for name in _TEXTS}
    parts: list[dict[str, IntArray]] = []
    for table, base in tables:
        lengths.append(len(table))
        columns["process"].append(table.process + np.int32(base) if base else table.process)
        for name in _ARRAYS[1:]:
            columns[name].append(getattr(table, name))
        for name in _TEXTS:
            texts[name].append(getattr(table, name))
        parts.append(dict(table.fields))
        del table
    if not parts:
        return _EMPTY
    joined: dict[str, Any] = {"mappings": _join_numbers(columns.pop("mappings"))}
    joined |= {name: _join(columns.pop(name)) for name in _ARRAYS if name != "mappings"}
    joined |= {name: _join_coded(texts.pop(name)) for name in _TEXTS}
    # dict, not set: the order of the fields is the order in which the hosts brought them.
    keys = dict.fromkeys(key for part in parts for key in part)
    return MappingTable(**joined, fields={key: _join_field(parts, lengths, key) for key in keys})


def _join_field(parts: Sequence[dict[str, IntArray]], lengths: Sequence[int], key: str) -> IntArray:
    columns = (part.pop(key, None) for part in parts)
    return _join_numbers(
        [_repeated(NULL, n) if column is None else column for column, n in zip(columns, lengths, strict=True)]
    )


def _join(columns: Sequence[NDArray[_Scalar]]) -> NDArray[_Scalar]:
    some = [column for column in columns if len(column)]
    if _is_repeated(some):
        return np.broadcast_to(some[0][0], sum(map(len, some)))
    return np.concatenate(columns)


def _join_numbers(columns: Sequence[IntArray]) -> IntArray:
    columns = [column for column in columns if len(column)]
    if _is_repeated(columns):
        return _repeated(int(columns[0][0]), sum(map(len, columns)))
    narrow = all(column.dtype == np.int32 or (column.strides == (0,) and column[0] <= _INT32_MAX) for column in columns)
    return np.concatenate(columns or [np.zeros(0, np.int32)], dtype=np.int32 if narrow else np.int64)


def _join_coded(columns: Sequence[Coded]) -> Coded:
    slots: dict[str, int] = {}
    recodes: dict[int, NDArray[np.int32]] = {}  # hosts that were parsed together share their names
    parts = []
    for column in columns:
        recode = recodes.get(id(column.names))
        if recode is None:
            # The last slot keeps null null: code -1 looks there.
            recode = np.array([*(slots.setdefault(name, len(slots)) for name in column.names), -1], dtype=np.int32)
            recodes[id(column.names)] = recode
        parts.append(recode[column.codes])
    codes, names = in_row_order(np.concatenate(parts, dtype=np.int32), list(slots))
    return Coded(codes, tuple(names))


def sums(values: IntArray, group: NDArray[np.integer], groups: int) -> IntArray:
    """The sum of `values` in each of `groups` groups; NULL for a group without a single known value.

    A null adds nothing to a group that knows some values: whoever shows the sum says which hosts it leaves out.
    """
    known = values != NULL
    # bincount adds doubles: exact up to 2^53 KiB, eight exbibytes.
    total = np.bincount(group, weights=np.where(known, values, 0), minlength=groups).astype(np.int64)
    counted = np.bincount(group, weights=known, minlength=groups)
    return np.where(counted > 0, total, NULL)


def count(mappings: IntArray, group: NDArray[np.integer], groups: int) -> IntArray:
    """How many mappings each of `groups` groups has; `mappings` is a table's, or a part of it."""
    return np.bincount(group, weights=mappings, minlength=groups).astype(np.int64)


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
