"""The time of a run: until when hosts are asked, and for how long a reply is unpacked and parsed.   ─► collector

A host decides by its reply how long interpreting takes here, so each reply has a bound: its host's deadline or, if that
is nearer, some seconds from its turn on, as it may have waited behind others. The run's deadline and ^C bound all of
them together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import TYPE_CHECKING

from fleetpmap.collection.reply import HostReply
from fleetpmap.errors import DeadlineError, NotAskedError
from fleetpmap.inventory import Host
from fleetpmap.transport import Deadline

if TYPE_CHECKING:
    from fleetpmap.snapshot import Run

_TURN_S = 2.0
_BYTES_PER_S = 1 << 20
"""A reply gets so many seconds in any case, and a second more for so many bytes (packed: some 30 MB of smaps)."""
_AFTER_DEADLINE_S = 3.0
_AFTER_STOP_S = 0.5
"""Seconds for all replies together once the run's deadline is over, or ^C was pressed. Hosts that have not replied so
long after ^C are given up: one that hangs must not hold the report of the others."""
_LEAST_S = 0.1
"""Seconds for each reply even then: a usual host takes a tenth of it."""
_OUT_OF_TIME = frozenset({"timeout", "not-asked"})


@dataclass(slots=True)
class RunClock:
    """The begin and the bounds of one run."""

    deadline: Deadline | None = None
    """The whole run's."""
    stop: Event | None = None
    """Set when the run is interrupted."""
    started: datetime = field(default_factory=lambda: datetime.now().astimezone(), init=False)
    _began: float = field(default_factory=time.monotonic, init=False)
    _stopped_at: float | None = field(default=None, init=False)

    @property
    def is_stopped(self) -> bool:
        """True once the run is interrupted."""
        return self.stop is not None and self.stop.is_set()

    def is_over(self) -> bool:
        """Return True once the hosts that have not replied are given up: half a second after ^C."""
        now = time.monotonic()
        return now > self._end_after_stop(now)

    def deadline_for(self, host: Host) -> Deadline:
        """Return the deadline of a host that is asked from now on."""
        return self.deadline.sooner(host.timeout_s) if self.deadline else Deadline.after(host.timeout_s)

    def refusal(self, host: Host) -> NotAskedError | None:
        """Return the error of a host whose turn comes too late; None if it can be asked."""
        if self.is_stopped:
            why, hint = "the run was interrupted before its turn", "run it again"
        elif self.deadline is not None and self.deadline.remaining() == 0:
            why = f"the run's {self.deadline.seconds:g} s were over before its turn"
            hint = "give the run more time with --deadline, or ask more hosts at once with --jobs"
        else:
            return None
        return NotAskedError(why, host=host.name, stage="queue", hint=hint)

    def turn(self, replies: Sequence[HostReply]) -> Callable[[], None]:
        """Start the time of these replies.

        Return a function that raises DeadlineError, in the name of the first host, once their time is over.
        """
        began = time.monotonic()
        packed = sum(reply.packed.size for reply in replies if reply.packed)
        deadlines = [reply.deadline.at for reply in replies if reply.deadline]
        end = max([began + _TURN_S + packed / _BYTES_PER_S, *deadlines])
        if self.deadline is not None:
            end = min(end, self.deadline.at + _AFTER_DEADLINE_S)

        def check() -> None:
            now = time.monotonic()
            if now > began + _LEAST_S and now > min(end, self._end_after_stop(now)):
                raise _too_late(replies[0], now - began)

        return check

    def _end_after_stop(self, now: float) -> float:
        if self._stopped_at is None and self.is_stopped:
            self._stopped_at = now
        return float("inf") if self._stopped_at is None else self._stopped_at + _AFTER_STOP_S

    def finished(self, command: str, statuses: Iterable[str]) -> Run:
        """Return what a snapshot records about the run, which ends now with these statuses of hosts."""
        from fleetpmap.snapshot import Run  # takes numpy with it

        elapsed_s = time.monotonic() - self._began
        if self.is_stopped:
            return Run(self.started, elapsed_s, command, "interrupted")
        if self.deadline and self.deadline.remaining() == 0 and not _OUT_OF_TIME.isdisjoint(statuses):
            return Run(self.started, elapsed_s, command, "deadline")
        return Run(self.started, elapsed_s, command)


def _too_late(reply: HostReply, seconds: float) -> DeadlineError:
    size = f"{reply.size:,} bytes{', packed' if reply.packed else ''}"
    return DeadlineError(
        f"no time left, while its reply was read here ({size}; {seconds:.1f} s so far)",
        host=reply.host.name,
        stage="read",
        hint="select fewer processes, or give it more time with --timeout; if it has no such large processes, "
        "see what answers there",
    )
