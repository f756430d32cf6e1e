r"""A table as csv.   report ─► [as_csv] ─► file

RFC 4180 in UTF-8, with `\n` as the line end (diff, sort and git expect it; every reader accepts it). The header names
the columns; null is the empty field, a flag is `true` or `false`; csv has no place for totals, notes and coverage.
Texts are escaped as in every format (see escape) and otherwise unchanged. A spreadsheet computes a text such as `=1+1`,
so there is also a safe form with a `'` before it: https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import io
from typing import BinaryIO

from fleetpmap.escape import escape
from fleetpmap.report.model import Cell, Column, Report

_CHUNK = 65_536
"""Rows turned into Python values at a time."""
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters that begin a formula in a spreadsheet, narrow and full-width. Tab and carriage return do too, but they are
always escaped."""


def write_csv(report: Report, file: BinaryIO, *, safe: bool = False) -> None:
    """Write the report's first table; `safe`: a text that a spreadsheet would compute gets a `'` before it."""
    table = report.tables[0]
    columns = [column.with_texts(escape) for column in table.columns]
    header = [column.name for column in columns]
    if safe:
        columns = [column.with_texts(_uncomputed) for column in columns]
        header = [_uncomputed(name) for name in header]
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        for start in range(0, len(table), _CHUNK):
            writer.writerows(zip(*(_cells(column, start) for column in columns), strict=True))
    finally:
        text.detach()


def _uncomputed(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cells(column: Column, start: int) -> list[Cell]:
    cells = column.cells(start, start + _CHUNK)
    return [str(cell).lower() if isinstance(cell, bool) else cell for cell in cells] if column.unit == "flag" else cells
