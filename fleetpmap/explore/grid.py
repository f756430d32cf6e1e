"""A table with a cursor, of which only the lines on the screen exist.   Sheet ─► [grid] ─► app

Textual's own DataTable keeps every cell as an object: filling it with 60,000 rows takes half a minute. Here a line is
made when it is drawn. The header stays on top, the totals at the bottom.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from fleetpmap.explore.sheet import Sheet
from fleetpmap.report.model import Cell

_FIXED = 2
"""Lines of the header and of the totals."""


class Grid(ScrollView, can_focus=True):
    """The table of a place. It scrolls by lines; Left and Right move the columns."""

    DEFAULT_CSS = """
    Grid { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; overflow-x: hidden; }
    Grid > .grid--header { text-style: bold underline; }
    Grid > .grid--total { text-style: bold; }
    Grid > .grid--cursor { text-style: reverse; }
    Grid > .grid--chosen { text-style: underline; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"grid--header", "grid--total", "grid--cursor", "grid--chosen"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,ctrl+f", "page(1)", show=False),
        Binding("home,g", "move(-1000000000)", show=False),
        Binding("end,G", "move(1000000000)", show=False),
        Binding("left", "shift(-1)", show=False),
        Binding("right", "shift(1)", show=False),
        Binding("enter", "enter", "Go in", key_display="Enter"),
    ]
    cursor: reactive[int] = reactive(0, repaint=False)
    """The line under the cursor, counted from the first row."""

    class Moved(Message):
        """The cursor is on another row."""

    class Entered(Message):
        """The row under the cursor is to be entered."""

    class SortedBy(Message):
        """The table is to be sorted by a column."""

        def __init__(self, column: str) -> None:
            self.column = column
            super().__init__()

    def __init__(self) -> None:
        super().__init__()
        self.sheet: Sheet | None = None
        self.chosen: frozenset[str] = frozenset()
        """Hosts that are chosen to be compared."""
        self._sort: str | None = None
        self._skip = 0

    def show(self, sheet: Sheet, sort: str | None, key: Mapping[str, Cell], otherwise: int) -> None:
        """Draw another table; the cursor is on the row with this key, or on line `otherwise` if it is not there."""
        self.sheet, self._sort, self._skip = sheet, sort, 0
        self._arrange()
        line = sheet.line_of(key)
        self.rows_changed(min(otherwise, max(len(sheet.rows) - 1, 0)) if line is None else line)

    def rows_changed(self, line: int = 0) -> None:
        """Draw the rows of the sheet anew, with the cursor on a line."""
        if self.sheet is None:
            return
        self.virtual_size = Size(self.size.width, len(self.sheet.rows) + _FIXED)
        self.set_reactive(Grid.cursor, line)
        self._into_view(line)
        self.refresh()
        self.post_message(self.Moved())

    def _arrange(self) -> None:
        if self.sheet is not None and self.size.width:
            self.sheet.arrange(self.scrollable_content_region.width, self._sort, self._skip)
            self.virtual_size = Size(self.size.width, len(self.sheet.rows) + _FIXED)

    def on_resize(self, event: Resize) -> None:
        """Choose the columns for the new width."""
        self._arrange()
        self._into_view(self.cursor)
        self.refresh()

    @property
    def _height(self) -> int:
        return max(self.size.height - _FIXED, 1)

    def _into_view(self, line: int) -> None:
        top = round(self.scroll_offset.y)
        if line < top:
            self.scroll_to(y=line, animate=False, immediate=True)
        elif line >= top + self._height:
            self.scroll_to(y=line - self._height + 1, animate=False, immediate=True)

    def watch_cursor(self, before: int, now: int) -> None:
        """Draw the two lines that look different."""
        self._into_view(now)
        top = round(self.scroll_offset.y)
        for line in (before, now):
            self.refresh(Region(0, line - top + 1, self.size.width, 1))
        self.post_message(self.Moved())

    def action_move(self, by: int) -> None:
        """Move the cursor by some lines, to the first or the last at most."""
        if self.sheet is not None:
            self.cursor = max(0, min(self.cursor + by, len(self.sheet.rows) - 1))

    def action_page(self, pages: int) -> None:
        """Move the cursor by a screen."""
        self.action_move(pages * self._height)

    def action_shift(self, by: int) -> None:
        """Move columns out on the left, or in again."""
        if self.sheet is not None and (by < 0 or self.sheet.left_out):
            self._skip = max(self._skip + by, 0)
            self._arrange()
            self.refresh()

    def action_enter(self) -> None:
        """Ask for the row under the cursor to be entered."""
        if self.sheet is not None and len(self.sheet.rows):
            self.post_message(self.Entered())

    def on_click(self, event: Click) -> None:
        """Sort by a header; move the cursor to a row, or enter the row that it is on."""
        if self.sheet is None:
            return
        if event.y == 0:
            name = next((name for start, end, name in self.sheet.spans if start <= event.x < end), None)
            if name is not None:
                self.post_message(self.SortedBy(str(self.sheet.table.share) if name == "share" else name))
            return
        line = event.y - 1 + round(self.scroll_offset.y)
        if event.y > self._height or line >= len(self.sheet.rows):
            return
        if line == self.cursor:
            self.action_enter()
        self.cursor = line

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        width = self.size.width
        if self.sheet is None or not self.size.height:
            return Strip.blank(width, self.rich_style)
        if y == 0:
            return self._strip(self.sheet.header(), "grid--header")
        if y == self.size.height - 1 or y > self._height:
            return self._strip(self.sheet.total(), "grid--total")
        line = y - 1 + round(self.scroll_offset.y)
        if line >= len(self.sheet.rows):
            return Strip.blank(width, self.rich_style)
        base = self.rich_style
        pieces = self.sheet.line(line)
        if line == self.cursor:  # in one colour, so that the line is whole
            base += self.get_component_rich_style("grid--cursor", partial=True)
            pieces = [(text, None) for text, _ in pieces]
        if self.chosen and self.sheet.cell(line, "host") in self.chosen:
            base += self.get_component_rich_style("grid--chosen", partial=True)
        segments = [Segment(text, base + style if style else base) for text, style in pieces]
        return Strip(segments).extend_cell_length(width, base).crop(0, width)

    def _strip(self, text: str, component: str) -> Strip:
        style: Style = self.rich_style + self.get_component_rich_style(component, partial=True)
        return Strip([Segment(text, style)]).extend_cell_length(self.size.width, style).crop(0, self.size.width)
