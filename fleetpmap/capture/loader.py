"""Load a capture through the parsers of a live run.   stored, manifest ─► [loader] ─► Snapshot

Each host's reply is rebuilt from its files. From there on the code is that of `collect`: the same parser, checks, names
and statuses. A selection chooses once more, among the processes in the capture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from fleetpmap.capture import foreign
from fleetpmap.capture.manifest import KeptHost, KeptProcess, Manifest, ManifestError, parse
from fleetpmap.capture.phase_text import cgroup_records, check_cgroups, listing_of
from fleetpmap.capture.stored import Stored, opened
from fleetpmap.capture.tree import MANIFEST, HostFiles, refused
from fleetpmap.collection.interpret import host_snapshot
from fleetpmap.collection.reply import HostReply
from fleetpmap.errors import AmbiguousError, UsageError
from fleetpmap.inventory import Host
from fleetpmap.near_misses import near_misses
from fleetpmap.processes import Choice, Selection, Skipped, choose
from fleetpmap.snapshot import HostFailure, HostSnapshot, Snapshot, counted_once
from fleetpmap.wire import Listing, Processes, ProcessReading, Reading, ReadStatus
from fleetpmap.wire.accounting import accounted, cgroups_of, parse_cgroup_files
from fleetpmap.wire.replies import UNACCOUNTED
from fleetpmap.wire.section_readers import MalformedError, parse_rollup


def load(path: Path, selection: Selection, *, command: str = "") -> Snapshot:
    """Load a capture, a tree with the same layout, or an archive of smemcap.

    `selection` narrows the processes further. Its guard (max_rss_kib, max_rss_sum_kib) has no effect, since reading
    files blocks no process. `command` becomes the run's command if the tree does not record one.

    Raises:
        UsageError: it is none of these, damaged, of an unknown version, or not safe to read.
    """
    selection = replace(selection, max_rss_kib=None, max_rss_sum_kib=None)
    if selection.exe is not None:
        raise UsageError(f"--exe: {path} does not keep where exe points", hint="select by --match, --unit or --pid")
    with opened(path) as stored:
        text = stored.top(MANIFEST)
        if text is None:
            return foreign.snapshot(stored, selection, command)
        try:
            return _snapshot(stored, parse(text), selection)
        except ManifestError as error:
            raise refused(path, str(error)) from error


def _snapshot(stored: Stored, manifest: Manifest, selection: Selection) -> Snapshot:
    kept = {host.directory: host for host in manifest.hosts}
    answers = {
        host.name: HostSnapshot.failed(host.failure)
        if host.failure
        else _answered(stored, host, None, manifest, selection)
        for host in manifest.hosts
        if not host.files
    }
    for files in stored.hosts():
        if (host := kept.get(files.directory)) and host.files:
            answers[host.name] = _answered(stored, host, files, manifest, selection)
    if missing := next((host for host in manifest.hosts if host.name not in answers), None):
        raise ManifestError(f"{missing.directory} is missing, with {len(missing.files)} files")
    ordered = [answers[host.name] for host in manifest.hosts]
    snapshot = Snapshot.assemble(ordered, manifest.run)
    return counted_once(snapshot) if manifest.machines_once else snapshot


def _answered(
    stored: Stored, kept: KeptHost, files: HostFiles | None, manifest: Manifest, selection: Selection
) -> HostSnapshot:
    content = {} if files is None else files.files
    _check(kept, content)
    try:
        # A file that the manifest does not list is not part of the capture.
        reply = _reply(kept, {path: content[path] for path in kept.files}, selection)
    except MalformedError as error:
        raise refused(stored.path, f"{kept.name}: {error}") from error
    except AmbiguousError as error:
        return HostSnapshot.failed(HostFailure.from_error(error))
    return replace(host_snapshot(reply, rollups=manifest.rollups), groups=kept.groups)


def _check(kept: KeptHost, content: dict[str, bytes]) -> None:
    """Check that every file of the manifest is there with its checksum, and that no process lacks a file.

    Raises:
        ManifestError: the first fault.
    """
    for path, digest in kept.files.items():
        if path not in content:
            raise ManifestError(f"{kept.directory}/{path} is missing")
        if hashlib.sha256(content[path]).hexdigest() != digest:
            raise ManifestError(f"{kept.directory}/{path} has a wrong checksum: it is not what was written")
    for process in kept.processes:
        needed = ("stat", "cmdline", "smaps") if process.status == "read" else ("stat", "cmdline")
        for name in needed:
            if f"{process.pid}/{name}" not in kept.files:
                raise ManifestError(f"{kept.name}: process {process.pid} is there without its {name}")


def _reply(kept: KeptHost, content: dict[str, bytes], selection: Selection) -> HostReply:
    assert kept.capabilities is not None  # noqa: S101 - a manifest in which a host neither failed nor answered is refused
    users = {process.uid: process.user for process in kept.processes if process.uid is not None and process.user}
    listing = listing_of(kept.capabilities, content, [process.pid for process in kept.processes])
    if len(listing.processes) < len(kept.processes):
        raise MalformedError("a stat is empty")
    listing = _with_owners(listing, kept, users)
    check_cgroups(listing, selection, kept.name)
    chosen, notes = _chosen(listing, selection, kept.name)
    listed = {process.pid: process for process in listing.processes}
    read = [process for process in kept.processes if process.pid in chosen and not process.left_out]
    left_out = [process for process in kept.processes if process.pid in chosen and process.left_out]
    choice = Choice(
        tuple(listed[process.pid] for process in read),
        tuple(Skipped(listed[process.pid], process.status, process.reason) for process in left_out),
    )
    near = None if choice.matched else near_misses(listing, selection, closely=True)
    reading = replace(_reading(read, content, users), seconds=kept.read_s) if read else None
    host = Host(kept.name, sudo=kept.sudo, transport="local" if kept.local else "ssh")
    notes = tuple(dict.fromkeys((*kept.notes, *notes)))  # the run may have selected by the same unit
    return HostReply(host, listing, choice, kept.said, notes, reading=reading, near=near)


def _with_owners(listing: Listing, kept: KeptHost, users: dict[int, str]) -> Listing:
    uid_of = {process.pid: process.uid for process in kept.processes}
    processes = [process._replace(uid=uid_of[process.pid]) for process in listing.processes]
    return replace(listing, processes=Processes.of(processes), users=users)


def _chosen(listing: Listing, selection: Selection, host: str) -> tuple[set[int], tuple[str, ...]]:
    """Return the pids of the processes that the selection means, and notes on it."""
    if selection == Selection(max_rss_kib=None, max_rss_sum_kib=None):
        return {process.pid for process in listing.processes}, ()  # kernel threads too, if the run selected them by pid
    choice = choose(listing, selection, host=host)
    return {process.pid for process in choice.matched}, choice.notes


def _reading(processes: Sequence[KeptProcess], content: dict[str, bytes], users: dict[int, str]) -> Reading:
    texts: list[bytes] = []
    readings: list[ProcessReading] = []
    at = 0
    for process in processes:
        text, rollup = content.get(f"{process.pid}/smaps"), content.get(f"{process.pid}/smaps_rollup")
        status: ReadStatus = "read" if text is not None else _unread(process)
        texts.append(text or b"")
        end = at + len(texts[-1])
        readings.append(
            ProcessReading(
                process.pid,
                status,
                at,
                end,
                process.uid,
                rollup=parse_rollup(rollup) if rollup else None,
                **process.reading,
                **({} if status in UNACCOUNTED else _accounted(process.pid, content)),
            )
        )
        at = end
    groups = cgroups_of(parse_cgroup_files(cgroup_records(content)), {each.memory_cgroup for each in readings})
    return Reading(b"".join(texts), tuple(readings), users, cgroups=groups)


def _accounted(pid: int, content: dict[str, bytes]) -> dict[str, Any]:
    status, cgroup = content.get(f"{pid}/status"), content.get(f"{pid}/cgroup")
    return accounted(
        pid,
        () if status is None else (status,),
        () if cgroup is None else (cgroup,),
        content.get(f"{pid}/oom_score_adj", b""),
    )


def _unread(process: KeptProcess) -> ReadStatus:
    for status in get_args(ReadStatus):
        if status == process.status != "read":
            return status  # type: ignore[no-any-return]  # one of its own values
    raise ManifestError(f'process {process.pid} cannot be "{process.status}" after it was chosen')
