"""What runs in a worker process: ask the hosts of some shards, send the shards.   messages ─► [worker] ─► processes

A worker ends when the pipe to the run is closed, for any reason, so none outlives its run. The connections to the
hosts end with it, and the probes there end with the connections.
"""

from __future__ import annotations

import os
import signal
import traceback
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from fleetpmap.collection.clock import RunClock
from fleetpmap.collection.collector import ask_all
from fleetpmap.inventory import Host
from fleetpmap.shards.division import Shard
from fleetpmap.shards.messages import Crashed, Idle, Progressed, ShardDone, Stop, Task, packed
from fleetpmap.snapshot import HostSnapshot, Snapshot
from fleetpmap.transport import Bastions, Deadline

_TELL_S = 0.1
"""How often the run is told of hosts. A message for each host would take a tenth of the run's time."""


def work(pipe: Connection) -> None:
    """Do the tasks that the run sends, until it closes the pipe."""
    os.setpgid(0, 0)  # ^C on the terminal is for the run, which says how to stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link = _Link(pipe)
    while True:
        task = link.tasks.get()
        try:
            _ask(task, link)
        except BaseException as error:  # a bug: the run has to know, since it waits for the shards
            link.send(Crashed(f"{type(error).__name__}: {error}", traceback.format_exc()))
            return
        link.send(Idle())


class _Link:
    """The worker's end of the pipe. Any thread may send, and note what becomes of hosts."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._sending = Lock()
        self._asked: deque[int] = deque()
        self._replied: deque[tuple[int, str]] = deque()
        self.tasks: SimpleQueue[Task] = SimpleQueue()
        self.stop = Event()
        Thread(target=self._listen, daemon=True).start()

    def asked(self, place: int) -> None:
        """Note that a host is being asked."""
        self._asked.append(place)

    def replied(self, place: int, status: str) -> None:
        """Note the status of a host."""
        self._replied.append((place, status))

    def send(self, message: object) -> None:
        """Send what was noted, then a message; end the process if the run is gone."""
        try:
            with self._sending:
                self._tell()
                self._pipe.send(message)
        except OSError:
            os._exit(1)

    def _tell(self) -> None:
        """Send what was noted since the last time, if anything was."""
        asked = [self._asked.popleft() for _ in range(len(self._asked))]  # other threads may append meanwhile
        replied = [self._replied.popleft() for _ in range(len(self._replied))]
        if asked or replied:
            self._pipe.send(Progressed(asked, replied))

    def _listen(self) -> None:
        while True:
            try:
                if not self._pipe.poll(_TELL_S):
                    with self._sending:
                        self._tell()
                    continue
                message: Any = self._pipe.recv()
            except (EOFError, OSError):
                os._exit(0)  # an orderly exit would wait for threads that wait for hosts
            if isinstance(message, Stop):
                self.stop.set()
            else:
                self.tasks.put(message)


def _ask(task: Task, link: _Link) -> None:
    """Ask the hosts of all shards in one pool, and send each shard when its last host has replied."""
    clock = RunClock(None if task.deadline_s is None else Deadline.after(task.deadline_s, "--deadline"), link.stop)
    parts = _Parts(task.shards)
    place_of = {host.name: place for place, host in zip(parts.places, parts.hosts, strict=True)}

    def take(index: int, snapshot: HostSnapshot) -> None:
        link.replied(parts.places[index], snapshot.status)
        if done := parts.add(index, snapshot):
            shard, snapshots = done
            run = clock.finished("", {one.status for one in snapshots})
            link.send(ShardDone(shard.number, packed(Snapshot.assemble(snapshots, run))))

    ask_all(
        parts.hosts,
        task.question,
        take,
        clock=clock,
        jobs=task.jobs,
        transport_for=task.transport_for,
        bastions=Bastions(task.workers),
        sums=task.sums,
        on_start=lambda host: link.asked(place_of[host.name]),
    )


class _Parts:
    """The hosts of some shards in one list, and the snapshots of the shards that are not complete."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards
        self._firsts: list[int] = []
        """The index of each shard's first host in `hosts`."""
        self.hosts: list[Host] = []
        self.places: list[int] = []
        """The place of each host in the fleet."""
        for shard in shards:
            self._firsts.append(len(self.hosts))
            self.hosts += shard.hosts
            self.places += range(shard.first, shard.first + len(shard.hosts))
        self._snapshots: dict[int, dict[int, HostSnapshot]] = {}

    def add(self, index: int, snapshot: HostSnapshot) -> tuple[Shard, list[HostSnapshot]] | None:
        """Add a host's snapshot; return its shard with all snapshots in order if it was the last one, else None."""
        slot = bisect_right(self._firsts, index) - 1
        shard, so_far = self._shards[slot], self._snapshots.setdefault(slot, {})
        so_far[index] = snapshot
        if len(so_far) < len(shard.hosts):
            return None
        del self._snapshots[slot]
        return shard, [so_far[place] for place in sorted(so_far)]
