"""The filter of a list, as it is typed.   Prompt, Shown, Panes ─► [filtering] ─► app"""

from __future__ import annotations

from fleetpmap.explore.panes import Panes
from fleetpmap.explore.shown import Shown


class Filtering:
    """Asks for a text, and shows the rows that have it."""

    def __init__(self, shown: Shown, panes: Panes) -> None:
        self._shown = shown
        self._panes = panes

    def ask(self) -> None:
        """Ask for the text, beginning with the one that is the filter now."""
        self._panes.prompt.ask(
            "/",
            "a text of the rows to be shown",
            self._shown.filter,
            ends=" Enter Keep  Esc End ",
            typed=self._show,
            entered=self._show,
            left=self.end,
        )

    def _show(self, text: str) -> None:
        if self._shown.filter == text:
            return
        self._shown.filter = text  # also of rows that are still to come
        if self._panes.grid.sheet is not None:
            self._panes.grid.sheet.filtered(text)
            self._panes.grid.rows_changed()

    def end(self) -> None:
        """Show all rows."""
        self._shown.filter = ""
        self._panes.show()
