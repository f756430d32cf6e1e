"""Hosts are asked by the workers of a Dask cluster.   hosts, Question ─► [on_dask] ─► shard_task ─► Snapshot

The cluster is the user's: started by `dask scheduler` and `dask worker`, SSHCluster, Kubernetes or Slurm. A shard is a
task; hosts with a `zone` go only to workers that offer it as a resource (`dask worker --resources "eu=1"`).
"""

from __future__ import annotations

import pickle
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import TimeoutError as WaitedTooLongError
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from threading import Event
from typing import TYPE_CHECKING, Any

from fleetpmap.collection.clock import RunClock
from fleetpmap.collection.collector import JOBS
from fleetpmap.collection.question import Question
from fleetpmap.collection.sessions import TransportFor
from fleetpmap.errors import UsageError
from fleetpmap.inventory import Host
from fleetpmap.shards import shard_task
from fleetpmap.shards.division import Shard
from fleetpmap.shards.messages import unpacked
from fleetpmap.shards.shard_task import ShardTask, files_of, fitness
from fleetpmap.snapshot import HostFailure, HostSnapshot, Snapshot, counted_once
from fleetpmap.transport import Deadline
from fleetpmap.version import __version__

if TYPE_CHECKING:
    from distributed import Client

SCHEME = "dask://"
_SHARD = 250
"""Hosts in a shard at most."""
_CONNECT_S = 10.0
_LOOK_S = 0.2
"""How often to look for ^C, the deadline and the scheduler."""
_GRACE_S = 5.0
"""Seconds that workers have to send what they have, after ^C or the deadline."""
_ASKED_AT_MOST = 2
"""Times that a shard is given to a worker: once more if the first one died."""
_COUNT_S = 1.0
"""How often to count how often each shard was begun."""


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
) -> Snapshot:
    """Ask every host from the workers of a Dask cluster, and return one Snapshot in the order of `hosts`.

    The arguments are those of `collect`, but for these. `scheduler`: `dask://HOST:PORT`. `jobs` is the number of hosts
    that one shard asks at once. A shard whose worker died is asked again once, which a note on its hosts says.
    `on_status` and `on_part`, which gets the snapshot of a shard, are called as shards are done.

    Raises:
        UsageError: the question holds a password; the scheduler cannot be reached; a worker cannot do the work.
    """
    _refuse_secrets(question)
    clock = RunClock(None if deadline_s is None else Deadline.after(deadline_s), stop)
    with _connected(scheduler) as client:
        _check_workers(client, scheduler, hosts, question)
        run = secrets.token_hex(8)
        task = ShardTask(
            run=run,
            shard=Shard(0, 0, ()),
            question=question,
            jobs=jobs,
            deadline=None if deadline_s is None else time.time() + deadline_s,
            sums=None if sums is None else frozenset(sums),
            transport_for=transport_for,
        )
        work = _Work(client, scheduler, clock, task, _shards(hosts))
        for shard, part in work.parts():
            for host, result in zip(shard.hosts, part.hosts, strict=True):
                on_status(host, result.status)
            if on_part:
                on_part(part)
    parts = [work.done[number] for number in sorted(work.done)]
    finished = clock.finished(command, {host.status for part in parts for host in part.hosts})
    snapshot = replace(Snapshot.joined(parts) if parts else Snapshot.assemble([], finished), run=finished)
    return counted_once(snapshot) if machines_once else snapshot


def _refuse_secrets(question: Question) -> None:
    if question.ssh.password or question.ssh.passphrases or question.become_password:
        raise UsageError(
            "a password does not travel to Dask's workers",
            hint="log in there with keys or an agent of the worker's own account, and sudo without a password",
        )


def _connected(scheduler: str) -> Client:
    try:
        from distributed import Client
        from distributed.security import Security
    except ImportError as error:
        hint = "run `pip install 'fleetpmap[dask]'` here and on the workers"
        raise UsageError(f"--on {scheduler}: needs Dask, which is not installed here", hint=hint) from error
    security = Security()  # from Dask's own configuration
    address = f"{'tls' if security.tls_ca_file else 'tcp'}://{scheduler.removeprefix(SCHEME)}"
    try:
        return Client(address, timeout=_CONNECT_S, security=security, set_as_default=False, name="fleetpmap")
    except (OSError, ValueError, WaitedTooLongError) as error:
        raise UsageError(
            f"--on {scheduler}: no scheduler answers there ({error or type(error).__name__})",
            hint="start one with `dask scheduler`, and workers with `dask worker HOST:PORT`",
        ) from error


def _check_workers(client: Client, scheduler: str, hosts: Sequence[Host], question: Question) -> None:
    """Refuse workers that would give other results, before any host is asked.

    Raises:
        UsageError: there is none, one has another version or lacks a file, or a zone has none.
    """
    workers: dict[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise UsageError(f"--on {scheduler}: it has no workers", hint="start some with `dask worker HOST:PORT`")
    names = {address: str(info.get("name") or address) for address, info in workers.items()}
    files = files_of(hosts, question)
    answers = client.run(fitness, files, on_error="return", workers=[*workers])
    unfit: dict[str, list[str]] = {}
    for address, answer in answers.items():
        if isinstance(answer, Exception):
            unfit.setdefault(f"cannot run fleetpmap {__version__} ({_first_line(answer)})", []).append(names[address])
        elif answer.version != __version__:
            unfit.setdefault(f"has fleetpmap {answer.version}, not {__version__}", []).append(names[address])
        elif answer.missing:
            unfit.setdefault(f"cannot read {', '.join(answer.missing)}", []).append(names[address])
    if unfit:
        told = "; ".join(f"worker {', '.join(of)} {why}" for why, of in unfit.items())
        raise UsageError(
            f"--on {scheduler}: {told}",
            hint="install the same version on every worker, with the keys and known_hosts that the inventory names",
        )
    offered = {resource for info in workers.values() for resource in info.get("resources", {})}
    if homeless := sorted({host.zone for host in hosts if host.zone} - offered):
        raise UsageError(
            f"--on {scheduler}: no worker offers the zone {', '.join(homeless)}",
            hint=f'start one there with `dask worker --resources "{homeless[0]}=1" HOST:PORT`',
        )


def _by_value() -> Callable[[bytes], bytes]:
    """Return `ask_shard` of the worker, as a function of a pickled task.

    The scheduler unpickles what it passes on. A function inside a function is pickled by its code and not by its name,
    and the task is bytes, so the scheduler needs no fleetpmap.
    """

    def ask(data: bytes) -> bytes:
        from fleetpmap.shards.shard_task import ask_shard

        return ask_shard(data)

    return ask


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _shards(hosts: Sequence[Host]) -> list[Shard]:
    """Divide hosts into shards of one zone each, in order."""
    shards: list[Shard] = []
    first = 0
    for _, group in groupby(hosts, key=lambda host: host.zone):
        of_zone = [*group]
        for start in range(0, len(of_zone), _SHARD):
            part = of_zone[start : start + _SHARD]
            shards.append(Shard(len(shards), first, part))
            first += len(part)
    return shards


@dataclass(slots=True)
class _Lost:
    """The reason why shards without a result have none."""

    status: str
    message: str
    hint: str


class _Work:
    """The shards of a run on a cluster, and which of them are done."""

    def __init__(
        self, client: Client, scheduler: str, clock: RunClock, task: ShardTask, shards: Sequence[Shard]
    ) -> None:
        self._client, self._scheduler, self._clock, self._task, self._shards = client, scheduler, clock, task, shards
        self.done: dict[int, Snapshot] = {}
        """The snapshots of the shards that are done, by their numbers."""
        self._begun: Counter[int] = Counter()
        """How often a worker began each shard."""
        self._counted_at = 0.0

    def parts(self) -> Iterator[tuple[Shard, Snapshot]]:
        """Yield each shard with its snapshot as it is done; in the end, those without a result as failures."""
        waiting = {shard.number: self._submit(shard) for shard in self._shards}
        lost = _Lost("error", "", "")
        end = float("inf")
        is_told = False
        while waiting:
            if (self._clock.is_stopped or self._is_late()) and not is_told:
                is_told, end = True, time.monotonic() + _GRACE_S
                with suppress(Exception):  # a lost scheduler: then nothing is to be stopped
                    self._client.run(shard_task.stop, self._task.run, wait=False)
            if self._client.status != "running":
                lost = self._lost_scheduler()
                break
            if time.monotonic() > end:
                break
            self._count()
            for number in [number for number, future in waiting.items() if future.done() or self._is_given_up(number)]:
                shard, future = self._shards[number], waiting.pop(number)
                self.done[number] = part = self._result(future, shard)
                yield shard, part
            time.sleep(_LOOK_S if waiting else 0)
        with suppress(Exception):
            self._client.cancel([*waiting.values()], force=True)
        for shard in self._shards:
            if shard.number not in self.done:
                self.done[shard.number] = part = self._failed(shard, lost)
                yield shard, part

    def _submit(self, shard: Shard) -> Any:
        zone = shard.hosts[0].zone
        return self._client.submit(
            _by_value(),
            pickle.dumps(replace(self._task, shard=shard), pickle.HIGHEST_PROTOCOL),
            key=f"fleetpmap-{self._task.run}-{shard.number}",
            pure=False,
            resources={zone: 1} if zone else None,
        )

    def _is_late(self) -> bool:
        return self._clock.deadline is not None and self._clock.deadline.remaining() == 0

    def _count(self) -> None:
        """Count how often each shard was begun: a shard whose worker died goes to another one by itself."""
        if time.monotonic() > self._counted_at + _COUNT_S:
            self._counted_at = time.monotonic()
            with suppress(Exception):  # a lost scheduler, which the next look finds
                events = self._client.get_events(shard_task.topic(self._task.run))
                self._begun = Counter(number for _, number in events)

    def _is_given_up(self, number: int) -> bool:
        return self._begun[number] > _ASKED_AT_MOST

    def _result(self, future: Any, shard: Shard) -> Snapshot:
        hint = "see the log of the workers; ask fewer hosts at once with --jobs"
        if self._is_given_up(shard.number) and not future.done():
            self._client.cancel([future], force=True)
            return self._failed(shard, _Lost("error", "the worker that asked it died, twice", hint))
        if future.status != "finished":
            error = future.exception() if future.status == "error" else None
            words = _first_line(error) if error else "it was cancelled"
            return self._failed(shard, _Lost("error", f"no worker finished its shard: {words}", hint))
        part = unpacked(future.result())
        self._counted_at = 0.0
        self._count()
        if self._begun[shard.number] < _ASKED_AT_MOST:
            return part
        note = "was asked again, since the worker that asked it first died"
        return replace(part, hosts=tuple(replace(host, notes=(*host.notes, note)) for host in part.hosts))

    def _lost_scheduler(self) -> _Lost:
        hint = "see the log of `dask scheduler`; what its workers had begun ends with them"
        return _Lost("error", f"the scheduler {self._scheduler} was lost before its shard was done", hint)

    def _failed(self, shard: Shard, lost: _Lost) -> Snapshot:
        if lost.message:
            failure = (lost.status, "worker", lost.message, lost.hint)
        elif self._clock.is_stopped:
            failure = ("not-asked", "queue", "the run was interrupted before its shard was done", "run it again")
        else:
            hint = "give the run more time with --deadline, or add workers"
            failure = ("timeout", "queue", "the run's time was over before its shard was done", hint)
        failures = (HostFailure(host.name, *failure) for host in shard.hosts)
        return Snapshot.assemble(map(HostSnapshot.failed, failures), self._clock.finished("", ()))
