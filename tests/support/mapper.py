"""A process that maps one thing of each kind and says where; the test reads its smaps.

`{"memfd": 140231, "hugetlb": "Cannot allocate memory", …}` on stdout: the address, or why the kernel gave none. Then it
waits until its stdin is closed. Argument: a directory to write in.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = LIBC.shmat.restype = ctypes.c_void_p
LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
LIBC.shmat.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)

SHARED, PRIVATE, ANONYMOUS, GROWS_DOWN, HUGETLB = 1, 2, 0x20, 0x100, 0x40000
FAILED = (-1, 2**64 - 1, None)
PAGE, HUGE = mmap.PAGESIZE, 2 * 2**20
IO_URING_SETUP, MEMFD_SECRET = 425, 447
PR_SET_VMA = 0x53564D41
DIRECTORY = Path(sys.argv[1]) if __name__ == "__main__" else Path()


def checked(result: int | None) -> int:
    if result in FAILED:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def mapped(flags: int, fd: int = -1, *, size: int = PAGE, prot: int = mmap.PROT_READ | mmap.PROT_WRITE) -> int:
    return checked(LIBC.mmap(None, size, prot, flags, fd, 0))


def mapped_file(fd: int, *, size: int = PAGE, prot: int = mmap.PROT_READ | mmap.PROT_WRITE) -> int:
    os.ftruncate(fd, size)
    return mapped(SHARED, fd, size=size, prot=prot)


def named(name: bytes, flags: int) -> int:
    start = mapped(flags)
    checked(LIBC.prctl(PR_SET_VMA, 0, ctypes.c_ulong(start), ctypes.c_ulong(PAGE), ctypes.c_char_p(name)))
    return start


def system_v() -> int:
    segment = checked(LIBC.shmget(0, PAGE, 0o600))
    try:
        return checked(LIBC.shmat(segment, None, 0))
    finally:
        LIBC.shmctl(segment, 0, None)  # it goes when nobody has it any more


def posix() -> int:
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        return mapped_file(file.fileno())


def file(name: str, *, deleted: bool = False) -> int:
    path = DIRECTORY / name
    with path.open("w+b") as opened:
        if deleted:
            path.unlink()
        return mapped_file(opened.fileno())


KINDS: dict[str, Callable[[], int]] = {
    "anonymous": lambda: mapped(PRIVATE | ANONYMOUS, size=3 * PAGE),
    "shared anonymous": lambda: mapped(SHARED | ANONYMOUS),
    "private /dev/zero": lambda: mapped(PRIVATE, os.open("/dev/zero", os.O_RDWR)),
    "shared /dev/zero": lambda: mapped(SHARED, os.open("/dev/zero", os.O_RDWR)),
    "named": lambda: named(b"a pool", PRIVATE | ANONYMOUS),
    "named shared": lambda: named(b"a pool", SHARED | ANONYMOUS),
    "named stack": lambda: named(b" glibc: pthread stack: 77", PRIVATE | ANONYMOUS),
    "grows down": lambda: mapped(PRIVATE | ANONYMOUS | GROWS_DOWN),
    "System V": system_v,
    "POSIX": posix,
    "memfd": lambda: mapped_file(os.memfd_create("a/b.so")),
    "memfd code": lambda: mapped_file(os.memfd_create("jit"), prot=mmap.PROT_READ | mmap.PROT_EXEC),
    "memfd secret": lambda: mapped_file(checked(LIBC.syscall(MEMFD_SECRET, 0))),
    "hugetlb": lambda: mapped(PRIVATE | ANONYMOUS | HUGETLB, size=HUGE),
    "hugetlb memfd": lambda: mapped_file(os.memfd_create("huge", os.MFD_HUGETLB), size=HUGE),
    "io_uring": lambda: mapped(SHARED, checked(LIBC.syscall(IO_URING_SETUP, 4, ctypes.create_string_buffer(120)))),
    "deleted library": lambda: file("libgone.so.1", deleted=True),
    "file": lambda: file("a plain.db"),
}


def main() -> None:
    answers: dict[str, int | str] = {}
    for name, make in KINDS.items():
        try:
            answers[name] = make()
        except OSError as error:
            answers[name] = error.strerror
    print(json.dumps(answers), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
