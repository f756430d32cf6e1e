"""Apply pressed keys to the state of the screen.   terminal input ─► [keys] ─► Showing

A terminal sends a key that is no character as an escape sequence (ECMA-48; SS3 in application mode). The keys that
scroll are replaced by the letters that do the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from fleetpmap.catalogue import BY_RANK, WATCHED_VIEWS
from fleetpmap.watch.viewport import Viewport

SORTS = (None, *(size.name for size in BY_RANK if size.is_watch_sort))
"""The sizes in the order in which `s` sorts by them; None: the view's own order."""
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
"""The letters for arrows, PageUp and PageDown, Home and End, by the sequences that terminals send."""
_KEY = re.compile(r"\x1b+(?:[\[O][0-?]*[ -/]*[@-~]?|.)?|.", re.DOTALL)
_BEGUN = re.compile(r"\x1b+(?:[\[O][0-?]*[ -/]*)?\Z")
_VIEW_OF = {str(number): view for number, view in enumerate(WATCHED_VIEWS, 1)}
"""Number keys to views."""
_NO_ROOM = Viewport()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Showing:
    """The state of the screen."""

    view: str
    sort: str | None = None
    host: str | None = None
    """The only host shown; None: all."""
    top: int = 0
    """The first line of the report that is shown, from 0; anything above Viewport.last means the end."""
    paused: bool = False
    helping: Showing | None = None
    """The state to return to after the help; None: no help is shown."""
    quit: bool = False


def keys_in(typed: str) -> list[str]:
    """Split typed text into keys: characters, and unknown escape sequences as they are."""
    return [_SAME_AS.get(key.replace("\x1bO", "\x1b["), key) for key in _KEY.findall(typed)]


def is_begun(typed: str) -> bool:
    """Return whether the text ends within a key, or with Escape. Only a pause after it shows that it was Escape."""
    return _BEGUN.search(typed) is not None


def pressed(
    showing: Showing,
    key: str,
    hosts: Sequence[str],
    views: Sequence[str] = WATCHED_VIEWS,
    viewport: Viewport = _NO_ROOM,
) -> Showing:
    """Return the state after a key. A key without a meaning ends the help, and else changes nothing.

    `views`: those of WATCHED_VIEWS that have something to show. `viewport`: the lines shown now. Where other rows are
    shown, or another order, the screen begins at the first line.
    """
    match key:
        case "j" | "k" | " " | "b" | "g" | "G" if viewport.last or not showing.helping:
            return replace(showing, top=_scrolled(showing.top, key, viewport))
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


def _scrolled(top: int, key: str, viewport: Viewport) -> int:
    top = min(top, viewport.last)
    to = {"j": top + 1, "k": top - 1, " ": top + viewport.page, "b": top - viewport.page, "g": 0, "G": viewport.last}[
        key
    ]
    return min(max(to, 0), viewport.last)


def _next(choices: Sequence[T], now: T, step: int) -> T:
    return choices[(choices.index(now) + step) % len(choices)] if now in choices else choices[0]
