r"""Aligned text for pipes.   report ─► [plain] ─► str

The shape of pmap's output: a header, the rows, a rule, the totals. Nothing is cut, and a very long text stands out of
its column, so that it makes no other line longer. awk finds every cell: a column is one field (a space inside a name is
`\x20`, an empty text is `""`), but for the last, which may hold spaces. Unknown is `?`, and `-` stands in the last
line, and in the row `(N more)`, where a column has no total; that row is `(N_more)` where it has to be one field. Of
several tables the first is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from fleetpmap.escape import escape, escape_word
from fleetpmap.render.cells import NUMERIC, WIDEST, cell_texts, label_slot, shown_columns, total_text
from fleetpmap.report.model import Column, Report

_GAP = "  "


def plain(report: Report, *, human: bool = False) -> str:
    """The report as text, each line ended by a newline. `human`: sizes as 1.2G, under headers without `_kib`."""
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
    """Header and cells; all but the last column's are one field each."""
    header = column.name.removesuffix("_kib") if human else column.name
    cells = cell_texts(column, escape if is_last else escape_word, human_sizes=human, counts=counts, void=void)
    if is_last:
        return [header, *cells]
    if void is not None:  # nothing in the last row comes from a host
        cells[-1] = cells[-1].replace(r"\x20", "_")
    return [header, *(cell or '""' for cell in cells)]


def _totals(columns: Sequence[Column], human: bool) -> list[str | None]:
    totals: list[str | None] = [total_text(column, human_sizes=human) or "-" for column in columns]
    if (slot := label_slot(columns)) is not None:
        # The unit only where it cannot shift awk's fields.
        totals[slot] = "total kB" if slot == len(columns) - 1 and not human else "total"
    return totals


def _padded(column: Column, texts: Sequence[str], total: str | None) -> list[str]:
    """Header, cells, rule and total of one column, all of one width; but for texts longer than WIDEST."""
    width = min(max(map(len, [*texts, total or ""])), WIDEST)
    all_ = [*texts, "-" * width, total] if total is not None else texts
    return [text.rjust(width) for text in all_] if column.unit in NUMERIC else [text.ljust(width) for text in all_]


def _unpadded(column: Column, texts: Sequence[str], total: str | None) -> list[str]:
    """The same of the last column; on the left, so that a long text makes no other line longer."""
    if column.unit in NUMERIC:
        return _padded(column, texts, total)
    return [*texts] if total is None else [*texts, "-" * len(texts[0]), total]


def _line(texts: Sequence[str]) -> str:
    *firsts, last = texts
    return f"{_GAP.join([*firsts, last] if last else firsts)}\n"
