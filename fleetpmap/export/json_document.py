"""Parts of the json document that several formats share.   report ─► [json_document] ─► as_json, as_jsonl, as_parquet

json writes the whole document; jsonl ends in it without its rows, and a parquet file carries that part as metadata.
`as_json` shows all members.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from fleetpmap.escape import escape
from fleetpmap.report.finding import BrokenRule, Finding
from fleetpmap.report.model import Cell, Report, Table
from fleetpmap.snapshot import Checked, Coverage, HostFailure
from fleetpmap.version import __version__
from fleetpmap.wire import HostMemory

FORMAT = 1
"""Version of the document; a change that readers must know of adds one."""
_CHUNK = 16_384
"""Rows turned into Python values at a time."""

Json = dict[str, Any]  # any json value


def without_rows(report: Report) -> Json:
    """Return the document without its rows: the last line of jsonl, and the metadata of a parquet file."""
    first = report.tables[0]
    document = head(report) | {"view": report.view, "columns": _columns(first)}
    document["findings"] = [_finding(finding) for finding in report.findings]
    if report.broken_rules is not None:
        document["broken_rules"] = [_broken(broken) for broken in report.broken_rules]
    return document | {"total": {column.name: column.total for column in first.columns if column.rule}}


def row_lines(table: Table) -> Iterator[list[str]]:
    """Yield the rows in chunks, each row as an object on one line, without the line end."""
    columns = [column.with_texts(escape) for column in table.columns]
    names = [column.name for column in columns]
    for start in range(0, len(table), _CHUNK):
        cells: list[list[Cell]] = [column.cells(start, start + _CHUNK) for column in columns]
        yield [dumps(dict(zip(names, row, strict=True))) for row in zip(*cells, strict=True)]


def dumps(value: object, indent: int | None = None) -> str:
    """Encode a value as json, with characters outside ASCII as they are."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def head(report: Report) -> Json:
    """Return the members that describe the run: coverage, checks, failures and notes, without any table."""
    run = report.run
    labels = {label.key: escape(label.value) for label in run.labels}
    return {
        "fleetpmap": {"version": __version__, "format": FORMAT},
        "run": {
            "started": run.started.isoformat(),
            "elapsed_s": round(run.elapsed_s, 3),
            "command": escape(run.command),
            **({"labels": labels} if labels else {}),
        },
        "coverage": _coverage(report.coverage),
        "reading": _reading(report.coverage),
        "memory": {escape(host): _memory(memory) for host, memory in report.coverage.memory.items()},
        "checks": _checks(report.coverage.checked),
        "failures": [_failure(failure) for failure in report.coverage.failures],
        "notes": [escape(note) for note in report.notes],
    }


def _finding(finding: Finding) -> Json:
    names = ("kind", "host", "service", "pid", "mapping", "metric", "value_kib", "reference_kib", "text", "next")
    return _escaped({name: getattr(finding, name) for name in names})


def _broken(broken: BrokenRule) -> Json:
    names = ("rule", "host", "service", "pid", "mapping", "value_kib", "value", "text")
    return _escaped({name: getattr(broken, name) for name in names})


def _escaped(values: Json) -> Json:
    return {name: escape(value) if isinstance(value, str) else value for name, value in values.items()}


def _coverage(coverage: Coverage) -> Json:
    return {
        "hosts": {"asked": coverage.asked, **coverage.hosts},
        "processes": {"matched": coverage.matched, **coverage.processes},
    }


def _reading(coverage: Coverage) -> Json:
    """Return the cost for the hosts: seconds of reading on each, and the slowest processes."""
    slowest = [
        {"host": escape(process.host), "pid": process.pid, "name": escape(process.name), "seconds": process.read_s}
        for process in coverage.slowest
    ]
    return {"seconds": {escape(host): seconds for host, seconds in coverage.read_s.items()}, "slowest": slowest}


def _memory(memory: HostMemory) -> Json:
    """Return the memory of a host; `pressure` is null where its kernel does not measure it."""
    sizes = ("total_kib", "available_kib", "swap_total_kib", "swap_free_kib")
    return {name: getattr(memory, name) for name in sizes} | {
        "pressure": None if memory.pressure is None else asdict(memory.pressure)
    }


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
