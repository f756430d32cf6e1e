"""The mappings as a flat table.   MappingTable ⇄ [frame] ⇄ parquet

A row per mapping: whose it is (which the document says too; here it is for polars and SQL), what it is, then a column
for every field of any kernel we know, null where the host's kernel lacks it. So all files have the same columns, but
for fields that nobody knows yet. Texts are escaped as everywhere, which `unescape` undoes; the sizes that are derived
are derived again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fleetpmap.escape import escape, unescape
from fleetpmap.naming import DELETED
from fleetpmap.smaps import NULL, Coded
from fleetpmap.smaps.fields import column_name, field_columns
from fleetpmap.smaps.grammar import SIZE_MAX
from fleetpmap.smaps.header_parser import PERMS
from fleetpmap.snapshot import Process, Snapshot
from fleetpmap.table import IntArray, MappingTable
from fleetpmap.units import KIB

if TYPE_CHECKING:
    import polars

_FLAGS = column_name("VmFlags")
_OF_A_MAPPING = ("start", "end", "perms", "offset", "device", "inode", "mapping", "path", "deleted", "kind", _FLAGS)


def to_frame(snapshot: Snapshot) -> polars.DataFrame:
    """A row per mapping, in the order of the table."""
    import polars

    table, processes = snapshot.table, snapshot.processes
    unknown = np.broadcast_to(np.int64(NULL), len(table))
    return polars.DataFrame(
        [
            _of_process("host", (one.host for one in processes), table),
            polars.Series("pid", np.array([one.pid for one in processes], np.int64)[table.process]),
            _of_process("name", (one.name for one in processes), table),
            _of_process("user", (one.user for one in processes), table),
            _of_process("command", (one.command for one in processes), table),
            polars.Series("start_ticks", np.array([one.start_ticks for one in processes], np.uint64)[table.process]),
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
            *(numbers(name, table.fields.get(key, unknown)) for key, name in field_columns(table.fields).items()),
            texts(_FLAGS, table.flags),
        ]
    )


def needed(columns: Mapping[str, str]) -> list[str]:
    """The columns that `to_table` takes: the others are the document's too, or not ours."""
    return list(dict.fromkeys((*_OF_A_MAPPING, *columns.values())))


def to_table(frame: polars.DataFrame, columns: Mapping[str, str], mappings: Sequence[int]) -> MappingTable:
    """The table that `to_frame` was given.

    `columns`: the kernel's keys, in the order of the table, and the columns that hold them. `mappings`: the rows of
    each process, in the order of the processes.

    Raises:
        ValueError: the rows are not those of so many mappings.
        polars.exceptions.PolarsError: a column is missing, or of another type.
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


def _of_process(name: str, of_each: Iterable[str | None], table: MappingTable) -> polars.Series:
    all_ = list(of_each)
    names = tuple(dict.fromkeys(text for text in all_ if text is not None))
    slots = {text: slot for slot, text in enumerate(names)}
    codes = np.array([-1 if text is None else slots[text] for text in all_], dtype=np.int32)
    return texts(name, Coded(codes[table.process], names))


def texts(name: str, column: Coded) -> polars.Series:
    """A column of texts, which are escaped, from a dictionary."""
    import polars

    codes = polars.Series(column.codes)
    names = polars.Series(name, list(map(escape, column.names)), dtype=polars.Categorical)
    return names.gather(codes.set(codes == NULL, None))


def numbers(name: str, values: IntArray) -> polars.Series:
    """A column of int64, null for NULL."""
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
        series = series.fill_null(null)
    elif series.null_count():
        raise ValueError(f"its column {name} has nulls")
    values: NDArray[Any] = series.to_numpy()
    return values


def _coded(frame: polars.DataFrame, name: str, *, nullable: bool = False) -> Coded:
    import polars

    series = frame.get_column(name).cast(polars.Categorical)
    if series.null_count() and not nullable:
        raise ValueError(f"its column {name} has nulls")
    physical: NDArray[np.int64] = series.to_physical().cast(polars.Int64).fill_null(NULL).to_numpy()
    values, first, inverse = np.unique(physical, return_index=True, return_inverse=True)
    known = values != NULL
    names = series.gather(first[known]).to_list()
    # A null is the smallest of the values, so the others' slots follow on it.
    return Coded((inverse - int(not known.all())).astype(np.int32), tuple(map(unescape, names)))


def _with_mark(paths: Coded, deleted: NDArray[np.bool_]) -> Coded:
    """The paths as the kernel printed them: one that is both, deleted and not, is two."""
    pairs, inverse = np.unique(paths.codes.astype(np.int64) * 2 + deleted, return_inverse=True)
    names = (paths.names[pair >> 1] + (DELETED if pair & 1 else "") for pair in pairs.tolist())
    return Coded(inverse.astype(np.int32), tuple(names))


def mappings_of(processes: Sequence[Process], table: MappingTable) -> list[int]:
    """How many rows each process has."""
    counts: list[int] = np.bincount(table.process, minlength=len(processes)).tolist()
    return counts
