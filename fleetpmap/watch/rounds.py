"""Repeat a collection over sessions that stay open.   collector ─► [rounds] ─► history, cli

No terminal here: the caller draws the rounds as they are yielded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from types import TracebackType
from typing import Self

from fleetpmap.collection.collector import JOBS, Question, collect
from fleetpmap.collection.sessions import KeptSessions
from fleetpmap.inventory import Host
from fleetpmap.snapshot import HostSnapshot, Snapshot

_PAUSE_S = 0.2
"""Seconds between two looks at `paused`."""


@dataclass(frozen=True, slots=True)
class Round:
    """The result of one round."""

    snapshot: Snapshot
    answers: Mapping[str, HostSnapshot]
    """Each host's own part, by name."""

    def of(self, host: str | None) -> Snapshot:
        """Return the snapshot of one host; None: of the whole fleet."""
        return self.snapshot if host is None else Snapshot.assemble([self.answers[host]], self.snapshot.run)


class Rounds:
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

    def look(self) -> Round:
        """Ask every host once (see collect). One round at a time."""
        self._sessions.next_round()
        answers: dict[str, HostSnapshot] = {}
        snapshot = collect(
            self._hosts,
            self._question,
            command=self._command,
            deadline_s=self._deadline_s,
            jobs=self._jobs,
            machines_once=self._machines_once,
            stop=self._stop,
            executor=self._threads,
            sessions=self._sessions,
            on_host=lambda snapshot: answers.update({snapshot.name: snapshot}),
        )
        return Round(snapshot, answers)

    def repeat(self, interval_s: float, count: int | None, paused: Event | None = None) -> Iterator[Round]:
        """Yield a round every `interval_s` seconds, from begin to begin, until `stop` is set or `count` are done.

        A round that takes longer is followed by the next at once. While `paused` is set, no host is asked.
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
            while paused is not None and paused.is_set() and not self._stop.wait(_PAUSE_S):
                pass

    def close(self) -> None:
        """Close the sessions, without waiting: a host that is being asked then fails."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._sessions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
