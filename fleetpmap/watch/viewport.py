"""The lines of a report that fit on the screen.   lines ─► [viewport] ─► keys, the screen"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Viewport:
    """The lines of a report, of which `height` are seen at once. `top` is the first line seen, counted from 0.

    A table's heading stays above its rows: it takes the place of the first line seen, so a page is a line less.
    """

    lines: Sequence[str] = ()
    height: int = 0
    tables: int = 0
    """Number of tables, which are the first blocks of the report. An empty line ends a block."""

    @property
    def last(self) -> int:
        """The largest top: from there the end is seen."""
        return max(len(self.lines) - self.height, 0)

    @property
    def page(self) -> int:
        """Lines from one page to the next."""
        return max(self.height - 1, 1)

    def seen(self, top: int) -> list[str]:
        """Return the lines seen from `top` on, or from `last` if that is less."""
        top = min(top, self.last)
        heading, rest = self._heading(top), self.lines[top : top + self.height]
        return [*rest] if heading is None else [heading, *rest[1:]]

    def place(self, top: int) -> str:
        """Return the range of the lines seen, for the status line; empty if all lines are seen."""
        if not self.last:
            return ""
        top = min(top, self.last)
        first = top + 1 if self._heading(top) is None else top + 2
        return f"lines {first}-{top + self.height} of {len(self.lines)}"

    def _heading(self, top: int) -> str | None:
        """Return the heading to show in place of the line at `top`.

        None where that line is no row of a table, and where the screen has less than three lines.
        """
        above = self.lines[:top]
        ended = [number for number, line in enumerate(above) if not line]
        begin = ended[-1] + 1 if ended else 0
        return self.lines[begin] if len(ended) < self.tables and begin < top and self.height > 2 else None


class Reserved:
    """The lines above a report: as many as they were at most so far, so that the report below keeps its place."""

    def __init__(self) -> None:
        self._screen: object = None
        self._most = 0

    def filled(self, lines: Sequence[str], screen: object) -> list[str]:
        """Return the lines, filled with empty ones, and one more below them; another `screen` begins anew."""
        self._most = max(len(lines), self._most if screen == self._screen else 0)
        self._screen = screen
        return [*lines, *[""] * (self._most - len(lines) + bool(self._most))]
