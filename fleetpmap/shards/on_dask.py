"""Hosts are asked by the workers of a Dask cluster.   hosts, Question ─► [on_dask] ─► shard_task ─► Snapshot

The cluster is the user's: started by `dask scheduler` and `dask worker`, SSHCluster, Kubernetes or Slurm. A shard is a
task; hosts with a `zone` go only to workers that offer it as a resource (`dask worker --resources "eu=1"`).
"""

from __future__ import annotations

import os
import pickle
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby, islice
from threading import Event
from typing import TYPE_CHECKING, Any

from fleetpmap.collection.clock import RunClock
from fleetpmap.collection.parts import OnRows, Parts
from fleetpmap.collection.question import Question
from fleetpmap.collection.sessions import TransportFor
from fleetpmap.defaults import JOBS
from fleetpmap.inventory import Host
from fleetpmap.shards import shard_task
from fleetpmap.shards.dask_cluster import check_workers, connected, first_line, may_ask, refuse_unfit, workers_of
from fleetpmap.shards.division import MOST_HOSTS, Shard
from fleetpmap.shards.messages import unpacked
from fleetpmap.shards.shard_task import ShardTask
from fleetpmap.snapshot import HostFailure, HostSnapshot, Snapshot, counted_once
from fleetpmap.transport import Deadline
from fleetpmap.version import __version__

if TYPE_CHECKING:
    from distributed import Client

_LOOK_S = 0.2
"""How often to look for ^C, the deadline and the scheduler."""
_GRACE_S = 5.0
"""Seconds that workers have to send what they have, after ^C or the deadline."""
_WORKERS_S = 2.0
"""How often to look whether there still are workers."""
_RETURN_S = 30.0
"""Seconds that a cluster without a worker has to start another one. Dask's nanny takes some three."""


def collect_on_dask(
    hosts: Sequence[Host],
    question: Question,
    *,
    scheduler: str,
    command: str = "",
    jobs: int = JOBS,
    deadline_s: float | None = None,
    machines_once: bool = False,
    stop: Event | None = None,
    transport_for: TransportFor | None = None,
    sums: Collection[str] | None = None,
    on_status: Callable[[Host, str], None] = lambda host, status: None,
    on_part: Callable[[Snapshot], None] | None = None,
    on_shard: Callable[[int, int], None] = lambda done, of: None,
    on_rows: OnRows | None = None,
) -> Snapshot:
    """Ask every host from the workers of a Dask cluster, and return one Snapshot in the order of `hosts`.

    The arguments are those of `collect`, but for these. `scheduler`: `dask://HOST:PORT`; TLS is set up in Dask's own
    configuration. `jobs`: the hosts that one shard asks at a time. A shard whose worker died is asked again once, which
    a note on its hosts says. `on_status`, and `on_part`, which gets a snapshot of some hosts that follow each other,
    are called as shards are done; `on_shard` gets the number of shards done and of all. `transport_for` has to be
    picklable.

    Raises:
        UsageError: the question holds a password, or a host is this machine; the scheduler cannot be reached; a worker
            has another version, lacks a key or a file of known_hosts; or a zone has no worker.
    """
    refuse_unfit(scheduler, hosts, question)
    clock = RunClock(None if deadline_s is None else Deadline.after(deadline_s, "--deadline"), stop)
    hosts, question = _absolute(hosts, question)
    with connected(scheduler) as client:
        at_once = check_workers(client, scheduler, hosts, question, has_deadline=deadline_s is not None)
        task = ShardTask(
            run=secrets.token_hex(8),
            number=0,
            parts=(),
            question=question,
            jobs=jobs,
            deadline=None if clock.deadline is None else time.time() + clock.deadline.remaining(),
            sums=None if sums is None or on_rows else frozenset(sums),
            workers=at_once,
            transport_for=transport_for,
        )
        # Two shards for each thread, so that a slow one holds up no more than half of its time, but none so small
        # that it leaves `jobs` unused. No worker is counted for a fleet without hosts, as an empty --shard is.
        size = min(MOST_HOSTS, max(jobs, -(-len(hosts) // (2 * at_once or 1))))
        work = _Work(client, scheduler, clock, task, divided(hosts, size), Parts(sums, on_rows))
        on_shard(0, len(work.shards))
        for part, snapshot in work.done():
            for host, result in zip(part.hosts, snapshot.hosts, strict=True):
                on_status(host, result.status)
            if on_part:
                on_part(snapshot)
            on_shard(work.count, len(work.shards))
    snapshot = work.parts.joined(clock.finished(command, work.parts.statuses))
    return counted_once(snapshot) if machines_once else snapshot


def divided(hosts: Sequence[Host], size: int) -> list[list[Shard]]:
    """Divide hosts into shards of one zone and at most `size` hosts each.

    A shard is a list of stretches of the fleet's order: of many short ones where zones alternate.
    """
    shards: list[list[Shard]] = []
    filling: dict[str | None, tuple[list[Shard], int]] = {}
    """The shard of each zone that has room, and how much."""
    first = number = 0
    for zone, stretch in groupby(hosts, key=lambda host: host.zone):
        while True:
            parts, room = filling.get(zone, ([], 0))
            if not (some := [*islice(stretch, room or size)]):  # noqa: B031 - taken piece by piece, until it is empty
                break
            if not room:
                parts, room = [], size
                shards.append(parts)
            parts.append(Shard(number, first, some))
            filling[zone] = (parts, room - len(some))
            first, number = first + len(some), number + 1
    return shards


def _absolute(hosts: Sequence[Host], question: Question) -> tuple[Sequence[Host], Question]:
    """Return both with paths that mean the same in the directory of a worker; `~` is the home of its account."""

    def whole(paths: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(path if path.startswith(("~", "/")) else os.path.abspath(path) for path in paths)  # noqa: PTH100 - leaves a missing path

    ssh = question.ssh
    config = ssh.ssh_config if ssh.ssh_config in (None, "none") else whole((ssh.ssh_config,))[0]
    question = replace(question, ssh=replace(ssh, known_hosts=whole(ssh.known_hosts), ssh_config=config))
    wholes = [(whole(host.identity_file), whole(host.known_hosts)) for host in hosts]
    return [
        host
        if found == (host.identity_file, host.known_hosts)
        else replace(host, identity_file=found[0], known_hosts=found[1])
        for host, found in zip(hosts, wholes, strict=True)
    ], question


def _by_value() -> Callable[[str, bytes], tuple[int, list[bytes]]]:
    """Return `ask_shard` of the worker, as a function of a pickled task.

    The scheduler unpickles what it passes on. A function inside a function is pickled by its code and not by its name,
    and the task is bytes, so the scheduler needs no fleetpmap.
    """

    def ask(version: str, data: bytes) -> tuple[int, list[bytes]]:
        from fleetpmap.shards.shard_task import ask_shard

        return ask_shard(version, data)

    return ask


@dataclass(frozen=True, slots=True)
class _Lost:
    """The reason why hosts have no result."""

    status: str
    stage: str
    message: str
    hint: str


_NO_RESULT = "see the logs of the workers; ask fewer hosts at once with --jobs"


class _Work:
    """The shards of a run on a cluster, and which of them are done."""

    def __init__(
        self,
        client: Client,
        scheduler: str,
        clock: RunClock,
        task: ShardTask,
        shards: Sequence[Sequence[Shard]],
        parts: Parts,
    ) -> None:
        self._client, self._scheduler, self._clock, self._task = client, scheduler, clock, task
        self.shards, self.parts = shards, parts
        self.count = 0
        """Number of shards that are done."""
        self._zones = [shard[0].hosts[0].zone for shard in shards]
        self._looked_at = self._seen_at = time.monotonic()

    def done(self) -> Iterator[tuple[Shard, Snapshot]]:
        """Yield each part of each shard with its snapshot as the shard is done; in the end, the failures."""
        waiting = {number: self._submit(number) for number in range(len(self.shards))}
        lost = None
        end = float("inf") if self._clock.deadline is None else self._clock.deadline.at + _GRACE_S
        is_told = False
        while waiting and lost is None and time.monotonic() < end:
            if self._clock.is_stopped and not is_told:
                is_told, end = True, time.monotonic() + _GRACE_S
                with suppress(OSError):  # a lost scheduler, which the next look finds
                    self._client.run(shard_task.stop, self._task.run, wait=False)
            for number in [number for number, future in waiting.items() if future.done()]:
                yield from self._result(number, waiting.pop(number))
            lost = self._loss(waiting) if waiting else None
            time.sleep(_LOOK_S if waiting and lost is None else 0)
        with suppress(Exception):
            self._client.cancel([*waiting.values()], force=True)  # the workers see it, and end
        for number in waiting:
            yield from self._failed(number, lost or self._out_of_time())

    def _submit(self, number: int) -> Any:
        zone, task = self._zones[number], replace(self._task, number=number, parts=self.shards[number])
        return self._client.submit(
            _by_value(),
            __version__,
            pickle.dumps(task, pickle.HIGHEST_PROTOCOL),
            key=f"fleetpmap-{self._task.run}-{number}",
            pure=False,
            resources={zone: 1} if zone else None,
        )

    def _loss(self, waiting: Collection[int]) -> _Lost | None:
        """Return the reason why no further shard will be done; None if one may."""
        now = time.monotonic()
        if self._client.status != "running":
            message = f"the scheduler {self._scheduler} was lost before its shard was done"
            return _Lost("error", "worker", message, "see the log of `dask scheduler`, and run it again")
        if now < self._looked_at + _WORKERS_S:
            return None
        self._looked_at = now
        with suppress(Exception):  # a lost scheduler, which the next look finds
            workers = workers_of(self._client).values()
            if all(any(may_ask(worker, self._zones[number]) for worker in workers) for number in waiting):
                self._seen_at = now
        if now < self._seen_at + _RETURN_S:
            return None
        message = f"the scheduler {self._scheduler} has no worker left for its shard"
        return _Lost("error", "worker", message, _NO_RESULT)

    def _out_of_time(self) -> _Lost:
        if self._clock.is_stopped:
            return _Lost("not-asked", "queue", "the run was interrupted before its shard was done", "run it again")
        hint = "give the run more time with --deadline, or add workers"
        return _Lost("timeout", "queue", "the run's time was over before its shard was done", hint)

    def _result(self, number: int, future: Any) -> Iterator[tuple[Shard, Snapshot]]:
        try:
            begun, data = future.result()
        except Exception as error:  # of a worker, or of Dask itself; a lost scheduler cancels
            if self._client.status != "running":
                lost = self._loss(())
                assert lost is not None  # noqa: S101  # for the type checker: it is lost
            else:
                lost = _Lost("error", "worker", f"no worker finished its shard: {first_line(error)}", _NO_RESULT)
            yield from self._failed(number, lost)
            return
        if not data:
            yield from self._failed(
                number, _Lost("error", "worker", "the worker that asked it died, twice", _NO_RESULT)
            )
            return
        self.count += 1
        for part, one in zip(self.shards[number], data, strict=True):
            snapshot = _noted(unpacked(one), begun)
            self.parts.add(part.number, snapshot)
            yield part, snapshot

    def _failed(self, number: int, lost: _Lost) -> Iterator[tuple[Shard, Snapshot]]:
        self.count += 1
        for part in self.shards[number]:
            failures = (HostFailure(host.name, lost.status, lost.stage, lost.message, lost.hint) for host in part.hosts)
            snapshot = Snapshot.assemble(map(HostSnapshot.failed, failures), self._clock.finished("", ()))
            self.parts.add(part.number, snapshot)
            yield part, snapshot


def _noted(snapshot: Snapshot, begun: int) -> Snapshot:
    """Return the snapshot; if its hosts were asked twice, with a note on each."""
    if begun == 1:
        return snapshot
    note = "was asked again, since the worker that asked it first died"
    return replace(snapshot, hosts=tuple(replace(host, notes=(*host.notes, note)) for host in snapshot.hosts))
