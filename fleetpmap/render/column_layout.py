"""Columns to lines of a given width.   cells ─► [column_layout] ─► terminal

If the columns are too wide together, long texts are folded in the middle, down to FOLD_TO cells or a quarter of the
terminal; then the least important columns are left out, first those with nothing but zeros. A number is never cut. The
columns of outliers are kept, since the table names these hosts; if they do not fit side by side, the table continues
below itself in a further band.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size

from fleetpmap.render.cells import WIDEST

GAP = "  "
UNLIMITED = 10_000
"""Width of a pipe, in terminal cells."""
FOLD_TO = 24
"""Least width of a folded text, in terminal cells."""

_TELLING = (
    *("mapping", "outliers", "median_kib", "spread_kib", "growth_kib", "host", "name", "process", "path", "user"),
    *("on_hosts", "perms", "kind", "status", "pid", "absent"),
    *("class", "service", "slope_kib_per_day", "pss_kib", "since_start_kib", "since_mark_kib", "trend", "rss_kib"),
    *("limit_share", "hugetlb_kib", "uss_kib", "share", "command", "cgroup_current_kib", "limit_kib", "drift"),
    *("oom_kills",),
    *("processes", "swap_kib", "limit_in_days", "last_kib", "low", "high", "first_kib"),
    *("ram_share", "dirty_kib", "size_kib", "growth_each_kib", "new_kib", "old_kib", "growth_kib_per_hour", "old_pid"),
    *("hosts", "pss_per_process_kib", "mappings", "swap_pss_kib", "started"),
)
"""Columns by importance, the most important first; columns that are not listed are left out before these, from the
right."""
_TELLING_OF_MAPPINGS = (
    *("mapping", "pss_kib", "since_start_kib", "since_mark_kib", "trend", "rss_kib", "host", "pid", "perms", "start"),
    *("size_kib", "private_dirty_kib", "swap_pss_kib", "name", "path", "kind"),
)
"""The same for the view mappings, which has a row for each address: its sizes tell more than its texts, and `mapping`
has most of a path."""


@dataclass(frozen=True, slots=True)
class LaidOutColumn:
    """One column as texts, with the width to which they are padded."""

    name: str
    header: str
    cells: Sequence[str]
    total: str
    numeric: bool
    keep: bool = False
    """The column must not be left out for lack of room."""
    width: int = 0
    """Terminal cells: the width of the widest text, until `fit` reduces it."""
    folds: bool = True
    """True: a wider text is folded; False: it sticks out."""

    @classmethod
    def natural(
        cls, name: str, header: str, cells: Sequence[str], total: str, *, numeric: bool, keep: bool = False
    ) -> LaidOutColumn:
        """Make a column as wide as its widest text."""
        return cls(name, header, cells, total, numeric, keep, max(map(text_width, (header, total, *cells))))

    def unfolded(self) -> LaidOutColumn:
        """Return the column for an unlimited width: nothing is cut, and no long text makes other lines longer."""
        return replace(self, width=min(self.width, WIDEST), folds=False)

    def least(self, terminal: int) -> int:
        """Return the least width of the column on a terminal of that width."""
        share = 2 if self.name == "service" else 4  # services are told apart by the ends of long names, too
        return self.width if self.numeric else min(self.width, max(FOLD_TO, terminal // share))

    def padded(self, texts: Sequence[str]) -> list[str]:
        """Pad, or fold, texts to the width of this column."""
        folded = texts if not self.folds else [self._folded(text) for text in texts]
        spaces = [" " * (self.width - text_width(text)) for text in folded]
        pairs = zip(spaces, folded, strict=True) if self.numeric else zip(folded, spaces, strict=True)
        return [left + right for left, right in pairs]

    def _folded(self, text: str) -> str:
        return text if text_width(text) <= self.width else fold_middle(text, self.width)


def fit(columns: Sequence[LaidOutColumn], width: int) -> tuple[list[list[LaidOutColumn]], list[str]]:
    """Return the columns that fit into `width`, each with its final width, and the headers of those left out.

    The columns form one band; or several, one below the other, if the columns to `keep` do not fit side by side. Each
    band begins with the first column.
    """
    if width >= UNLIMITED:
        return [[column.unfolded() for column in columns]], []
    telling = _telling(columns)
    kept = _kept(columns, width, telling)
    if all(column.name != "command" for column in kept):  # what had to make room for it may be back
        kept = _kept(columns, width, [name for name in telling if name != "command"])
    bands = [_shrunk(band, width) for band in _bands(kept, width)]
    return bands, [column.header for column in columns if column not in kept]


def _telling(columns: Sequence[LaidOutColumn]) -> Sequence[str]:
    """Return the columns by importance, as these rows have it."""
    same = {column.name: len({*column.cells}) == 1 < len(column.cells) for column in columns}
    if "start" in same:
        return _TELLING_OF_MAPPINGS
    telling = [*_TELLING]
    if "pid" in same and same.get("service"):  # it says no more than the selection
        telling.remove("service")
    if same.get("name") and not same.get("command", True):  # the command alone tells the processes apart
        telling.remove("command")
        telling.insert(telling.index("share"), "command")
    return telling


def _kept(columns: Sequence[LaidOutColumn], width: int, telling: Sequence[str]) -> list[LaidOutColumn]:
    """Return the columns without the least important ones, for which there is no room."""
    kept = list(columns)
    while len(kept) > 1 and _total_width(column.least(width) for column in kept) > width:
        others = [slot for slot, column in enumerate(kept) if not column.keep]
        if len(others) == 1 < len(kept):  # the column that names the rows
            break
        kept.pop(max(others, key=lambda slot: _expendable(kept[slot], slot, telling)))
    return kept


def _bands(columns: Sequence[LaidOutColumn], width: int) -> list[list[LaidOutColumn]]:
    first, *others = columns
    bands = [[first]]
    for column in others:
        band = bands[-1]
        if len(band) > 1 and _total_width(member.least(width) for member in (*band, column)) > width:
            bands.append(band := [first])
        band.append(column)
    return bands


def text_width(text: str) -> int:
    """Return the number of terminal cells that a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def fold_middle(text: str, width: int) -> str:
    """Fold a text to `width` terminal cells: a third of its beginning and two thirds of its end, as paths need."""
    head = (width - 1) // 3
    tail = width - 1 - head
    return f"{set_cell_size(text, head)}…{set_cell_size(text[::-1], tail)[::-1]}"


def fold_end(text: str, width: int) -> str:
    """Cut a sentence to `width` terminal cells."""
    return text if text_width(text) <= width else f"{set_cell_size(text, max(width - 1, 0))}…"


def _total_width(widths: Iterable[int]) -> int:
    all_widths = list(widths)
    return sum(all_widths) + len(GAP) * (len(all_widths) - 1)


def _expendable(column: LaidOutColumn, slot: int, telling: Sequence[str]) -> tuple[bool, int, int]:
    values = {*column.cells}
    empty = values <= {"-", ""} or (column.numeric and values <= {"0", "0K", "?", "-"})
    rank = telling.index(column.name) if column.name in telling else len(telling)
    if empty and column.name == "hugetlb_kib":  # important only if there are huge pages: no other column counts them
        rank = len(telling)
    return (empty, rank, slot)


def _shrunk(columns: list[LaidOutColumn], width: int) -> list[LaidOutColumn]:
    least = [column.least(width) for column in columns]
    # A command line can be a megabyte: start at the terminal's width, since the loop takes off one cell at a time.
    widths = [max(low, min(column.width, width)) for column, low in zip(columns, least, strict=True)]
    excess = _total_width(widths) - width
    while excess > 0:
        widest = max(range(len(columns)), key=lambda slot: widths[slot] - least[slot])
        if widths[widest] == least[widest]:
            break
        widths[widest] -= 1
        excess -= 1
    return [replace(column, width=final) for column, final in zip(columns, widths, strict=True)]
