"""The last line: the keys that do something now, as many as have room.   [keyline] ─► app

Textual's own Footer cuts the last one in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.events import Click, Resize
from textual.message import Message
from textual.widgets import Static

Key = tuple[str, str, str]
"""A key as it is shown, its meaning, and the action that it runs."""
_GAP = 2


class KeyLine(Static):
    """Keys with their meanings. A click on one runs its action."""

    DEFAULT_CSS = "KeyLine { height: 1; width: 100%; text-wrap: nowrap; }"

    class Clicked(Message):
        """A key of the line was clicked on."""

        def __init__(self, action: str) -> None:
            self.action = action
            super().__init__()

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._keys: Sequence[Key] = ()
        self._spans: list[tuple[int, int, str]] = []

    def show(self, keys: Sequence[Key]) -> None:
        """Show these keys, the first ones where not all have room."""
        if [*keys] != [*self._keys]:
            self._keys = keys
            self._draw()

    def on_resize(self, event: Resize) -> None:
        """Show as many as have room now."""
        self._draw()

    def _draw(self) -> None:
        line, self._spans = Text(no_wrap=True), []
        for key, meaning, action in self._keys:
            start = line.cell_len + (_GAP if self._spans else 1)
            width = len(key) + 1 + len(meaning)
            if start + width > self.size.width:
                break
            line.append(" " * (start - line.cell_len))
            line.append(key, style="bold")
            line.append(f" {meaning}")
            self._spans.append((start, start + width, action))
        self.update(line, layout=False)

    def on_click(self, event: Click) -> None:
        """Tell which key was clicked on."""
        for start, end, action in self._spans:
            if start <= event.x < end:
                self.post_message(self.Clicked(action))
