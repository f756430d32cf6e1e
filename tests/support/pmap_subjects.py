"""Real processes with everything in their maps that pmap has to name.   [pmap_subjects] ─► test_pmap_parity

Each is stopped, so that pmap and fleetpmap read the same of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

_STOP = "print(flush=True); os.kill(os.getpid(), signal.SIGSTOP); signal.pause()"
_PYTHON = """
import ctypes, mmap, os, shutil, signal, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.shmat.restype = ctypes.c_void_p
kept = []

def anonymous(size, flags=mmap.MAP_PRIVATE):
    address = libc.mmap(None, ctypes.c_size_t(size), 3, flags | mmap.MAP_ANONYMOUS, -1, ctypes.c_long(0))
    assert address != ctypes.c_void_p(-1).value, os.strerror(ctypes.get_errno())
    return address

def map_file(path):
    with open(path, "r+b") as file:
        kept.append(mmap.mmap(file.fileno(), 0))
"""
_THREADS = """
for _ in range(3):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
_SHARED = """
segment = libc.shmget(0, 8192, 0o1600)
address = libc.shmat(segment, None, 0)
libc.shmctl(segment, 0, None)
ctypes.memset(address, 1, 4096)
with open(f"/dev/shm/fleetpmap-{os.getpid()}", "w+b") as file:
    os.unlink(file.name)
    file.truncate(12288)
    kept.append(mmap.mmap(file.fileno(), 0))
memfd = os.memfd_create("two words")
os.truncate(memfd, 16384)
kept.append(mmap.mmap(memfd, 0))
kept.append(mmap.mmap(-1, 20480))
kept[-1][:4096] = b"x" * 4096
libc.prctl(0x53564D41, 0, ctypes.c_void_p(anonymous(24576)), ctypes.c_size_t(24576), b"arena/one: two")
"""
_DELETED_LIBRARY = """
import _ctypes
library = os.path.join(sys.argv[1], "libgone.so")
shutil.copy(_ctypes.__file__, library)
kept.append(ctypes.CDLL(library))
os.unlink(library)
"""
_FILES = """
for name in os.listdir(os.fsencode(sys.argv[1])):
    map_file(os.path.join(os.fsencode(sys.argv[1]), name))
"""
_MANY = """
address = anonymous(9984 * 4096)
for page in range(0, 9984, 4):  # each page of another protection cuts the mapping in two
    libc.mprotect(ctypes.c_void_p(address + page * 4096), ctypes.c_size_t(4096), 1)
"""
HUGETLB = "anonymous(4 << 20, mmap.MAP_PRIVATE | 0x40000)"
"""For `python`: two huge pages, and an error where the kernel has none to give."""

NAMES = (
    *(b"plain.bin", "caf\xe9 \u20ac".encode(), b"not\xffutf8", b"bell\x07", b"esc\x1b[1m", b"tab\there"),
    *(b"two\nlines", b"sp  ace ", b"gone (deleted)", b"c1\xc2\x9b bidi\xe2\x80\xae", b"l" * 200, b"SYSV00000000"),
)
"""What files can be called."""
COMMANDS: tuple[Sequence[str | bytes], ...] = (
    ("caf\xe9 \u20ac \U0001f600", "es\x1b[1mc", "two\nlines", "", "end", ""),
    (b"caf\xc3\xa9\x1b then not\xffutf8\x1b caf\xc3\xa9", b"\t\x01\x7f"),
    (b"c1\xc2\x9b bidi\xe2\x80\xae overlong\xc0\xaf swallowing\xc3\x1b", b"cut\xe2\x82"),
    ("x" * 100_000, "y" * 100_000),  # pmap shows 128 KiB of them
)
"""The arguments of a process each."""


@contextmanager
def subjects(directory: Path) -> Iterator[dict[str, int]]:
    """Processes under what they are: pids of stopped children, which end with the context."""
    files = directory / "files"
    files.mkdir()
    for number, name in enumerate(NAMES, start=1):
        Path(os.fsdecode(os.fsencode(files) + b"/" + name)).write_bytes(b"\0" * number * 4096)
    programs = {
        "threads and shared memory": _THREADS + _SHARED,
        "a deleted library": _DELETED_LIBRARY,
        "odd file names": _FILES,
        "5,000 mappings": _MANY,
    }
    with ExitStack() as running:
        started = {"bash": running.enter_context(_stopped(["bash", "-c", "echo; kill -STOP $$; :"]))}
        for what, text in programs.items():
            argument = str(files if text is _FILES else directory)
            started[what] = running.enter_context(python(text, argument))
        for arguments in COMMANDS:
            started[f"arguments like {arguments[0][:20]!r}"] = running.enter_context(python("", *arguments))
        yield started


@contextmanager
def python(text: str, *arguments: str | bytes) -> Iterator[int]:
    """A stopped python that has run `text`; its pid."""
    with _stopped([sys.executable, "-S", "-c", f"{_PYTHON}\n{text}\n{_STOP}", *arguments]) as pid:
        yield pid


@contextmanager
def _stopped(argv: Sequence[str | bytes]) -> Iterator[int]:
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"\n", "it did not get as far as it should"
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        yield child.pid
    finally:
        child.kill()
        child.communicate()
