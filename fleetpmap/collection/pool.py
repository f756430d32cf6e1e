"""Bounded pool that yields host replies as they arrive.   conversation ─► [arrivals] ─► collector

Worker threads ask the hosts. The replies are handed over in batches, since the parser costs about 0.5 ms a call: fifty
small hosts take 0.55 ms each in calls of their own, and 0.07 ms each in one call.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Semaphore
from types import TracebackType
from typing import Self

from fleetpmap.collection.conversation import Answered
from fleetpmap.errors import HostError
from fleetpmap.inventory import Host

_LINGER_S = 0.2
_ENOUGH = 256 << 10
"""A batch is closed this long after its first reply, or at so many bytes (packed: some megabytes of smaps)."""
_ROOM = 16
"""Replies in a batch, and replies that wait to be taken before the worker threads pause. Without this bound all replies
would arrive first and be parsed at the end; with it the parsing thread gets its share of the interpreter."""

Arrived = Answered | HostError
"""A reply, or why there is none."""
Ask = Callable[[Host], Arrived]
Take = Callable[[Sequence[int], Sequence[Arrived]], None]
"""Takes replies with their hosts' places."""


class Arrivals:
    """The replies of many hosts. A context manager: leaving it early cancels the hosts not yet started, and frees the
    worker threads that wait to hand over a reply."""

    def __init__(self, ask: Ask, hosts: Sequence[Host], threads: ThreadPoolExecutor) -> None:
        """`ask` is called in the worker threads."""
        self._ask = ask
        self._room = Semaphore(_ROOM)
        self._came: SimpleQueue[Future[Arrived]] = SimpleQueue()
        self._slots: dict[Future[Arrived], int] = {}
        """Of each reply that is still to come: its host's place in the order given."""
        for slot, host in enumerate(hosts):
            self._slots[threads.submit(self._ask_and_wait, host)] = slot
        for future in self._slots:
            future.add_done_callback(self._came.put)

    def hand_to(self, take: Take) -> None:
        """Call `take` with all the replies, some at a time.

        Raises:
            BaseException: what `ask` or `take` raised.
        """
        left = len(self._slots)
        while left:
            slots, arrived = self._batch(left)
            take(slots, arrived)
            left -= len(slots)
            del arrived
            self._room.release(len(slots))

    def _batch(self, left: int) -> tuple[list[int], list[Arrived]]:
        """The next reply, and those that arrive shortly after it."""
        slots: list[int] = []
        arrived: list[Arrived] = []
        size, until = 0, math.inf
        while len(slots) < min(left, _ROOM) and size < _ENOUGH and (future := self._next(until)):
            slots.append(self._slots.pop(future))
            arrived.append(future.result())
            size += _packed(arrived[-1])
            until = min(until, time.monotonic() + _LINGER_S)
        return slots, arrived

    def _next(self, until: float) -> Future[Arrived] | None:
        """The next reply; None if none arrives by then."""
        try:
            return self._came.get(timeout=None if until == math.inf else max(0.0, until - time.monotonic()))
        except Empty:
            return None

    def _ask_and_wait(self, host: Host) -> Arrived:
        arrived = self._ask(host)
        self._room.acquire()
        return arrived

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for future in self._slots:
            future.cancel()
            self._room.release()  # no reply is taken any more, so no thread may wait for room


def _packed(arrived: Arrived) -> int:
    """Bytes of a reply that is to be parsed."""
    return arrived.answer.packed.size if isinstance(arrived, Answered) and arrived.answer.packed else 0
