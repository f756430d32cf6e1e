"""The part of a report that there is room for.   lines ─► [window] ─► keys, the screen"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """So many of these lines can be seen at once; `top` is the first of them, counted from 0.

    A table's heading stays above its rows: it takes the place of the first line, which is why a page is a line less.
    """

    lines: Sequence[str] = ()
    height: int = 0
    tables: int = 0
    """How many blocks are tables: the first ones. An empty line ends a block."""

    @property
    def last(self) -> int:
        """The top from which the end can be seen."""
        return max(len(self.lines) - self.height, 0)

    @property
    def page(self) -> int:
        """Lines from one page to the next."""
        return max(self.height - 1, 1)

    def seen(self, top: int) -> list[str]:
        """The lines from there on; from `last` if that is less."""
        top = min(top, self.last)
        heading, rest = self._heading(top), self.lines[top : top + self.height]
        return [*rest] if heading is None else [heading, *rest[1:]]

    def place(self, top: int) -> str:
        """Which they are; empty if they are all."""
        if not self.last:
            return ""
        top = min(top, self.last)
        first = top + 1 if self._heading(top) is None else top + 2
        return f"lines {first}-{top + self.height} of {len(self.lines)}"

    def _heading(self, top: int) -> str | None:
        """What stands in place of the line at `top`; None where that is no row of a table, or there is hardly room."""
        above = self.lines[:top]
        ended = [number for number, line in enumerate(above) if not line]
        begin = ended[-1] + 1 if ended else 0
        return self.lines[begin] if len(ended) < self.tables and begin < top and self.height > 2 else None
