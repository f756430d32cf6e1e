"""A table as a page shows it.   report ─► [tables] ─► page

Cells become texts and classes. Numbers have thousands separators and stand on the right; unknown is `?`; what is too
long to be read says how much of it is left out. Escaping is the template's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fleetpmap.report.model import ABSENT, Cell, Column, Table
from fleetpmap.smaps import Coded

MOST_CHARACTERS = 500
"""Of one text: a command line can be 2 MB."""
UNKNOWN = "?"
_NUMERIC = frozenset({"KiB", "delta", "count", "number"})
_SHORT = 32
"""Characters of a text that stays on one line."""


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
    """Empty where nothing has a total."""
    more: bool
    """The last row is `(N more)`: it stays the last."""
    counts: int
    """How many of the first rows are counts: they stay the first."""
    bars: Sequence[Bar] = ()
    """One for each row, where the table draws them."""


class Part(NamedTuple):
    """A part of a bar, in percent of the longest bar."""

    x: float
    width: float
    kind: str


class Bar(NamedTuple):
    """A row's bar, and what it says in words."""

    parts: tuple[Part, ...]
    text: str


def shown(
    table: Table,
    columns: Sequence[Column] | None = None,
    marks: Mapping[tuple[int, str], str] | None = None,
    bars: Sequence[Bar] = (),
) -> ShownTable:
    """The table with these columns, all by default; `marks`: classes of a cell by its row and its column's name."""
    columns = _in_order(table) if columns is None else columns
    cells = [_cells(column, table, marks or {}) for column in columns]
    return ShownTable(
        heads=tuple(Head(column.name.removesuffix("_kib"), _css(column)) for column in columns),
        rows=list(zip(*cells, strict=True)),
        total=tuple(_totals(columns)) if table.has_totals else (),
        more=table.more > 0,
        counts=table.counts,
        bars=bars,
    )


def at_most(column: Column, text: str) -> str:
    """The text of a total; an upper bound says so."""
    return f"≤{text}" if column.at_most else text


def folded_text(text: str) -> str:
    """The text; of a very long one its beginning, and how much follows."""
    left = len(text) - MOST_CHARACTERS
    return text if left <= 0 else f"{text[:MOST_CHARACTERS]}… ({left:,} more characters)"


def _in_order(table: Table) -> tuple[Column, ...]:
    """What names a row comes first, the column whose texts are long comes last."""
    counts_first = table.columns[0].unit == "count"
    return tuple(
        sorted(
            table.columns,
            key=lambda column: (column.name == table.last, counts_first and column.unit != "text"),
        )
    )


def _css(column: Column) -> str:
    """`n`: a number. A text: none, or `w` where it is long and may wrap."""
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
            found.append(Shown("", css) if row == void else Shown(UNKNOWN, f"{css} u".strip()))
        elif cell == ABSENT and column.unit in _NUMERIC:
            found.append(Shown(ABSENT, f"{css} u {marks.get((row, column.name), '')}".strip()))
        else:
            mark = marks.get((row, column.name), "")
            text = f"{cell:,}" if row < table.counts and isinstance(cell, int) else show(cell)
            found.append(Shown(text, f"{css} {mark}" if mark else _status(column, text) or css))
    return found


def _status(column: Column, text: str) -> str:
    """The class of a status' colour."""
    return f"s s-{text}" if column.name == "status" and text.replace("-", "").isalnum() else ""


def _totals(columns: Sequence[Column]) -> list[Shown]:
    label = next((slot for slot, column in enumerate(columns) if column.rule is None), None)
    totals = []
    for slot, column in enumerate(columns):
        if column.rule is None:
            totals.append(Shown("total" if slot == label else "", _css(column)))
        else:
            total = UNKNOWN if column.total is None else _SHOW.get(column.unit, _text)(column.total)
            # The script adds up what a search leaves of such a column; distinct counts do not add up.
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
    "flag": lambda cell: "yes" if cell else "no",
}
