"""The commands by name, and the themes.   [palette] ─► app"""

from __future__ import annotations

from textual.command import CommandPalette
from textual.events import Key
from textual.widgets import Input


class Palette(CommandPalette):
    """Textual's palette, which also takes what is typed before its line is there: on a slow line keys come together."""

    _early = ""

    def take(self, event: Key) -> None:
        """Take a character of a key that the line does not get itself."""
        if event.is_printable and event.character:
            self._early += event.character
            self._hand_over()
            event.stop()

    def on_mount(self) -> None:
        """Hand over what came before there was a line."""
        self._hand_over()

    def _hand_over(self) -> None:
        for line in self.query(Input):
            line.insert_text_at_cursor(self._early)
            self._early = ""
