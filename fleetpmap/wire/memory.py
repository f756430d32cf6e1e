"""A memory budget that all hosts share for large listings.   [memory] ─► decoder

One thread at a time may build a large listing, and only while the listings held already are within the budget.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 20.0
"""Time that a thread waits for its turn. A host's listing is released when the host is read or has failed."""
_SMALL = 4 << 20
"""Size in bytes up to which an object is not counted: the listings of most hosts are smaller."""


class MemoryBudget:
    """A number of bytes that threads may hold together; the thread that has its turn may exceed it."""

    def __init__(self, size: int, patience_s: float = PATIENCE_S) -> None:
        self._size = size
        self._patience_s = patience_s
        self._held = 0
        self._is_taken = False
        # Reentrant: an owner can be finalized, and so release its bytes, anywhere in the thread that holds this lock.
        self._changed = threading.Condition(threading.RLock())

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Wait for a turn and hold it in the `with` block; yields False if it did not come in time."""
        with self._changed:
            has_come = self._changed.wait_for(self._is_free, self._patience_s)
            if has_come:
                self._is_taken = True
        try:
            yield has_come
        finally:
            if has_come:
                with self._changed:
                    self._is_taken = False
                    self._changed.notify_all()

    def hold(self, owner: object, size: int) -> None:
        """Count these bytes as held until `owner` is garbage collected."""
        if size > _SMALL:
            with self._changed:
                self._held += size
            weakref.finalize(owner, self._release, size)

    def _is_free(self) -> bool:
        return not self._is_taken and self._held <= self._size

    def _release(self, size: int) -> None:
        with self._changed:
            self._held -= size
            self._changed.notify_all()
