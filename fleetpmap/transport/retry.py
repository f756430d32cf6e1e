"""Further attempts before the login.   ssh.connection, openssh ─► [retry] ─► ssh.connection, openssh

Only transient failures are repeated: a host that hung up or reset the connection before the login (MaxStartups, a
restart), or a busy resolver. A refused connection and an address without reply are final, since the kernel has tried
those several times. A login is never repeated, because servers count failed ones.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from fleetpmap.errors import DeadlineError, HostError
from fleetpmap.transport.base import Deadline

T = TypeVar("T")
FEWER_AT_ONCE = (
    "a bastion with too many new connections (MaxStartups) hangs up like this: ask fewer hosts at once with --jobs, "
    "or reach it by ProxyJump, which is one connection for all hosts behind it"
)
"""Hint for a host behind a bastion to which it opens a connection of its own."""
_HUNG_UP = re.compile(
    r"^(kex|ssh)_exchange_identification: |[Cc]onnection (closed|reset) by|Connection closed$|Connection reset$"
)
_OTHERWISE = re.compile(
    r"Permission denied|authentication failures|[Hh]ost key|HOST KEY|HOST IDENTIFICATION|Could not resolve|refused"
    r"|timed out|open failed|forwarding failed|no matching|No route|unreachable"
)
"""Lasting reasons, and reasons from the login or later; the end of the connection is only their consequence."""


def jittered(number: int) -> float:
    """Return the seconds to wait after failure `number`, counted from 1: about half a second, doubled each time.

    Half of it is random, so hosts that failed together do not return together.
    """
    return random.uniform(0.25, 0.75) * float(1 << (number - 1))  # noqa: S311 - not for secrets


def hung_up_early(complaints: str) -> bool:
    """True if ssh reports a connection that ended before the login, and no other reason."""
    lines = complaints.splitlines()
    return any(map(_HUNG_UP.search, lines)) and not any(map(_OTHERWISE.search, lines))


def retried(
    attempt: Callable[[], T], retries: int, deadline: Deadline, *, pause: Callable[[int], float] = jittered
) -> T:
    """Return the result of `attempt`, repeated at most `retries` times as long as the pause fits into the deadline.

    Raises:
        HostError: the error of the last attempt; of the one before it if the time ran out in the last, since a host
            that hangs up says more than our clock.
    """
    earlier: HostError | None = None
    number = 0
    while True:
        number += 1
        try:
            return attempt()
        except DeadlineError as error:
            if earlier:
                raise earlier from error
            raise
        except HostError as error:
            if number > retries or not error.may_pass or (seconds := pause(number)) >= deadline.remaining():
                raise
            earlier = error
        time.sleep(seconds)
