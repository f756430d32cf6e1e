r"""A table as csv.   report ─► [as_csv] ─► file

RFC 4180 in UTF-8, with `\n` as the line end (what diff, sort and git expect; every reader takes it). The header names
the columns; null is the empty field, a flag `true` or `false`; totals, notes and coverage have no place in csv. A text
is escaped as everywhere (see escape).
"""

from __future__ import annotations

import csv
import io
from typing import BinaryIO

from fleetpmap.escape import escape
from fleetpmap.report.base import Cell, Column, Report

_CHUNK = 65_536
"""Rows turned into Python values at a time."""


def write_csv(report: Report, file: BinaryIO) -> None:
    """Write the report's first table."""
    table = report.tables[0]
    columns = [column.with_texts(escape) for column in table.columns]
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.name for column in columns])
        for start in range(0, len(table), _CHUNK):
            writer.writerows(zip(*(_cells(column, start) for column in columns), strict=True))
    finally:
        text.detach()


def _cells(column: Column, start: int) -> list[Cell]:
    cells = column.cells(start, start + _CHUNK)
    return [str(cell).lower() if isinstance(cell, bool) else cell for cell in cells] if column.unit == "flag" else cells
