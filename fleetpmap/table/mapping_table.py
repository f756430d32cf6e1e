"""Rows of (host, pid, mapping), and their sizes.   smaps, naming ─► [mapping_table] ─► joining, summed_rows"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import SIZES
from fleetpmap.naming import Names, name_mappings
from fleetpmap.smaps import NULL, Coded, SmapsColumns
from fleetpmap.table.narrow_columns import IntArray, added, compact, compact_coded, repeated
from fleetpmap.units import KIB

Rule = Literal["sum", "upper bound", "distinct"]
ROLLUP = "[totals]"
"""Path of the only row of a process of which smaps_rollup was read; the row covers all its mappings. The name is as
long as the kernel's own `[rollup]`, which the parser refuses."""
UNREADABLE = "(not readable)"
"""Path, name and kind of the only row of a process whose mappings could not be read. The row has no mapping, no
addresses, and of all sizes only the RSS and the swap."""
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
        columns: dict[str, Any] = {name: getattr(self, name)[start:stop] for name in ARRAYS}
        columns |= {name: Coded((text := getattr(self, name)).codes[start:stop], text.names) for name in TEXTS}
        columns["process"] = columns["process"] - np.int32(base) if base else columns["process"]
        return MappingTable(**columns, fields={key: column[start:stop] for key, column in self.fields.items()})

    def take(self, rows: NDArray[np.intp]) -> MappingTable:
        """Return a copy of these rows, in this order, without the names that none of them has."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in ARRAYS}
        for name in TEXTS:
            columns[name] = compact_coded((text := getattr(self, name)).codes[rows], text.names)
        return MappingTable(**columns, fields={key: compact(column[rows]) for key, column in self.fields.items()})

    def of_processes(
        self, is_kept: NDArray[np.bool_], is_wanted: NDArray[np.bool_] | Literal[True] = True
    ) -> MappingTable:
        """Return a copy of the rows of these processes, numbered anew, in this order.

        `is_kept` has a truth value for each process, `is_wanted` one for each row.
        """
        part = self.take(np.flatnonzero(is_kept[self.process] & is_wanted))
        # A process's new number is that of the processes kept before it: of kept, left, kept they are 0, -, 1.
        number = np.cumsum(is_kept, dtype=np.int32) - np.int32(1)
        return replace(part, process=number[part.process])


ARRAYS = ("process", "mappings", "start", "end", "offset", "inode", "deleted")

TEXTS = ("perms", "device", "path", "mapping", "kind", "flags")


class _Metrics(Mapping[str, IntArray]):
    """Sizes of a table's rows, computed on access."""

    def __init__(self, table: MappingTable) -> None:
        self._table = table

    def __getitem__(self, name: str) -> IntArray:
        if name == "size_kib":
            return _sizes(self._table)
        unknown = repeated(NULL, len(self._table))
        parts = [self._table.fields.get(key, unknown) for key in KERNEL_KEYS[name]]
        return parts[0].astype(np.int64, copy=False) if len(parts) == 1 else added(*parts)

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
        mappings=repeated(1, len(columns.process)),
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
