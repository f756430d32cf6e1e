"""Repeat a collection over sessions that stay open.   collector ─► [rounds] ─► cli, explore

No terminal here: the caller draws the rounds as they are yielded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from fleetpmap.collection.collector import Question, collect
from fleetpmap.collection.sessions import KeptSessions
from fleetpmap.defaults import JOBS
from fleetpmap.inventory import Host
from fleetpmap.snapshot import Snapshot
from fleetpmap.transport.base import Closing


class Rounds(Closing):
    """Asks the same hosts the same question again and again. A context manager: leaving it closes the sessions."""

    def __init__(
        self,
        hosts: Sequence[Host],
        question: Question,
        *,
        command: str = "",
        jobs: int = JOBS,
        deadline_s: float | None = None,
        machines_once: bool = False,
        stop: Event | None = None,
    ) -> None:
        """The arguments are `collect`'s; the deadline is each round's, and `stop` ends the rounds."""
        self._hosts = hosts
        self._question = question
        self._command = command
        self._jobs = jobs
        self._deadline_s = deadline_s
        self._machines_once = machines_once
        self._stop = stop or Event()
        self._sessions = KeptSessions()
        self._threads = ThreadPoolExecutor(max(1, min(jobs, len(hosts))), thread_name_prefix="fleetpmap")

    def look(self) -> Snapshot:
        """Ask every host once (see collect). One round at a time."""
        self._sessions.next_round()
        return collect(
            self._hosts,
            self._question,
            command=self._command,
            deadline_s=self._deadline_s,
            jobs=self._jobs,
            machines_once=self._machines_once,
            stop=self._stop,
            executor=self._threads,
            sessions=self._sessions,
        )

    def repeat(self, interval_s: float, count: int | None) -> Iterator[Snapshot]:
        """Yield a round every `interval_s` seconds, from begin to begin, until `stop` is set or `count` are done.

        A round that takes longer is followed by the next at once.
        """
        done = 0
        while not self._stop.is_set():
            due = time.monotonic() + interval_s
            latest = self.look()
            if self._stop.is_set():
                return  # cut short: half the hosts are no round
            yield latest
            done += 1
            if done == count or self._stop.wait(max(0.0, due - time.monotonic())):
                return

    def close(self) -> None:
        """Close the sessions, without waiting: a host that is being asked then fails."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._sessions.close()
