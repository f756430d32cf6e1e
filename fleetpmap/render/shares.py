"""Each row's share of the total, as a number and a bar.   report ─► [shares] ─► terminal"""

from __future__ import annotations

from fleetpmap.report.model import Cell, Table

CELLS = 10
"""Terminal cells of the largest row's bar: eighty steps."""
_EIGHTHS = " ▏▎▍▌▋▊▉"


def share_texts(table: Table) -> list[str]:
    """Return a header, and for each row its share of the total in percent and as a bar; the largest row's bar is full.

    Sizes that do not add up get no percent. Unknown sizes, and `(N more)`, get no bar. Empty for fewer than two rows,
    or without a total.
    """
    column = table.column(table.share) if table.share else None
    if column is None or not column.total or len(table) < 2:
        return []
    sizes = column.cells()
    rows = len(sizes) - (table.more > 0)
    largest = max(_known(size) for size in sizes[:rows])
    bars = [bar(_known(size), largest) for size in sizes[:rows]] + [""] * (table.more > 0)
    if column.rule != "sum":
        return [f"{text:{CELLS}}" for text in ("share", *bars)]
    percents = [
        f"of {column.name.removesuffix('_kib')}" if has_huge_pages(table) else " share",
        *(percent(size, column.total) for size in sizes),
    ]
    return [f"{share} {drawn:{CELLS}}" for share, drawn in zip(percents, ["", *bars], strict=True)]


def has_huge_pages(table: Table) -> bool:
    """Return True if the table has huge pages: memory that is only in `hugetlb`, so the shares leave it out."""
    return any(column.name == "hugetlb_kib" and column.total for column in table.columns)


def _known(size: Cell) -> int:
    return size if isinstance(size, int) else 0


def bar(size: int, largest: int) -> str:
    """Return the bar of a row: CELLS long for the largest."""
    eighths = round(size * CELLS * 8 / largest) if size else 0
    return f"{'█' * (eighths // 8)}{_EIGHTHS[eighths % 8].strip()}"


def percent(size: Cell, total: int) -> str:
    """Return a share of the total in six characters; spaces for an unknown size."""
    if size is None:
        return " " * 6
    percent = 100 * _known(size) / total
    return " <0.1%" if 0 < percent < 0.05 else f"{percent:5.1f}%"
