"""Once more, before anybody logged in.   session, openssh ─► [retry] ─► session, openssh

Only what may pass is tried again: a host that hung up or reset the connection before the login (MaxStartups, a
restart), a resolver that is busy. Not a refusal, nor an address without an answer: the kernel has asked those several
times by then. Never a login: servers count the failed ones.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from fleetpmap.errors import HostError
from fleetpmap.transport.base import Deadline

T = TypeVar("T")
FEWER_AT_ONCE = (
    "a bastion with too many new connections (MaxStartups) hangs up like this: ask fewer hosts at once with --jobs, "
    "or reach it by ProxyJump, which is one connection for all hosts behind it"
)
"""The hint where a host goes through a bastion by a connection of its own."""
_HUNG_UP = re.compile(
    r"^(kex|ssh)_exchange_identification: |[Cc]onnection (closed|reset) by|Connection closed$|Connection reset$"
)
_OTHERWISE = re.compile(
    r"Permission denied|authentication failures|[Hh]ost key|HOST KEY|HOST IDENTIFICATION|Could not resolve|refused"
    r"|timed out|open failed|forwarding failed|no matching|No route|unreachable"
)
"""Reasons that do not pass, or that came from the login on: the end of the connection follows from them."""


def jittered(number: int) -> float:
    """Seconds to wait after the failure `number`, from 1: about half a second, and twice as long each time.

    The half of it is left to chance: hosts that fail together must not come back together.
    """
    return random.uniform(0.25, 0.75) * float(1 << (number - 1))  # noqa: S311 - no secret hangs on it


def hung_up_early(complaints: str) -> bool:
    """Whether an `ssh` complains of a connection that ended before the login, and of nothing else."""
    lines = complaints.splitlines()
    return any(map(_HUNG_UP.search, lines)) and not any(map(_OTHERWISE.search, lines))


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
