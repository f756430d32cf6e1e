"""Reading files of others in a child process that has limits.   show, diff ─► [confined] ─► kept

A damaged or hostile file can end the process that reads it: the parquet reader aborts, or memory is used up, and no
exception says so. So the command forks before it has threads and goes on in the child, which reads the files under
limits, lifts them, and reports as usual. The parent waits, passes signals on, and ends as the child ended. If the child
was killed over a file, the parent says over which, and exits with status 2. Nothing has to be handed back, so reading a
good file takes no longer.

The limits grow with the file, so that a capture of any size is read: see `limits_of` and docs/concepts/security.md.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fleetpmap.errors import FleetpmapError, UsageError
from fleetpmap.escape import escape

MEMORY = 512 << 20
"""Bytes that any file may take while it is read, beyond what the program itself takes."""
MEMORY_FACTOR = 250
"""Bytes more for each byte of the file: a table of many equal hosts is packed to a 200th."""
CPU_S = 10
"""Seconds of CPU that reading any file may take."""
CPU_S_PER_MIB = 10
"""Seconds more for each MiB of the file: ten times what reading takes, for slow machines."""
WAIT_FACTOR = 5
"""How many times that may pass by the clock, for busy machines and slow disks."""

_HINT = "do not trust where it came from; if it is your own, keep it anew, or report this with the file"
_NOTE = 1 << 14
"""Bytes of a path and a hint."""
_ENTRIES = 1 << 20
"""Files and directories of a directory that are counted for its size."""
_OF_A_TERMINAL = 0x80
"""The code of a signal that the kernel sent to the whole group of processes, so to the child too (SI_KERNEL)."""
_WATCHED = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OUR_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Limits(NamedTuple):
    """What reading one file may take."""

    memory: int
    """Bytes."""
    cpu_s: int
    wait_s: int


def limits_of(path: str) -> Limits:
    """The limits for reading the file or directory at `path`."""
    size = _size(Path(path))
    cpu_s = CPU_S + (CPU_S_PER_MIB * size >> 20)
    return Limits(MEMORY + MEMORY_FACTOR * size, cpu_s, WAIT_FACTOR * cpu_s)


class Reader:
    """The process that reads, seen from within."""

    def __init__(self, note: mmap.mmap | None) -> None:
        self._note = note
        """Which path is being read and the hint, for the parent; None where there is no parent and so no limit."""

    @contextlib.contextmanager
    def reading(self, path: str, hint: str = _HINT) -> Iterator[None]:
        """Hold what is done within to the limits of this path; `hint`: what to do if it cannot be read.

        Raises:
            UsageError: there is something about the file that no reader of ours foresaw.
        """
        try:
            if self._note is None:
                yield
            else:
                with _noted(self._note, path, hint), _silent(), limited(limits_of(path)):
                    yield
        except MemoryError as error:
            raise UsageError(f"{path}: {_too_large(limits_of(path))}", hint=hint) from error
        except FleetpmapError:
            raise
        except Exception as error:  # a file from elsewhere must not end in a traceback, whatever it holds
            what = escape(str(error).partition("\n")[0])[:200]
            raise UsageError(f"{path}: is damaged ({type(error).__name__}: {what})", hint=hint) from error


def reader() -> Reader:
    """Go on in a child process; the parent never returns from here. To be called before there are threads.

    Raises:
        SystemExit: in the parent, with the status of the child.
    """
    if not hasattr(signal, "sigwaitinfo"):  # macOS
        return Reader(None)
    note = mmap.mmap(-1, _NOTE)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # who starts us may have it ignored, and then no child is waited for
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return Reader(note)
    code = os.waitstatus_to_exitcode(_waited(child))
    if code < 0:
        _end_as(-code, note)
    raise SystemExit(code)


def _waited(child: int) -> int:
    """The child's wait status; signals that only we got are passed on to it."""
    while True:
        told = signal.sigwaitinfo(_WATCHED)
        if told.si_signo != signal.SIGCHLD:
            if told.si_code != _OF_A_TERMINAL:
                os.kill(child, told.si_signo)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status


def _end_as(number: int, note: mmap.mmap) -> None:
    """End as the child did, by a signal; if that was over a file, only say so.

    Raises:
        UsageError: it was over a file.
    """
    path, _, hint = os.fsdecode(note[:].rstrip(b"\0")).partition("\0")
    if path and number not in _OUR_END:
        raise UsageError(f"{path}: {_over(number, limits_of(path))}", hint=hint)
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
    os.kill(os.getpid(), number)


def _over(number: int, limits: Limits) -> str:
    if number == signal.SIGXCPU:
        return f"reading it took more than {limits.cpu_s} s of CPU, so it is damaged or hostile"
    if number == signal.SIGALRM:
        return f"reading it took more than {limits.wait_s} s, so it is damaged or hostile"
    name = signal.Signals(number).name
    return f"is damaged or hostile: the reader died of it ({name}), or needed more than {limits.memory >> 20} MiB"


def _too_large(limits: Limits) -> str:
    return f"reading it took more than {limits.memory >> 20} MiB of memory, so it is damaged or hostile"


@contextlib.contextmanager
def _noted(note: mmap.mmap, path: str, hint: str) -> Iterator[None]:
    text = os.fsencode(f"{path}\0{hint}")[:_NOTE]
    note[: len(text)] = text
    try:
        yield
    finally:
        note[:] = bytes(_NOTE)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Drop what is written to stderr: the parquet reader prints there what it also raises."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


@contextlib.contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Hold this process to the limits, from where it stands now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    wanted = (
        # Not RLIMIT_AS: allocators and threads reserve gigabytes of addresses that they never use.
        (resource.RLIMIT_DATA, _memory_now() + limits.memory),
        (resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + limits.cpu_s),
        (resource.RLIMIT_CORE, 0),
    )
    before = {kind: resource.getrlimit(kind) for kind, _ in wanted}
    for kind, limit in wanted:
        soft, hard = before[kind]
        lower = [one for one in (soft, hard) if one != resource.RLIM_INFINITY]
        resource.setrlimit(kind, (min([limit, *lower]), hard))
    signal.alarm(limits.wait_s)
    try:
        yield
    finally:
        signal.alarm(0)
        for kind, both in before.items():
            resource.setrlimit(kind, both)


def _memory_now() -> int:
    """Bytes of what RLIMIT_DATA counts: private memory that can be written. See proc(5), statm's data."""
    return int(Path("/proc/self/statm").read_bytes().split()[5]) * resource.getpagesize()


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a directory; 0 where it cannot be told."""
    size = entries = 0
    directories = [path]
    with contextlib.suppress(OSError):
        if not path.is_dir():
            return path.stat().st_size
    while directories and entries < _ENTRIES:
        with contextlib.suppress(OSError), os.scandir(directories.pop()) as found:
            for entry in found:
                entries += 1
                if entry.is_dir(follow_symlinks=False):
                    directories.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    size += entry.stat(follow_symlinks=False).st_size
    return size
