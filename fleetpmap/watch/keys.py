"""What a key does.   key ─► [keys] ─► Showing"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

VIEWS = ("summary", "hosts", "merged", "processes", "compare")
"""The views that can be watched, in the order of the keys 1 to 5."""
SORTS = (None, "pss", "rss", "uss", "dirty", "swap", "size")
"""What `s` goes through; None: the view's own order."""
HELP = (
    ("1 … 5, v", f"view: {', '.join(VIEWS)}; v the next"),
    ("s", "sort by the next size"),
    ("h, H", "only the next host, the one before; after the last, all of them"),
    ("p", "pause, and go on"),
    ("?", "this help"),
    ("q", "quit"),
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Showing:
    """What is on the screen."""

    view: str
    sort: str | None = None
    host: str | None = None
    """The only host shown; None: all."""
    paused: bool = False
    helping: bool = False
    quit: bool = False


def pressed(showing: Showing, key: str, hosts: Sequence[str], views: Sequence[str] = VIEWS) -> Showing:
    """What is shown after a key; one that means nothing changes nothing, but for the help, which any key ends.

    `views`: those of VIEWS that there is something to show in.
    """
    if showing.helping and key != "q":
        return replace(showing, helping=False)
    if key.isdigit() and 1 <= int(key) <= len(VIEWS):
        view = VIEWS[int(key) - 1]
        return replace(showing, view=view if view in views else showing.view)
    match key:
        case "v":
            return replace(showing, view=_next(views, showing.view, 1))
        case "s":
            return replace(showing, sort=_next(SORTS, showing.sort, 1))
        case "h" | "H":
            return replace(showing, host=_next((None, *hosts), showing.host, 1 if key == "h" else -1))
        case "p":
            return replace(showing, paused=not showing.paused)
        case "?":
            return replace(showing, helping=True)
        case "q":
            return replace(showing, quit=True)
    return showing


def _next(choices: Sequence[T], now: T, step: int) -> T:
    return choices[(choices.index(now) + step) % len(choices)] if now in choices else choices[0]
