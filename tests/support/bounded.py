"""A bound on how long a block of a test may take."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail a test whose block takes longer: a fault is to be told when it happens, not at the deadline."""
    began = time.monotonic()
    yield
    took_s = time.monotonic() - began
    assert took_s < seconds, f"it took {took_s:.1f} s, and {seconds:g} s are allowed"
