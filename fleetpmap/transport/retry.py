"""Once more, before anybody logged in.   session ─► [retry] ─► session

Only what may pass is tried again: a host that hung up or reset the connection before the login (MaxStartups, a
restart), a resolver that is busy. Not a refusal, nor an address without an answer: the kernel has asked those several
times by then. Never a login: servers count the failed ones.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from fleetpmap.errors import HostError
from fleetpmap.transport.base import Deadline

T = TypeVar("T")


def jittered(number: int) -> float:
    """Seconds to wait after the failure `number`, from 1: about half a second, and twice as long each time.

    The half of it is left to chance: hosts that fail together must not come back together.
    """
    return random.uniform(0.25, 0.75) * float(1 << (number - 1))  # noqa: S311 - no secret hangs on it


def retried(
    attempt: Callable[[], T], retries: int, deadline: Deadline, *, pause: Callable[[int], float] = jittered
) -> T:
    """What `attempt` gives, tried at most `retries` times again while the pause and more fit into the deadline.

    Raises:
        HostError: the last one's.
    """
    for number in range(1, retries + 1):
        try:
            return attempt()
        except HostError as error:
            seconds = pause(number)
            if not error.may_pass or seconds >= deadline.remaining():
                raise
        time.sleep(seconds)
    return attempt()
