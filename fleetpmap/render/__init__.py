"""Reports for eyes and for awk.   report ─► [render] ─► terminal, pipe

plain      aligned text, nothing cut, one awk field per cell
terminal   the same tables as wide as the terminal, with colour: the only place that knows rich
cells      a column's cells as texts: what both show for null, yes and no
layout     columns to lines of a given width      shares    each row's share of the total
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


def table(report: Report, *, human: bool = False, ascii_only: bool = False) -> RenderableType:
    """The report for a terminal: its tables, who answered, and what the totals leave out.

    For `console`, or any rich console with `soft_wrap`: the lines fit as they are. `human`: sizes as 1.2G.
    `ascii_only`: no other character is shown, as on a console whose encoding has no others.
    """
    from fleetpmap.render.terminal import Screen  # rich takes 40 ms to import, and only a terminal needs it

    return Screen(report, human=human, ascii_only=ascii_only)


def console(color: Literal["auto", "always", "never"] = "auto") -> Console:
    """stdout for `table`: as wide as the terminal, or as $COLUMNS says; in a pipe without it nothing is folded."""
    from rich.console import Console

    from fleetpmap.render.column_layout import UNLIMITED

    piped = not sys.stdout.isatty() and not os.environ.get("COLUMNS", "").isdigit()
    return Console(
        color_system=None if color == "never" else "auto",
        force_terminal=True if color == "always" else None,
        width=UNLIMITED if piped else None,
        soft_wrap=True,
    )
