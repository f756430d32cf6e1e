"""Whose answer has come.   conversation ─► [arrivals] ─► collector

Hosts are asked in threads, and their answers handed over as they come, a few together. A host that is on the line
already is asked from here: what it says waits in its connection's buffer, and no thread has to be woken for it.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Semaphore
from types import TracebackType
from typing import Protocol, Self

from fleetpmap.conversation import Answered
from fleetpmap.errors import HostError
from fleetpmap.inventory import Host

_LINGER_S = 0.2
_ENOUGH = 256 << 10
_MOST = 64
"""Answers are digested together as long as they come in: at most that long after the first of them, until there are so
many bytes (packed: some megabytes of smaps) or so many answers."""
_ROOM = 16
"""Answers that threads bring before they wait, or all would come first and be digested at the end: the thread that
digests gets its share of the interpreter, and no more."""
_PATIENCE_S = 1.0
"""How long to wait here for a host that was asked from here. Then a thread does: it minds the deadline."""

Arrived = Answered | HostError
"""An answer, or why there is none."""
Ask = Callable[[Host], Arrived]
Take = Callable[[Sequence[int], Sequence[Arrived]], None]
"""Takes answers with their hosts' places."""


class Lines(Protocol):
    """Hosts that are on the line, and may be asked without a thread."""

    def __contains__(self, host: Host, /) -> bool:
        """Whether this host is one."""

    def ask(self, host: Host, heard: Callable[[], None]) -> bool:
        """Ask, and do not wait: `heard` is called, in some other thread, when there is an answer. False: not asked."""

    def take(self, host: Host) -> Arrived | None:
        """What was heard; None: it takes a thread after all."""


class Arrivals:
    """The answers of many hosts. A context manager: leaving it early, nobody else is asked, and no thread waits."""

    def __init__(
        self, ask: Ask, hosts: Sequence[Host], threads: ThreadPoolExecutor, jobs: int, lines: Lines | None = None
    ) -> None:
        """`ask` is called in the threads, which are at most `jobs`; nor is anybody asked on the line beside so many."""
        self._ask = ask
        self._hosts = hosts
        self._threads = threads
        self._jobs = jobs
        self._lines = lines
        self._room = Semaphore(_ROOM)
        """For what threads bring."""
        self._brought = 0
        """How many of them brought what is being used."""
        self._came: SimpleQueue[Future[Arrived] | int] = SimpleQueue()
        """What they brought, and the slots of hosts that were heard on the line."""
        self._in_threads: dict[Future[Arrived], int] = {}
        self._asked: dict[int, float] = {}
        """Slots of the hosts that were asked from here, and when; the oldest first."""
        self._later: deque[int] = deque()
        """Slots of those that are still to be."""
        for slot, host in enumerate(hosts):
            if lines is not None and host in lines:
                self._later.append(slot)
            else:
                self._start_thread(slot)

    def hand_to(self, take: Take) -> None:
        """Have `take` called with all the answers, some at a time.

        Raises:
            BaseException: what `ask` or `take` raised.
        """
        left = len(self._hosts)
        while left:
            slots, arrived = self._batch(left)
            take(slots, arrived)
            left -= len(slots)
            del arrived
            if self._brought:
                self._room.release(self._brought)
                self._brought = 0

    def _batch(self, left: int) -> tuple[list[int], list[Arrived]]:
        """What has come, of which there is something, and what comes right behind."""
        slots: list[int] = []
        arrived: list[Arrived] = []
        size, until = 0, math.inf
        most = min(left, _MOST)
        while len(slots) < most and self._brought < _ROOM and size < _ENOUGH and (found := self._next(until)):
            slots.append(found[0])
            arrived.append(found[1])
            size += _packed(found[1])
            until = min(until, time.monotonic() + _LINGER_S)
        return slots, arrived

    def _next(self, until: float) -> tuple[int, Arrived] | None:
        """The next answer and its slot; None: there is none by then."""
        while True:
            self._ask_on_the_line()
            try:
                came = self._came.get(timeout=self._seconds(until))
            except Empty:
                if time.monotonic() >= until:
                    return None
                continue
            if isinstance(came, Future):
                self._brought += 1
                return self._in_threads.pop(came), came.result()
            if self._lines is not None and came in self._asked:  # else a thread has it by now
                del self._asked[came]
                if arrived := self._lines.take(self._hosts[came]):
                    return came, arrived
                self._start_thread(came)

    def _seconds(self, until: float) -> float | None:
        """How long there is nothing else to do."""
        first = min([until, *(asked + _PATIENCE_S for asked in islice(self._asked.values(), 1))])
        return None if first == math.inf else max(0.0, first - time.monotonic())

    def _ask_on_the_line(self) -> None:
        """Ask whom there is room for, and leave to threads who takes too long."""
        now = time.monotonic()
        for slot in [slot for slot, asked in self._asked.items() if now >= asked + _PATIENCE_S]:
            del self._asked[slot]
            self._start_thread(slot)
        while self._lines is not None and self._later and len(self._in_threads) + len(self._asked) < self._jobs:
            slot = self._later.popleft()
            if self._lines.ask(self._hosts[slot], partial(self._came.put, slot)):
                self._asked[slot] = now
            else:
                self._start_thread(slot)

    def _start_thread(self, slot: int) -> None:
        future = self._threads.submit(self._ask_and_wait, self._hosts[slot])
        self._in_threads[future] = slot
        future.add_done_callback(self._came.put)

    def _ask_and_wait(self, host: Host) -> Arrived:
        arrived = self._ask(host)
        self._room.acquire()
        return arrived

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for future in self._in_threads:
            future.cancel()
            self._room.release()  # nobody takes any more, and nobody may wait for it


def _packed(arrived: Arrived) -> int:
    """Bytes of an answer that is to be digested."""
    return arrived.answer.packed.size if isinstance(arrived, Answered) and arrived.answer.packed else 0
