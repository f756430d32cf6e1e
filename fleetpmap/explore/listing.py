"""The list of a place: a report of `run`, of the part that was entered.   Place, Snapshot ─► [listing] ─► Report

No number is made here: sizes and totals are those of the views. The difference from a marked snapshot is the difference
of two cells of the same view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import ViewOptions
from fleetpmap.explore.narrowing import narrowed
from fleetpmap.explore.places import KEYS_OF, VIEW_OF, Place
from fleetpmap.report import VIEWS, Cell, Column, Report, Table
from fleetpmap.report.shape import Shape, rows_of, shaped
from fleetpmap.smaps.fields import FIELDS
from fleetpmap.snapshot import Snapshot

SINCE_MARK = "since_mark_kib"
_DIFFERS = frozenset({"KiB", "count"})
"""Units of which a difference tells something."""
_MEANING = {field.column: field.meaning for field in FIELDS if field.column != "name"}
"""Meanings of the kernel's fields by column; `name` is that of the process here."""


def part_of(place: Place, snapshot: Snapshot) -> Snapshot:
    """Return the part of the snapshot that was entered."""
    return narrowed(snapshot, service=place.service, hosts=place.hosts, pid=place.pid, mapping=place.mapping)


def listing(place: Place, snapshot: Snapshot, options: ViewOptions, sort: str | None = None) -> Report:
    """Return the report of a place, made of the whole snapshot.

    Raises:
        UsageError: `sort` is a column that the view does not have.
    """
    view = VIEW_OF[place.level]
    # compare keeps its first row, the number of processes, where it is: it sorts by itself
    own = replace(options, sort=sort if place.level == "compare" else None, by=("mapping",))
    report = VIEWS[view](part_of(place, snapshot), own)
    return _of_one(report, place) if place.level == "fields" else report


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


def difference(now: Table, before: Report, place: Place, *, everywhere: bool) -> Table:
    """Return the table with the difference from the same list of a marked snapshot.

    The column SINCE_MARK has that of the size by which rows are compared; `everywhere`: every size and count becomes
    its difference. A row that was not there counts from 0 if the hosts that it is about had answered, else its
    difference is not known.
    """
    keys = KEYS_OF[place.level]
    marked = before.tables[0]
    names = {column.name for column in marked.columns}
    rows = {key: row for row, key in enumerate(zip(*(marked.column(name).cells() for name in keys), strict=True))}
    here = [rows.get(key) for key in zip(*(now.column(name).cells() for name in keys), strict=True)]
    knew = _known_before(now, before, keys)

    def changed(column: Column) -> list[Cell]:
        old = marked.column(column.name).cells() if column.name in names else [None] * len(marked)
        was = [(0 if known else None) if row is None else old[row] for row, known in zip(here, knew, strict=True)]
        pairs = zip(column.cells(), was, strict=True)
        return [a - b if isinstance(a, int) and isinstance(b, int) else None for a, b in pairs]

    columns = list(now.columns)
    if everywhere:
        columns = [_as_difference(c, changed(c)) if c.unit in _DIFFERS and c.name not in keys else c for c in columns]
        return replace(now, columns=tuple(columns), share=None, zeros=frozenset())
    size = now.share or next((name for name in ("pss_kib", "rss_kib") if name in names), None)
    at = next((slot for slot, column in enumerate(columns) if column.name == size), None)
    if at is not None:
        columns.insert(at + 1, Column(SINCE_MARK, "delta", changed(columns[at])))
    return replace(now, columns=tuple(columns))


def _as_difference(column: Column, cells: Sequence[Cell]) -> Column:
    return Column(column.name, "delta" if column.unit == "KiB" else "number", cells)


def _known_before(now: Table, before: Report, keys: Sequence[str]) -> list[bool]:
    """Return for each row if its hosts had answered when the snapshot was marked."""
    failed = {failure.host for failure in before.coverage.failures}
    if "host" not in keys:
        return [not failed and before.coverage.answered > 0] * len(now)
    return [host not in failed for host in now.column("host").cells()]


def order_of(table: Table, sort: str | None, place: Place) -> NDArray[np.intp]:
    """Return the rows in the order of --sort by this column; as they are without one, or if the table lacks it."""
    rows = np.arange(len(table))
    by = next((column for column in table.columns if column.name == sort), None)
    if by is None or place.level in ("compare", "fields"):
        return rows
    numbered = shaped(Table("rows", (by, Column("#row", "number", rows))), Shape(sort=by.name))
    return np.array(numbered.column("#row").values, dtype=np.intp)


def takes_mark(place: Place) -> bool:
    """Return True if the rows of this list have sizes that those of a marked snapshot can be subtracted from."""
    return place.level not in ("fields", "compare")
