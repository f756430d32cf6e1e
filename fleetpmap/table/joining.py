"""Tables of several hosts as one, and rows of unreadable processes among others.   MappingTable… ─► [joining]"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps import NULL, Coded, SmapsColumns
from fleetpmap.table.mapping_table import ARRAYS, TEXTS, UNREADABLE, MappingTable, from_columns, is_unreadable
from fleetpmap.table.narrow_columns import IntArray, join_arrays, join_coded, join_numbers, repeated

_OF_STATUS = frozenset({"Rss", "Swap"})
"""The fields of a row of UNREADABLE."""
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


def concatenate(tables: Iterable[tuple[MappingTable, int]]) -> MappingTable:
    """Concatenate tables, each with the index that its process 0 gets. A key that a table lacks is NULL there.

    Columns of the inputs are released one by one, so that a fleet is not in memory twice; that helps only if the caller
    keeps no reference.
    """
    lengths: list[int] = []
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in ARRAYS}
    texts: dict[str, list[Coded]] = {name: [] for name in TEXTS}
    parts: list[dict[str, IntArray]] = []
    for table, base in tables:
        lengths.append(len(table))
        columns["process"].append(table.process + np.int32(base) if base else table.process)
        for name in ARRAYS[1:]:
            columns[name].append(getattr(table, name))
        for name in TEXTS:
            texts[name].append(getattr(table, name))
        parts.append(dict(table.fields))
        del table
    if not parts:
        return _EMPTY
    joined: dict[str, Any] = {"mappings": join_numbers(columns.pop("mappings"))}
    joined |= {name: join_arrays(columns.pop(name)) for name in ARRAYS if name != "mappings"}
    joined |= {name: join_coded(texts.pop(name)) for name in TEXTS}
    # A dict, not a set: fields keep the order in which the hosts first have them. A host on which nothing could be read
    # has no order of its own, so it comes last.
    in_order = sorted(parts, key=lambda part: part.keys() <= _OF_STATUS)
    keys = dict.fromkeys(key for part in in_order for key in part)
    return MappingTable(**joined, fields={key: _join_field(parts, lengths, key) for key in keys})


def _join_field(parts: Sequence[dict[str, IntArray]], lengths: Sequence[int], key: str) -> IntArray:
    columns = (part.pop(key, None) for part in parts)
    return join_numbers(
        [repeated(NULL, n) if column is None else column for column, n in zip(columns, lengths, strict=True)]
    )


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
    rows_of_status = MappingTable(
        process=np.array([*sizes], dtype=np.int32),
        mappings=repeated(0, rows),
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
    both = concatenate([(table, 0), (rows_of_status, 0)])
    return both.take(np.argsort(both.process, kind="stable"))


def without_unreadable(table: MappingTable) -> MappingTable:
    """Return the table without the rows that `with_unreadable` added, and without the fields that only they had."""
    unreadable = is_unreadable(table)
    if not unreadable.any():
        return table
    read = table.take(np.flatnonzero(~unreadable))
    return replace(read, fields={key: column for key, column in read.fields.items() if (column != NULL).any()})
