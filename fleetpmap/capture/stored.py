"""A directory or an archive to the files of one host after another.   DIR, FILE.tar… ─► [stored] ─► reader, found

Whoever made it may be hostile. Only files that the layout knows are opened; no link is followed; an archive is never
unpacked to a disk, and what is taken from either has a bound. At most one host's files are held.
The time that either takes grows with its size, not faster: each name is looked up in a set.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

from fleetpmap.capture.tar import BLOCK, KindError, Member, Stream, Tar, TarError
from fleetpmap.capture.tree import HOST_FILES, MANIFEST, PASSWD, PID_FILES, VERSION, is_known, pid_file, refused
from fleetpmap.capture.zstd import zstandard
from fleetpmap.errors import UsageError
from fleetpmap.wire import DECODED_LIMIT, PROCESS_LIMIT

FILE_LIMIT = 2 * PROCESS_LIMIT  # as much as earlier versions kept
HOST_LIMIT = DECODED_LIMIT
"""Bytes of one host's files."""
MEMBERS_LIMIT = 1 << 20
"""Files and directories of one archive."""
EXPANSION = 500
"""Bytes out of an archive for each byte in, once EXPANSION_FREE are out: smaps give 13 to 90, a bomb 1,000 and more."""
EXPANSION_FREE = 64 << 20
_HOLES_FROM = 1 << 20
"""Bytes from which on a file may have no holes; a command line may, of which a program has overwritten the most."""
_RECORD = 20 * BLOCK
"""Bytes that tar writes at once."""

_DISTRUST = "no capture of ours holds that: do not trust where it came from"
_TOP_FILES = (MANIFEST, PASSWD)
_PID = re.compile("[1-9][0-9]{0,8}")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class HostFiles:
    """What is there of one host."""

    directory: str
    """Empty where the whole tree is one host's."""
    files: dict[str, bytes] = field(default_factory=dict)
    """Path below the host to content."""
    owners: dict[int, int] = field(default_factory=dict)
    """Pid to the uid that an archive says its files have."""


class Stored(Protocol):
    """A tree of hosts, wherever it lies."""

    path: Path

    def top(self, name: str) -> bytes | None:
        """The manifest or the passwd file beside the hosts; None if there is none."""

    def hosts(self) -> Iterator[HostFiles]:
        """Each host's files, read anew."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Stored]:
    """What lies at this path.

    Raises:
        UsageError: it is neither a directory nor an archive, or one that is better not read.
    """
    try:
        if path.is_dir():
            yield StoredDirectory(path)
        else:
            yield StoredArchive(path)
    except KindError as error:
        raise refused(path, str(error), hint=_DISTRUST) from error
    except TarError as error:
        raise refused(path, f"not an archive that tar can read ({error})") from error
    except (EOFError, zlib.error) as error:
        raise refused(path, f"the archive is cut or damaged ({error})") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> UsageError:
    if error.strerror is None:
        return refused(path, f"the archive is cut or damaged ({error})")
    # What lies in a directory is opened by its name below it.
    file = error.filename if isinstance(error.filename, str) and error.filename != str(path) else ""
    if isinstance(error, PermissionError):
        return refused(path / file, error.strerror, hint="show it as the user who owns it")
    return refused(path / file, error.strerror)


class StoredDirectory:
    """A tree on disk: a host's own, or one with a directory for each host."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def top(self, name: str) -> bytes | None:
        """As in Stored."""
        with _Directory.opened(self.path) as root:
            return self._read(root, name)

    def hosts(self) -> Iterator[HostFiles]:
        """As in Stored; in the order of their names."""
        with _Directory.opened(self.path) as root:
            names = root.names()
            if any(map(_PID.fullmatch, names)):
                yield self._host("", root)
                return
            for name in names:
                if not name.startswith(".") and root.is_directory(name):
                    with root.below(name) as host:
                        if (found := self._host(name, host)).files:
                            yield found

    def _host(self, directory: str, host: _Directory) -> HostFiles:
        found = HostFiles(directory)
        paths = [f"{pid}/{name}" for pid in host.names() if _PID.fullmatch(pid) for name in PID_FILES]
        size = 0
        for path in (*HOST_FILES, *paths):
            content = self._read(host, path, directory)
            if content is not None:
                found.files[path] = content
                size += len(content)
                if size > HOST_LIMIT:
                    raise refused(self.path, f"{directory}: more than {HOST_LIMIT:,} bytes of one host")
        return found

    def _read(self, directory: _Directory, path: str, name: str = "") -> bytes | None:
        try:
            return directory.read(path)
        except _WrongKindError as error:
            raise refused(self.path, f"{name}/{path} {error}".removeprefix("/")) from error
        except OSError as error:
            error.filename = f"{name}/{path}".removeprefix("/")
            raise


class _WrongKindError(Exception):
    """Not what should be there."""


class _Directory:
    """A directory held open, and what is below it without a link anywhere on the way."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path | str, below: int | None = None) -> Iterator[Self]:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if below is None else os.O_NOFOLLOW)
        descriptor = os.open(path, flags, dir_fd=below)
        try:
            yield cls(descriptor)
        finally:
            os.close(descriptor)

    def below(self, name: str) -> contextlib.AbstractContextManager[_Directory]:
        return _Directory.opened(name, self._descriptor)

    def names(self) -> list[str]:
        return sorted(os.listdir(self._descriptor))  # noqa: PTH208 - pathlib knows no descriptors

    def is_directory(self, name: str) -> bool:
        return stat.S_ISDIR(self._mode(name))

    def read(self, path: str) -> bytes | None:
        """The file's bytes; None if it is not there.

        Raises:
            _WrongKindError: something else than a file of bearable size.
        """
        name, _, rest = path.partition("/")
        try:
            mode = self._mode(name)
        except FileNotFoundError:
            return None
        if rest:
            if not stat.S_ISDIR(mode):
                raise _WrongKindError(f"cannot be: {name} is {_kind(mode)}, where a directory should be")
            with self.below(name) as directory:
                return directory.read(rest)
        if not stat.S_ISREG(mode):
            raise _WrongKindError(f"is {_kind(mode)}, where a file should be")
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._descriptor)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):  # exchanged since
                raise _WrongKindError(f"is {_kind(status.st_mode)}, where a file should be")
            if status.st_size > _HOLES_FROM and os.lseek(descriptor, 0, os.SEEK_HOLE) < status.st_size:
                raise _WrongKindError("has holes: it takes no room on the disk, and much in memory")
            file.seek(0)
            content = file.read(FILE_LIMIT + 1)
        if len(content) > FILE_LIMIT:
            raise _WrongKindError(f"has more than {FILE_LIMIT:,} bytes")
        return content

    def _mode(self, name: str) -> int:
        return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_mode


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a link"
    return "a directory" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "a device, a pipe or a socket"


class StoredArchive:
    """A tar, packed or not; read from its beginning to its end, first as a whole to see that all of it may be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._top: dict[str, bytes] = {}
        size = path.stat().st_size
        if not stat.S_ISREG(path.stat().st_mode):
            raise refused(path, "neither a directory nor a file")
        self._limit = max(EXPANSION_FREE, EXPANSION * size)
        self._survey()

    def top(self, name: str) -> bytes | None:
        """As in Stored."""
        return self._top.get(name)

    def hosts(self) -> Iterator[HostFiles]:
        """As in Stored; in the order of the archive."""
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
        """See that each file is there once and each host's lie together; keep the files beside the hosts."""
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
        """Each member, and the archive to read its content from."""
        is_smemcap = False
        with self.path.open("rb") as packed:
            stream = _Bounded(_unpacked(packed), self._limit, self.path)
            tar = Tar(io.BufferedReader(stream, _RECORD))
            for count, member in enumerate(tar.members()):
                if count >= MEMBERS_LIMIT:
                    raise refused(self.path, f"more than {MEMBERS_LIMIT:,} files")
                self._check(member)
                name = member.name.removeprefix("./").rstrip("/")
                is_smemcap |= name == VERSION  # which closes its tar with no empty block
                yield member._replace(name=name), tar
            stream.check_end(tar.offset, closed=not is_smemcap)

    def _check(self, member: Member) -> None:
        name = member.name
        if name.startswith("/") or ".." in name.split("/"):
            raise refused(self.path, f'"{name[:80]}" leads out of the archive', hint=_DISTRUST)
        if member.size > FILE_LIMIT:
            raise refused(self.path, f'"{name[:80]}" unpacks to more than {FILE_LIMIT:,} bytes')


class _Bounded(io.RawIOBase):
    """A stream that ends the reading when more comes out than can be honest."""

    def __init__(self, file: Stream, limit: int, path: Path) -> None:
        super().__init__()
        self._file, self._left, self._path = file, limit, path
        self.size = self.filled = 0
        """Bytes read, and how many of them up to the last that is not zero."""

    def readable(self) -> bool:
        """As io.RawIOBase."""
        return True

    def readinto(self, buffer: Any, /) -> int:  # what collections.abc calls Buffer from Python 3.12 on
        """As io.RawIOBase."""
        room = memoryview(buffer)
        piece = self._file.read(len(room))
        self._left -= len(piece)
        if self._left < 0:
            raise refused(self._path, f"unpacks to more than {EXPANSION} times its size: a bomb")
        if filled := len(piece.rstrip(b"\0")):
            self.filled = self.size + filled
        self.size += len(piece)
        room[: len(piece)] = piece
        return len(piece)

    def check_end(self, offset: int, *, closed: bool) -> None:
        """See that nothing but empty blocks follows on the members, which end at `offset`; `closed`: and that some do.

        What is left has to be read for it, at whose end a packer has its checksum.
        """
        while self.read(_RECORD):
            pass
        if closed and self.size == offset:
            raise EOFError("its end is missing")
        if self.filled > offset:
            raise EOFError("something follows on its end")


class _Zstd:
    """A stream of zstd's whose errors are those of a file that is cut or damaged."""

    def __init__(self, file: BinaryIO) -> None:
        package = zstandard()
        self._file = package.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False)
        self._error = package.ZstdError

    def read(self, size: int) -> bytes:
        """The next bytes."""
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
    """A member's host and its path below it: all before the process's directory, or before a file of the host's."""
    parts = name.split("/")
    for place, part in enumerate(parts):
        if _PID.fullmatch(part) or "/".join(parts[place:]) in HOST_FILES:
            return "/".join(parts[:place]), "/".join(parts[place:])
    return "", name
