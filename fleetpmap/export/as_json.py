"""A report as one json document.   report ─► [as_json] ─► file

    {"fleetpmap": {"version", "format"}, "run": {"started", "elapsed_s", "command"},
     "coverage": {"hosts": {"asked", STATUS: n…}, "processes": {"matched", STATUS: n…}},
     "reading": {"seconds": {HOST: s…}, "slowest": [{"host", "pid", "name", "seconds"}]},
     "memory": {HOST: {"total_kib", "available_kib", "swap_total_kib", "swap_free_kib", "pressure": {…}}},
     "checks": {"processes": n, CHECK: {VERDICT: n…}…, "findings": [{"host", "pid", "check", "verdict", "message"}]},
     "failures": [{"host", "status", "stage", "message", "hint"}], "notes": [sentence…],
     "view", "columns": [{"name", "unit", "rule"}],
     "findings": [{"kind", "host", "service", "pid", "mapping", "metric", "value_kib", "reference_kib",
                   "text", "next"}],
     "rows": [{…}], "hosts": [{…}] (summary only), "total": {…}}

`notes` list what the totals leave out, `findings` what stands out. With the services come `cgroups`, a
row for each; in a summary of every process the services themselves come as `services`. Each row is on a line, for diff
and grep. Texts are escaped as in every format (see escape): the document is valid UTF-8, and a name is the same
everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from fleetpmap.export.json_document import dumps, head, row_lines, without_rows
from fleetpmap.report.model import Report, Table


def write_json(report: Report, file: BinaryIO) -> None:
    """Write the report: every table's rows, the first one's columns and totals."""
    for piece in _pieces(report):
        file.write(piece.encode())


def coverage_json(report: Report) -> str:
    """Return the document without its tables, to be written beside a csv file if the coverage is not complete."""
    return f"{dumps(head(report), indent=2)}\n"


def _pieces(report: Report) -> Iterator[str]:
    first, *others = report.tables
    members = without_rows(report)
    totals = members.pop("total")
    lines = [f"{dumps(key)}: {dumps(value)}" for key, value in members.items()]
    yield "{\n" + ",\n".join(lines)
    yield ',\n"rows": '
    yield from _rows(first)
    for table in (*others, *report.details):
        yield f",\n{dumps(table.name)}: "
        yield from _rows(table)
    yield f',\n"total": {dumps(totals)}\n}}\n'


def _rows(table: Table) -> Iterator[str]:
    separator = "[\n"
    for lines in row_lines(table):
        yield separator + ",\n".join(lines)
        separator = ",\n"
    yield "\n]" if len(table) else "[]"
