"""Rows of (host, pid, mapping), in columns.   smaps ─► naming ─► [table] ─► snapshot

A MappingTable is the parser's columns with names and derived sizes, for one host or a fleet. All adding happens here:
`sums` and `total` alone decide how a null counts in a sum. `summed` puts the same memory into fewer rows, for reports
that show nothing but sums.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
"""Whole numbers, NULL where unknown: int64 in METRICS and sums; as narrow as the values allow in a table."""
_Scalar = TypeVar("_Scalar", bound=np.generic)
_PART = 1 << 18
_SMALL = 1 << 16
"""Largest number for which `distinct` and `numbered` make a table of all numbers, however few values there are."""
_INT64_MAX = 2**63 - 1
ROLLUP = "[totals]"
"""Path of the only row of a process of which smaps_rollup was read; the row covers all its mappings. The name is as
long as the kernel's own `[rollup]`, which the parser refuses."""
UNREADABLE = "(not readable)"
"""Path, name and kind of the only row of a process whose mappings could not be read. The row has no mapping, no
addresses, and of all sizes only the RSS and the swap."""
_OF_STATUS = frozenset({"Rss", "Swap"})
"""The fields of such a row."""

METRICS: Mapping[str, Rule] = {size.column: size.rule for size in SIZES}
"""The sizes of every report, in order, each with the meaning of its sum over several processes."""
KERNEL_KEYS: Mapping[str, tuple[str, ...]] = {size.column: size.kernel_keys for size in SIZES if size.kernel_keys}
"""The kernel's fields that add up to each size; size_kib is the address range itself."""
HUGETLB = "hugetlb"
"""The kind of a mapping of huge pages."""
ANONYMOUS = "Anonymous"
"""The kernel's field that tells a file's pages from private copies of them."""


@dataclass(frozen=True, slots=True)
class MappingTable:
    """One slot per mapping in every array; rows of one process are together, in the kernel's order."""

    process: NDArray[np.int32]
    """Index of the row's process in the list of processes that belongs to the table."""
    mappings: IntArray
    """Number of mappings in the row: one, unless the table comes from `summed`; none of a process that could not be
    read."""
    start: NDArray[np.uint64]
    end: NDArray[np.uint64]
    perms: Coded
    offset: NDArray[np.uint64]
    device: Coded
    inode: NDArray[np.uint64]
    path: Coded
    """Path as the kernel printed it."""
    mapping: Coded
    """Name to compare by (see naming)."""
    kind: Coded
    deleted: NDArray[np.bool_]
    flags: Coded
    fields: Mapping[str, IntArray]
    """Values by kernel key, NULL where the host's kernel lacks the key."""

    def __len__(self) -> int:
        return len(self.process)

    @property
    def metrics(self) -> Mapping[str, IntArray]:
        """Sizes in KiB by the keys of METRICS, as int64, NULL where unknown; each is computed on access."""
        return _Metrics(self)

    def rows(self, start: int, stop: int, *, base: int) -> MappingTable:
        """Return a range of rows that shares memory with this table. Process `base` becomes process 0."""
        columns: dict[str, Any] = {name: getattr(self, name)[start:stop] for name in _ARRAYS}
        columns |= {name: Coded((text := getattr(self, name)).codes[start:stop], text.names) for name in _TEXTS}
        columns["process"] = columns["process"] - np.int32(base) if base else columns["process"]
        return MappingTable(**columns, fields={key: column[start:stop] for key, column in self.fields.items()})

    def take(self, rows: NDArray[np.intp]) -> MappingTable:
        """Return a copy of these rows, in this order, without the names that none of them has."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in _ARRAYS}
        for name in _TEXTS:
            columns[name] = _coded((text := getattr(self, name)).codes[rows], text.names)
        return MappingTable(**columns, fields={key: compact(column[rows]) for key, column in self.fields.items()})


_ARRAYS = ("process", "mappings", "start", "end", "offset", "inode", "deleted")
_TEXTS = ("perms", "device", "path", "mapping", "kind", "flags")


class _Metrics(Mapping[str, IntArray]):
    """Sizes of a table's rows, computed on access."""

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
    """Make a table of the parser's columns. `columns.process` becomes the row's process unchanged.

    Fields are stored as narrow as their values allow, since the tables of all hosts are in memory until the last comes.
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
        fields={key: compact(column) for key, column in columns.fields.items()},
    )


def _sizes(table: MappingTable) -> IntArray:
    # In bytes the difference always fits int64; the addresses themselves do not (vsyscall lies above 2^63).
    size = (table.end - table.start).view(np.int64)
    size //= KIB
    if ROLLUP in table.path.names:
        size[is_rollup(table.path)] = NULL
    if UNREADABLE in table.path.names:
        size[is_unreadable(table)] = NULL
    return size


def is_rollup(path: Coded) -> NDArray[np.bool_]:
    """Return a mask of the rows that cover all mappings of their process."""
    code = path.names.index(ROLLUP) if ROLLUP in path.names else len(path.names)
    rolled: NDArray[np.bool_] = path.codes == code
    return rolled


def is_unreadable(table: MappingTable) -> NDArray[np.bool_]:
    """Return a mask of the rows that stand for a process whose mappings could not be read."""
    if UNREADABLE not in table.path.names:
        return np.broadcast_to(np.bool_(False), len(table))
    unreadable: NDArray[np.bool_] = table.mappings == 0  # the path is no proof: a host can print any
    return unreadable


def with_unreadable(table: MappingTable, sizes: Mapping[int, tuple[int, int | None]]) -> MappingTable:
    """Add a row for each process whose mappings could not be read. Rows stay in the order of the processes.

    `sizes` has the RSS and the swap in KiB, None where unknown, by the index of the process, which has no other row.
    """
    if not sizes:
        return table
    rows, no_address = len(sizes), np.broadcast_to(np.uint64(0), len(sizes))
    name = Coded(np.broadcast_to(np.int32(0), rows), (UNREADABLE,))
    null = Coded(np.broadcast_to(np.int32(NULL), rows), ())
    swaps = [NULL if swap is None else swap for _, swap in sizes.values()]
    added = MappingTable(
        process=np.array([*sizes], dtype=np.int32),
        mappings=_repeated(0, rows),
        start=no_address,
        end=no_address,
        perms=null,
        offset=no_address,
        device=null,
        inode=no_address,
        path=name,
        mapping=name,
        kind=name,
        deleted=np.broadcast_to(np.bool_(False), rows),
        flags=null,
        fields={"Rss": np.array([rss for rss, _ in sizes.values()], np.int64), "Swap": np.array(swaps, np.int64)},
    )
    both = concatenate([(table, 0), (added, 0)])
    return both.take(np.argsort(both.process, kind="stable"))


def without_unreadable(table: MappingTable) -> MappingTable:
    """Return the table without the rows that `with_unreadable` added, and without the fields that only they had."""
    unreadable = is_unreadable(table)
    if not unreadable.any():
        return table
    read = table.take(np.flatnonzero(~unreadable))
    return replace(read, fields={key: column for key, column in read.fields.items() if (column != NULL).any()})


def _added(first: IntArray, second: IntArray) -> IntArray:
    """Add two columns; NULL where one of them is."""
    if len(first) and first.strides == second.strides == (0,):
        one, other = int(first[0]), int(second[0])
        return _repeated(NULL if NULL in (one, other) else one + other, len(first))
    both = np.add(first, second, dtype=np.int64)
    both[(first == NULL) | (second == NULL)] = NULL
    return both


def _repeated(value: int, length: int) -> IntArray:
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
        return _repeated(low, len(column))
    return column.astype(_type_up_to(high), copy=False)


def _type_up_to(high: int) -> np.dtype[np.signedinteger]:
    """Return the narrowest type for NULL and the numbers up to `high`."""
    return np.min_scalar_type(-max(high, 0) - 1)


def summed(table: MappingTable, by: Collection[str] = ("path",)) -> MappingTable:
    """Sum the rows of a table by process and, as `by` says, by path (with name and kind) and by perms.

    Every sum over the result equals that over the table. A group has only the fields of `summed_keys`, and never mixes
    known values with NULL. A row begins at address 0 and ends at the total size of its mappings; columns
    that the rows are not summed by are null or 0.
    """
    keys = []
    if "path" in by or {ROLLUP, UNREADABLE} & {*table.path.names}:  # rows that are recognised by their path
        keys += ["path", "mapping", "kind"]
    elif HUGETLB in table.kind.names:  # the rows of which a kernel may not know the size
        table = replace(table, kind=_alone(table.kind, HUGETLB))
        keys.append("kind")
    if "perms" in by:
        keys.append("perms")
    fields = {key: table.fields[key] for key in summed_keys(by) if key in table.fields}
    group, first = _groups(table.process, [getattr(table, key) for key in keys], list(fields.values()))
    rows = len(first)
    texts = {name: Coded(np.broadcast_to(np.int32(NULL), rows), ()) for name in _TEXTS}
    for key in keys:
        column: Coded = getattr(table, key)
        texts[key] = Coded(column.codes[first], column.names)
    nothing = np.broadcast_to(np.uint64(0), rows)
    return MappingTable(
        process=table.process[first],
        mappings=compact(count(table.mappings, group, rows)),
        start=nothing,
        end=np.bincount(group, weights=table.end - table.start, minlength=rows).astype(np.uint64),
        offset=nothing,
        inode=nothing,
        deleted=_flags(table.deleted[first]),
        fields={key: compact(sums(column, group, rows)) for key, column in fields.items()},
        **texts,
    )


def _flags(column: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the column without memory if no row has the flag, which is usual."""
    return column if column.any() else np.broadcast_to(np.bool_(False), len(column))


def _alone(texts: Coded, name: str) -> Coded:
    """Return the column with this text only, and null for the others."""
    code = texts.names.index(name)
    return Coded(np.where(texts.codes == code, np.int32(0), np.int32(NULL)), (name,))


def summed_keys(by: Collection[str]) -> tuple[str, ...]:
    """Return the kernel's fields that `summed` keeps: those of METRICS; beside the code also ANONYMOUS."""
    keys = tuple(dict.fromkeys(key for keys in KERNEL_KEYS.values() for key in keys))
    return (*keys, ANONYMOUS) if "perms" in by else keys


def _groups(
    process: NDArray[np.int32], keys: Sequence[Coded], fields: Sequence[IntArray]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Group the rows that are equal in process, all keys, and which fields are NULL.

    Returns each row's group and each group's first row; groups follow the order of their first rows.
    """
    # A row's values are packed into one number, digit by digit: group * size + value, in mixed radix. For process 3,
    # path code 7 of 50 and a known field: ((3 * 51) + 8) * 2 + 0. Equal rows then have equal numbers.
    parts = [(key.codes + 1, len(key.names) + 1) for key in keys]
    parts += [(unknown, 2) for column in fields if (unknown := column == NULL).any()]
    group, span = process.astype(np.int64), int(process.max(initial=0)) + 1
    for values, size in parts:
        if span * size > _INT64_MAX:  # renumber the groups so far, so that the next digit fits
            _, group = numbered(group)
            span = len(group)
        group, span = group * size + values, span * size
    different, inverse = numbered(group)
    first = first_rows(inverse, len(different))
    order = np.argsort(first)  # back from the order of the numbers to that of the rows
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    return place[inverse], first[order]


def concatenate(tables: Iterable[tuple[MappingTable, int]]) -> MappingTable:
    """Concatenate tables, each with the index that its process 0 gets. A key that a table lacks is NULL there.

    Columns of the inputs are released one by one, so that a fleet is not in memory twice; that helps only if the caller
    keeps no reference.
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
    joined: dict[str, Any] = {"mappings": join_numbers(columns.pop("mappings"))}
    joined |= {name: _join(columns.pop(name)) for name in _ARRAYS if name != "mappings"}
    joined |= {name: join_coded(texts.pop(name)) for name in _TEXTS}
    # A dict, not a set: fields keep the order in which the hosts first have them. A host on which nothing could be read
    # has no order of its own, so it comes last.
    in_order = sorted(parts, key=lambda part: part.keys() <= _OF_STATUS)
    keys = dict.fromkeys(key for part in in_order for key in part)
    return MappingTable(**joined, fields={key: _join_field(parts, lengths, key) for key in keys})


def _join_field(parts: Sequence[dict[str, IntArray]], lengths: Sequence[int], key: str) -> IntArray:
    columns = (part.pop(key, None) for part in parts)
    return join_numbers(
        [_repeated(NULL, n) if column is None else column for column, n in zip(columns, lengths, strict=True)]
    )


def _join(columns: Sequence[NDArray[_Scalar]]) -> NDArray[_Scalar]:
    some = [column for column in columns if len(column)]
    if _is_repeated(some):
        return np.broadcast_to(some[0][0], sum(map(len, some)))
    return np.concatenate(columns)


def join_numbers(columns: Sequence[IntArray]) -> IntArray:
    """Concatenate columns of whole numbers, as narrow as all of them are."""
    columns = [column for column in columns if len(column)]
    if _is_repeated(columns):
        return _repeated(int(columns[0][0]), sum(map(len, columns)))
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
    return _coded(np.concatenate(parts, dtype=np.int32), list(slots))


def _coded(codes: NDArray[np.signedinteger], names: Sequence[str]) -> Coded:
    """Return a column with its names in the order of the rows, and its codes as narrow as their number allows."""
    codes, names = in_row_order(codes, names)
    return Coded(codes.astype(_type_up_to(len(names) + 1)), tuple(names))  # so that a code + 1 fits, too


def sums(values: IntArray, group: NDArray[np.integer], groups: int) -> IntArray:
    """Sum `values` in each of `groups` groups; NULL for a group without a known value.

    `group` is each row's group. A null adds nothing to a group that has known values, so a report must name the hosts
    that its sum leaves out. Values 4 -1 -1 of groups 0 0 1 give 4 -1.
    """
    return _summed(((values[part], group[part]) for part in _parts(len(values))), groups)


def metric_sums(table: MappingTable, metric: str, group: NDArray[np.integer], groups: int) -> IntArray:
    """Sum a metric of a table as `sums` does. A part of the metric is made at a time: a fleet has millions of rows."""
    parts = ((table.rows(part.start, part.stop, base=0), group[part]) for part in _parts(len(table)))
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
    for part in _parts(len(mappings)):
        total += np.bincount(group[part], weights=mappings[part], minlength=groups)
    return total.astype(np.int64)


def _parts(rows: int) -> Iterator[slice]:
    """Yield the rows in slices, since bincount makes copies of eight bytes a row of all that it is given."""
    for start in range(0, rows, _PART):
        yield slice(start, start + _PART)


def total(values: IntArray) -> int | None:
    """Return the sum of the known values; None if there are none."""
    known = values != NULL
    return int(values.sum(where=known, dtype=np.int64)) if known.any() else None


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
        for part in _parts(len(values)):
            is_there[group[part], values[part]] = True
        counts: IntArray = np.count_nonzero(is_there, axis=1)
        return counts
    pairs = group.astype(np.int64)  # a copy, and the only one: a fleet has millions of rows
    pairs *= span
    pairs += values
    pairs = distinct(pairs)
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
