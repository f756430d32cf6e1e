"""A capture's archive, read safely.   FILE.tar, .tar.gz, .tar.zst ─► [stored_archive] ─► stored

The archive may be hostile. It is never unpacked to disk; the number of members, the size of a file and of a host, and
the expansion are bounded. Only one host's files are held at a time. Reading takes time linear in the archive's size:
each member's name is looked up in a set.
"""

from __future__ import annotations

import gzip
import io
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from fleetpmap.capture.tar import BLOCK, Member, Stream, Tar
from fleetpmap.capture.tree import (
    CGROUPS,
    DISTRUST,
    FILE_LIMIT,
    HOST_FILES,
    HOST_LIMIT,
    MANIFEST,
    PASSWD,
    PID,
    VERSION,
    HostFiles,
    is_known,
    pid_file,
    refused,
)
from fleetpmap.capture.zstd import zstandard

MEMBERS_LIMIT = 1 << 20
"""Most files and directories in one archive."""
EXPANSION = 500
"""Bytes out of an archive for each byte in, once EXPANSION_FREE are out: smaps give 13 to 90, a bomb 1,000 and more."""
EXPANSION_FREE = 64 << 20
"""Bytes out of an archive up to which the expansion is not checked."""
_RECORD = 20 * BLOCK
"""Bytes that tar writes at once."""
_TOP_FILES = (MANIFEST, PASSWD)
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class StoredArchive:
    """A tar, packed or not. It is read twice from beginning to end: first to check all of it, then host by host."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._top: dict[str, bytes] = {}
        size = path.stat().st_size
        if not stat.S_ISREG(path.stat().st_mode):
            raise refused(path, "neither a directory nor a file")
        self._limit = max(EXPANSION_FREE, EXPANSION * size)
        self._survey()

    def top(self, name: str) -> bytes | None:
        """Return the manifest or the passwd file beside the hosts; None if there is none."""
        return self._top.get(name)

    def hosts(self) -> Iterator[HostFiles]:
        """Yield each host's files, in the order of the archive."""
        host: HostFiles | None = None
        size = 0
        for member, tar in self._members():
            directory, path = _split(member.name)
            if not member.is_file or not is_known(path):
                continue
            if host is None or host.directory != directory:
                if host is not None:
                    yield host
                host, size = HostFiles(directory), 0
            size += member.size
            if size > HOST_LIMIT:
                raise refused(self.path, f"{directory}: more than {HOST_LIMIT:,} bytes of one host")
            host.files[path] = tar.read()
            if process := pid_file(path):
                host.owners[process[0]] = member.uid
        if host is not None:
            yield host

    def _survey(self) -> None:
        """Check that no file stands twice and that each host's files are adjacent; load the files beside the hosts."""
        names: set[str] = set()
        directories: set[str] = set()
        current: str | None = None
        for member, tar in self._members():
            directory, path = _split(member.name)
            if not member.is_file or not (is_known(path) or member.name in _TOP_FILES):
                continue
            if member.name in names:
                raise refused(self.path, f"{member.name} is there twice")
            names.add(member.name)
            if member.name in _TOP_FILES:
                self._top[member.name] = tar.read()
            elif directory != current:
                if directory in directories:
                    raise refused(self.path, f"the files of {directory or 'the host'} do not lie together")
                directories.add(directory)
                current = directory

    def _members(self) -> Iterator[tuple[Member, Tar]]:
        """Yield each member, with the archive to read its content from."""
        is_smemcap = False
        with self.path.open("rb") as packed:
            stream = _Bounded(_unpacked(packed), self._limit, self.path)
            tar = Tar(io.BufferedReader(stream, _RECORD))
            for count, member in enumerate(tar.members()):
                if count >= MEMBERS_LIMIT:
                    raise refused(self.path, f"more than {MEMBERS_LIMIT:,} files")
                self._check(member)
                name = member.name.removeprefix("./").rstrip("/")
                is_smemcap |= name == VERSION  # smemcap writes no empty block at the end of its tar
                yield member._replace(name=name), tar
            stream.check_end(tar.offset, closed=not is_smemcap)

    def _check(self, member: Member) -> None:
        name = member.name
        if name.startswith("/") or ".." in name.split("/"):
            raise refused(self.path, f'"{name[:80]}" leads out of the archive', hint=DISTRUST)
        if member.size > FILE_LIMIT:
            raise refused(self.path, f'"{name[:80]}" unpacks to more than {FILE_LIMIT:,} bytes')


class _Bounded(io.RawIOBase):
    """A stream that raises UsageError once more than `limit` bytes have come out of the archive."""

    def __init__(self, file: Stream, limit: int, path: Path) -> None:
        super().__init__()
        self._file, self._left, self._path = file, limit, path
        self.size = self.filled = 0
        """Bytes read, and the end of the last one that is not zero."""

    def readable(self) -> bool:
        """Return True, as io.RawIOBase asks for."""
        return True

    def readinto(self, buffer: Any, /) -> int:  # collections.abc.Buffer, which Python has from 3.12 on
        """Read into the buffer, as io.RawIOBase does."""
        target = memoryview(buffer)
        piece = self._file.read(len(target))
        self._left -= len(piece)
        if self._left < 0:
            raise refused(self._path, f"unpacks to more than {EXPANSION} times its size: a bomb")
        if filled := len(piece.rstrip(b"\0")):
            self.filled = self.size + filled
        self.size += len(piece)
        target[: len(piece)] = piece
        return len(piece)

    def check_end(self, offset: int, *, closed: bool) -> None:
        """Check that only zero blocks follow the last member, which ends at `offset`; if `closed`, at least one.

        Reading the rest also makes gzip and zstd compare their checksum, which stands at the end.
        """
        while self.read(_RECORD):
            pass
        if closed and self.size == offset:
            raise EOFError("its end is missing")
        if self.filled > offset:
            raise EOFError("something follows on its end")


class _Zstd:
    """A zstd stream that raises EOFError for a damaged file, as gzip does for a truncated one."""

    def __init__(self, file: BinaryIO) -> None:
        package = zstandard()
        self._file = package.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False)
        self._error = package.ZstdError

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`; b"" at the end."""
        try:
            piece: bytes = self._file.read(size)
        except self._error as error:
            raise EOFError(error) from error
        return piece


def _unpacked(file: BinaryIO) -> Stream:
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(_GZIP):
        return gzip.GzipFile(fileobj=file)
    return _Zstd(file) if magic == _ZSTD else file


def _split(name: str) -> tuple[str, str]:
    """Split a member's name into the host's directory and the path below it.

    The host's directory is the part before the pid, or before one of HOST_FILES: `web-01`, `42/smaps`. A part of a
    cgroup's path may look like a pid.
    """
    host, found, rest = f"/{name}".partition(f"/{CGROUPS}/")
    if found:
        return host[1:], f"{CGROUPS}/{rest}"
    parts = name.split("/")
    for place, part in enumerate(parts):
        if PID.fullmatch(part) or "/".join(parts[place:]) in HOST_FILES:
            return "/".join(parts[:place]), "/".join(parts[place:])
    return "", name
