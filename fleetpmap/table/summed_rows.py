"""The same memory in fewer rows, for reports of sums.   MappingTable ─► [summed_rows] ─► MappingTable"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps import NULL, Coded
from fleetpmap.table.adding import count, sums
from fleetpmap.table.distinct_values import first_rows, numbered
from fleetpmap.table.mapping_table import ANONYMOUS, HUGETLB, KERNEL_KEYS, ROLLUP, TEXTS, UNREADABLE, MappingTable
from fleetpmap.table.narrow_columns import IntArray, compact

_INT64_MAX = 2**63 - 1


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
    texts = {name: Coded(np.broadcast_to(np.int32(NULL), rows), ()) for name in TEXTS}
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


def summed_keys(by: Collection[str]) -> tuple[str, ...]:
    """Return the kernel's fields that `summed` keeps: those of METRICS; beside the code also ANONYMOUS."""
    keys = tuple(dict.fromkeys(key for keys in KERNEL_KEYS.values() for key in keys))
    return (*keys, ANONYMOUS) if "perms" in by else keys


def _flags(column: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the column without memory if no row has the flag, which is usual."""
    return column if column.any() else np.broadcast_to(np.bool_(False), len(column))


def _alone(texts: Coded, name: str) -> Coded:
    """Return the column with this text only, and null for the others."""
    code = texts.names.index(name)
    return Coded(np.where(texts.codes == code, np.int32(0), np.int32(NULL)), (name,))


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
