r"""Aligned text for pipes.   report ─► [plain] ─► str

The shape of pmap's output: a header, the rows, a rule, the totals. Nothing is cut, and awk finds every cell: a column
is one field (a space inside a name is `\x20`, an empty text is `""`), but for the last, which may hold spaces. Unknown
is `?`, and `-` stands in the last line where a column has no total. Of several tables the first is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from fleetpmap.escape import escape, escape_word
from fleetpmap.render.cells import NUMERIC, cell_texts, label_slot, shown_columns, total_text
from fleetpmap.report.base import Column, Report

_GAP = "  "


def plain(report: Report) -> str:
    """The report as text, each line ended by a newline."""
    if report.text is not None:
        return report.text
    table = report.tables[0]
    columns = shown_columns(table)
    totals = _totals(columns) if table.has_totals else [None] * len(columns)
    *firsts, last = columns
    printed = [_padded(column, total) for column, total in zip(firsts, totals[:-1], strict=True)]
    return "".join(map(_line, zip(*printed, _unpadded(last, totals[-1]), strict=True)))


def _totals(columns: Sequence[Column]) -> list[str | None]:
    totals: list[str | None] = [total_text(column) or "-" for column in columns]
    if (slot := label_slot(columns)) is not None:
        # The unit only where it cannot shift awk's fields.
        totals[slot] = "total kB" if slot == len(columns) - 1 else "total"
    return totals


def _padded(column: Column, total: str | None) -> list[str]:
    """Header, cells, rule and total of one column, all of one width."""
    texts = [column.name, *(text or '""' for text in cell_texts(column, escape_word))]
    width = max(map(len, [*texts, total or ""]))
    if total is not None:
        texts += ["-" * width, total]
    return [text.rjust(width) for text in texts] if column.unit in NUMERIC else [text.ljust(width) for text in texts]


def _unpadded(column: Column, total: str | None) -> list[str]:
    """The same of the last column; on the left, so that a long text makes no other line longer."""
    if column.unit in NUMERIC:
        return _padded(column, total)
    texts = [column.name, *cell_texts(column, escape)]
    return texts if total is None else [*texts, "-" * len(column.name), total]


def _line(texts: Sequence[str]) -> str:
    *firsts, last = texts
    return f"{_GAP.join([*firsts, last] if last else firsts)}\n"
