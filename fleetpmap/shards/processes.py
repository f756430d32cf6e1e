"""Hosts are asked by several processes of this machine.   hosts, Question ─► [processes] ─► worker ─► Snapshot

One interpreter uses one core. With a few hundred hosts or more, several processes ask a fleet in less time: each has
its own share of the hosts, of `jobs`, and of what a bastion allows.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Event
from types import TracebackType
from typing import Any, Self

from fleetpmap.collection.clock import RunClock
from fleetpmap.collection.parts import OnRows, Parts
from fleetpmap.collection.question import Question
from fleetpmap.collection.sessions import TransportFor
from fleetpmap.defaults import JOBS
from fleetpmap.errors import FleetpmapError
from fleetpmap.inventory import Host
from fleetpmap.shards import start
from fleetpmap.shards.division import MOST_HOSTS, Shard, shards_of
from fleetpmap.shards.messages import Crashed, Idle, Progressed, ShardDone, Stop, Task, unpacked
from fleetpmap.snapshot import HostFailure, HostSnapshot, Snapshot, counted_once
from fleetpmap.transport import Deadline

_LOOK_S = 0.1
"""How often to look for ^C and the deadline while no worker says anything."""
_GRACE_S = 5.0
"""Seconds that workers have to send what they have, after ^C or the deadline."""


class WorkersError(FleetpmapError):
    """No worker process can be started."""


def collect_in_processes(
    hosts: Sequence[Host],
    question: Question,
    *,
    workers: int,
    command: str = "",
    jobs: int = JOBS,
    deadline_s: float | None = None,
    machines_once: bool = False,
    stop: Event | None = None,
    transport_for: TransportFor | None = None,
    sums: Collection[str] | None = None,
    on_start: Callable[[Host], None] = lambda host: None,
    on_status: Callable[[Host, str], None] = lambda host, status: None,
    on_part: Callable[[Snapshot], None] | None = None,
    on_rows: OnRows | None = None,
) -> Snapshot:
    """Ask every host, from so many processes, and return one Snapshot in the order of `hosts`; see `collect`.

    `jobs` is the number of hosts asked at once by all processes together. A worker that ends early is replaced once:
    the hosts of its unfinished shards are asked again, which a note on each says. `on_start` and `on_status` are told
    of each host, and `on_part` gets its snapshot alone, all of them in this thread. `transport_for` has to be
    picklable.
    """
    on_part, size = (on_part, 1) if on_part else (lambda part: None, MOST_HOSTS)
    clock = RunClock(None if deadline_s is None else Deadline.after(deadline_s, "--deadline"), stop)
    question = replace(question, own_pid=question.own_pid or os.getpid())
    task = Task(
        shards=(),
        question=question,
        jobs=max(1, -(-jobs // workers)),
        deadline_s=deadline_s,
        sums=None if sums is None or on_rows else frozenset(sums),
        workers=workers,
        transport_for=transport_for,
    )
    work = _Work(shards_of(hosts, size), task, clock, Parts(sums, on_rows))
    with _Workers(workers) as started:
        for message in work.done_by(started):
            match message:
                case Progressed(asked, replied):
                    for place in asked:
                        on_start(hosts[place])
                    for place, status in replied:
                        on_status(hosts[place], status)
                case Snapshot():
                    on_part(message)
    for shard, part in work.missing():
        for host, result in zip(shard.hosts, part.hosts, strict=True):
            on_status(host, result.status)
        on_part(part)
    snapshot = work.parts.joined(clock.finished(command, work.parts.statuses))
    return counted_once(snapshot) if machines_once else snapshot


@dataclass(slots=True)
class _Worker:
    """A worker process, and the shards that it has yet to send."""

    process: BaseProcess
    pipe: Connection
    shards: dict[int, Shard] = field(default_factory=dict)
    is_second: bool = False
    """True if it asks hosts that another one did not finish."""


class _Workers:
    """The worker processes of a run. A context manager: leaving it ends them."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.running: list[_Worker] = []
        self._context = get_context("spawn")

    def start(self, *, is_second: bool = False) -> _Worker:
        """Start one.

        Raises:
            WorkersError: the system refuses another process.
        """
        pipe, theirs = self._context.Pipe()
        process = self._context.Process(target=start.main, args=(theirs,), daemon=True, name="fleetpmap worker")
        try:
            process.start()
        except OSError as error:
            raise WorkersError(
                f"no worker process can be started: {error.strerror}", hint="leave out --workers"
            ) from error
        theirs.close()
        self.running.append(_Worker(process, pipe, is_second=is_second))
        return self.running[-1]

    def end(self, one: _Worker) -> int:
        """End a worker; return its exit status, negative for a signal."""
        one.pipe.close()
        one.process.join(_LOOK_S)
        if one.process.is_alive():
            one.process.kill()
            one.process.join()
        self.running.remove(one)
        return one.process.exitcode or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self.running:
            one.pipe.close()  # they see it at once, together
        for one in [*self.running]:
            self.end(one)


class _Work:
    """The shards of a run, and which of them are done."""

    def __init__(self, shards: Sequence[Shard], task: Task, clock: RunClock, parts: Parts) -> None:
        self._shards, self._task, self._clock, self.parts = shards, task, clock, parts
        self._lost: dict[int, str] = {}
        """Why the worker of a shard ended early, for the shards that are asked again, by their numbers."""
        self._tracebacks: dict[int, str] = {}
        self._begun: set[int] = set()
        """The places of the hosts that a worker began to ask."""

    def done_by(self, workers: _Workers) -> Iterator[object]:
        """Have the workers ask; yield what they say of hosts, and each part."""
        for number in range(workers.count):
            self._give(workers.start(), self._shards[number :: workers.count])
        end = float("inf")
        is_told = False
        while any(one.shards for one in workers.running):
            if self._clock.is_stopped and not is_told:
                is_told = True
                end = time.monotonic() + _GRACE_S
                for one in workers.running:
                    _send(one, Stop())
            if self._clock.deadline is not None:
                end = min(end, self._clock.deadline.at + _GRACE_S)
            if time.monotonic() > end:
                return
            by_pipe = {one.pipe: one for one in workers.running}
            for pipe in wait([*by_pipe], timeout=_LOOK_S):
                yield from self._heard(by_pipe[pipe], workers)  # type: ignore[index]  # only pipes are waited for

    def missing(self) -> Iterator[tuple[Shard, Snapshot]]:
        """Give every host without a result a failure; yield the shards that had none, each with its failures."""
        for shard in [shard for shard in self._shards if shard.number not in self.parts]:
            places = range(shard.first, shard.first + len(shard.hosts))
            failures = [
                self._failure(host, place, shard.number) for host, place in zip(shard.hosts, places, strict=True)
            ]
            run = self._clock.finished("", ())
            part = Snapshot.assemble(map(HostSnapshot.failed, failures), run)
            self.parts.add(shard.number, part)
            yield shard, part

    def _give(self, one: _Worker, shards: Sequence[Shard]) -> None:
        one.shards |= {shard.number: shard for shard in shards}
        deadline = self._clock.deadline
        left_s = None if deadline is None else deadline.remaining()
        _send(one, replace(self._task, shards=tuple(shards), deadline_s=left_s))

    def _heard(self, one: _Worker, workers: _Workers) -> Iterator[object]:
        try:
            message: Any = one.pipe.recv()
        except (EOFError, OSError):
            self._replace(one, workers, _death(workers.end(one)))
            return
        match message:
            case ShardDone(number, data):
                shard = one.shards.pop(number)
                part = self._noted(shard, unpacked(data))
                self.parts.add(number, part)
                yield part
            case Crashed(words, traceback):
                self._tracebacks |= dict.fromkeys(one.shards, traceback)
                self._replace(one, workers, f"failed with {words}")
                workers.end(one)
            case Progressed(asked):
                self._begun |= {*asked}
                yield message
            case Idle():
                pass

    def _replace(self, one: _Worker, workers: _Workers, why: str) -> None:
        """Have another worker ask the hosts of the unfinished shards, unless this was already the second one."""
        shards = [*one.shards.values()]
        one.shards.clear()
        self._lost |= {shard.number: why for shard in shards}
        if shards and not one.is_second and not self._clock.is_stopped:
            self._give(workers.start(is_second=True), shards)

    def _noted(self, shard: Shard, part: Snapshot) -> Snapshot:
        """Return the part; if its hosts were asked twice, with a note on each."""
        if shard.number not in self._lost:
            return part
        note = f"was asked again, since the process that asked it first {self._lost[shard.number]}"
        return replace(part, hosts=tuple(replace(host, notes=(*host.notes, note)) for host in part.hosts))

    def _failure(self, host: Host, place: int, number: int) -> HostFailure:
        if number in self._lost and not self._clock.is_stopped:
            message = f"the process that asked it {self._lost[number]}, twice"
            hint = "ask with --workers 1; if it was killed for want of memory, select fewer processes"
            return HostFailure(host.name, "error", "worker", message, hint, traceback=self._tracebacks.get(number, ""))
        when = "before it replied" if place in self._begun else "before its turn"
        if self._clock.is_stopped:
            return HostFailure(host.name, "not-asked", "queue", f"the run was interrupted {when}", "run it again")
        hint = "give the run more time with --deadline, or ask more hosts at once with --jobs"
        status = "timeout" if place in self._begun else "not-asked"
        return HostFailure(host.name, status, "queue", f"the run's time was over {when}", hint)


def _send(one: _Worker, message: object) -> None:
    with contextlib.suppress(OSError):  # it ended, as reading its pipe will tell
        one.pipe.send(message)


def _death(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
