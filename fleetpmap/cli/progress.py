"""The progress line while hosts are asked.   collector ─► [progress] ─► stderr, if it is a terminal

    asked 37 of 200   35 ok   1 refused   1 timeout   waiting for web-07 12 s, web-09 8 s, db-01 3 s and 4 more

A cluster replies by shards, so its line has no host that is waited for:

    asked 1250 of 10000 hosts, 5 of 40 shards   1249 ok   1 timeout

The line is erased when the run is over; the report has the rest.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from threading import Event, Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fleetpmap.escape import escape

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_PATIENCE_S = 0.5
"""Seconds until the line appears, so that shorter runs show none."""
_SLOWEST = 3
"""Number of hosts that the line names."""


class Progress:
    """Context manager that shows the line; it does nothing where stderr is no terminal."""

    def __init__(self, hosts: int, stop: Event, *, quiet: bool = False) -> None:
        self._hosts = hosts
        self._shown = sys.stderr.isatty() and not quiet
        self._stop = stop
        self._since = time.monotonic()
        self._started: dict[str, float] = {}
        """Hosts being asked, longest first, to their start on the monotonic clock."""
        self._statuses: Counter[str] = Counter()
        self._shards = ""
        self._lock = Lock()
        self._live: Live | None = None

    def started(self, host: str) -> None:
        """Record that a host is being asked from now on; any thread may call this."""
        with self._lock:
            self._started[host] = time.monotonic()

    def done(self, host: str, status: str) -> None:
        """Record the status of a host."""
        with self._lock:
            self._started.pop(host, None)
            self._statuses[status] += 1

    def shard_done(self, done: int, of: int) -> None:
        """Record how many shards are done, where hosts are asked by shards."""
        self._shards = f" hosts, {done} of {of} shards"

    def line(self, now: float) -> str:
        """Return the line at `now` on the monotonic clock; empty in the first half second."""
        if now - self._since < _PATIENCE_S:
            return ""
        with self._lock:
            waiting = [f"{escape(host)} {now - since:.0f} s" for host, since in self._started.items()]
            from fleetpmap.snapshot import HOST_STATUSES  # imports numpy, which is loaded once a host has answered

            counts = [f"{self._statuses[status]} {status}" for status in HOST_STATUSES if self._statuses[status]]
        parts = [f"asked {self._statuses.total()} of {self._hosts}{self._shards}", *counts]
        if waiting:
            more = f" and {len(waiting) - _SLOWEST} more" if len(waiting) > _SLOWEST else ""
            parts.append(f"waiting for {', '.join(waiting[:_SLOWEST])}{more}")
        if self._stop.is_set():
            parts.append("interrupted: asking no more, ^C again aborts")
        return "   ".join(parts)

    def __enter__(self) -> Self:
        if self._shown:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, highlight=False)
            self._live = Live(
                get_renderable=self._text, console=console, transient=True, refresh_per_second=5, redirect_stdout=False
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def _text(self) -> Text:
        from rich.text import Text

        return Text(self.line(time.monotonic()), style="dim", no_wrap=True, overflow="ellipsis")
