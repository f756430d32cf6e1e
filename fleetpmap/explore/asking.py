"""Asks the hosts: when a key is pressed, or every interval.   Source.look ─► [asking] ─► app"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import Thread

from textual.timer import Timer

from fleetpmap.errors import FleetpmapError
from fleetpmap.explore.course import Course
from fleetpmap.explore.shown import Prepared, Shown
from fleetpmap.explore.source import Look, Source
from fleetpmap.explore.threads import Threads
from fleetpmap.explore.trends import Trends
from fleetpmap.explore.vma_trends import VmaTrends
from fleetpmap.snapshot import Snapshot

_OUT_OF_TIME = ("timeout", "not-asked")
"""Statuses of hosts that --timeout or --deadline ended."""


class Asking:
    """The looks at the hosts, one at a time."""

    def __init__(
        self,
        source: Source,
        shown: Shown,
        threads: Threads,
        *,
        prepared: Callable[[Snapshot], Prepared],
        set_timer: Callable[[float, Callable[[], None]], Timer],
        arrived: Callable[[Snapshot, Prepared], None],
        end: Callable[[FleetpmapError | None], None],
    ) -> None:
        """`prepared` makes the list, in a thread, and `arrived` shows it.

        `end` ends the program, for an error or after the last round.
        """
        self.thread: Thread | None = None
        """That of the last look."""
        self.paused = False
        self.stopped = False
        """True if the program was stopped by ^Z while hosts were asked, whose time went on."""
        self.doing = f"asking {source.name}"
        self._source = source
        self._shown = shown
        self._threads = threads
        self._prepared = prepared
        self._set_timer = set_timer
        self._arrived = arrived
        self._end = end
        self._due = 0.0
        """When the next round begins, by the clock of time.monotonic."""
        self._timer: Timer | None = None

    def ask(self) -> None:
        """Ask the hosts, unless they are being asked."""
        look = self._source.look
        if look is None or self.doing in self._threads.doing:
            return
        if self._timer is not None:
            self._timer.stop()
        self._due = time.monotonic() + (self._source.interval_s or 0.0)
        self.stopped = False
        self.thread = self._threads.start(self.doing, partial(self._look, look, self._shown.course))

    def _look(self, look: Look, course: Course | None) -> Callable[[], None]:
        snapshot = look()
        if self.stopped and any(host.status in _OUT_OF_TIME for host in snapshot.hosts):
            snapshot = look()
        if self._source.save is not None:
            try:
                self._source.save(snapshot)
            except FleetpmapError as error:
                return partial(self._end, error)
        prepared = self._prepared(snapshot)
        if self._source.interval_s is None:
            return partial(self._arrived, snapshot, prepared)
        trends = (course.trends if course else Trends()).after(snapshot)
        vmas = course.vmas.after(snapshot, prepared[0], course.last) if course else VmaTrends()
        return partial(self._round_arrived, snapshot, trends, vmas, prepared)

    def _round_arrived(self, snapshot: Snapshot, trends: Trends, vmas: VmaTrends, prepared: Prepared) -> None:
        self._shown.add_round(snapshot, trends, vmas)
        try:
            self._arrived(snapshot, prepared)
        except FleetpmapError as error:  # --sort or --columns has no such column, which the first round tells
            self._end(error)

    def plan_round(self) -> None:
        """End after the last round; else begin the next one when it is due: a round that took longer delays it."""
        if self._source.interval_s is None:
            return
        if self._source.count is not None and self._shown.rounds >= self._source.count:
            self._end(None)
            return
        self._timer = self._set_timer(max(self._due - time.monotonic(), 0.001), self._next_round)

    def _next_round(self) -> None:
        if not self.paused:
            self.ask()

    def pause(self) -> None:
        """Begin no further round, or go on with them."""
        self.paused = not self.paused
        if time.monotonic() >= self._due:
            self._next_round()
