"""Bounded pool of threads that ask hosts, and yield the replies as they are received.   host ─► [pool] ─► collector

The replies come in batches, because a call of the parser costs about 0.5 ms however little it parses: fifty small hosts
take 0.55 ms each in calls of their own, and 0.07 ms each in one call.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Semaphore
from types import TracebackType
from typing import Self

from fleetpmap.collection.reply import HostReply
from fleetpmap.errors import HostError, NotAskedError
from fleetpmap.inventory import Host

_LINGER_S = 0.2
_ENOUGH = 256 << 10
"""A batch is closed this long after its first reply, or at so many bytes (packed: some megabytes of smaps)."""
_ROOM = 16
"""Replies in a batch, and replies that wait to be taken before the worker threads pause. Without this bound all replies
would be received first and parsed at the end; with it the parsing thread gets its share of the interpreter."""

_LOOK_S = 0.1
"""How often to see whether the run is over while no host replies."""

Ask = Callable[[Host], HostReply | HostError]
Batch = list[tuple[int, HostReply | HostError]]
"""Replies, each with its host's place in the order given."""


class Pool:
    """Threads that ask hosts. A context manager: leaving it cancels the hosts not yet started, and waits for the others
    unless they were given up, or the program ends."""

    def __init__(
        self, jobs: int, threads: ThreadPoolExecutor | None = None, is_over: Callable[[], bool] | None = None
    ) -> None:
        """`jobs`: hosts asked at once. `threads`: the caller's, which stay; None: threads of its own.

        `is_over`: once it returns True, the hosts that have not replied are given up, and no thread is waited for.
        """
        self._jobs = jobs
        self._threads = threads
        self._is_own = threads is None
        self._is_over = is_over
        self._hosts: Sequence[Host] = ()
        self._has_given_up = False
        self._room = Semaphore(_ROOM)
        self._done: SimpleQueue[Future[HostReply | HostError]] = SimpleQueue()
        self._places: dict[Future[HostReply | HostError], int] = {}
        """The hosts' places, of calls that were not yielded yet."""

    def map_as_completed(self, ask: Ask, hosts: Sequence[Host]) -> Iterator[Batch]:
        """Call `ask` for each host in a thread, from now on, and yield the results in batches.

        Without `is_over`, one host, or one at a time, needs no thread: it is asked when the iterator comes to it. An
        exception of `ask` is raised here.
        """
        if self._is_own and self._is_over is None and (self._jobs == 1 or len(hosts) == 1):
            return ([(place, ask(host))] for place, host in enumerate(hosts))
        if self._threads is None:
            self._threads = ThreadPoolExecutor(max(1, min(self._jobs, len(hosts))), thread_name_prefix="fleetpmap")
        self._hosts = hosts
        for place, host in enumerate(hosts):
            self._places[self._threads.submit(self._ask_and_wait, ask, host)] = place
        for future in self._places:
            future.add_done_callback(self._done.put)
        return self._batches()

    def _ask_and_wait(self, ask: Ask, host: Host) -> HostReply | HostError:
        reply = ask(host)
        self._room.acquire()
        return reply

    def _batches(self) -> Iterator[Batch]:
        while self._places:
            batch = self._next_batch() or self._give_up()
            size = len(batch)
            yield batch
            batch.clear()  # the caller's name for it must not keep the replies while the next ones are awaited
            self._room.release(size)

    def _next_batch(self) -> Batch:
        """Return the next reply, and those that are received shortly after it; nothing once the run is over."""
        batch: Batch = []
        size, until = 0, math.inf
        while self._places and len(batch) < _ROOM and size < _ENOUGH and (future := self._next_done(until)):
            reply = future.result()
            batch.append((self._places.pop(future), reply))
            size += 0 if isinstance(reply, HostError) else reply.size
            until = min(until, time.monotonic() + _LINGER_S)
        return batch

    def _next_done(self, until: float) -> Future[HostReply | HostError] | None:
        """Return the next finished call; None if there is none by then, or before the run is over."""
        look_s = None if self._is_over is None else _LOOK_S
        while True:
            left_s = until - time.monotonic()
            try:
                return self._done.get(timeout=look_s if left_s == math.inf else max(0.0, min(left_s, look_s or left_s)))
            except Empty:
                if time.monotonic() >= until or (self._is_over and self._is_over()):
                    return None

    def _give_up(self) -> Batch:
        """Return an error for each host that has not replied."""
        self._has_given_up = True
        batch: Batch = []
        for future, place in self._places.items():
            when = "before its turn" if future.cancel() else "before it replied"
            error = NotAskedError(
                f"the run was interrupted {when}", host=self._hosts[place].name, stage="queue", hint="run it again"
            )
            batch.append((place, error))
        self._places.clear()
        return batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for future in self._places:
            future.cancel()
        # No reply is taken any more, so no thread may wait for room. One that is free asks the next host that is left.
        for _ in self._places:
            self._room.release()
        if self._is_own and self._threads is not None:
            # SystemExit: the program is to end, whichever host is still being asked.
            self._threads.shutdown(wait=not (self._has_given_up or isinstance(error, SystemExit)))
