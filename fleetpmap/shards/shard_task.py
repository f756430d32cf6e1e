"""What a Dask worker does with a shard: ask its hosts, send back their snapshots.   on_dask ─► [shard_task] ─► ask_all

Credentials never travel: the keys, the agent and the known_hosts are those of the account that the worker runs under.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any
from weakref import WeakSet

from fleetpmap.collection.clock import RunClock
from fleetpmap.collection.collector import ask_all
from fleetpmap.collection.question import Question
from fleetpmap.collection.sessions import TransportFor
from fleetpmap.errors import FleetpmapError
from fleetpmap.inventory import Host
from fleetpmap.shards.division import Shard
from fleetpmap.shards.messages import packed
from fleetpmap.snapshot import HostSnapshot, Snapshot
from fleetpmap.transport import Bastions, Deadline, SshOptions, Transport, get_ready, open_transport
from fleetpmap.version import __version__

ASKED_AT_MOST = 2
"""Times that a shard is asked: once more if the first worker died."""
_STOPS: dict[str, tuple[Event, float]] = {}
"""By run: set when the run is interrupted, and the time of the latest use, to forget old ones."""
_KEPT_S = 24 * 3600.0
_TOPIC_SHARDS = 250
"""Shards on one topic: Dask keeps the latest thousand events of each."""


@dataclass(frozen=True, slots=True)
class Fitness:
    """What a worker has of that which a run needs there."""

    version: str
    """Its fleetpmap's."""
    python: tuple[int, int]
    clock_s: float
    """Its time of day, in seconds since 1970."""
    missing: tuple[str, ...]
    """Files of the inventory and of the options that its account cannot read."""


@dataclass(frozen=True, slots=True)
class ShardTask:
    """Hosts of one zone, and how to ask them."""

    run: str
    """Identity of the run, for `stop`."""
    number: int
    """The place of the task among those of the run, from 0."""
    parts: Sequence[Shard]
    """The hosts, as stretches of the fleet's order."""
    question: Question
    jobs: int
    deadline: float | None
    """End of the run in seconds since 1970; None: no deadline."""
    sums: frozenset[str] | None
    workers: int
    """The shards that are asked at the same time, which share what a bastion allows."""
    transport_for: TransportFor | None = None


def fitness(files: Collection[str]) -> Fitness:
    """Return what this worker has. `files`: paths that the run needs to read."""
    paths = ((name, Path(name).expanduser()) for name in files)
    missing = tuple(name for name, path in paths if not os.access(path, os.R_OK))
    return Fitness(__version__, sys.version_info[:2], time.time(), missing)


def ask_shard(version: str, data: bytes) -> tuple[int, list[bytes]]:
    """Ask the hosts of a shard, unless two workers died of it.

    `version`: that of the client. `data`: a ShardTask, pickled. Return how many workers began with the shard, this one
    included, and the snapshot of each part, packed; no snapshot if it was not asked.

    Raises:
        FleetpmapError: this worker, which came after the run began, has another version.
    """
    from distributed import get_client, get_worker

    if version != __version__:
        raise FleetpmapError(f"this worker has fleetpmap {__version__}, not {version}")
    task: ShardTask = pickle.loads(data)  # noqa: S301  # Dask runs what its clients send, by design
    worker = get_worker()
    topic = f"fleetpmap-{task.run}-{task.number // _TOPIC_SHARDS}"
    earlier = sum(number == task.number for _, number in get_client().get_events(topic))
    if earlier >= ASKED_AT_MOST:
        return earlier, []
    worker.log_event(topic, task.number)
    return earlier + 1, _ask(task, _Stop(_stop_of(task.run), worker))


async def stop(run: str) -> None:
    """Have the shards of a run that this worker is asking end soon, with their hosts as they are.

    A coroutine, since Dask waits for every worker's answer to a function.
    """
    _stop_of(run).set()


def _ask(task: ShardTask, stop: Event) -> list[bytes]:
    left_s = None if task.deadline is None else max(task.deadline - time.time(), 0.001)
    clock = RunClock(None if left_s is None else Deadline.after(left_s, "--deadline"), stop)
    hosts = [host for part in task.parts for host in part.hosts]
    snapshots: dict[int, HostSnapshot] = {}
    get_ready(hosts)
    with Bastions(task.workers) as bastions:
        opened = _Opened(task.transport_for or partial(open_transport, bastions=bastions))
        try:
            ask_all(
                hosts,
                task.question,
                snapshots.__setitem__,
                clock=clock,
                jobs=task.jobs,
                transport_for=opened,
                sums=task.sums,
            )
        finally:
            opened.close()
    run = clock.finished("", {snapshot.status for snapshot in snapshots.values()})
    ordered = (snapshots.pop(place) for place in range(len(hosts)))
    return [packed(Snapshot.assemble([next(ordered) for _ in part.hosts], run)) for part in task.parts]


class _Opened:
    """Opens transports, and closes those that still are open in the end: the worker outlives the run.

    After ^C, hosts that hang are given up, and their threads are not waited for.
    """

    def __init__(self, transport_for: TransportFor) -> None:
        self._transport_for = transport_for
        self._transports: WeakSet[Transport] = WeakSet()
        self._is_closed = False

    def __call__(self, host: Host, *, deadline: Deadline, options: SshOptions) -> Transport:
        transport = self._transport_for(host, deadline=deadline, options=options)
        self._transports.add(transport)
        if self._is_closed:  # it was connecting meanwhile
            transport.close()
        return transport

    def close(self) -> None:
        self._is_closed = True
        for transport in [*self._transports]:
            transport.close()


class _Stop(Event):
    """Set when the run is interrupted, when its client is gone or gave the shard up, or when the worker is to end."""

    def __init__(self, told: Event, worker: Any) -> None:
        super().__init__()
        self._told, self._worker, self._key = told, worker, worker.get_current_task()

    def is_set(self) -> bool:
        """See the class."""
        task = self._worker.state.tasks.get(self._key)
        is_wanted = task is not None and task.state != "cancelled"
        return self._told.is_set() or not is_wanted or self._worker.status.name not in ("running", "paused")


def _stop_of(run: str) -> Event:
    now = time.monotonic()
    for old in [name for name, (_, used) in _STOPS.items() if used < now - _KEPT_S]:
        del _STOPS[old]
    event, _ = _STOPS.get(run, (Event(), now))
    _STOPS[run] = (event, now)
    return event
