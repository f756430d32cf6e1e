"""The list of a place: a report of `run`, of the part that was entered.   Place, Snapshot ─► [listing] ─► Report

No number is made here: sizes and totals are those of the views.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import ViewOptions
from fleetpmap.explore.differences import Differences
from fleetpmap.explore.narrowing import narrowed
from fleetpmap.explore.places import VIEW_OF, Place, process_label
from fleetpmap.report import VIEWS, Cell, Column, Report, Table
from fleetpmap.report.shape import rows_of, sorted_by
from fleetpmap.report.views.compare import MOST_COLUMNS, alike_together, side_by_side
from fleetpmap.smaps.fields import FIELDS
from fleetpmap.snapshot import Process, Snapshot, service_of


class Sort(NamedTuple):
    """The order of a list."""

    column: str
    reverse: bool = False


_MEANING = {field.column: field.meaning for field in FIELDS if field.column != "name"}
"""Meanings of the kernel's fields by column; `name` is that of the process here."""


def part_of(place: Place, snapshot: Snapshot) -> Snapshot:
    """Return the part of the snapshot that was entered."""
    return narrowed(
        snapshot,
        service=place.service,
        hosts=place.hosts,
        services=place.services,
        processes=place.processes,
        pid=place.pid,
        mapping=place.mapping,
    )


def listing(place: Place, snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return the report of a place, made of the whole snapshot, in the order of its view."""
    view = VIEW_OF[place.level]
    own = replace(options, sort=None, by=("mapping",))
    if place.level == "compare" and (place.processes or place.services):
        of_process = place.processes is not None
        return side_by_side(part_of(place, snapshot), _label_of if of_process else service_of, own)
    part = part_of(place, snapshot)
    if place.level == "compare" and len(part.hosts) > MOST_COLUMNS:
        return alike_together(part, own)
    report = VIEWS[view](part, own)
    return _of_one(report, place) if place.level == "fields" else report


def _label_of(process: Process) -> str:
    return process_label(process.host, process.pid)


def _of_one(report: Report, place: Place) -> Report:
    """Return the fields of one VMA, a row for each."""
    table = report.tables[0]
    at = [row for row, start in enumerate(table.column("start").cells()) if start == place.start]
    one = rows_of(table, np.array(at[:1], np.intp))
    cells = [column.cells() for column in one.columns]
    texts: list[Cell] = [_text(column, each[0]) for column, each in zip(one.columns, cells, strict=True) if each]
    names = [column.name for column in one.columns] if at else []
    columns = (
        Column("field", "text", [name.removesuffix("_kib") for name in names]),
        Column("value", "text", texts),
        Column("meaning", "text", [_MEANING.get(name, "") for name in names]),
    )
    return replace(report, tables=(Table("rows", columns),))


def _text(column: Column, cell: Cell) -> str:
    if cell is None:
        return column.null
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell} kB" if column.unit == "KiB" else str(cell)


def order_of(table: Table, sort: Sort | None) -> NDArray[np.intp]:
    """Return the rows in the order of --sort by this column; as they are without one, or if the table lacks it.

    The rows of counts, which compare begins with, stay where they are.
    """
    rows = np.arange(len(table))
    by = next((column for column in table.columns if sort is not None and column.name == sort.column), None)
    if sort is None or by is None:
        return rows
    first, rest = rows[: table.counts], rows[table.counts :]
    if isinstance(by.values, Differences):  # of a list without rows of counts
        order = by.values.order
    else:
        order = sorted_by(rows_of(Table("rows", (by,)), rest).columns[0])
    return np.concatenate([first, rest[order[::-1] if sort.reverse else order]])


def takes_mark(place: Place) -> bool:
    """Return True if the rows of this list have sizes that those of a marked snapshot can be subtracted from."""
    return place.level not in ("fields", "compare")
