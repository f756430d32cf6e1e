"""Sections to a Listing or a Reading.   sections ─► [replies] ─► model

Here each process that was asked for gets its one status.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from fleetpmap.units import KIB
from fleetpmap.wire.body import Body
from fleetpmap.wire.links import parse_links
from fleetpmap.wire.model import Capabilities, ListedProcess, Listing, ProcessReading, Reading, ReadStatus
from fleetpmap.wire.sections import (
    MalformedError,
    Span,
    Stat,
    bytes_of,
    locate_texts,
    number,
    parse_access,
    parse_arguments,
    parse_cgroups,
    parse_rollups,
    parse_seconds,
    parse_stats,
    parse_uids,
    parse_users,
)

PAGE_SIZES = range(1 << 10, (1 << 20) + 1)
"""Bytes of a page, as far as we believe a host."""
_STOPPED = "T"
"""State of a process stopped by a signal, with all its threads; a tracer (t) may stop only one of them."""


def parse_capabilities(words: list[str]) -> Capabilities:
    """The `KEY=VALUE` words of the begin frame; keys of a later probe are ignored."""
    values = dict(word.partition("=")[::2] for word in words)
    try:
        page_size = number(bytes_of(values["page_size"]))
        if page_size not in PAGE_SIZES:
            raise MalformedError(f"the first frame has a page size of {page_size}")
        return Capabilities(
            uid=number(bytes_of(values["uid"])),
            kernel=values["kernel"],
            page_size=page_size,
            boot_id=values["boot_id"],
            pid_namespace=values["pid_namespace"],
            reader=values["reader"],
            compression="gzip" if values["compression"] == "gzip" else "none",
            probe_pid=number(bytes_of(values["probe_pid"])) if values["probe_pid"] else None,
        )
    except KeyError as error:
        raise MalformedError(f"the first frame does not say {error.args[0]}") from error


def build_listing(capabilities: Capabilities, body: Body, known: dict[bytes, Stat] | None = None) -> Listing:
    """Phase one; `known` is for parse_stats."""
    stats = parse_stats(body.section("stat"), known)
    arguments = parse_arguments(body.section("cmdline"))
    uids = parse_uids(body.section("uid"))
    cgroups = parse_cgroups(body.section("cgroup"))
    exes = parse_links(body.section("exe"), b"exe")
    return Listing(
        capabilities,
        tuple(
            ListedProcess(
                pid=pid,
                name=stat.name,
                state=stat.state,
                ppid=stat.ppid,
                session=stat.session,
                start_ticks=stat.start_ticks,
                rss_kib=stat.rss_pages * capabilities.page_size // KIB,
                arguments=arguments.get(pid, ()),
                kernel_thread=stat.kernel_thread,
                uid=uids.get(pid),
                cgroups=cgroups.get(pid),
                exe=exes.get(pid),
            )
            for pid, stat in sorted(stats.items())
        ),
        parse_users(body.section("passwd"), uids.values()),
        {name: body.section(name) for name in ("stat", "uid", "cgroup")},
    )


def build_reading(listing: Listing, body: Body, process_limit: int) -> Reading:
    """Phase two; uses `body` up. A text of more than `process_limit` bytes is dropped, its process `cut`."""
    uids = parse_uids(body.section("uid"))
    users = parse_users(body.section("passwd"), uids.values())
    raw = {name: body.section(name) for name in ("uid", "rollup")}
    rollups = parse_rollups(raw["rollup"])
    stats = parse_stats(body.section("stat"))
    seconds = parse_seconds(body.section("time"))
    texts = _locate_all(body)
    statuses = _statuses(listing, body, stats, texts, process_limit)
    stopped_before = {process.pid for process in listing.processes if process.state == _STOPPED}
    stopped = stopped_before & {pid for pid, stat in stats.items() if stat.state == _STOPPED}
    kept = [texts[pid] if status == "read" else (0, 0) for pid, status in statuses.items()]
    processes: list[ProcessReading] = []
    at = 0
    for (pid, status), (start, stop) in zip(statuses.items(), kept, strict=True):
        end = at + stop - start
        stack = stats[pid].start_stack if pid in stats else None
        processes.append(ProcessReading(pid, status, at, end, uids.get(pid), pid in stopped, rollups.get(pid), stack))
        at = end
    return Reading(body.pack(kept), tuple(processes), users, raw, seconds)


def join_readings(readings: Sequence[Reading]) -> Reading:
    """One Reading of several, in the order of the first: each answers for the processes that the one before left
    `unread`."""
    first, *others = readings
    if not others:
        return first
    found = {process.pid: (reading, process) for reading in readings for process in reading.processes}
    texts: list[bytes] = []
    processes: list[ProcessReading] = []
    at = 0
    for pid in (process.pid for process in first.processes):
        reading, process = found[pid]
        texts.append(reading.smaps[process.start : process.stop])
        processes.append(replace(process, start=at, stop=at + len(texts[-1])))
        at += len(texts[-1])
    users = {uid: name for reading in readings for uid, name in reading.users.items()}
    raw = {name: b"".join(reading.raw.get(name, b"") for reading in readings) for name in first.raw}
    took = [reading.seconds for reading in readings if reading.seconds is not None]
    return Reading(b"".join(texts), tuple(processes), users, raw, sum(took) if took else None)


def _locate_all(body: Body) -> dict[int, Span]:
    """Where each process's text is, in the order printed."""
    texts: dict[int, Span] = {}
    for section in body.spans("smaps"):
        for pid, start, stop in locate_texts(body.whole(), *section):
            if pid in texts:
                raise MalformedError(f"smaps of process {pid} came twice")
            texts[pid] = (start, stop)
    return texts


def _statuses(
    listing: Listing, body: Body, stats: dict[int, Stat], texts: dict[int, Span], process_limit: int
) -> dict[int, ReadStatus]:
    """What became of each process, in the order asked, which is that of the texts too."""
    verdicts = parse_access(body.section("access"))
    if [pid for pid in verdicts if pid in texts] != list(texts):
        raise MalformedError("the smaps do not follow the order in which they were asked for")
    listed = {process.pid: process.start_ticks for process in listing.processes}
    # Since 3.18 the kernel refuses to open what may not be read; before, it opened and gave nothing.
    opens_denied = _release(listing.capabilities.kernel) < (3, 18)
    return {
        pid: _status(
            stats.get(pid),
            listed.get(pid),
            length=texts[pid][1] - texts[pid][0] if pid in texts else 0,
            limit=process_limit,
            verdict=_verdict(verdict, reached=pid in texts, opens_denied=opens_denied),
        )
        for pid, verdict in verdicts.items()
    }


def _verdict(verdict: str, *, reached: bool, opens_denied: bool) -> str:
    """What open() said, read with what tail did: GNU's stops at the first file that it cannot read to its end."""
    if verdict != "ok":
        return verdict
    if not reached:
        return "unread"
    return "denied" if opens_denied else "ok"


def _status(stat: Stat | None, listed_start: int | None, *, length: int, limit: int, verdict: str) -> ReadStatus:
    """One process's status: from its stat after the reading, its start time before, and what open() said."""
    if stat is None:
        return "gone"
    if listed_start is not None and stat.start_ticks != listed_start:
        return "reused"
    if stat.kernel_thread:
        return "kernel"
    if stat.state in "ZX":
        return "zombie"
    if stat.size == 0:
        # On its way out, it has given its memory back: a text that did come may lack its end.
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
    """Major and minor number of a kernel release; one that has none counts as new."""
    numbers = re.match(r"(\d+)\.(\d+)", kernel)
    return (int(numbers[1]), int(numbers[2])) if numbers else (99, 0)
