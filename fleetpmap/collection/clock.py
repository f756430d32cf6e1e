"""The time that each reply may take to be unpacked and parsed.   conversation ─► [clock] ─► digest

A host decides how long its reply takes here, so each has a bound: its own deadline or, if that is nearer, some seconds
from its turn on, as it may have waited behind others. The run's deadline and ^C bound all of them together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event

from fleetpmap.collection.conversation import Answered
from fleetpmap.errors import DeadlineError
from fleetpmap.transport import Deadline

_TURN_S = 2.0
_BYTES_PER_S = 1 << 20
"""What a reply gets in any case: so long, and longer for so many bytes (packed: some 30 MB of smaps)."""
_AFTER_DEADLINE_S = 3.0
_AFTER_STOP_S = 0.5
"""What all replies together get once the run's deadline is over, or ^C was pressed."""
_LEAST_S = 0.1
"""What a reply gets even then: a usual host takes a tenth of it."""


@dataclass(slots=True)
class Clock:
    """The bounds of one run."""

    run_deadline: Deadline | None = None
    stop: Event | None = None
    """Set when the run is interrupted."""
    _stopped_at: float | None = field(default=None, init=False)

    def turn(self, replies: Sequence[Answered]) -> Callable[[], None]:
        """Begin with these: a function that raises DeadlineError, in the name of the first, once their time is over."""
        began = time.monotonic()
        first = replies[0]
        size = sum(one.answer.packed.size for one in replies if one.answer.packed)
        own = max([began + _TURN_S + size / _BYTES_PER_S, *(one.deadline.at for one in replies if one.deadline)])
        if self.run_deadline is not None:
            own = min(own, self.run_deadline.at + _AFTER_DEADLINE_S)

        def check() -> None:
            now = time.monotonic()
            if now > began + _LEAST_S and now > min(own, self._stop_at(now)):
                raise _too_late(first, now - began)

        return check

    def _stop_at(self, now: float) -> float:
        if self._stopped_at is None and self.stop is not None and self.stop.is_set():
            self._stopped_at = now
        return float("inf") if self._stopped_at is None else self._stopped_at + _AFTER_STOP_S


def _too_late(one: Answered, seconds: float) -> DeadlineError:
    size = f"{one.answer.packed.size:,} bytes, packed" if one.answer.packed else f"{len(one.text):,} bytes"
    return DeadlineError(
        f"no time left, while its reply was read here ({size}; {seconds:.1f} s so far)",
        host=one.host.name,
        stage="read",
        hint="select fewer processes, or give it more time with --timeout; if it has no such large processes, "
        "see what answers there",
    )
