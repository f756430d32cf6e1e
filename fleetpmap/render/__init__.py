"""Reports as text, for reading and for awk.   report ─► [render] ─► terminal, pipe

plain_text      aligned text, nothing cut, one awk field per cell
terminal        the same tables as wide as the terminal, with colour
cells           the cells of a column as texts, null, yes and no included
column_layout   columns to lines of a given width      shares    each row's share of the total
sentences       findings and notes as lines            zeros     columns and rows that step back

Only `table` and `console` import rich, when they are called.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Literal

from fleetpmap.render.plain_text import plain
from fleetpmap.report.model import Report

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["console", "plain", "table"]


def table(report: Report, *, human: bool = True, ascii_only: bool = False) -> RenderableType:
    """Return the report as a rich renderable: its tables, the coverage, and the notes on the totals.

    Print it on `console`, or any rich console with `soft_wrap`: the lines already have the right width. `human`: sizes
    as 1.2G; False: in KiB. `ascii_only`: no character outside ASCII is printed.
    """
    from fleetpmap.render.terminal import Screen  # rich takes 40 ms to import, and only a terminal needs it

    return Screen(report, human=human, ascii_only=ascii_only)


def console(color: Literal["auto", "always", "never"] = "auto") -> Console:
    """Return stdout as a console, as wide as the terminal or $COLUMNS; in a pipe without $COLUMNS nothing is folded."""
    from rich.console import Console

    from fleetpmap.render.column_layout import UNLIMITED

    piped = not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdigit()
    return Console(
        color_system=None if color == "never" else "auto",
        force_terminal=True if color == "always" else None,
        width=UNLIMITED if piped else None,
        soft_wrap=True,
    )
