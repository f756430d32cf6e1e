"""Tables as texts and CSS classes.   report ─► [tables] ─► page_sections

Numbers have thousands separators and are right-aligned; unknown is `?`; a very long text is cut, with the number of
characters left out. The template escapes the texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fleetpmap.report.model import NOT_MAPPED, NOT_RUN, UNLIMITED, Cell, Column, Table
from fleetpmap.report.shape import rows_of
from fleetpmap.smaps import Coded

MOST_CHARACTERS = 500
"""Characters shown of one text: a command line can be 2 MB."""
UNKNOWN = "?"
_NUMERIC = frozenset({"KiB", "delta", "count", "percent", "number"})
_BEHIND = {
    "limit_share": ("size", "dirty", "swap", "swap_pss", "hugetlb", "pss_per_process", "cgroup_peak"),
    "growth": ("old_processes", "restarted"),
}
"""Columns that say less than others of a wide table, by the column that makes it wide."""
_LONG = ("command", "path", "meaning")
"""Columns with long texts, if a table has them last."""
MOST_SHOWN = 50
"""Rows of a table in the page itself; the scripts have the others."""
_SHORT = 32
"""Characters up to which a text stays on one line."""


class Shown(NamedTuple):
    """One cell."""

    text: str
    css: str = ""


class Head(NamedTuple):
    """One column's header."""

    text: str
    css: str


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table ready for the template; the first cell of each row is its header."""

    heads: tuple[Head, ...]
    rows: Sequence[Sequence[Shown]]
    total: tuple[Shown, ...]
    """The row of totals; empty if no column has one."""
    more: bool
    """True if the last row is `(N more)`; the page keeps it last when it sorts."""
    counts: int
    """Number of rows, from the first, that hold counts; the page keeps them first when it sorts."""
    left: int = 0
    """Number of rows that only the scripts show."""
    bars: Sequence[Bar] = ()
    """A bar for each row; empty for a table without bars."""


class Part(NamedTuple):
    """A part of a bar; position and width in percent of the longest bar."""

    x: float
    width: float
    kind: str


class Bar(NamedTuple):
    """The bar of a row, and its text alternative."""

    parts: tuple[Part, ...]
    text: str


def beginning(table: Table, most: int = MOST_SHOWN) -> Table:
    """Return the table with its first rows, and with its last one if that is `(N more)`."""
    last = [len(table) - 1] if table.more else []
    if len(table) - len(last) <= most:
        return table
    return rows_of(table, np.array([*range(most), *last], dtype=np.intp))


def shown(
    table: Table,
    columns: Sequence[Column] | None = None,
    marks: Mapping[tuple[int, str], str] | None = None,
    bars: Sequence[Bar] = (),
) -> ShownTable:
    """Return the beginning of the table with these columns, by default all.

    `marks`: CSS classes of cells by row and column name.
    """
    whole, table = table, beginning(table)
    columns = in_order(table) if columns is None else columns
    cells = [_cells(column, table, marks or {}) for column in columns]
    return ShownTable(
        heads=tuple(Head(column.name.removesuffix("_kib"), _css(column)) for column in columns),
        rows=list(zip(*cells, strict=True)),
        total=tuple(_totals(columns)) if table.has_totals else (),
        more=table.more > 0,
        counts=table.counts,
        left=len(whole) - len(table),
        bars=bars,
    )


def at_most(column: Column, text: str) -> str:
    """Return the text of a total, with `≤` before an upper bound."""
    return f"≤{text}" if column.at_most else text


def folded_text(text: str) -> str:
    """Return the text; of a very long one its beginning, and the number of characters left out."""
    left = len(text) - MOST_CHARACTERS
    return text if left <= 0 else f"{text[:MOST_CHARACTERS]}… ({left:,} more characters)"


def in_order(table: Table) -> tuple[Column, ...]:
    """Return the columns in reading order: names before counts, the column with long texts last.

    A terminal has other texts with spaces last too; here they come first, since they say what the row is.

    A table with limits or with growth is wide, so what says less of them comes behind, where a reader scrolls.
    """
    last = table.last if table.last in _LONG else None
    names_first = table.columns[0].unit == "count" or table.last != last
    names = {column.name.removesuffix("_kib") for column in table.columns}
    behind = {name for wide, less in _BEHIND.items() if wide in names for name in less}
    return tuple(
        sorted(
            table.columns,
            key=lambda column: (
                column.name == last,
                column.name.removesuffix("_kib") in behind,
                names_first and column.unit != "text",
            ),
        )
    )


def _css(column: Column) -> str:
    """Return the CSS class of a column: `n` for numbers, `w` for long texts, which may wrap, else none."""
    if column.unit in _NUMERIC:
        return "n"
    texts = column.values.names if isinstance(column.values, Coded) else column.cells()
    return "w" if any(isinstance(text, str) and len(text) > _SHORT for text in texts) else ""


def _cells(column: Column, table: Table, marks: Mapping[tuple[int, str], str]) -> list[Shown]:
    show, css = _SHOW.get(column.unit, _text), _css(column)
    void = len(table) - 1 if table.more and column.rule is None else None
    found = []
    for row, cell in enumerate(column.with_texts(folded_text).cells()):
        if cell is None:
            found.append(Shown("", css) if row == void else Shown(column.null, f"{css} u".strip()))
        elif cell in (NOT_MAPPED, NOT_RUN) and column.unit in _NUMERIC:
            found.append(Shown(str(cell), f"{css} u {marks.get((row, column.name), '')}".strip()))
        else:
            mark = marks.get((row, column.name), "")
            text = f"{cell:,}" if row < table.counts and isinstance(cell, int) else show(cell)
            found.append(Shown(text, f"{css} {mark}" if mark else _status(column, text) or css))
    return found


def _status(column: Column, text: str) -> str:
    """Return the CSS classes for the colour of a status; empty for any other cell."""
    return f"s s-{text}" if column.name == "status" and text.replace("-", "").isalnum() else ""


def _totals(columns: Sequence[Column]) -> list[Shown]:
    label = next((slot for slot, column in enumerate(columns) if column.rule is None), None)
    totals = []
    for slot, column in enumerate(columns):
        if column.rule is None:
            totals.append(Shown("total" if slot == label else "", _css(column)))
        else:
            total = UNKNOWN if column.total is None else _SHOW.get(column.unit, _text)(column.total)
            # `add`: the script sums the rows that a search leaves. Distinct counts cannot be summed.
            adds_up = "" if column.rule == "distinct" else " add"
            totals.append(Shown(at_most(column, total), _css(column) + adds_up))
    return totals


def _text(cell: Cell) -> str:
    return str(cell)


def _number(cell: Cell) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _signed(cell: Cell) -> str:
    return f"{cell:+,}" if cell and isinstance(cell, int) else _number(cell)


_SHOW: dict[str, Callable[[Cell], str]] = {
    "KiB": _number,
    "count": _number,
    "delta": _signed,
    "percent": lambda cell: str(cell) if cell == UNLIMITED else f"{cell}%",
    "flag": lambda cell: "yes" if cell else "no",
}
