"""What a key does.   typed ─► [keys] ─► Showing

A key that is no character comes as an escape sequence (ECMA-48; SS3 where the terminal is in application mode). Those
that scroll are read as the letters that do the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from fleetpmap.catalogue import BY_RANK, WATCHED_VIEWS
from fleetpmap.watch.viewport import Window

SORTS = (None, *(size.name for size in BY_RANK if size.is_watch_sort))
"""The columns that `s` goes through; None: the view's own order."""
HELP = (
    (f"1 … {len(WATCHED_VIEWS)}, v", f"view: {', '.join(WATCHED_VIEWS)}; v the next"),
    ("s", "sort by the next size"),
    ("h, H", "only the next host, the one before; after the last, all of them"),
    ("j, k", "a line down, up; so do the arrows"),
    ("space, b", "a page down, up; so do PageDown and PageUp"),
    ("g, G", "to the beginning, to the end; so do Home and End"),
    ("p", "pause, and go on"),
    ("?", "this help"),
    ("q", "quit"),
)

_SAME_AS = {
    **{"\x1b[A": "k", "\x1b[B": "j", "\x1b[5~": "b", "\x1b[6~": " "},
    **dict.fromkeys(("\x1b[H", "\x1b[1~", "\x1b[7~"), "g"),
    **dict.fromkeys(("\x1b[F", "\x1b[4~", "\x1b[8~"), "G"),
}
"""Arrows, PageUp and PageDown, Home and End, as terminals send them."""
_KEY = re.compile(r"\x1b+(?:[\[O][0-?]*[ -/]*[@-~]?|.)?|.", re.DOTALL)
_BEGUN = re.compile(r"\x1b+(?:[\[O][0-?]*[ -/]*)?\Z")
_VIEW_OF = {str(number): view for number, view in enumerate(WATCHED_VIEWS, 1)}
"""Number keys to views."""
_NO_ROOM = Window()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Showing:
    """What is on the screen."""

    view: str
    sort: str | None = None
    host: str | None = None
    """The only host shown; None: all."""
    top: int = 0
    """The line of the report that comes first; from Window.last on it is the end."""
    paused: bool = False
    helping: Showing | None = None
    """What the help hides; None: there is no help."""
    quit: bool = False


def keys_in(typed: str) -> list[str]:
    """The keys in what was typed: characters, and what nobody knows as it came."""
    return [_SAME_AS.get(key.replace("\x1bO", "\x1b["), key) for key in _KEY.findall(typed)]


def is_begun(typed: str) -> bool:
    """Whether it ends within a key, or with Escape, which nothing tells from that but a silence after it."""
    return _BEGUN.search(typed) is not None


def pressed(
    showing: Showing, key: str, hosts: Sequence[str], views: Sequence[str] = WATCHED_VIEWS, window: Window = _NO_ROOM
) -> Showing:
    """What is shown after a key; one that means nothing changes nothing, but for the help, which it ends.

    `views`: those of WATCHED_VIEWS that there is something to show in. `window`: what is seen now. Where other rows are
    shown, or in another order, one is at their beginning.
    """
    match key:
        case "j" | "k" | " " | "b" | "g" | "G" if window.last or not showing.helping:
            return replace(showing, top=_scrolled(showing.top, key, window))
        case "q":
            return replace(showing, quit=True)
        case _ if showing.helping:
            return showing.helping
        case _ if (view := _VIEW_OF.get(key)) is not None and view in views:
            return replace(showing, view=view, top=0)
        case "v":
            return replace(showing, view=_next(views, showing.view, 1), top=0)
        case "s":
            return replace(showing, sort=_next(SORTS, showing.sort, 1), top=0)
        case "h" | "H":
            return replace(showing, host=_next((None, *hosts), showing.host, 1 if key == "h" else -1), top=0)
        case "p":
            return replace(showing, paused=not showing.paused)
        case "?":
            return replace(showing, helping=showing, top=0)
    return showing


def _scrolled(top: int, key: str, window: Window) -> int:
    top = min(top, window.last)
    to = {"j": top + 1, "k": top - 1, " ": top + window.page, "b": top - window.page, "g": 0, "G": window.last}[key]
    return min(max(to, 0), window.last)


def _next(choices: Sequence[T], now: T, step: int) -> T:
    return choices[(choices.index(now) + step) % len(choices)] if now in choices else choices[0]
