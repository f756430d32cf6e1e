"""Build a Listing or a Reading from sections.   section_readers, stats, links ─► [replies] ─► reply_types

The status of each requested process is decided here, and only here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from sys import intern
from typing import Any

from fleetpmap.units import KIB
from fleetpmap.wire.accounting import accounted, cgroups_of, parse_cgroup_files, parse_host_memory, parse_names
from fleetpmap.wire.links import parse_links
from fleetpmap.wire.phase_body import Body
from fleetpmap.wire.reply_types import (
    Capabilities,
    ListedProcess,
    Listing,
    Processes,
    ProcessReading,
    Reading,
    ReadStatus,
)
from fleetpmap.wire.section_readers import (
    OTHERS,
    Facts,
    MalformedError,
    Span,
    arguments_of,
    bytes_of,
    cgroup_paths,
    locate_texts,
    number,
    parse_access,
    parse_arguments,
    parse_cgroups,
    parse_facts,
    parse_rollup,
    parse_times,
    parse_uids,
    parse_users,
    text_of,
)
from fleetpmap.wire.stats import Stat, name_of_text, parse_stats, stat_of, stat_of_text

PAGE_SIZES = range(1 << 10, (1 << 20) + 1)
"""Page sizes accepted from a host, in bytes."""
_UPTIME = re.compile(r"\d{1,12}\.\d{1,3}")
_SCORE = re.compile(rb"-?\d{1,4}")
UNACCOUNTED: frozenset[ReadStatus] = frozenset({"gone", "reused"})
"""Statuses of processes of which only the name, owner and command line are kept from after the reading."""
_ENDED: frozenset[ReadStatus] = frozenset({"gone", "zombie"})
"""Statuses of processes that have no command line any more."""
_UNOPENED = frozenset({"denied", "unsupported", "gone"})
_STOPPED = "T"
"""State of a process that a signal stopped, with all its threads; a tracer (t) may stop only one of them."""


def parse_capabilities(words: list[str]) -> Capabilities:
    """Parse the `KEY=VALUE` words of the begin frame. Keys of a later probe are ignored."""
    values = dict(word.partition("=")[::2] for word in words)
    try:
        page_size = number(bytes_of(values["page_size"]))
        if page_size not in PAGE_SIZES:
            raise MalformedError(f"the first frame has a page size of {page_size}")
        return Capabilities(
            uid=number(bytes_of(values["uid"])),
            kernel=intern(values["kernel"]),  # here and below, texts that many hosts of a fleet have are kept once
            page_size=page_size,
            boot_id=values["boot_id"],
            pid_namespace=intern(values["pid_namespace"]),
            reader=intern(values["reader"]),
            compression="gzip" if values["compression"] == "gzip" else "none",
            probe_pid=number(bytes_of(values["probe_pid"])) if values["probe_pid"] else None,
            booted=_booted(values.get("uptime", "")),
            user=intern(values.get("user", "")),
        )
    except KeyError as error:
        raise MalformedError(f"the first frame lacks {error.args[0]}") from error


def _booted(uptime: str) -> float | None:
    """Return when the host started, by this machine's clock: the host's own may be wrong. No host ran before 1970."""
    booted = time.time() - float(uptime) if _UPTIME.fullmatch(uptime) else -1
    return round(booted, 2) if booted >= 0 else None


def build_listing(
    capabilities: Capabilities, body: Body, malformed: Callable[[MalformedError], Exception] = lambda error: error
) -> Listing:
    """Build the listing from a list phase.

    Most stat lines are parsed when their process is first accessed. If one is malformed then, the exception that
    `malformed` makes of the MalformedError is raised.

    Raises:
        MalformedError: a section that its tool cannot have printed.
    """
    raw = {name: body.section(name) for name in ("stat", "uid", "cgroup", "memory", "names")}
    slots, names, fields = parse_stats(raw["stat"])
    pids = tuple(slots)
    arguments = parse_arguments(body.section("cmdline"))
    uids = parse_uids(raw["uid"])
    cgroups = parse_cgroups(raw["cgroup"])
    exes = parse_links(body.section("exe"), b"exe")
    of_threads = parse_facts(body.section("thread"))

    def make(slot: int) -> ListedProcess:
        pid = int(pids[slot])
        try:
            stat = stat_of(pid, fields[slot])
        except MalformedError as error:
            raise malformed(error) from error
        process = ListedProcess(
            pid=pid,
            name=names[slot],
            state=stat.state,
            ppid=stat.ppid,
            session=stat.session,
            start_ticks=stat.start_ticks,
            rss_kib=stat.rss_pages * capabilities.page_size // KIB,
            arguments=arguments_of(pid, arguments[pid]) if pid in arguments else (),
            kernel_thread=stat.kernel_thread,
            threads=stat.threads,
            uid=uids.get(pid),
            cgroups=cgroups.get(pid),
            exe=exes.get(pid),
        )
        return _of_thread(process, of_threads, capabilities.page_size) if pid in of_threads["thread"] else process

    access = parse_access(body.section("access"))
    if strange := next((verdict for verdict in access.values() if verdict not in _UNOPENED), None):
        raise MalformedError(f"{strange[:40]!r} is no reason why an smaps cannot be opened")
    if body.spans("access") and _opens_denied(capabilities):
        access = {pid: "denied" for pid, uid in uids.items() if capabilities.uid not in (0, uid)} | access
    users = parse_users(body.section("passwd"), uids.values())
    return Listing(
        *(capabilities, Processes(slots, names, make), users, bool(body.spans("cmdline")), access),
        memory=parse_host_memory(raw["memory"]),
        names=parse_names(raw["names"]),
        raw=raw,
    )


def _of_thread(process: ListedProcess, facts: Facts, page_size: int) -> ListedProcess:
    """Return the process with the RSS, command line and cgroups of a living thread: its main thread has ended."""
    pid = process.pid
    rss_pages = stat_of_text(pid, facts["thread"][pid][0]).rss_pages
    process = process._replace(
        rss_kib=rss_pages * page_size // KIB, arguments=tuple(map(text_of, facts["cmdline"].get(pid, ())))
    )
    if pid in facts["cgroup"]:
        process = process._replace(cgroups=cgroup_paths(pid, facts["cgroup"][pid][0].splitlines()))
    return process


def build_reading(listing: Listing, body: Body, process_limit: int) -> Reading:
    """Build the reading from a read phase; `body` cannot be used afterwards.

    Processes are `cut` if their text has more than `process_limit` bytes or if the body reached its own limit. Their
    texts are dropped.
    """
    raw = {name: body.section(name) for name in ("uid", "facts", "names")}
    uids = parse_uids(raw["uid"])
    users = parse_users(body.section("passwd"), uids.values())
    facts = parse_facts(raw["facts"])
    stats = _stats(facts)
    seconds, alone = parse_times(body.section("time"))
    texts, of_threads = _locate_all(body)
    verdicts = parse_access(body.section("access"))
    if [pid for pid in verdicts if pid in texts] != list(texts) or not of_threads.keys() <= verdicts.keys():
        raise MalformedError("the smaps do not follow the order in which they were asked for")
    texts |= of_threads
    statuses = _statuses(listing, verdicts, stats, texts, process_limit)
    if body.cut:
        statuses |= _cut_short(statuses, texts, body.cut)
    processes: list[ProcessReading] = []
    kept: list[Span] = []
    at = 0
    for pid, status in statuses.items():
        kept.append(texts[pid] if status == "read" else (0, 0))
        end = at + kept[-1][1] - kept[-1][0]
        at, start = end, at
        if status == "reused":
            processes.append(ProcessReading(pid, status, start, end, uid=None, seconds=alone.get(pid)))
            continue
        processes.append(
            ProcessReading(
                *(pid, status, start, end, uids.get(pid)),
                stopped=_stopped(listing.processes.get(pid)) and _stopped(stats.get(pid)),
                rollup=parse_rollup(facts["smaps_rollup"][pid][0]) if pid in facts["smaps_rollup"] else None,
                start_stack=stats[pid].start_stack if pid in stats else None,
                address_space=stats[pid].size if pid in stats else 0,
                arguments=None if status in _ENDED else _arguments(pid, facts, listing),
                seconds=alone.get(pid),
                name=name_of_text(pid, b"\0".join(facts["stat"][pid])) if pid in facts["stat"] else None,
                **_accounted(pid, status, facts),
            )
        )
    groups = cgroups_of(parse_cgroup_files(facts[OTHERS].get(0, ())), {each.memory_cgroup for each in processes})
    return Reading(
        *(body.pack(kept), tuple(processes), users, raw, seconds), cgroups=groups, names=parse_names(raw["names"])
    )


def _accounted(pid: int, status: ReadStatus, facts: Facts) -> dict[str, Any]:
    """Return the fields of a process's reading that come from its status, cgroup and oom_score_adj.

    They are another process's if its pid was reused, and those of the process's end if it is gone.
    """
    if status in UNACCOUNTED:
        return {}
    [score, *_] = facts["oom_score_adj"].get(pid, [b""])
    return accounted(pid, facts["status"].get(pid, ()), facts["cgroup"].get(pid, ()), score)


def _stats(facts: Facts) -> dict[int, Stat]:
    """Return the stat of each process. If its main thread has ended, all but the start time is another thread's."""
    stats = {pid: stat_of_text(pid, b"\0".join(text)) for pid, text in facts["stat"].items()}
    for pid, text in facts["thread"].items():
        if pid in stats:
            stats[pid] = stat_of_text(pid, text[0])._replace(start_ticks=stats[pid].start_ticks)
    return stats


def _stopped(process: ListedProcess | Stat | None) -> bool:
    return process is not None and process.state == _STOPPED


def _arguments(pid: int, facts: Facts, listing: Listing) -> tuple[str, ...] | None:
    if pid not in facts["stat"] or not listing.has_arguments:
        return None
    return tuple(map(text_of, facts["cmdline"].get(pid, ())))


def _locate_all(body: Body) -> tuple[dict[int, Span], dict[int, Span]]:
    """Return the spans of the processes' own texts, by pid in the order printed, and of texts read from a thread."""
    texts: dict[int, Span] = {}
    threads: dict[int, Span] = {}
    for section in body.spans("smaps"):
        if section[0] == section[1] in body.cut:  # all of it was dropped, tail's first header included
            continue
        for pid, start, stop, of_thread in locate_texts(body.whole(), *section):
            if pid in (threads if of_thread else texts):
                raise MalformedError(f"smaps of process {pid} came twice")
            (threads if of_thread else texts)[pid] = (start, stop)
    return texts, threads


def _statuses(
    listing: Listing, verdicts: dict[int, str], stats: dict[int, Stat], texts: dict[int, Span], process_limit: int
) -> dict[int, ReadStatus]:
    """Return the status of each process, by pid in the order requested."""
    opens_denied = _opens_denied(listing.capabilities)
    return {
        pid: _status(
            stats.get(pid),
            listing.processes.get(pid),
            length=texts[pid][1] - texts[pid][0] if pid in texts else 0,
            limit=process_limit,
            verdict=_verdict(verdict, reached=pid in texts, opens_denied=opens_denied),
        )
        for pid, verdict in verdicts.items()
    }


def _opens_denied(capabilities: Capabilities) -> bool:
    """Return whether open() succeeds on an smaps that the login may not read: before 3.18 it did, and read() failed."""
    return _release(capabilities.kernel) < (3, 18)


def _cut_short(statuses: dict[int, ReadStatus], texts: dict[int, Span], cut: set[int]) -> dict[int, ReadStatus]:
    """Return `cut` for each process with a text that the body's limit removed, in whole or at its end."""
    return {
        pid: "cut"
        for pid, status in statuses.items()
        if status == "unread" or (status == "read" and texts[pid][1] in cut)
    }


def _verdict(verdict: str, *, reached: bool, opens_denied: bool) -> str:
    """Combine the result of open() with the output of tail: GNU tail stops at a file that it cannot read to the end."""
    if verdict != "ok":
        return verdict
    if not reached:
        return "unread"
    return "denied" if opens_denied else "ok"


def _status(stat: Stat | None, listed: ListedProcess | None, *, length: int, limit: int, verdict: str) -> ReadStatus:
    """Return one process's status, from its stat after the reading, its listed stat, and the result of open()."""
    if stat is None:
        return "gone"
    if listed is not None and stat.start_ticks != listed.start_ticks:
        return "reused"
    if stat.kernel_thread:
        return "kernel"
    if stat.state in "ZX":
        return "zombie"
    if stat.size == 0:
        # It is exiting and has released its memory, so a text of it may be incomplete.
        return "gone"
    if length:
        return "read" if length <= limit else "cut"
    without_text: dict[str, ReadStatus] = {
        "ok": "empty",
        "denied": "denied",
        "unsupported": "unsupported",
        "unread": "unread",
    }
    return without_text.get(verdict, "gone")


def _release(kernel: str) -> tuple[int, int]:
    """Return major and minor number of a kernel release; (99, 0) for a text without them."""
    numbers = re.match(r"(\d+)\.(\d+)", kernel)
    return (int(numbers[1]), int(numbers[2])) if numbers else (99, 0)
