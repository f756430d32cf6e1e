"""Reading untrusted files in a child process under limits.   commands.show, commands.diff ─► [confined] ─► storage

A damaged or hostile file can end the process that reads it: the parquet reader aborts, or memory runs out, without an
exception. So the command forks before it has threads and continues in the child, which reads the files under limits,
lifts them, and reports as usual. The parent waits, passes signals on, and ends as the child ended. If the child was
killed while reading a file, the parent names the file and exits with status 2. No data has to come back from the child,
so reading a good file takes no longer.

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
"""Bytes of memory that reading any file may take, beyond those of the program itself."""
MEMORY_FACTOR = 250
"""Bytes more for each byte of the file: a table of many equal hosts is packed to a 200th."""
CPU_S = 10
"""Seconds of CPU that reading any file may take."""
CPU_S_PER_MIB = 10
"""Seconds more for each MiB of the file: ten times what reading takes, for slow machines."""
WAIT_FACTOR = 5
"""Seconds by the clock for each of these seconds of CPU, for busy machines and slow disks."""

_HINT = "do not trust where it came from; if it is your own, keep it anew, or report this with the file"
_NOTE = 1 << 14
"""Bytes of the shared memory that holds a path and a hint."""
_ENTRIES = 1 << 20
"""Files and directories of a directory that are counted for its size."""
_OF_A_TERMINAL = 0x80
"""The code of a signal that the kernel sent to the whole group of processes, so to the child too (SI_KERNEL)."""
_WATCHED = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OUR_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Limits(NamedTuple):
    """The resources that reading one file may take."""

    memory: int
    """Bytes."""
    cpu_s: int
    wait_s: int


def limits_of(path: str) -> Limits:
    """Return the limits for reading the file or directory at `path`."""
    size = _size(Path(path))
    cpu_s = CPU_S + (CPU_S_PER_MIB * size >> 20)
    return Limits(MEMORY + MEMORY_FACTOR * size, cpu_s, WAIT_FACTOR * cpu_s)


class Reader:
    """The limits of the child process, for the code that reads files in it."""

    def __init__(self, note: mmap.mmap | None) -> None:
        self._note = note
        """The path being read and the hint, for the parent; None where there is no parent and so no limit."""

    @contextlib.contextmanager
    def reading(self, path: str, hint: str = _HINT) -> Iterator[None]:
        """Limit the block to the resources for this path; `hint`: the advice if it cannot be read.

        Raises:
            UsageError: the file caused an exception that its reader does not handle.
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
        except Exception as error:  # no content of a foreign file may end in a traceback
            what = escape(str(error).partition("\n")[0])[:200]
            raise UsageError(f"{path}: is damaged ({type(error).__name__}: {what})", hint=hint) from error


def reader() -> Reader:
    """Continue in a child process; the parent never returns from here. Call this before there are threads.

    Raises:
        SystemExit: in the parent, with the status of the child.
    """
    if not hasattr(signal, "sigwaitinfo"):  # macOS
        return Reader(None)
    note = mmap.mmap(-1, _NOTE)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if our caller ignores it, the kernel reaps the child unseen
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return Reader(note)
    code = os.waitstatus_to_exitcode(_waited(child))
    if code < 0:
        _end_as(-code, note)
    raise SystemExit(code)


def limited_reader() -> Reader:
    """Return a reader with its limits for this process, which a file may end; see error_of_ended."""
    return Reader(mmap.mmap(-1, _NOTE))


def error_of_ended(path: str, number: int, hint: str = _HINT) -> UsageError:
    """Return the error for a file whose reader was ended by the signal `number`."""
    return UsageError(f"{path}: {_over(number, limits_of(path))}", hint=hint)


def _waited(child: int) -> int:
    """Wait for the child, and return its status; signals that only the parent got are passed on."""
    while True:
        received = signal.sigwaitinfo(_WATCHED)
        if received.si_signo != signal.SIGCHLD:
            if received.si_code != _OF_A_TERMINAL:
                os.kill(child, received.si_signo)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status


def _end_as(number: int, note: mmap.mmap) -> None:
    """End by the signal that ended the child, unless the child was reading a file.

    Raises:
        UsageError: it was reading a file, which the message names.
    """
    path, _, hint = os.fsdecode(note[:].rstrip(b"\0")).partition("\0")
    if path and number not in _OUR_END:
        raise error_of_ended(path, number, hint)
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
    """Discard output to stderr: the parquet reader prints its errors there and raises them, too."""
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
    """Limit this process, counting from its present use of resources."""
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
        finite = [value for value in (soft, hard) if value != resource.RLIM_INFINITY]
        resource.setrlimit(kind, (min([limit, *finite]), hard))
    signal.alarm(limits.wait_s)
    try:
        yield
    finally:
        signal.alarm(0)
        for kind, both in before.items():
            resource.setrlimit(kind, both)


def _memory_now() -> int:
    """Return the bytes that RLIMIT_DATA counts: private writable memory. See proc(5), statm's data."""
    return int(Path("/proc/self/statm").read_bytes().split()[5]) * resource.getpagesize()


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files below a directory; 0 if they cannot be read."""
    size = entries = 0
    directories = [path]
    with contextlib.suppress(OSError):
        if not path.is_dir():
            return path.stat().st_size
    while directories and entries < _ENTRIES:
        with contextlib.suppress(OSError), os.scandir(directories.pop()) as listing:
            for entry in listing:
                entries += 1
                if entry.is_dir(follow_symlinks=False):
                    directories.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    size += entry.stat(follow_symlinks=False).st_size
    return size
