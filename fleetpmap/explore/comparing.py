"""Rows that are chosen, and what they have side by side.   Shown, Walk, Panes ─► [comparing] ─► app"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fleetpmap.explore.panes import Panes
from fleetpmap.explore.places import CHOOSABLE, Place
from fleetpmap.explore.shown import Prepared, Shown, Walk
from fleetpmap.explore.threads import Threads
from fleetpmap.snapshot import Snapshot

_LARGE = 10_000
"""Rows of a snapshot from which hosts are compared in a thread."""


class Comparing:
    """Chooses rows of the list that is shown, and compares them."""

    def __init__(
        self,
        shown: Shown,
        walk: Walk,
        threads: Threads,
        panes: Panes,
        *,
        go: Callable[[Place], None],
        is_read: Callable[[Place], bool],
    ) -> None:
        """`go` shows a place; `is_read` returns False, and says why, if there is no list of it."""
        self._shown = shown
        self._walk = walk
        self._threads = threads
        self._panes = panes
        self._go = go
        self._is_read = is_read

    def choose(self) -> None:
        """Choose the row under the cursor, or no longer."""
        level, key = self._walk.place.level, (*self._panes.key().values(),)
        if level not in CHOOSABLE:
            self._panes.tell("choose services, hosts or processes: v shows these lists")
        elif key and None not in key:
            chosen = self._shown.chosen.get(level, frozenset()) ^ {key}
            self._shown.chosen[level] = chosen
            self._panes.draw_chosen()
            self._panes.grid.action_move(1)
            self._panes.tell(f"{len(chosen)} of the {level} chosen; c compares them, U chooses none")

    def choose_none(self) -> None:
        """Choose no row of this list any more."""
        self._shown.chosen.pop(self._walk.place.level, None)
        self._panes.draw_chosen()
        self._panes.tell("no row of this list is chosen")

    def compare(self) -> None:
        """Show the chosen rows side by side, by default the hosts of this place; of one host, it and all others."""
        origin, snapshot = self._walk.place, self._shown.snapshot
        chosen = self._shown.chosen.get(origin.level, frozenset())
        if len(chosen) == 1:
            self._panes.tell(f"choose one more of the {origin.level}, with Space")
        elif origin.level == "compare":
            self._panes.tell("these rows are side by side already: Backspace goes back")
        elif snapshot is not None and len(snapshot.hosts) == 1 and not chosen:
            self._panes.tell("there is one host: choose services or processes with Space, and compare these")
        elif snapshot is not None:
            place = origin.comparing(chosen)
            if len(snapshot.table) < _LARGE or not self._is_read(place):
                self._go(place)
            elif "comparing" not in self._threads.doing:
                prepare = partial(self._shown.prepared, place, snapshot)
                self._threads.start("comparing", lambda: partial(self._compared, snapshot, origin, prepare()))
                self._panes.say()

    def _compared(self, snapshot: Snapshot, origin: Place, prepared: Prepared) -> None:
        if origin != self._walk.place:  # the user has gone somewhere else meanwhile
            return
        if snapshot is self._shown.snapshot:  # no round has come meanwhile
            self._shown.take_prepared(prepared)
        self._go(prepared[0])
