"""Memory that all hosts share for what only few of them need.   [room] ─► frames

One thread at a time has its turn, and only while what the others hold leaves room.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 20.0
"""How long a thread waits for its turn. Hosts let go when they are read, after some seconds, or given up."""
_SMALL = 4 << 20
"""Bytes that are not counted: most hosts hold less."""


class Room:
    """So many bytes, and in the turn of one thread as many more as it needs."""

    def __init__(self, size: int, patience_s: float = PATIENCE_S) -> None:
        self._size = size
        self._patience_s = patience_s
        self._held = 0
        self._is_taken = False
        # Reentrant: an object may be let go, and so give its room back, anywhere in the thread that holds this.
        self._changed = threading.Condition(threading.RLock())

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Wait for a turn and have it; False if it did not come in time."""
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
        """Count these bytes for as long as the owner lives."""
        if size > _SMALL:
            with self._changed:
                self._held += size
            weakref.finalize(owner, self._give_back, size)

    def _is_free(self) -> bool:
        return not self._is_taken and self._held <= self._size

    def _give_back(self, size: int) -> None:
        with self._changed:
            self._held -= size
            self._changed.notify_all()
