"""Bounds on time in tests: of a block, and of a wait.   [bounded] ─► tests

The machine that decides may be five times slower than a developer's, and busy with other tests. So a bound tells a hang
from an answer, and no more.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail a test whose block takes longer: a fault is to be told when it happens, not at the deadline."""
    began = time.monotonic()
    yield
    took_s = time.monotonic() - began
    assert took_s < seconds, f"it took {took_s:.1f} s, and {seconds:g} s are allowed"


def wait_until(holds: Callable[[], object], *, every_s: float = 0.02) -> None:
    """Wait until it holds; fail a test in which it does not within a minute."""
    give_up = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < give_up, "it did not come about within a minute"
        time.sleep(every_s)


def is_running(pid: int) -> bool:
    """True if the process runs; one that has ended and is not waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] != b"Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
