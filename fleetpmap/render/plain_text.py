r"""Aligned text for pipes.   report ─► [plain_text] ─► str

The output has the form of pmap's: a header, the rows, a rule, the totals. Nothing is cut; a very long text sticks out
of its column, so that it makes no other line longer. Columns are two spaces or more apart, and no cell holds two spaces
(see escape_cell). Unknown is `?`, an empty text is `""`. In the totals and in the row `(N more)`, `-` stands for a
column without a total. Of several tables only the first is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from fleetpmap.escape import escape_cell
from fleetpmap.render.cells import NUMERIC, WIDEST, cell_texts, label_slot, shown_columns, total_text
from fleetpmap.report.model import Column, Report
from fleetpmap.units import without_unit

_GAP = "  "


def plain(report: Report, *, human: bool = False) -> str:
    """Return the report as text, each line ended by a newline. `human`: sizes as 1.2G, headers without `_kib`."""
    if report.text is not None:
        return report.text
    table = report.tables[0]
    columns = shown_columns(table)
    totals = _totals(columns, human) if table.has_totals else [None] * len(columns)
    void = "-" if table.more else None
    *firsts, last = [_texts(column, column is columns[-1], human, table.counts, void) for column in columns]
    printed = [_padded(column, texts, total) for column, texts, total in zip(columns, firsts, totals, strict=False)]
    printed.append(_unpadded(columns[-1], last, totals[-1]))
    return "".join(map(_line, zip(*printed, strict=True)))


def _texts(column: Column, is_last: bool, human: bool, counts: int, void: str | None) -> list[str]:
    """Return header and cells; none is empty, except in the last column."""
    header = without_unit(column.name) if human else column.name
    cells = cell_texts(column, escape_cell, human_sizes=human, counts=counts, void=void, sign="%" if human else "")
    return [header, *(cells if is_last else (cell or '""' for cell in cells))]


def _totals(columns: Sequence[Column], human: bool) -> list[str | None]:
    totals: list[str | None] = [total_text(column, human_sizes=human) or "-" for column in columns]
    if (slot := label_slot(columns)) is not None:
        # The unit is added only in the last column, where it cannot shift awk's fields.
        totals[slot] = "total kB" if slot == len(columns) - 1 and not human else "total"
    return totals


def _padded(column: Column, texts: Sequence[str], total: str | None) -> list[str]:
    """Return header, cells, rule and total of one column, padded to one width; texts over WIDEST stick out."""
    width = min(max(map(len, [*texts, total or ""])), WIDEST)
    all_ = [*texts, "-" * width, total] if total is not None else texts
    return [text.rjust(width) for text in all_] if column.unit in NUMERIC else [text.ljust(width) for text in all_]


def _unpadded(column: Column, texts: Sequence[str], total: str | None) -> list[str]:
    """Return the same for the last column; its texts are left-aligned without padding."""
    if column.unit in NUMERIC:
        return _padded(column, texts, total)
    return [*texts] if total is None else [*texts, "-" * len(texts[0]), total]


def _line(texts: Sequence[str]) -> str:
    *firsts, last = texts
    return f"{_GAP.join([*firsts, last] if last else firsts)}\n"
