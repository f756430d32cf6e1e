"""A report as one json document.   report ─► [as_json] ─► file

    {"fleetpmap": {"version", "format"}, "run": {"started", "elapsed_s", "command"},
     "coverage": {"hosts": {"asked", STATUS: n…}, "processes": {"matched", STATUS: n…}},
     "reading": {"seconds": {HOST: s…}, "slowest": [{"host", "pid", "name", "seconds"}]},
     "checks": {"processes": n, CHECK: {VERDICT: n…}…, "findings": [{"host", "pid", "check", "verdict", "message"}]},
     "failures": [{"host", "status", "stage", "message", "hint"}], "notes": [sentence…],
     "view", "columns": [{"name", "unit", "rule"}], "rows": [{…}], "hosts": [{…}] (summary only), "total": {…}}

`notes` say what the totals leave out, `findings` (compare, stale) what stands out. One row a line, for diff and grep.
Texts are escaped as everywhere (see escape): the document is valid UTF-8, and a name is the same in every format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from fleetpmap.escape import escape
from fleetpmap.report.model import Cell, Report, Table
from fleetpmap.snapshot import Checked, Coverage, HostFailure
from fleetpmap.version import __version__

FORMAT = 1
"""Of the document; a change that readers must know of adds one."""
_CHUNK = 16_384
"""Rows turned into Python values at a time."""

Json = dict[str, Any]  # any json value


def write_json(report: Report, file: BinaryIO) -> None:
    """Write the report: every table's rows, the first one's columns and totals."""
    for piece in _pieces(report):
        file.write(piece.encode())


def coverage_json(report: Report) -> str:
    """The document without its tables: for beside a csv file whose coverage is not complete."""
    return f"{dumps(_head(report), indent=2)}\n"


def without_rows(report: Report) -> Json:
    """Everything but the rows: the last line of jsonl, and what a parquet file says about itself."""
    first = report.tables[0]
    document = _head(report) | {"view": report.view, "columns": _columns(first)}
    if report.findings:
        document["findings"] = [escape(finding) for finding in report.findings]
    return document | {"total": {column.name: column.total for column in first.columns if column.rule}}


def row_lines(table: Table) -> Iterator[list[str]]:
    """The rows, each as an object on a line without its end, some thousands at a time."""
    columns = [column.with_texts(escape) for column in table.columns]
    names = [column.name for column in columns]
    for start in range(0, len(table), _CHUNK):
        cells: list[list[Cell]] = [column.cells(start, start + _CHUNK) for column in columns]
        yield [dumps(dict(zip(names, row, strict=True))) for row in zip(*cells, strict=True)]


def dumps(value: object, indent: int | None = None) -> str:
    """A value as json, in characters rather than codes of them."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def _pieces(report: Report) -> Iterator[str]:
    first, *others = report.tables
    head = without_rows(report)
    totals = head.pop("total")
    members = [f"{dumps(key)}: {dumps(value)}" for key, value in head.items()]
    yield "{\n" + ",\n".join(members)
    yield ',\n"rows": '
    yield from _rows(first)
    for table in others:
        yield f",\n{dumps(table.name)}: "
        yield from _rows(table)
    yield f',\n"total": {dumps(totals)}\n}}\n'


def _head(report: Report) -> Json:
    run = report.run
    return {
        "fleetpmap": {"version": __version__, "format": FORMAT},
        "run": {
            "started": run.started.isoformat(),
            "elapsed_s": round(run.elapsed_s, 3),
            "command": escape(run.command),
        },
        "coverage": _coverage(report.coverage),
        "reading": _reading(report.coverage),
        "checks": _checks(report.coverage.checked),
        "failures": [_failure(failure) for failure in report.coverage.failures],
        "notes": [escape(note) for note in report.notes],
    }


def _coverage(coverage: Coverage) -> Json:
    return {
        "hosts": {"asked": coverage.asked, **coverage.hosts},
        "processes": {"matched": coverage.matched, **coverage.processes},
    }


def _reading(coverage: Coverage) -> Json:
    """What looking cost the hosts."""
    slowest = [
        {"host": escape(one.host), "pid": one.pid, "name": escape(one.name), "seconds": one.read_s}
        for one in coverage.slowest
    ]
    return {"seconds": {escape(host): seconds for host, seconds in coverage.read_s.items()}, "slowest": slowest}


def _checks(checked: Checked) -> Json:
    findings = [
        {
            "host": escape(process.host),
            "pid": process.pid,
            "check": finding.check,
            "verdict": finding.verdict,
            "message": escape(finding.message),
        }
        for process, finding in checked.findings
    ]
    counts = {str(check): verdicts for check, verdicts in checked.verdicts.items()}
    return {"processes": checked.processes, **counts, "findings": findings}


def _failure(failure: HostFailure) -> Json:
    return {
        "host": escape(failure.host),
        "status": failure.status,
        "stage": failure.stage,
        "message": escape(failure.message),
        "hint": escape(failure.hint),
    }


def _columns(table: Table) -> list[Json]:
    return [{"name": column.name, "unit": column.unit, "rule": column.rule} for column in table.columns]


def _rows(table: Table) -> Iterator[str]:
    separator = "[\n"
    for lines in row_lines(table):
        yield separator + ",\n".join(lines)
        separator = ",\n"
    yield "\n]" if len(table) else "[]"
