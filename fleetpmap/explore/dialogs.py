"""Texts that cover the table until a key is pressed.   [dialogs] ─► app"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from fleetpmap.report import Report

HELP = (
    ("Arrows, j k", "move; PgUp, PgDn, Home, End too; Left and Right: other columns"),
    ("Enter", "go into the row: service, host, process, mapping, VMA, its fields"),
    ("Backspace, Esc", "go back"),
    ("v", "the next list of this place: services, hosts, processes, mappings"),
    ("f F, 1-9", "go to the rows of the next or previous finding, or of that number; Tab: the findings"),
    ("/", "filter the rows by a text; Enter keeps it, Esc ends it"),
    ("s S, click", "sort by the next or previous column, or by the header that is clicked"),
    ("m", "mark what is shown as the baseline: since_mark is the difference from it"),
    ("d", "show every size as its difference from the mark, or as it is"),
    ("Space, c", "choose a host; compare the chosen hosts, or all, side by side"),
    ("r", "ask the hosts again"),
    ("D", "run doctor on the host"),
    ("y", "copy the row to the clipboard (OSC 52), with tabs"),
    ("w", "write what is shown to a file: .csv .json .html .md …; .parquet is its snapshot"),
    (":", "all commands, and the colours"),
    ("?", "this help"),
    ("q, ^C", "quit"),
)
"""The keys with their meanings."""

COMMANDS = (
    ("filter", "filter the rows by a text"),
    ("mark", "make this snapshot the baseline"),
    ("differences", "sizes as differences from the mark"),
    ("compare", "hosts side by side"),
    ("look", "ask the hosts again"),
    ("doctor", "try each step to the host of this row"),
    ("write", "write what is shown to a file"),
    ("copy", "copy the row"),
)
"""Commands of the palette beside the lists: the app has an action of each name."""

_UNTOLD = (None, "", "not-needed")
"""Cells that tell nothing of a host."""


class Words(ModalScreen[None]):
    """A text in a frame; Escape, Enter or q closes it."""

    DEFAULT_CSS = """
    Words { align: center middle; }
    Words > VerticalScroll { width: 92%; max-width: 110; height: auto; max-height: 90%; border: round $primary;
        padding: 0 1; }
    Words Static { width: 100%; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,enter,q,question_mark,backspace", "dismiss", "Close"),
    ]

    def __init__(self, title: str, text: Text, *, ascii_only: bool) -> None:
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
            yield Static(self._text, markup=False)

    def on_mount(self) -> None:
        """Let the arrow keys scroll the text."""
        self.query_one(VerticalScroll).focus()


def help_text() -> Text:
    """Return the keys, a line for each."""
    text = Text()
    for keys, meaning in HELP:
        text.append(f"{keys:<15}", style="bold")
        text.append(f" {meaning}\n")
    text.right_crop(1)
    return text


def row_text(report: Report, safe: Callable[[str], str]) -> Text:
    """Return the first row of a report as a line for each column that has something to tell; `safe` escapes a text."""
    cells = ((column.name, column.cells()[0]) for column in report.tables[0].columns)
    return Text("\n".join(f"{name:<12} {safe(str(cell))}" for name, cell in cells if cell not in _UNTOLD))
