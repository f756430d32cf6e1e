"""Columns to lines of a given width.   cells ─► [layout] ─► terminal

Where the width does not do: long texts fold in the middle, down to FOLD_TO cells or a quarter of the terminal; then the
columns that tell least are left out, those that are zero all the way first. A number is never cut. The column of a host
that stands apart is kept, since the table names it; if not even these go side by side, the table goes on below itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size

from fleetpmap.render.cells import WIDEST

GAP = "  "
UNLIMITED = 10_000
"""Columns of a pipe."""
FOLD_TO = 24
"""Terminal cells that a folded text keeps at least."""

_TELLING = (
    *("mapping", "outliers", "median_kib", "spread_kib", "growth_kib", "host", "name", "process", "path", "user"),
    *("perms", "kind", "status", "pid", "absent"),
    *("pss_kib", "hugetlb_kib", "since_start_kib", "trend", "rss_kib", "share", "uss_kib", "command", "start"),
    "swap_kib",
    *("processes", "dirty_kib", "size_kib", "new_kib", "old_kib", "growth_kib_per_hour", "old_pid"),
    *("hosts", "mappings", "swap_pss_kib"),
)
"""Columns in the order in which they are worth their place; what is not here goes before them, from the right."""


@dataclass(frozen=True, slots=True)
class Laid:
    """One column on its way to the screen: texts, not yet padded."""

    name: str
    header: str
    cells: Sequence[str]
    total: str
    numeric: bool
    keep: bool = False
    """It is not left out for lack of room."""
    width: int = 0
    """Terminal cells; the widest text's until `fit` makes it less."""
    folds: bool = True
    """A text that is wider is folded; else it makes its line longer."""

    @classmethod
    def natural(
        cls, name: str, header: str, cells: Sequence[str], total: str, *, numeric: bool, keep: bool = False
    ) -> Laid:
        """A column as wide as its widest text."""
        return cls(name, header, cells, total, numeric, keep, max(map(text_width, (header, total, *cells))))

    def unfolded(self) -> Laid:
        """The column for a place of any width, where nothing is cut and no long text makes other lines longer."""
        return replace(self, width=min(self.width, WIDEST), folds=False)

    def least(self, terminal: int) -> int:
        """The width below which it does not go on a terminal of that width."""
        return self.width if self.numeric else min(self.width, max(FOLD_TO, terminal // 4))

    def padded(self, texts: Sequence[str]) -> list[str]:
        """Texts of this column, all of its width."""
        folded = texts if not self.folds else [self._folded(text) for text in texts]
        spaces = [" " * (self.width - text_width(text)) for text in folded]
        pairs = zip(spaces, folded, strict=True) if self.numeric else zip(folded, spaces, strict=True)
        return [left + right for left, right in pairs]

    def _folded(self, text: str) -> str:
        return text if text_width(text) <= self.width else fold_middle(text, self.width)


def fit(columns: Sequence[Laid], width: int) -> tuple[list[list[Laid]], list[str]]:
    """The columns that go into `width`, each with its final width, and the headers of those left out.

    They are in one band, or in several, one below the other, if there are more columns to `keep` than the width takes;
    each band begins with the first column.
    """
    if width >= UNLIMITED:
        return [[column.unfolded() for column in columns]], []
    kept = list(columns)
    left_out: set[str] = set()
    while len(kept) > 1 and _total_width(column.least(width) for column in kept) > width:
        others = [slot for slot, column in enumerate(kept) if not column.keep]
        if len(others) == 1 < len(kept):  # what names the rows
            break
        worst = max(others, key=lambda slot: _expendable(kept[slot], slot))
        left_out.add(kept.pop(worst).header)
    bands = [_shrunk(band, width) for band in _bands(kept, width)]
    return bands, [column.header for column in columns if column.header in left_out]


def _bands(columns: Sequence[Laid], width: int) -> list[list[Laid]]:
    first, *others = columns
    bands = [[first]]
    for column in others:
        band = bands[-1]
        if len(band) > 1 and _total_width(one.least(width) for one in (*band, column)) > width:
            bands.append(band := [first])
        band.append(column)
    return bands


def text_width(text: str) -> int:
    """Terminal cells that a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def fold_middle(text: str, width: int) -> str:
    """The text in `width` terminal cells: its end tells more than its middle, and more than its beginning."""
    head = (width - 1) // 3
    tail = width - 1 - head
    return f"{set_cell_size(text, head)}…{set_cell_size(text[::-1], tail)[::-1]}"


def fold_end(text: str, width: int) -> str:
    """The beginning of a sentence in `width` terminal cells."""
    return text if text_width(text) <= width else f"{set_cell_size(text, max(width - 1, 0))}…"


def _total_width(widths: Iterable[int]) -> int:
    all_widths = list(widths)
    return sum(all_widths) + len(GAP) * (len(all_widths) - 1)


def _expendable(column: Laid, slot: int) -> tuple[bool, int, int]:
    empty = column.numeric and {*column.cells} <= {"0", "0K", "?"}
    rank = _TELLING.index(column.name) if column.name in _TELLING else len(_TELLING)
    if empty and column.name == "hugetlb_kib":  # which tells much, since no other column counts it, if there is any
        rank = len(_TELLING)
    return (empty, rank, slot)


def _shrunk(columns: list[Laid], width: int) -> list[Laid]:
    least = [column.least(width) for column in columns]
    # A command line can be a megabyte: begin at the terminal's width, since what follows goes cell by cell.
    widths = [max(low, min(column.width, width)) for column, low in zip(columns, least, strict=True)]
    excess = _total_width(widths) - width
    while excess > 0:
        widest = max(range(len(columns)), key=lambda slot: widths[slot] - least[slot])
        if widths[widest] == least[widest]:
            break
        widths[widest] -= 1
        excess -= 1
    return [replace(column, width=final) for column, final in zip(columns, widths, strict=True)]
