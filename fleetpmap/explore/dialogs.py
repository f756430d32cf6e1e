"""Texts that cover the table until a key is pressed.   [dialogs] ─► app"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from fleetpmap.explore.keys import HELP
from fleetpmap.report import Report

_UNTOLD = (None, "", "not-needed")
"""Cells that tell nothing of a host."""


class Words(ModalScreen[None]):
    """A text in a frame; Escape, Enter or q closes it."""

    DEFAULT_CSS = """
    Words { align: center middle; }
    Words > VerticalScroll { width: 100%; max-width: 110; height: auto; max-height: 100%; border: round $primary;
        padding: 0 1; }
    Words Static { width: 100%; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,enter,q,question_mark,backspace,f1,f10", "dismiss", "Close"),
    ]

    def __init__(self, title: str, text: Table, *, ascii_only: bool) -> None:
        super().__init__()
        self._ascii = ascii_only
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Make the frame and the text in it."""
        with VerticalScroll() as frame:
            if self._ascii:
                frame.styles.border = ("ascii", "white")
            frame.border_title = Text(self._title).markup  # a title is markup, so it is escaped
            frame.border_subtitle = "arrows scroll, Esc closes"
            yield Static(self._text)

    def on_mount(self) -> None:
        """Let the arrow keys scroll the text."""
        self.query_one(VerticalScroll).focus()


def help_text() -> Table:
    """Return the keys, a line for each; a long meaning goes on below itself."""
    return _in_two_columns(HELP)


def lines_text(lines: Iterable[str]) -> Table:
    """Return safe texts, each on lines of its own."""
    grid = Table.grid(padding=(0, 0, 1, 0))
    for line in lines:
        grid.add_row(Text(line))
    return grid


def _in_two_columns(rows: Iterable[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for first, second in rows:
        grid.add_row(Text(first), Text(second))
    return grid


def row_text(report: Report, safe: Callable[[str], str]) -> Table:
    """Return the first row of a report as a line for each column that has something to tell; `safe` escapes a text."""
    cells = ((column.name, column.cells()[0]) for column in report.tables[0].columns)
    return _in_two_columns((name, safe(str(cell))) for name, cell in cells if cell not in _UNTOLD)
