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
from textual.events import Click, MouseEvent, MouseScrollDown, MouseScrollUp, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBarRender
from textual.strip import Strip

from fleetpmap.explore.listing import Sort
from fleetpmap.explore.sheet import Sheet
from fleetpmap.report.model import Cell

_FIXED = 2
"""Lines of the header and of the totals."""
_WHEEL = 3
"""Lines that the wheel moves."""
_CHOSEN = "* "
"""The sign before a row that is chosen to be compared."""
MOVES = [
    Binding("up,k", "move(-1)", show=False),
    Binding("down,j", "move(1)", show=False),
    Binding("pageup,ctrl+b", "page(-1)", show=False),
    Binding("pagedown,ctrl+f", "page(1)", show=False),
    Binding("home,g", "move(-1000000000)", show=False),
    Binding("end,G", "move(1000000000)", show=False),
    Binding("left,h", "shift(-1)", show=False),
    Binding("right,l", "shift(1)", show=False),
    Binding("enter", "enter", "Go in", key_display="Enter"),
]
"""The keys of the table."""


class AsciiScrollBar(ScrollBarRender):
    """A scroll bar without half blocks at its ends: colours alone."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8


class Grid(ScrollView, can_focus=True):
    """The table of a place. It scrolls by lines; Left and Right move the columns."""

    DEFAULT_CSS = """
    Grid { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; overflow-x: hidden;
        scrollbar-gutter: stable; }
    Grid > .grid--header { text-style: bold underline; }
    Grid > .grid--total { text-style: bold; }
    Grid > .grid--cursor { text-style: reverse; }
    Grid > .grid--chosen { text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"grid--header", "grid--total", "grid--cursor", "grid--chosen"}
    BINDINGS: ClassVar[list[BindingType]] = [*MOVES]
    cursor: reactive[int] = reactive(0, repaint=False)
    """The line under the cursor, counted from the first row."""

    class Moved(Message):
        """The cursor is on another row: moved there by the user, or by another table or size."""

        def __init__(self, *, by_user: bool) -> None:
            self.by_user = by_user
            super().__init__()

    class Entered(Message):
        """The row under the cursor is to be entered."""

    class SortedBy(Message):
        """The table is to be sorted by a column."""

        def __init__(self, column: str) -> None:
            self.column = column
            super().__init__()

    def __init__(self) -> None:
        self._styles: dict[str, Style] = {}
        super().__init__()
        self.sheet: Sheet | None = None
        self._chosen: frozenset[tuple[Cell, ...]] = frozenset()
        """Rows that are chosen to be compared, by the cells of `_keys`."""
        self._keys: tuple[str, ...] = ()
        self.nothing = ""
        """What is drawn in place of rows where there are none."""
        self._sort: Sort | None = None
        self._skip = 0

    def choose(self, chosen: frozenset[tuple[Cell, ...]], keys: tuple[str, ...]) -> None:
        """Draw a sign before these rows, which are known by the cells of these columns."""
        arrange = bool(chosen) != bool(self._chosen)
        self._chosen, self._keys = chosen, keys
        if arrange:
            self._arrange()
        self.refresh()

    @property
    def _gutter(self) -> int:
        """Cells on the left for the sign of chosen rows; none where no row is chosen."""
        return len(_CHOSEN) if self._chosen else 0

    def show(self, sheet: Sheet, sort: Sort | None, key: Mapping[str, Cell], otherwise: int) -> None:
        """Draw another table; the cursor is on the row with this key, or on line `otherwise` if it is not there."""
        if self.sheet is None or self.sheet.drawable != sheet.drawable:
            self._skip = 0
        self.sheet, self._sort = sheet, sort
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
        self.post_message(self.Moved(by_user=False))

    def _arrange(self) -> None:
        if self.sheet is not None and self.size.width:
            whole = self.outer_size
            has_bar = len(self.sheet.rows) + _FIXED > whole.height  # it comes and goes after this
            width = whole.width - has_bar * self.styles.scrollbar_size_vertical
            self.sheet.arrange(width - self._gutter, self._sort, self._skip)
            self.virtual_size = Size(self.size.width, len(self.sheet.rows) + _FIXED)

    def on_resize(self, event: Resize) -> None:
        """Choose the columns for the new width."""
        self._arrange()
        self._into_view(self.cursor)
        self.refresh()
        self.post_message(self.Moved(by_user=False))  # the columns that have no room are others

    @property
    def _height(self) -> int:
        return max(self.size.height - _FIXED, 1)

    def _into_view(self, line: int) -> None:
        top = round(self.scroll_offset.y)
        if line < top:
            self._scroll(line)
        elif line >= top + self._height:
            self._scroll(line - self._height + 1)

    def _scroll(self, top: int) -> None:
        self.scroll_to(y=top, animate=False, immediate=True, force=True)  # also before the scroll bar of a longer list

    def watch_cursor(self, before: int, now: int) -> None:
        """Draw the two lines that look different."""
        self._into_view(now)
        top = round(self.scroll_offset.y)
        for line in (before, now):
            self.refresh(Region(0, line - top + 1, self.size.width, 1))
        self.post_message(self.Moved(by_user=True))

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

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Move the cursor with the list: Enter is never about a row out of sight."""
        self._wheel(event, _WHEEL)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Move the cursor with the list."""
        self._wheel(event, -_WHEEL)

    def _wheel(self, event: MouseEvent, by: int) -> None:
        event.stop()
        event.prevent_default()
        self.action_move(by)

    def on_click(self, event: Click) -> None:
        """Sort by a header; move the cursor to a row, or enter the row that it is on."""
        if self.sheet is None:
            return
        if event.y == 0:
            x = event.x - self._gutter
            name = next((name for start, end, name in self.sheet.spans if start <= x < end), None)
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
        width, base = self.size.width, self._style("")
        if self.sheet is None or not self.size.height:
            return Strip.blank(width, base)
        if y == 0:
            return self._strip(self.sheet.header(), "grid--header")
        if y == self.size.height - 1 or y > self._height:
            return self._strip(self.sheet.total(), "grid--total")
        line = y - 1 + round(self.scroll_offset.y)
        if line >= len(self.sheet.rows):
            text = f"  {self.nothing}" if y == 1 and not len(self.sheet.rows) else ""
            return Strip([Segment(text, base)]).extend_cell_length(width, base).crop(0, width)
        pieces = self.sheet.line(line)
        if line == self.cursor:  # in one colour, so that the line is whole
            base += self._style("grid--cursor")
            pieces = [(text, None) for text, _ in pieces]
        if self._chosen:
            is_chosen = (*self.sheet.key(line, self._keys).values(),) in self._chosen
            if is_chosen:
                base += self._style("grid--chosen")
            pieces = [(_CHOSEN if is_chosen else " " * len(_CHOSEN), None), *pieces]
        segments = [Segment(text, base + style if style else base) for text, style in pieces]
        return Strip(segments).extend_cell_length(width, base).crop(0, width)

    def _strip(self, text: str, component: str) -> Strip:
        style = self._style("") + self._style(component)
        return (
            Strip([Segment(" " * self._gutter + text, style)])
            .extend_cell_length(self.size.width, style)
            .crop(0, self.size.width)
        )

    def _style(self, component: str) -> Style:
        """Return the style of a part of the table, or of the table itself; each is worked out once, not by line."""
        if component not in self._styles:
            partly = self.get_component_rich_style(component, partial=True) if component else self.rich_style
            self._styles[component] = partly
        return self._styles[component]

    def notify_style_update(self) -> None:
        """Forget the styles: the theme is another."""
        self._styles.clear()
        super().notify_style_update()
