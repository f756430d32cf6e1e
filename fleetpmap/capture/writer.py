"""Write a run's raw files into a directory or an archive.   collector ─► [writer] ─► DIR, FILE.tar.zst, FILE.tar.gz

Each host is written when its reply has arrived, so the raw text of many hosts is never held; the manifest comes last.
Everything is written under a temporary name and then renamed. Only the owner may read it: a command line can hold a
password.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import secrets
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from fleetpmap.capture import manifest
from fleetpmap.capture.manifest import KeptHost, KeptProcess, Manifest
from fleetpmap.capture.tree import BOOT_ID, CGROUPS, DENIED, MANIFEST, NAMES, RELEASE, directory_of
from fleetpmap.capture.zstd import zstandard
from fleetpmap.collection.reply import HostReply
from fleetpmap.errors import UsageError
from fleetpmap.inventory import Host
from fleetpmap.snapshot import HostResult, HostSnapshot, Process, Snapshot
from fleetpmap.wire import ListedProcess
from fleetpmap.wire.accounting import memory_files, parse_cgroup_files, parse_resident
from fleetpmap.wire.replies import UNACCOUNTED
from fleetpmap.wire.section_readers import OTHERS, bytes_of, parse_facts, texts_by_pid

ARCHIVES = (".tar.zst", ".tar.gz", ".tgz", ".tar")
"""Suffixes of a capture in one file."""
_OTHERS = (".zip", ".7z", ".xz", ".bz2", ".zst", ".gz", ".parquet")
"""Suffixes of other formats, refused as the name of a directory."""
_START_TIME = 19
"""Index of the start time among the fields of stat behind the name."""
_GZIP_LEVEL = 1
"""At the lowest level, smaps already shrinks to between 1/13 and 1/36."""


class CaptureWriter:
    """Context manager that writes a capture: `collect` calls `keep` for each reply, `finish` gives the final name.

    Without `finish`, nothing is left on disk. A full disk does not end the run; `finish` reports it.

    Raises:
        UsageError: `path` exists, has the suffix of another format, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._hosts: dict[str, KeptHost] = {}
        self._error: OSError | None = None
        try:
            self._target = _free(path)
            self._aside = self._target.with_name(f".{secrets.token_hex(8)}.part")
            self._place: _Archive | _Directory = (
                _Archive(self._aside, path.name) if path.name.endswith(ARCHIVES) else _Directory(self._aside)
            )
        except OSError as error:
            raise self._unwritable(error) from error

    def keep(self, host: Host, reply: HostReply, snapshot: HostSnapshot) -> None:
        """Write the files of one host's reply. May be called from several threads."""
        directory, digests = directory_of(host.name), {}
        with self._lock:  # before the loop, so that only one host's texts are copied at a time
            try:
                for path, content in _files(reply):
                    digests[path] = hashlib.sha256(content).hexdigest()
                    if self._error is None:
                        self._place.add(f"{directory}/{path}", content)
            except OSError as error:
                self._error = error
            self._hosts[host.name] = _kept_host(host, reply, snapshot, digests)

    def finish(self, snapshot: Snapshot, *, rollups: bool, machines_once: bool) -> None:
        """Write the manifest and rename the capture to its final name.

        Raises:
            UsageError: the capture could not be written; nothing of it is left on disk.
        """
        hosts = tuple(self._hosts.get(host.name) or _failed_host(host) for host in snapshot.hosts)
        document = manifest.dump(Manifest(snapshot.run, rollups, machines_once, hosts), snapshot)
        try:
            if self._error is not None:
                raise self._error
            self._place.add(MANIFEST, document)
            self._place.close()
            self._aside.rename(self._target)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> UsageError:
        hint = "choose a place you may write to, with room for it"
        return UsageError(f"--capture {self._path}: {error.strerror or error}", hint=hint)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._place.close()
        if self._aside.is_dir():
            shutil.rmtree(self._aside, ignore_errors=True)
        self._aside.unlink(missing_ok=True)


def _free(path: Path) -> Path:
    """Return the path with links in its parent resolved, after checking its suffix and that it does not exist.

    Raises:
        UsageError: the suffix is that of another format, or the path exists.
        OSError: the parent cannot be resolved.
    """
    if path.name.endswith(_OTHERS) and not path.name.endswith(ARCHIVES):
        hint = "end the name in .tar.zst or .tar.gz, or name a directory; --save is what writes .parquet"
        raise UsageError(f"--capture {path}: is neither an archive that we write nor a directory", hint=hint)
    # Not Path.resolve(), which raises a RuntimeError for links in a circle.
    target = Path(os.path.realpath(path.parent, strict=True)) / path.name
    try:
        target.lstat()
    except FileNotFoundError:
        return target
    raise UsageError(f"--capture {path}: is there already", hint="name a place that is not there yet")


class _Directory:
    """The files below a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(mode=0o700)

    def add(self, path: str, content: bytes) -> None:
        file = self._root
        *directories, name = path.split("/")
        for directory in directories:
            file /= directory
            file.mkdir(mode=0o700, exist_ok=True)  # not parents=True, which would leave the umask's mode on them
        file /= name
        file.touch(mode=0o600)
        file.write_bytes(content)

    def close(self) -> None:
        pass


class _Archive:
    """The files as members of a tar, packed by the suffix of `name`."""

    def __init__(self, aside: Path, name: str) -> None:
        pack = zstandard().ZstdCompressor(write_checksum=True).stream_writer if name.endswith(".tar.zst") else None
        self._stack = contextlib.ExitStack()
        aside.touch(mode=0o600)
        file: Any = self._stack.enter_context(aside.open("wb"))
        if pack is not None:
            file = self._stack.enter_context(pack(file, closefd=False))
        elif not name.endswith(".tar"):
            file = self._stack.enter_context(gzip.GzipFile("", "wb", _GZIP_LEVEL, file))
        self._tar = self._stack.enter_context(tarfile.open(fileobj=file, mode="w|"))  # noqa: SIM115 - the stack closes it

    def add(self, path: str, content: bytes) -> None:
        member = tarfile.TarInfo(path)
        member.size, member.mode = len(content), 0o600
        self._tar.addfile(member, io.BytesIO(content))

    def close(self) -> None:
        self._stack.close()


def _files(reply: HostReply) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of each file of one host, as far as the run read them."""
    can, listed, reading = reply.listing.capabilities, reply.listing.raw, reply.reading
    yield from (
        (path, bytes_of(text) + b"\n") for path, text in ((RELEASE, can.kernel), (BOOT_ID, can.boot_id)) if text
    )
    read = reading.raw if reading else {}
    yield from memory_files(listed.get("memory", b"")).items()
    if names := listed.get("names") or read.get("names"):
        yield NAMES, names
    facts = parse_facts(read.get("facts", b""))
    for group, texts_of_group in parse_cgroup_files(facts[OTHERS].get(0, ())).items():
        yield from ((f"{CGROUPS}{group}/{name}", text) for name, text in texts_of_group.items())
    stats, later = texts_by_pid(listed.get("stat", b""), "stat"), _whole(facts["stat"])
    later |= {pid: _of_process(text, later[pid]) for pid, text in _whole(facts["thread"]).items() if pid in later}
    pids = {process.pid for process in (reading.processes if reading else ()) if process.status not in UNACCOUNTED}
    statuses = {pid: _sized(texts) for pid, texts in facts["status"].items() if pid in pids}
    cgroups = {pid: texts[-1].removesuffix(b"\n") for pid, texts in facts["cgroup"].items() if pid in pids}
    files = {
        "stat": stats | {pid: _renamed(later[pid], stats[pid]) for pid in later.keys() & stats.keys()},
        "status": texts_by_pid(listed.get("uid", b""), "status")
        | texts_by_pid(read.get("uid", b""), "status")
        | statuses,
        "cgroup": texts_by_pid(listed.get("cgroup", b""), "cgroup") | cgroups,
        "oom_score_adj": {pid: text for pid, text in _whole(facts["oom_score_adj"]).items() if pid in pids},
        "smaps_rollup": _whole(facts["smaps_rollup"]),
    }
    for process in _matched(reply):
        yield f"{process.pid}/cmdline", bytes_of("".join(f"{word}\0" for word in process.arguments))
        for name, texts in files.items():
            if process.pid in texts:
                yield f"{process.pid}/{name}", texts[process.pid] + b"\n"
    for process_reading in reading.processes if reading else ():
        pid = process_reading.pid
        if process_reading.status == "read":
            yield f"{pid}/smaps", reading.smaps[process_reading.start : process_reading.stop]  # type: ignore[union-attr]  # it has processes
        elif process_reading.status == "denied":
            yield f"{pid}/{DENIED}", b""


def _whole(texts: dict[int, list[bytes]]) -> dict[int, bytes]:
    return {pid: text.removesuffix(b"\n") for pid, (text, *_) in texts.items()}


def _sized(statuses: list[bytes]) -> bytes:
    """Return the status that has sizes: if the main thread has ended, that of another one."""
    return next(filter(parse_resident, statuses), statuses[0]).removesuffix(b"\n")


def _renamed(stat: bytes, listed: bytes) -> bytes:
    """Return the later stat with the listed name: the run chose by that name, and the process may have called exec."""
    return listed[: listed.rfind(b")")] + stat[stat.rfind(b")") :]


def _of_process(thread: bytes, stat: bytes) -> bytes:
    """Return a thread's stat with the start time of its process."""
    fields, of_process = thread[thread.rfind(b")") + 2 :].split(b" "), stat[stat.rfind(b")") + 2 :].split(b" ")
    fields[_START_TIME] = of_process[_START_TIME]
    return thread[: thread.rfind(b")") + 2] + b" ".join(fields)


def _matched(reply: HostReply) -> list[ListedProcess]:
    return reply.choice.matched


def _kept_host(host: Host, reply: HostReply, snapshot: HostSnapshot, files: dict[str, str]) -> KeptHost:
    process_of = {process.pid: process for process in snapshot.processes}
    readings = reply.reading.processes if reply.reading else ()
    facts = {reading.pid: manifest.facts_of(reading) for reading in readings}
    read = {process.pid for process in reply.choice.read}
    return KeptHost(
        host.name,
        directory_of(host.name),
        snapshot.status,
        None,
        reply.listing.capabilities,
        sudo=host.sudo,
        local=snapshot.local,
        notes=snapshot.notes,
        said=snapshot.said,
        processes=tuple(
            _kept_process(process_of[listed.pid], facts.get(listed.pid, {}), left_out=listed.pid not in read)
            for listed in _matched(reply)
        ),
        files=files,
        read_s=snapshot.read_s,
        groups=snapshot.groups,
    )


def _kept_process(process: Process, facts: dict[str, object], *, left_out: bool) -> KeptProcess:
    return KeptProcess(process.pid, process.status, process.reason, process.uid, process.user, left_out, facts)


def _failed_host(host: HostResult) -> KeptHost:
    """Return the entry of a host that failed."""
    return KeptHost(
        *(host.name, directory_of(host.name), host.status, host.failure, host.capabilities),
        sudo=False,
        local=host.local,
        notes=host.notes,
        said=host.said,
        processes=(),
        files={},
    )
