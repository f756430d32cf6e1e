"""The processes of one host, each with its status and the reason for it.   batch ─► [outcomes] ─► HostSnapshot"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from sys import intern

from fleetpmap.check import Checks, not_passed
from fleetpmap.collection.reply import HostReply
from fleetpmap.errors import SmapsError
from fleetpmap.membership import labels, membership
from fleetpmap.probe.sudo import sudoers_line
from fleetpmap.processes import full_name
from fleetpmap.snapshot import Process
from fleetpmap.wire import PROCESS_LIMIT, ListedProcess, ProcessReading

_SHARED_LENGTH = 4096
_TICKS_PER_S = 100
"""Clock ticks per second in /proc: USER_HZ of every architecture but two that are no more (alpha, ia64)."""
_REASONS = {
    "gone": "ended before it was read",
    "reused": "ended, and its pid went to another process",
    "kernel": "a kernel thread has no mappings",
    "zombie": "ended, and not yet waited for by its parent",
    "empty": "the kernel gave an empty smaps",
    "unsupported": "the kernel there has no smaps",
    "cut": f"its smaps is longer than {PROCESS_LIMIT >> 20} MiB; --rollup reads its sums alone",
}


def processes_of(reply: HostReply, torn: Mapping[int, SmapsError], checks: Mapping[int, Checks]) -> list[Process]:
    """Return every process that matched, by pid.

    `torn` (errors of a text that is not whole) and `checks` (results of the self-check) go by the place in
    `reply.processes`.
    """
    processes = [_process(reply, skipped.process, skipped.status, skipped.reason) for skipped in reply.choice.skipped]
    if reply.processes:
        for place, (listed, reading) in enumerate(zip(reply.choice.read, reply.processes, strict=True)):
            processes.append(_read(reply, listed, reading, torn.get(place), checks.get(place)))
    else:
        # Only listed: a process that refuses no access would be read.
        for listed in reply.choice.read:
            status = reply.listing.access.get(listed.pid, "read")
            processes.append(_process(reply, listed, status, _reason(status, reply)))
    processes.sort(key=lambda process: process.pid)
    return processes


def _read(
    reply: HostReply, listed: ListedProcess, reading: ProcessReading, torn: SmapsError | None, checks: Checks | None
) -> Process:
    """Return a process that was to be read."""
    if reading.uid is not None:
        listed = listed._replace(uid=reading.uid)
    status, reason = reading.status, _reason(reading.status, reply)
    if torn is not None:
        status, reason = "cut", f"{torn.message} (byte {torn.offset} of its smaps)"
        checks = not_passed("last_block_whole", reason)
    elif status == "unread":
        status, reason = "cut", f"{reply.listing.capabilities.reader}'s tail stopped before it came to its smaps"
    elif status == "reused":
        if reading.name not in (None, listed.name):
            reason = f"was another program by the time it was read: {reading.name}"
        checks = not_passed("start_time_unchanged", reason)
    return _process(reply, listed, status, reason, checks, reading, start_stack=None if torn else reading.start_stack)


def _process(
    reply: HostReply,
    listed: ListedProcess,
    status: str,
    reason: str,
    checks: Checks | None = None,
    reading: ProcessReading | None = None,
    *,
    start_stack: int | None = None,
) -> Process:
    name = full_name(listed)
    cgroups = reading.cgroups if reading and reading.cgroups is not None else listed.cgroups
    belongs = labels(membership(cgroups or ()), reply.names, name)
    booted = reply.listing.capabilities.booted
    user = None if listed.uid is None else reply.users.get(listed.uid)
    return Process(
        host=reply.host.name,
        pid=listed.pid,
        name=intern(name),
        arguments=_shared(listed.arguments),
        uid=listed.uid,
        user=None if user is None else intern(user),
        start_ticks=listed.start_ticks,
        rss_kib=listed.rss_kib,
        status=status,
        reason=reason,
        checks=checks,
        start_stack=start_stack,
        read_s=reading.seconds if reading else None,
        unit=belongs.unit,
        slice=belongs.slice,
        container=belongs.container,
        pod=belongs.pod,
        service=belongs.service,
        cgroup=reading.memory_cgroup if reading else None,
        started=None if booted is None else round(booted + listed.start_ticks / _TICKS_PER_S, 2),
        oom_score_adj=reading.oom_score_adj if reading else None,
        resident=reading.resident if reading else None,
    )


def _shared(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return an equal command line, one object for all the hosts that have it; a very long one is hardly shared."""
    return _of_a_fleet(arguments) if sum(map(len, arguments)) <= _SHARED_LENGTH else arguments


@lru_cache(4096)
def _of_a_fleet(arguments: tuple[str, ...]) -> tuple[str, ...]:
    return arguments


def _reason(status: str, reply: HostReply) -> str:
    if status != "denied":
        return _REASONS.get(status, "")
    can = reply.listing.capabilities
    if can.uid == 0:
        return "even root may not"
    if reply.host.sudo:
        return "nor may the user that sudo leads to"
    return f"run with --sudo to read it, with this line in sudoers there: `{sudoers_line(can.user, can.uid)}`"
