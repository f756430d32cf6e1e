"""One row per mapping (VMA), with every field its kernel printed.   snapshot ─► [mappings] ─► Report

The columns stay arrays until a format asks for cells: addresses become hex text slice by slice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fleetpmap.catalogue import ViewOptions
from fleetpmap.evidence import replaced
from fleetpmap.report.grouping import (
    HexTexts,
    gathered,
    known_total,
    mapped,
    membership_columns,
    plain_paths,
    rule_over,
)
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.shape import AS_IT_IS, Shape, shaped
from fleetpmap.smaps import NULL
from fleetpmap.smaps.fields import FIELD_BY_KEY, FIELDS, column_name, field_columns
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import IntArray, compact, distinct


def mappings(snapshot: Snapshot, shape: Shape = AS_IT_IS) -> Report:
    """Return a row for each mapping, by host and pid, in the kernel's order.

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    snapshot = mapped(snapshot)
    table, processes = snapshot.table, snapshot.processes
    names = field_columns(table.fields)
    pids = compact(np.array([process.pid for process in processes], dtype=np.int64))
    columns = (
        Column("host", "text", gathered((process.host for process in processes), table.process)),
        Column("pid", "number", pids[table.process]),
        Column("name", "text", gathered((process.name for process in processes), table.process)),
        Column("start", "address", HexTexts(table.start)),
        Column("end", "address", HexTexts(table.end)),
        Column("perms", "text", table.perms),
        Column("offset", "address", HexTexts(table.offset)),
        Column("device", "text", table.device),
        Column("inode", "number", table.inode),
        Column("mapping", "text", table.mapping),
        Column("path", "text", plain_paths(table)),
        Column("deleted", "flag", replaced(table)),
        Column("kind", "text", table.kind),
        *_field_columns(snapshot, names, shape),
    )
    rows = shaped(Table("rows", columns, zeros=frozenset({"columns", "rows"})), shape)
    shown = {column.name for column in rows.columns}
    return Report(
        view="mappings",
        tables=(rows,),
        notes=notes_on(snapshot, [key for key in table.fields if names[key] in shown]),
        coverage=snapshot.coverage,
        run=snapshot.run,
    )


def _field_columns(snapshot: Snapshot, names: Mapping[str, str], shape: Shape) -> tuple[Column, ...]:
    """Return the kernel's fields in its order, then what the process belongs to, then VmFlags if any kernel has it: its
    texts hold spaces, so it is last.

    A field that `shape` names and that no kernel in this run has becomes a column of unknowns.
    """
    table = snapshot.table
    read = len(distinct(table.process))
    wanted = {*(shape.columns or ()), shape.sort}
    missing = [
        (field.key, np.broadcast_to(np.int64(NULL), len(table)))
        for field in FIELDS
        if field.key not in table.fields
        and field.unit != "text"
        and wanted & {field.column, field.column.removesuffix("_kib")}
    ]
    columns = [
        _field_column(key, names[key], values, snapshot, read) for key, values in (*table.fields.items(), *missing)
    ]
    columns += membership_columns(snapshot.processes, table.process)
    if (table.flags.codes >= 0).any() or column_name("VmFlags") in wanted:
        columns.append(Column(column_name("VmFlags"), "text", table.flags))
    return tuple(columns)


def _field_column(key: str, name: str, values: IntArray, snapshot: Snapshot, read: int) -> Column:
    field = FIELD_BY_KEY.get(key)
    # A key that smaps.fields does not list is taken for a size, but it gets no total: whether it adds up is unknown.
    unit = "KiB" if field is None else field.unit
    if field is None or field.totals == "none":
        return Column(name, unit, values)
    return Column(name, unit, values, rule_over(read, field.totals), known_total(values, snapshot))


def from_options(snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return the report as the options of the command line describe it."""
    return mappings(snapshot, Shape.of(options))
