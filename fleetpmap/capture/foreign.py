"""Load trees without a manifest: a user's copy of /proc, an archive of smemcap.   stored ─► [foreign] ─► Snapshot

Such a tree does not record why a file is missing, so a process without an smaps is always `denied`. smemcap writes
meminfo, version, and for each process smaps, cmdline and stat; the tar gives the files the owner of the process.
Source: smemcap.c of smem 1.5 and of BusyBox (procps/smemcap.c).
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import MAXYEAR, UTC, datetime
from pathlib import Path

from fleetpmap.capture.phase_text import check_cgroups, listing_of, reading_of
from fleetpmap.capture.stored import Stored
from fleetpmap.capture.tree import BOOT_ID, PASSWD, RELEASE, VERSION, HostFiles, pid_file, refused
from fleetpmap.collection.interpret import host_snapshot
from fleetpmap.collection.reply import HostReply
from fleetpmap.errors import AmbiguousError
from fleetpmap.inventory import Host
from fleetpmap.near_misses import near_misses
from fleetpmap.processes import Selection, choose
from fleetpmap.snapshot import HostFailure, HostSnapshot, Process, Run, Snapshot, host_status
from fleetpmap.units import KIB
from fleetpmap.wire import Capabilities
from fleetpmap.wire.section_readers import MalformedError, text_of

_PAGE_SIZE = re.compile(rb"^KernelPageSize: +(4|8|16|64) kB$", re.MULTILINE)
_SUFFIXES = re.compile(r"\.(tar|tgz|gz|zst)")
_NOT_COPIED = "its smaps is not in the copy"
_OF_A_THREAD = "its main thread had ended, and the smaps of the others are not in the copy"
_NO_MANIFEST = "it has no manifest, so files may be missing unnoticed"


def snapshot(stored: Stored, selection: Selection, command: str) -> Snapshot:
    """Load a tree without a manifest. The time of the run is the tree's modification time.

    Raises:
        UsageError: the tree has no processes, or a file does not have the format of its name.
    """
    run = Run(_changed(stored.path), 0.0, command)
    passwd = stored.top(PASSWD) or b""
    hosts = [_answered(stored.path, files, passwd, selection) for files in stored.hosts() if _pids(files)]
    if not hosts:
        hint = "a capture has HOST/PID/smaps and HOST/PID/stat; what --save DIR/ wrote, files named by their time"
        raise refused(stored.path, "neither processes nor saved runs are in it", hint=hint)
    return Snapshot.assemble(hosts, run)


def _changed(path: Path) -> datetime:
    """Return the modification time; 1970 if it is outside the calendar, as on some file systems."""
    try:
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return changed.astimezone() if 1970 <= changed.year < MAXYEAR else datetime.fromtimestamp(0, UTC)
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(0, UTC)


def _pids(files: HostFiles) -> list[int]:
    """Return the pids of the processes with a stat."""
    pid_files = filter(None, map(pid_file, files.files))
    return sorted(pid for pid, name in pid_files if name == "stat")


def _answered(path: Path, files: HostFiles, passwd: bytes, selection: Selection) -> HostSnapshot:
    name = files.directory if files.directory not in ("", "proc") else _SUFFIXES.sub("", path.resolve().name)
    content = files.files | _owners(files)
    try:
        listing = listing_of(_capabilities(content), content, _pids(files), passwd)
        check_cgroups(listing, selection, name)
        choice = choose(listing, selection, host=name)
        near = None if choice.matched else near_misses(listing, selection, closely=True)
        chosen = [process.pid for process in choice.read]
        reading = reading_of(listing, content, chosen, passwd) if chosen else None
    except MalformedError as error:
        raise refused(path, f"{name}: {error}") from error
    except AmbiguousError as error:
        return HostSnapshot.failed(HostFailure.from_error(error))
    reply = HostReply(Host(name), listing, choice, notes=(_NO_MANIFEST, *choice.notes), reading=reading, near=near)
    answered = host_snapshot(reply, rollups=False)
    threads = {process.pid: process.threads for process in choice.read}
    processes = tuple(_as_copied(process, threads.get(process.pid, 1)) for process in answered.processes)
    return replace(answered, processes=processes, status=host_status(processes))


def _as_copied(process: Process, threads: int) -> Process:
    if process.status == "denied":
        return replace(process, reason=_NOT_COPIED)
    if process.status == "zombie" and threads > 1:
        return replace(process, status="denied", reason=_OF_A_THREAD)
    return process


def _owners(files: HostFiles) -> dict[str, bytes]:
    """Return a status file with a Uid line for each process of smemcap, which writes none, from the tar's owners."""
    if VERSION not in files.files:
        return {}
    owners = {f"{pid}/status": b"Uid:" + b"\t%d" % uid * 4 for pid, uid in files.owners.items()}
    return {path: line for path, line in owners.items() if path not in files.files}


def _capabilities(content: dict[str, bytes]) -> Capabilities:
    words = content.get(VERSION, b"").split()
    kernel = content.get(RELEASE, words[2] if len(words) > 2 else b"").strip()
    texts = (content[path] for path in content if path.endswith("/smaps"))
    page = next(filter(None, (_PAGE_SIZE.search(text) for text in texts)), None)
    return Capabilities(
        uid=0,
        kernel=text_of(kernel)[:64],
        page_size=int(page[1]) * KIB if page else 4 * KIB,
        boot_id=text_of(content.get(BOOT_ID, b"").strip())[:64],
        pid_namespace="",
        reader="copied",
        compression="none",
        probe_pid=None,
    )
