"""The mappings as a flat table.   MappingTable ⇄ [frame] ⇄ parquet

    host    pid  name   …  start  end  perms  …  path          deleted  kind  rss_kib  pss_kib  …  vm_flags
    web-01  412  nginx     0x55…  …    r-xp      /usr/sbin/…   false    file  1024     512         rd ex mr …

A row per mapping: its process (stored in the metadata too; repeated here for polars and SQL), then the mapping, then a
column for each field of any known kernel, null if the host's kernel lacks it. All files have the same columns, except
for fields of newer kernels. Texts are escaped as in all output; `unescape` undoes it. Derived sizes are not stored but
computed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fleetpmap.collection.rows import AT_ONCE
from fleetpmap.escape import escape, unescape
from fleetpmap.naming import DELETED
from fleetpmap.smaps import NULL, Coded
from fleetpmap.smaps.columns import in_row_order
from fleetpmap.smaps.fields import column_name
from fleetpmap.smaps.grammar import SIZE_MAX
from fleetpmap.smaps.header_parser import PERMS
from fleetpmap.snapshot import Process
from fleetpmap.table import IntArray, MappingTable, concatenate, count, without_unreadable
from fleetpmap.units import KIB, time_text

if TYPE_CHECKING:
    import polars

_FLAGS = column_name("VmFlags")
_OF_A_MAPPING = ("start", "end", "perms", "offset", "device", "inode", "mapping", "path", "deleted", "kind", _FLAGS)


def to_frames(
    processes: Sequence[Process], tables: Iterable[MappingTable], columns: Mapping[str, str]
) -> Iterator[polars.DataFrame]:
    """Yield data frames with a row per mapping, in the order of the tables; none has more than AT_ONCE rows.

    The tables' rows for processes that could not be read are left out. `columns` maps every kernel key to its column.
    """
    for whole in tables:
        for start in range(0, len(whole), AT_ONCE):
            table = without_unreadable(whole.take(np.arange(start, min(start + AT_ONCE, len(whole)))))
            if len(table):
                first, last = (int(table.process[row]) for row in (0, -1))
                table = replace(table, process=table.process - np.int32(first))
                yield to_frame(processes[first : last + 1], table, columns)


def to_frame(processes: Sequence[Process], table: MappingTable, columns: Mapping[str, str]) -> polars.DataFrame:
    """Return a data frame with a row per mapping; `columns` as in `to_frames`."""
    import polars

    unknown = np.broadcast_to(np.int64(NULL), len(table))
    return polars.DataFrame(
        [
            _of_process("host", (process.host for process in processes), table),
            # table.process has the index of each row's process: [0, 0, 0, 1, 1, …].
            polars.Series("pid", np.array([process.pid for process in processes], np.int64)[table.process]),
            _of_process("name", (process.name for process in processes), table),
            _of_process("user", (process.user for process in processes), table),
            _of_process("command", (process.command for process in processes), table),
            _of_process("service", (process.service or None for process in processes), table),
            _of_process("unit", (process.unit for process in processes), table),
            _of_process("container", (process.container for process in processes), table),
            _of_process("pod", (process.pod for process in processes), table),
            _of_process("started", (time_text(process.started) for process in processes), table),
            polars.Series("start_ticks", np.array([each.start_ticks for each in processes], np.uint64)[table.process]),
            polars.Series("start", table.start),
            polars.Series("end", table.end),
            texts("perms", table.perms),
            polars.Series("offset", table.offset),
            texts("device", table.device),
            polars.Series("inode", table.inode),
            texts("mapping", table.mapping),
            texts("path", Coded(table.path.codes, tuple(path.removesuffix(DELETED) for path in table.path.names))),
            polars.Series("deleted", table.deleted),
            texts("kind", table.kind),
            *(numbers(name, table.fields.get(key, unknown)) for key, name in columns.items()),
            texts(_FLAGS, table.flags),
        ]
    )


def needed(columns: Mapping[str, str]) -> list[str]:
    """Return the columns that `to_table` needs: all others are in the metadata too, or not fleetpmap's."""
    return list(dict.fromkeys((*_OF_A_MAPPING, *columns.values())))


def to_table(frame: polars.DataFrame, columns: Mapping[str, str], mappings: Sequence[int]) -> MappingTable:
    """Rebuild the table that `to_frame` was given.

    `columns` maps each kernel key to its column, in the order of the table. `mappings` has the number of rows of each
    process, in the order of the processes.

    Raises:
        ValueError: the number of rows is wrong, or a column has another type or impossible values.
        polars.exceptions.PolarsError: a column is missing.
    """
    import polars

    if sum(mappings) != frame.height:
        raise ValueError(f"it has {frame.height} rows for {sum(mappings)} mappings")
    deleted = _array(frame, "deleted", polars.Boolean)
    start, end = _array(frame, "start", polars.UInt64), _array(frame, "end", polars.UInt64)
    perms = _coded(frame, "perms")
    if (end < start).any() or (end - start > SIZE_MAX).any():
        raise ValueError("a mapping ends before it starts, or is larger than any address space")
    if not {*perms.names} <= {*PERMS}:
        raise ValueError("its column perms holds what no kernel prints")
    return MappingTable(
        process=np.repeat(np.arange(len(mappings), dtype=np.int32), mappings),
        mappings=np.broadcast_to(np.int64(1), frame.height),
        start=start,
        end=end,
        perms=perms,
        offset=_array(frame, "offset", polars.UInt64),
        device=_coded(frame, "device"),
        inode=_array(frame, "inode", polars.UInt64),
        path=_with_mark(_coded(frame, "path"), deleted),
        mapping=_coded(frame, "mapping"),
        kind=_coded(frame, "kind"),
        deleted=deleted,
        fields={key: _array(frame, name, polars.Int64, NULL) for key, name in columns.items()},
        flags=_coded(frame, _FLAGS, nullable=True),
    )


def to_part(
    frame: polars.DataFrame, columns: Mapping[str, str], mappings: Sequence[int], names: Sequence[str]
) -> MappingTable:
    """Rebuild the texts `names` and the fields `columns` of the table alone, and its addresses if the frame has them.

    `columns` and `mappings` as in `to_table`. The other columns of the result have no rows.

    Raises:
        ValueError, polars.exceptions.PolarsError: as `to_table`.
    """
    import polars

    if sum(mappings) != frame.height:
        raise ValueError(f"it has {frame.height} rows for {sum(mappings)} mappings")
    columns_of: dict[str, Any] = {name: _coded(frame, name) for name in names}
    columns_of |= {name: _array(frame, name, polars.UInt64) for name in ("start", "end") if name in frame.columns}
    return replace(
        concatenate([]),
        process=np.repeat(np.arange(len(mappings), dtype=np.int32), mappings),
        fields={key: _array(frame, name, polars.Int64, NULL) for key, name in columns.items()},
        **columns_of,
    )


def _of_process(name: str, values: Iterable[str | None], table: MappingTable) -> polars.Series:
    """Return a column with each process's value repeated for its mappings."""
    per_process = list(values)
    names = tuple(dict.fromkeys(text for text in per_process if text is not None))
    slots = {text: slot for slot, text in enumerate(names)}
    codes = np.array([NULL if text is None else slots[text] for text in per_process], dtype=np.int32)
    return texts(name, Coded(codes[table.process], names))


def texts(name: str, column: Coded) -> polars.Series:
    """Return a column of escaped texts. Each distinct text is escaped once, then looked up by its code."""
    import polars

    codes = polars.Series(np.asarray(column.codes))  # those of a report can be taken on access
    names = polars.Series(name, list(map(escape, column.names)), dtype=polars.Categorical)
    return names.gather(codes.set(codes == NULL, None))


def numbers(name: str, values: IntArray) -> polars.Series:
    """Return a column of int64, with null in place of NULL."""
    import polars

    series = polars.Series(name, values, dtype=polars.Int64)
    return series.set(series == NULL, None)


def _array(frame: polars.DataFrame, name: str, kind: type[polars.DataType], null: int | None = None) -> NDArray[Any]:
    series = frame.get_column(name)
    if series.dtype != kind:
        raise ValueError(f"its column {name} is {series.dtype}, not {kind}")
    if null is not None:
        if ((series < 0) | (series > SIZE_MAX // KIB)).any():
            raise ValueError(f"its column {name} has a size below 0, or larger than any address space")
        series = series.fill_null(null) if series.null_count() else series
    elif series.null_count():
        raise ValueError(f"its column {name} has nulls")
    values: NDArray[Any] = series.to_numpy()
    return values


def _coded(frame: polars.DataFrame, name: str, *, nullable: bool = False) -> Coded:
    import polars

    series = frame.get_column(name).cast(polars.Categorical)
    if series.null_count() and not nullable:
        raise ValueError(f"its column {name} has nulls")
    codes = series.to_physical().cast(polars.Int64)
    physical: NDArray[np.int64] = (codes.fill_null(NULL) if codes.null_count() else codes).to_numpy()
    values, first, inverse = np.unique(physical, return_index=True, return_inverse=True)
    known = values != NULL
    names = series.gather(first[known]).to_list()
    # np.unique sorts: NULL (-1), if there is one, gets the inverse 0 and becomes code -1, the first text code 0.
    #   physical [7, -1, 3, 7]   values [-1, 3, 7]   inverse [2, 0, 1, 2]   codes [1, -1, 0, 1]
    ordered, names = in_row_order((inverse - int(not known.all())).astype(np.int32), names)
    return Coded(ordered, tuple(map(unescape, names)))


def _with_mark(paths: Coded, deleted: NDArray[np.bool_]) -> Coded:
    """Return the paths as the kernel printed them, with ` (deleted)` at the end of those of deleted files.

    A path that occurs with and without the mark becomes two names: each pair (code, deleted) is packed into the integer
    2 * code + deleted, and each distinct integer gets a code.
    """
    pairs, inverse = np.unique(paths.codes.astype(np.int64) * 2 + deleted, return_inverse=True)
    names = (paths.names[pair >> 1] + (DELETED if pair & 1 else "") for pair in pairs.tolist())
    return Coded(inverse.astype(np.int32), tuple(names))


def mappings_of(processes: Sequence[Process], table: MappingTable) -> list[int]:
    """Return the number of mappings of each process, in the order of the processes; `table` may have sums of them."""
    counts: list[int] = count(table.mappings, table.process, len(processes)).tolist()
    return counts
