"""Settings of this process that keep a run over many hosts small and quick.   [tuning] ─► snapshot, pipeline, worker

Only the command line and its worker processes apply them: a library must not change the malloc and the modules of its
user's process. `give_back` is no setting, so every run calls it.
"""

from __future__ import annotations

import contextlib
import os
import sys

_MALLOC = (
    (-8, 1),  # M_ARENA_MAX: heaps; with the interpreter's lock, threads hardly wait for the only one
    (-3, 4 << 20),  # M_MMAP_THRESHOLD: bytes from which on a block is mapped, and given back, on its own
    (-1, 16 << 20),  # M_TRIM_THRESHOLD: free bytes at the heap's end that are kept
)
"""Options of mallopt(3), by their numbers.

glibc would give each of 32 threads a heap of its own and hand back what is freed at once: 60 MB more, and for each host
one to three milliseconds of page faults.
"""


def trim_footprint() -> None:
    """Apply the settings. Call this before paramiko is imported and before threads start."""
    import atexit
    import ctypes
    import gc
    import resource

    # A host takes a few descriptors. The soft limit of a login shell is often 1024, the hard limit much higher.
    _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a kernel that does not accept "unlimited" here
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))
    # Few objects of a run are cyclic garbage: a collection every 700 objects takes a twelfth of the time, and going
    # through all of them again and again half of the time in which 100,000 results come from other processes.
    gc.set_threshold(50_000, 10, 100)
    # At exit the interpreter collects all objects several times, a sixth of a short run; frozen ones are passed over.
    atexit.register(gc.freeze)
    # We multiply no matrices, so numpy's BLAS need not start a thread for each core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not in every C library
    if mallopt is not None:
        for option, value in _MALLOC:
            mallopt(option, value)
    # paramiko's reader of ssh_config, which we do not use, imports invoke if it can, and with it yaml, asyncio and
    # unittest.mock: 50 ms and 7 MB.
    sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]  # None is how an import is made to fail


def give_back() -> None:
    """Return free memory to the system that lies between blocks in use; free(3) returns only what is at the end."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in every C library
    if trim is not None:
        trim(0)
