"""A capture's directory, read safely.   DIR ─► [stored_directory] ─► stored

The tree may be hostile. Only files that the layout knows are opened, each below its open parent directory, and no link
is followed. The size of a file and of a host is bounded. Reading takes time linear in the size of the tree.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from fleetpmap.capture.tree import (
    CGROUPS,
    FILE_LIMIT,
    HOST_FILES,
    HOST_LIMIT,
    PID,
    PID_FILES,
    HostFiles,
    is_cgroup_file,
    refused,
)
from fleetpmap.wire.accounting import CGROUPS_LIMIT

_HOLES_FROM = 1 << 20
"""Bytes from which on a file may have no holes. A smaller one may: the unread part of an overwritten command line."""


class StoredDirectory:
    """A tree on disk: of one host, or with a directory for each host."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def top(self, name: str) -> bytes | None:
        """Return the manifest or the passwd file beside the hosts; None if there is none."""
        with _Directory.opened(self.path) as root:
            return self._read(root, name)

    def hosts(self) -> Iterator[HostFiles]:
        """Yield each host's files, in the order of the directories' names."""
        with _Directory.opened(self.path) as root:
            names = root.names()
            if any(map(PID.fullmatch, names)):
                yield self._host("", root)
                return
            for name in names:
                if not name.startswith(".") and root.is_directory(name):
                    with root.below(name) as host:
                        if (files := self._host(name, host)).files:
                            yield files

    def _host(self, directory: str, host: _Directory) -> HostFiles:
        host_files = HostFiles(directory)
        paths = [f"{pid}/{name}" for pid in host.names() if PID.fullmatch(pid) for name in PID_FILES]
        size = 0
        for path in (*HOST_FILES, *paths, *self._cgroup_files(host, directory)):
            content = self._read(host, path, directory)
            if content is not None:
                host_files.files[path] = content
                size += len(content)
                if size > HOST_LIMIT:
                    raise refused(self.path, f"{directory}: more than {HOST_LIMIT:,} bytes of one host")
        return host_files

    def _cgroup_files(self, host: _Directory, name: str) -> Iterator[str]:
        """Yield the paths of the files of cgroups: of directories that can be cgroups, and of no others."""
        paths = [CGROUPS]
        for count, path in enumerate(paths, 1):
            if count > CGROUPS_LIMIT:
                raise refused(self.path, f"{name}/{CGROUPS}: more than {CGROUPS_LIMIT:,} cgroups".removeprefix("/"))
            for entry in host.entries(path):
                below = f"{path}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if is_cgroup_file(f"{below}/cgroup.procs"):
                        paths.append(below)
                elif is_cgroup_file(below):
                    yield below

    def _read(self, directory: _Directory, path: str, name: str = "") -> bytes | None:
        try:
            return directory.read(path)
        except _WrongKindError as error:
            raise refused(self.path, f"{name}/{path} {error}".removeprefix("/")) from error
        except OSError as error:
            error.filename = f"{name}/{path}".removeprefix("/")
            raise


class _WrongKindError(Exception):
    """Something else stands at the place of a file or directory; the message continues `PATH …`."""


class _Directory:
    """An open directory. Files below it are opened relative to its descriptor, so no link is followed on the way."""

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

    def entries(self, path: str) -> list[os.DirEntry[str]]:
        """Return what is in a directory below this one; nothing if it is not there, or no directory."""
        name, _, rest = path.partition("/")
        try:
            with self.below(name) as directory:
                if rest:
                    return directory.entries(rest)
                with os.scandir(directory._descriptor) as entries:
                    return sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def is_directory(self, name: str) -> bool:
        return stat.S_ISDIR(self._mode(name))

    def read(self, path: str) -> bytes | None:
        """Return the file's bytes; None if it is not there.

        Raises:
            _WrongKindError: it is not a regular file, has holes, or exceeds FILE_LIMIT.
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
            if not stat.S_ISREG(status.st_mode):  # replaced since _mode()
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
