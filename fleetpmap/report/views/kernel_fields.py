"""The kernel's fields of smaps: meaning, unit and total rule.   smaps.fields ─► [kernel_fields] ─► Report

The table is built in, so no host is queried. The brief form is for a terminal: a sentence folds badly in a column.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime

from fleetpmap.report.grouping import coded
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.shape import AS_IT_IS, Shape, shaped
from fleetpmap.smaps.fields import FIELDS, Field
from fleetpmap.snapshot import Coverage, Run

_LINE = "{:<16} {:<22} {:<6} {:<7} {}\n"


def fields(command: str = "", shape: Shape = AS_IT_IS) -> Report:
    """Return a row for each field, in the order of a recent kernel; `command` is the command line of this run.

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    table = Table(
        "rows",
        (
            Column("field", "text", coded(field.key for field in FIELDS)),
            Column("column", "text", coded(field.column for field in FIELDS)),
            Column("unit", "text", coded(field.unit for field in FIELDS)),
            Column("since", "text", coded(field.since for field in FIELDS)),
            Column("totals", "text", coded(field.totals for field in FIELDS)),
            Column("meaning", "text", coded(field.meaning for field in FIELDS)),
        ),
        last="meaning",
    )
    report = Report(
        view="fields",
        tables=(shaped(table, shape),),
        notes=(),
        coverage=Coverage(Counter(), Counter(), ()),
        run=Run(datetime.now().astimezone(), 0.0, command),
    )
    return report if shape != AS_IT_IS else replace(report, brief=replace(report, text=_text()))


def _text() -> str:
    """Return each field on a line, and its meaning below it."""
    head = _LINE.format("field", "column", "unit", "since", "totals")
    return head + "".join(map(_paragraph, FIELDS))


def _paragraph(field: Field) -> str:
    return _LINE.format(field.key, field.column, field.unit, field.since, field.totals) + f"    {field.meaning}\n"
