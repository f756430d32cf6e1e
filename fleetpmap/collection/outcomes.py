"""Every process that matched, with what became of it.   batch ─► [processes]"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from fleetpmap.check import Checks, not_passed
from fleetpmap.collection.conversation import Conversation
from fleetpmap.errors import SmapsError
from fleetpmap.inventory import Host
from fleetpmap.processes import full_name
from fleetpmap.snapshot import Process
from fleetpmap.wire import PROCESS_LIMIT, ListedProcess, ProcessReading

_SHARED_LENGTH = 4096
_REASONS = {
    "gone": "ended before it was read",
    "reused": "ended, and its pid went to another process",
    "kernel": "a kernel thread has no mappings",
    "zombie": "ended, and not yet waited for by its parent",
    "empty": "the kernel gave an empty smaps",
    "unsupported": "the kernel there has no smaps",
    "cut": f"its smaps is longer than {PROCESS_LIMIT >> 20} MiB; --rollup reads its sums alone",
}


def processes_of(
    host: Host,
    answer: Conversation,
    read: Sequence[ProcessReading],
    torn: Mapping[int, SmapsError],
    checks: Mapping[int, Checks],
) -> list[Process]:
    """The processes of one host, by pid.

    `read`: one for each of `answer.choice.read`, or nothing where nobody's smaps was wanted. `torn` and `checks` go by
    the places in it: whose text is not whole, and what the self-check found.
    """
    users = answer.users
    processes = [_process(host, left.process, users, left.status, left.reason) for left in answer.choice.left_out]
    if read:
        for place, one in enumerate(read):
            listed = answer.choice.read[place]
            processes.append(_read(host, listed, one, answer, torn.get(place), checks.get(place)))
    else:
        # Only listed: what is not refused would be read.
        statuses = [answer.listing.access.get(listed.pid, "read") for listed in answer.choice.read]
        processes += [
            _process(host, listed, users, status, _reason(status, host, answer))
            for listed, status in zip(answer.choice.read, statuses, strict=True)
        ]
    processes.sort(key=lambda process: process.pid)
    return processes


def _read(
    host: Host,
    listed: ListedProcess,
    read: ProcessReading,
    answer: Conversation,
    torn: SmapsError | None,
    checks: Checks | None,
) -> Process:
    """A process that was to be read."""
    if read.uid is not None:
        listed = listed._replace(uid=read.uid)
    status, reason = read.status, _reason(read.status, host, answer)
    if torn is not None:
        status, reason = "cut", f"{torn.message} (byte {torn.offset} of its smaps)"
        checks = not_passed("last_block_whole", reason)
    elif read.status == "unread":
        status, reason = "cut", f"{answer.listing.capabilities.reader}'s tail stopped before it came to its smaps"
    elif read.status == "reused":
        if read.name not in (None, listed.name):
            reason = f"was another program by the time it was read: {read.name}"
        checks = not_passed("start_time_unchanged", reason)
    start_stack = None if torn else read.start_stack
    return _process(host, listed, answer.users, status, reason, checks, start_stack, read.seconds)


def _process(
    host: Host,
    listed: ListedProcess,
    users: Mapping[int, str],
    status: str,
    reason: str = "",
    checks: Checks | None = None,
    start_stack: int | None = None,
    read_s: float | None = None,
) -> Process:
    return Process(
        host=host.name,
        pid=listed.pid,
        name=full_name(listed),
        arguments=_shared(listed.arguments),
        uid=listed.uid,
        user=None if listed.uid is None else users.get(listed.uid),
        start_ticks=listed.start_ticks,
        rss_kib=listed.rss_kib,
        status=status,
        reason=reason,
        checks=checks,
        start_stack=start_stack,
        read_s=read_s,
    )


def _shared(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The same command line, once for all the hosts that have it; a very long one is nobody else's."""
    return _of_a_fleet(arguments) if sum(map(len, arguments)) <= _SHARED_LENGTH else arguments


@lru_cache(4096)
def _of_a_fleet(arguments: tuple[str, ...]) -> tuple[str, ...]:
    return arguments


def _reason(status: str, host: Host, answer: Conversation) -> str:
    if status != "denied":
        return _REASONS.get(status, "")
    if answer.listing.capabilities.uid == 0:
        return "even root may not"
    return "nor may the user that sudo leads to" if host.sudo else "run with --sudo to read it"
