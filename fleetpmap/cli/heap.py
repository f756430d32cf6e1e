"""One heap for all threads.   [heap] ─► app

glibc gives every thread a heap of its own, and hands freed memory back at once. With 32 threads that parse a megabyte
each, that is 60 MB more, and for each host a millisecond or two of page faults.
"""

from __future__ import annotations

_OPTIONS = (
    (-8, 1),  # M_ARENA_MAX: heaps; the interpreter's lock leaves nobody to wait for the only one
    (-3, 4 << 20),  # M_MMAP_THRESHOLD: bytes from which on a block is mapped, and given back, on its own
    (-1, 16 << 20),  # M_TRIM_THRESHOLD: free bytes at the heap's end that are kept
)
"""Names and numbers of mallopt(3)."""


def share_one_heap() -> None:
    """Set this process's malloc so, before it starts threads. Does nothing where the C library has no mallopt."""
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in _OPTIONS:
            mallopt(option, value)
