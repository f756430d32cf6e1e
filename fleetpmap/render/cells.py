"""The cells of a column as texts.   report ─► [cells] ─► plain_text, terminal"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fleetpmap.report.model import NOT_MAPPED, NOT_RUN, UNLIMITED, Cell, Column, Table
from fleetpmap.units import human

UNKNOWN = "?"
NOT_THERE = "-"
WIDEST = 80
"""Characters to which a column is padded at most. A longer text sticks out, so that it makes no other line longer."""
NUMERIC = frozenset({"KiB", "delta", "count", "percent", "number", "address"})
"""Units of right-aligned cells."""
ELSEWHERE = "."
_NO_NUMBER = {NOT_MAPPED: NOT_THERE, UNLIMITED: NOT_THERE, NOT_RUN: ELSEWHERE}
"""Texts for cells of columns of numbers that are none."""


def shown_columns(table: Table) -> tuple[Column, ...]:
    """Return the columns in reading order: the one with spaces in its texts comes last."""
    return tuple(sorted(table.columns, key=lambda column: column.name == table.last))


def cell_texts(
    column: Column,
    rewrite: Callable[[str], str],
    *,
    human_sizes: bool = False,
    counts: int = 0,
    void: str | None = None,
    sign: str = "%",
) -> list[str]:
    """Format every cell; `rewrite` makes a host's text safe, `sign` stands behind percents.

    The first `counts` cells are plain numbers, independent of the unit. `void`, for a table that ends in `(N more)`, is
    the text of the last cell in a column without a total.
    """
    show = _human if column.unit == "KiB" and human_sizes else _SHOW.get(column.unit, str)
    if column.unit == "delta":
        show = _signed_human if human_sizes else _signed
    elif column.unit == "percent":
        show = f"{{}}{sign}".format
    cells = column.with_texts(rewrite).cells()
    texts = [UNKNOWN if cell is None else str(cell) for cell in cells[:counts]]
    numeric = column.unit in NUMERIC  # in a text column, "not-mapped" may be the name of a process
    texts += [
        column.null if cell is None else _NO_NUMBER[str(cell)] if numeric and cell in _NO_NUMBER else show(cell)
        for cell in cells[counts:]
    ]
    if void is not None and column.rule is None and cells[-1] is None:
        texts[-1] = void
    return texts


def total_text(column: Column, *, human_sizes: bool = False) -> str:
    """Format the total of the column; empty if it has none."""
    if column.rule is None:
        return ""
    if column.total is None:
        return UNKNOWN
    if column.unit == "delta":
        return _signed_human(column.total) if human_sizes else _signed(column.total)
    return human(column.total) if column.unit == "KiB" and human_sizes else str(column.total)


def label_slot(columns: Sequence[Column]) -> int | None:
    """Return the index of the column with the label `total`: the first; if that has numbers, the last (pmap), or else
    the first with texts."""
    return next((slot for slot in (0, len(columns) - 1, *range(len(columns))) if columns[slot].unit == "text"), None)


def _human(cell: Cell) -> str:
    return human(int(cell or 0))


def _signed(cell: Cell) -> str:
    return f"{cell:+d}" if cell else "0"


def _signed_human(cell: Cell) -> str:
    return f"{'+' if int(cell or 0) > 0 else ''}{_human(cell)}"


def _flag(cell: Cell) -> str:
    return "yes" if cell else "no"


_SHOW: dict[str, Callable[[Cell], str]] = {"flag": _flag}
