"""A table as lines of a given width, each made when it is looked at.   Report ─► [sheet] ─► grid

The cells of 60,000 rows are formatted for the lines on the screen alone. Widths come from the extremes of a column and
from its distinct texts, so that they are known without the cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.style import Style

from fleetpmap.escape import escape_cell, in_ascii
from fleetpmap.explore.differences import Differences
from fleetpmap.explore.listing import Sort
from fleetpmap.render.cells import NUMERIC, cell_texts, shown_columns, total_text
from fleetpmap.render.column_layout import GAP, LaidOutColumn, fit, fold_end, fold_middle, text_width
from fleetpmap.render.shares import CELLS, bar, percent
from fleetpmap.render.terminal import ASCII_SIGNS, STATUS_STYLES, unknown_columns
from fleetpmap.report.grouping import HexTexts
from fleetpmap.report.model import Cell, Column, Table
from fleetpmap.report.shape import rows_of
from fleetpmap.smaps import NULL, Coded
from fleetpmap.units import KIB, human

FAILED = Style(color="red")
NAMED = Style(bold=True, color="yellow")
"""Style of the rows that a finding is about."""
_BAR = Style(color="cyan")
_BLOCK = 32
"""Rows that are formatted together."""
_ARROWS = (("↓", "↑"), ("v ", "^ "))
"""Signs before the header that the list is sorted by, and if it is the other way round; also in ASCII."""
_SHARE = 7 + CELLS
_WIDEST = [int(KIB**power * (KIB - 0.06)) for power in range(5)]
"""Sizes in KiB with the longest text of each suffix: 1023K, 1023.9M."""
_WIDEST_HEADER = 32
_WORST_TEXT = 400
"""Characters of a text that count for the width of its column; no terminal is wider."""
_MOST_SAID = 4 * _WORST_TEXT
"""Characters of a text that are said below the list, which has four lines there."""

Piece = tuple[str, Style | None]


class Sheet:
    """The rows and columns of one table; `arrange` and `filtered` choose which of them are drawn."""

    def __init__(
        self,
        table: Table,
        *,
        first: Sequence[str] = (),
        kept: Sequence[str] = (),
        hidden: frozenset[str] = frozenset(),
        falls_by: str | None = None,
        human_sizes: bool = True,
        ascii_only: bool = False,
    ) -> None:
        """Make a sheet of a table; `first`: columns on the left, `kept`: those to have room, `hidden`: not drawn.

        `falls_by`: the column by which the view sorts the rows, the largest first, though not by it alone.
        """
        self.table = table
        self.rows: NDArray[np.intp] = np.arange(len(table))
        """The rows that are drawn, in order."""
        self._order = self.rows
        self._widths: dict[str, int] = {}
        self.left_out: list[str] = []
        """Headers of the columns for which there is no room."""
        self.spans: list[tuple[int, int, str]] = []
        """First cell, end and name of each drawn column."""
        self._first = first
        self._kept = kept
        self.unknown = unknown_columns(table)
        """Names of the columns in which nothing is known; they are not drawn."""
        self._hidden = hidden | {*self.unknown}
        self._human = human_sizes
        self._ascii = ascii_only
        self._laid: list[LaidOutColumn] = []
        self._blocks: dict[int, list[list[Piece]]] = {}
        self._named: NDArray[np.bool_] = np.zeros(len(table), np.bool_)
        share = self._share_column
        known = share.values if share and isinstance(share.values, np.ndarray) else np.zeros(1, np.int64)
        self._largest = int(known.max(initial=0))
        self.order = Sort(falls_by) if falls_by and _falls(table, falls_by) else None
        """The column that tells the order of the table's rows; None if there is none."""

    @property
    def _size(self) -> str | None:
        """The size that has room on any terminal: that of the shares, of VMAs PSS, or else RSS."""
        names = {column.name for column in self.table.columns}
        return next((name for name in (self.table.share, "pss_kib", "rss_kib") if name in names), None)

    @property
    def _share_column(self) -> Column | None:
        return next((column for column in self.table.columns if column.name == self.table.share), None)

    def mark(self, named: NDArray[np.bool_]) -> None:
        """Draw these rows as those of a finding."""
        self._named = named
        self._blocks.clear()

    def choose(self, order: NDArray[np.intp], text: str) -> None:
        """Draw the rows in this order, those that have the text in a cell that is text, in any case."""
        self._order = order
        self.filtered(text)

    def filtered(self, text: str) -> None:
        """Draw the rows that have this text."""
        wanted = text.casefold()
        has_it = np.zeros(len(self.table), np.bool_) if wanted else np.ones(len(self.table), np.bool_)
        for column in self.table.columns if wanted else ():
            has_it |= _holds(column, wanted)
        self.rows = self._order[has_it[self._order]]
        self._blocks.clear()

    def key(self, line: int, names: Sequence[str]) -> Mapping[str, Cell]:
        """Return the cells of one drawn row in those of these columns that the table has."""
        row = int(self.rows[line])
        cells = {column.name: column.cells(row, row + 1)[0] for column in self.table.columns if column.name in names}
        return {name: cells[name] for name in names if name in cells}

    def folded(self, line: int) -> list[str]:
        """Return the texts of one drawn row that have no room in their columns, each behind the name of its column."""
        wide = {laid.name: laid.width for laid in self._laid if not laid.numeric}
        cells = self.key(line, [*wide])
        texts = {name: cell[:_MOST_SAID] for name, cell in cells.items() if isinstance(cell, str)}
        return [f"{name}: {text}" for name, text in texts.items() if text_width(self._safe(text)) > wide[name]]

    def cell(self, line: int, name: str) -> Cell:
        """Return a cell of one drawn row; None if the table has no such column."""
        return self.key(line, [name]).get(name)

    def line_of(self, key: Mapping[str, Cell]) -> int | None:
        """Return the drawn line of the row with these cells; None if it is not there."""
        if not key or not {*key} <= {column.name for column in self.table.columns}:
            return None
        is_it = np.logical_and.reduce([_equals(self.table.column(name), cell) for name, cell in key.items()])
        lines = np.flatnonzero(is_it[self.rows])
        return int(lines[0]) if len(lines) else None

    def arrange(self, width: int, sort: Sort | None, skip: int = 0) -> None:
        """Choose the columns for this width; `skip`: columns behind the first that are moved out on the left."""
        self._blocks.clear()
        columns = self._columns()
        label = 0 if self.table.has_totals and columns and columns[0].rule is None else None
        columns = [column for slot, column in enumerate(columns) if not 0 < slot <= min(skip, len(columns) - 2)]
        laid = []
        for slot, column in enumerate(columns):
            total = "total" if slot == label else self._total(column)
            header = self._safe(column.name.removesuffix("_kib"))  # of compare the name of a host
            if text_width(header) > _WIDEST_HEADER:  # of compare the names of all hosts that are alike
                header = fold_middle(header, _WIDEST_HEADER)
            is_sorted = sort is not None and column.name == sort.column
            if sort is not None and is_sorted:
                header = f"{_ARROWS[self._ascii][sort.reverse]}{header}"
            if column.name not in self._widths:
                self._widths[column.name] = self._width(column)
            wide = max(self._widths[column.name], text_width(header), text_width(total))
            keep = is_sorted or column.name in (self._size, *self._kept) or column.is_named
            numeric = column.unit in NUMERIC
            folds = column.name != "meaning"  # a sentence, which has its beginning and no end where there is no room
            laid.append(LaidOutColumn(column.name, header, ("1",), total, numeric, keep, wide, folds))
            if column.name == self.table.share and self._shares:
                cells, name = (_SHARE, " share") if column.rule == "sum" else (CELLS, "share")
                laid.append(LaidOutColumn("share", name, ("1",), "", False, False, cells, folds=False))
        bands, self.left_out = fit(laid, width)
        self._laid = bands[0]
        self.left_out += [column.header for band in bands[1:] for column in band[1:]]
        self.spans = []
        at = 0
        for each in self._laid:
            self.spans.append((at, at + each.width, each.name))
            at += each.width + len(GAP)

    @property
    def drawable(self) -> list[str]:
        """The names of all columns that have room on a terminal of any width, in their order."""
        return [column.name for column in self._columns()]

    def _columns(self) -> list[Column]:
        columns = [column for column in shown_columns(self.table) if column.name not in self._hidden]
        return sorted(columns, key=lambda column: column.name not in self._first)

    @property
    def _shares(self) -> bool:
        column = self._share_column
        return column is not None and bool(column.total) and len(self.table) > 1

    def header(self) -> str:
        """Return the line of the headers."""
        return self._joined([column.header for column in self._laid])

    def total(self) -> str:
        """Return the line of the totals, which are of all rows; empty if the table has none."""
        return self._joined([column.total for column in self._laid]) if self.table.has_totals else ""

    def line(self, number: int) -> list[Piece]:
        """Return one drawn row as pieces of text with their styles."""
        size = 1 if self.table.counts else _BLOCK  # rows of plain counts are formatted by themselves
        block = number // size
        if block not in self._blocks:
            self._blocks[block] = list(self._block(self.rows[block * size : (block + 1) * size]))
        return self._blocks[block][number % size]

    def _block(self, rows: NDArray[np.intp]) -> Iterator[list[Piece]]:
        drawn_names = {laid.name for laid in self._laid} | {"error", str(self.table.share)}
        wanted = tuple(column for column in self.table.columns if column.name in drawn_names)
        columns = {column.name: column for column in rows_of(replace(self.table, columns=wanted), rows).columns}
        texts: list[list[Piece]] = []
        for laid in self._laid:
            if laid.name == "share":
                shares = self._share_texts(columns[str(self.table.share)])
                texts.append([(self._shown(f"{text:{laid.width}}"), _BAR) for text in shares])
                continue
            counts = int(bool(len(rows)) and rows[0] < self.table.counts)
            column = columns[laid.name]
            if isinstance(column.values, Coded):  # else all names of the table would be made safe for each block
                column = replace(column, values=column.cells())
            cells = cell_texts(column, self._safe, human_sizes=self._human, counts=counts)
            if not laid.folds:
                cells = [fold_end(cell, laid.width) for cell in cells]
            styles = [STATUS_STYLES.get(cell) if laid.name == "status" else None for cell in cells]
            texts.append([*zip(map(self._shown, laid.padded(cells)), styles, strict=True)])
        failed = columns["error"].cells() if "error" in columns else [None] * len(rows)
        for slot, row in enumerate(rows.tolist()):
            base = FAILED if failed[slot] else NAMED if self._named[row] else None
            line: list[Piece] = []
            for drawn in texts:
                text, style = drawn[slot]
                line += [(text, style or base), (GAP, None)]
            yield line[:-1]

    def _share_texts(self, column: Column) -> Iterator[str]:
        for size in column.cells():
            number = f"{percent(size, column.total or 1)} " if column.rule == "sum" else ""
            yield f"{number}{bar(size if isinstance(size, int) else 0, max(self._largest, 1))}"

    def _joined(self, texts: Sequence[str]) -> str:
        pairs = zip(self._laid, texts, strict=True)
        return self._shown(GAP.join(column.padded([text])[0] for column, text in pairs))

    def _total(self, column: Column) -> str:
        text = total_text(column, human_sizes=self._human)
        return f"{'up to ' if self._ascii else '≤'}{text}" if column.at_most else text

    def _width(self, column: Column) -> int:
        """Return the width of the widest cell, or a little more."""
        values = column.values
        if isinstance(values, Differences):
            return self._width_of_numbers(column, np.where(values.known, values.values, 0))
        if isinstance(values, HexTexts):
            return text_width(values[int(values.values.argmax())]) if len(values) else 0
        if isinstance(values, np.ndarray) and values.dtype.kind == "b":
            return len("yes")
        if isinstance(values, np.ndarray):
            return self._width_of_numbers(column, values)
        if isinstance(values, Coded):
            counts = np.bincount(np.asarray(values.codes) + 1, minlength=len(values.names) + 1)[1:]
            used = [values.names[code] for code in np.flatnonzero(counts).tolist()]
            return max((text_width(self._safe(text[:_WORST_TEXT])) for text in used), default=1)
        plain = replace(column, values=[str(cell)[:_WORST_TEXT] if isinstance(cell, str) else cell for cell in values])
        return max(map(text_width, cell_texts(plain, self._safe, human_sizes=self._human)), default=1)

    def _width_of_numbers(self, column: Column, values: NDArray[Any]) -> int:
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        largest = max(abs(low), high)
        if column.unit in ("KiB", "delta") and self._human:
            widest = max(len(human(kib)) for kib in (largest, *(kib for kib in _WIDEST if kib < largest)))
            return widest + (column.unit == "delta")
        return len(str(largest)) + (column.unit == "delta" or low < NULL)

    def _safe(self, text: str) -> str:
        return in_ascii(escape_cell(text)) if self._ascii else escape_cell(text)

    def _shown(self, text: str) -> str:
        return in_ascii(text.translate(ASCII_SIGNS)) if self._ascii else text


def _falls(table: Table, name: str) -> bool:
    """Return True if no row has more in this column than the one above it; unknown is less than anything."""
    column = next((column for column in table.columns if column.name == name), None)
    if column is None or isinstance(column.values, Differences):
        return False
    sizes = [cell if isinstance(cell, int) else NULL for cell in column.cells()[table.counts :]]
    return all(before >= after for before, after in pairwise(sizes))


def _equals(column: Column, wanted: Cell) -> NDArray[np.bool_]:
    """Return for each row if its cell is this one."""
    values = column.values
    if isinstance(values, Coded):
        code = -1 if wanted is None else values.names.index(str(wanted)) if wanted in values.names else -2
        return np.asarray(np.asarray(values.codes) == code)
    if isinstance(values, HexTexts):
        return np.asarray(values.values == int(str(wanted), 16))
    if isinstance(values, np.ndarray) and values.dtype.kind == "i":
        return np.asarray(values == (NULL if wanted is None else wanted))
    return np.array([cell == wanted for cell in column.cells()], dtype=np.bool_)


def _holds(column: Column, wanted: str) -> NDArray[np.bool_]:
    """Return for each row if its cell holds this text, which is in lower case; never for numbers and addresses."""
    values = column.values
    if isinstance(values, Coded):
        flags = np.array([*(wanted in name.casefold() for name in values.names), False], dtype=np.bool_)
        return flags[values.codes]  # a null has code -1, which is the last
    if isinstance(values, np.ndarray | HexTexts | Differences):
        return np.zeros(len(column), np.bool_)
    return np.array([isinstance(cell, str) and wanted in cell.casefold() for cell in values], dtype=np.bool_)
