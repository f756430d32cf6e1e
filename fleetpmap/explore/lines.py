"""Lines of text of a pane.   [lines] ─► app, time_pane"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import Static


class Lines(Static):
    """Lines that fit into the pane. They are text, without markup."""

    DEFAULT_CSS = "Lines { height: 1; width: 100%; text-wrap: nowrap; text-overflow: clip; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(markup=False, id=id)
        self._lines: list[str] = []

    def write(self, lines: Sequence[str]) -> None:
        """Show these lines, unless they are there: to draw them takes longer than a line of the list."""
        if self._lines != [*lines]:
            self._lines = [*lines]
            self.update(Text("\n".join(lines), no_wrap=True, overflow="ignore"), layout=False)
