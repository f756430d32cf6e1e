"""A table as parquet.   report ─► [as_parquet] ─► file

A column keeps its type: sizes and counts int64, inodes and addresses uint64, flags boolean, texts as a dictionary; null
is unknown. Texts are escaped as in every format (see escape). The file's key-value metadata describes it:

    fleetpmap_kind      report
    fleetpmap_report    the json document without its rows: run, coverage, failures, notes, view, columns, totals

A cell of compare is a number here, so NOT_MAPPED is 0, as in the rule for outliers; the column `not_mapped`
lists the hosts of the row to which such a 0 belongs. Likewise a limit is null where there is none; the column
`unlimited` tells these nulls, where it is true, from unknown ones, where it is null.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from fleetpmap.escape import escape
from fleetpmap.export.json_document import dumps, without_rows
from fleetpmap.report.grouping import HexTexts
from fleetpmap.report.model import NOT_MAPPED, NOT_RUN, UNLIMITED, Cell, Column, Report, Table
from fleetpmap.smaps import Coded
from fleetpmap.snapshot_file.frame import numbers, texts

if TYPE_CHECKING:
    import polars


def write_parquet(report: Report, file: BinaryIO) -> None:
    """Write the report's first table."""
    whole = BytesIO()  # in memory first, so that an error of the file itself is an OSError and not one of polars'
    frame(report.tables[0], has_hosts=report.view == "compare").write_parquet(
        whole, metadata={"fleetpmap_kind": "report", "fleetpmap_report": dumps(without_rows(report))}
    )
    file.write(whole.getbuffer())


def frame(table: Table, *, has_hosts: bool) -> polars.DataFrame:
    """Return the table as a data frame. `has_hosts`: it has a column for each host, as in compare."""
    import polars  # the extra [parquet]; 0.2 s to import

    series = [_series(column) for column in table.columns]
    if has_hosts:
        series.append(polars.Series("not_mapped", _not_mapped(table), dtype=polars.List(polars.String)))
    for column in table.columns:
        if column.name == "limit_kib":
            series.append(polars.Series("unlimited", _unlimited(column), dtype=polars.Boolean))
    return polars.DataFrame(series)


def _series(column: Column) -> polars.Series:
    """Return the column with its type; the docstring of Column.values lists the kinds."""
    import polars

    values = column.values
    if isinstance(values, Coded):
        return texts(column.name, values)
    if isinstance(values, HexTexts):
        return polars.Series(column.name, values.values)
    if isinstance(values, np.ndarray):
        is_nullable = values.dtype.kind == "i"
        return numbers(column.name, values.astype(np.int64)) if is_nullable else polars.Series(column.name, values)
    cells: list[Cell] = [escape(cell) if isinstance(cell, str) else cell for cell in values]
    if column.unit == "address":  # plain hex texts instead of HexTexts, after --sort or --top
        cells = [None if cell is None else int(str(cell), 16) for cell in cells]
    elif column.unit != "text":
        cells = [0 if cell == NOT_MAPPED else None if cell in (UNLIMITED, NOT_RUN) else cell for cell in cells]
    kinds = {
        **{"text": polars.String, "flag": polars.Boolean, "percent": polars.Float64},
        **{"number": polars.UInt64, "address": polars.UInt64},
    }
    return polars.Series(column.name, cells, dtype=kinds.get(column.unit, polars.Int64))


def _unlimited(limits: Column) -> list[bool | None]:
    """Return, for each row, True if there is no limit, and None if it is not known."""
    return [None if cell is None else cell == UNLIMITED for cell in limits.cells()]


def _not_mapped(table: Table) -> list[list[str]]:
    """Return, for each row, the hosts that do not map it."""
    hosts = {slot: column.name for slot, column in enumerate(table.columns) if column.unit != "text"}
    return [[host for slot, host in hosts.items() if row[slot] == NOT_MAPPED] for row in table.rows()]
