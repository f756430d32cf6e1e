"""The recipe.   hosts ─► transport ─► probe ─► wire ─► smaps ─► table ─► [collector] ─► Snapshot

`collect_host` asks one host; `collect` is that function mapped over hosts by any `concurrent.futures.Executor`. A host
that fails is a value in the snapshot, whatever the exception; one that a callback raises is the caller's and goes
through.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING, Literal, Protocol

from fleetpmap.collection.clock import Clock
from fleetpmap.collection.conversation import Answered, converse
from fleetpmap.collection.conversation import Question as Question  # what collect() takes stands beside it
from fleetpmap.collection.pool import Arrivals, Arrived, Ask, Take
from fleetpmap.collection.sessions import Connections
from fleetpmap.errors import HostError, NotAskedError
from fleetpmap.inventory import Host
from fleetpmap.transport import Bastions, Deadline, SshOptions, Transport, get_ready, open_transport
from fleetpmap.unexpected import host_error

if TYPE_CHECKING:
    from fleetpmap.collection.interpret import Keep
    from fleetpmap.snapshot import HostSnapshot, Snapshot

JOBS = 32
"""Hosts asked at once unless said otherwise: more threads only share the same interpreter."""

_OUT_OF_TIME = frozenset({"timeout", "not-asked"})

Settle = Callable[[Sequence[Arrived]], list["HostSnapshot"]]


class TransportFor(Protocol):
    """Opens the way to a host: `open_transport`, or a fake that keeps its contract."""

    def __call__(self, host: Host, *, deadline: Deadline, options: SshOptions) -> Transport:
        """Raises HostError when there is no way."""


def collect(
    hosts: Sequence[Host],
    question: Question,
    *,
    command: str = "",
    jobs: int = JOBS,
    deadline_s: float | None = None,
    machines_once: bool = False,
    stop: Event | None = None,
    executor: Executor | None = None,
    transport_for: TransportFor | None = None,
    connections: Connections | None = None,
    sums: Collection[str] | None = None,
    on_start: Callable[[Host], None] | None = None,
    on_host: Callable[[HostSnapshot], None] | None = None,
    keep: Keep | None = None,
) -> Snapshot:
    """Ask every host, at most `jobs` at once, and put the answers together in the order of `hosts`.

    A host that could not be asked is a row in the snapshot, also where something unexpected was raised (status
    `error`). What `on_start`, `on_host` or `keep` raises ends the run. When `deadline_s` seconds have passed, the hosts
    still being asked are `timeout` and the others `not-asked`; once `stop` is set, no further host is asked.
    `machines_once`: a machine that answers under several names is counted under the first.

    `executor` replaces the pool of threads that is made otherwise. A pool of processes will do too, without `stop`,
    `on_start` and `keep`, which belong to this process. `on_start` is called in the thread that asks, `keep` and
    `on_host` in this one, as the answers come in. `transport_for`: None for open_transport, with one connection to each
    bastion for all the hosts behind it. `connections` take its place where the same is asked again and again: they stay
    open from one call to the next.

    `sums`: what is wanted of the snapshot is its sums, and it need not have a row for each mapping, which on a thousand
    hosts saves some hundred megabytes; see table.summed, and report.sums_for for which views that is enough.
    """
    started, clock = datetime.now().astimezone(), time.monotonic()
    run_deadline = None if deadline_s is None else Deadline.after(deadline_s)
    if transport_for is None:
        get_ready(hosts)
    with Bastions() as bastions:
        ask = partial(
            _ask,
            question=question,
            transport_for=transport_for or partial(open_transport, bastions=bastions),
            connections=connections,
            run_deadline=run_deadline,
            stop=stop,
            on_start=on_start,
        )
        settle = partial(_settle, question=question, clock=Clock(run_deadline, stop), sums=sums, keep=keep)
        answers = _mapped(ask, settle, hosts, jobs, executor, on_host or (lambda answer: None))
    from fleetpmap.snapshot import Run, Snapshot, once_per_machine

    ended: Literal["whole", "interrupted", "deadline"] = "whole"
    if stop is not None and stop.is_set():
        ended = "interrupted"
    elif run_deadline and run_deadline.remaining() == 0 and any(one.status in _OUT_OF_TIME for one in answers):
        ended = "deadline"
    if machines_once:
        answers = once_per_machine(answers)
    return Snapshot.assemble(_drained(answers), Run(started, time.monotonic() - clock, command, ended))


def collect_host(
    host: Host,
    question: Question,
    *,
    run_deadline: Deadline | None = None,
    transport_for: TransportFor = open_transport,
    connections: Connections | None = None,
    sums: Collection[str] | None = None,
    keep: Keep | None = None,
) -> HostSnapshot:
    """Ask one host for its mappings, within `host.timeout_s` and before `run_deadline`.

    Every process that matched has one status: read, with rows in the table, or the reason why it has none. `sums` and
    `keep` as in collect().

    Raises:
        HostError: the host could not be asked, or answered something that is not the wire format.
    """
    from fleetpmap.collection.interpret import digest

    answered = _answered(host, question, run_deadline, transport_for, connections)
    [found] = digest([answered], question, clock=Clock(run_deadline), sums=sums, keep=keep)
    if isinstance(found, HostError):
        raise found
    return found


def _answered(
    host: Host,
    question: Question,
    run_deadline: Deadline | None,
    transport_for: TransportFor,
    connections: Connections | None,
) -> Answered:
    """What the host says, still packed."""
    deadline = run_deadline.sooner(host.timeout_s) if run_deadline else Deadline.after(host.timeout_s)
    try:
        if connections is not None:
            answer, notes = connections.converse(host, question, deadline=deadline)
        else:
            with transport_for(host, deadline=deadline, options=question.ssh) as transport:
                answer = converse(transport, host, question)
                notes = transport.notes
    except HostError as error:
        question.redaction.error(error)
        raise
    return Answered(host, answer, (*map(question.redaction.text, notes), *answer.notes()), deadline)


def _ask(
    host: Host,
    *,
    question: Question,
    transport_for: TransportFor,
    connections: Connections | None,
    run_deadline: Deadline | None,
    stop: Event | None,
    on_start: Callable[[Host], None] | None,
) -> Arrived:
    if stop is not None and stop.is_set():
        why = "the run was interrupted before its turn"
        return NotAskedError(why, host=host.name, stage="queue", hint="run it again")
    if run_deadline is not None and run_deadline.remaining() == 0:
        why = f"the run's {run_deadline.seconds:g} s were over before its turn"
        hint = "give the run more time with --deadline, or ask more hosts at once with --jobs"
        return NotAskedError(why, host=host.name, stage="queue", hint=hint)
    if on_start is not None:
        on_start(host)
    try:
        return _answered(host, question, run_deadline, transport_for, connections)
    except BaseException as error:  # also a panic in Rust code (cryptography), which is no Exception
        return question.redaction.error(host_error(error, host.name, "ask"))


def _settle(
    arrived: Sequence[Arrived], *, question: Question, clock: Clock, sums: Collection[str] | None, keep: Keep | None
) -> list[HostSnapshot]:
    """What the answers come to, in order."""
    from fleetpmap.collection.interpret import digest
    from fleetpmap.snapshot import HostFailure, HostSnapshot

    answered = [one for one in arrived if isinstance(one, Answered)]
    found = iter(digest(answered, question, clock=clock, sums=sums, keep=keep))
    settled = (next(found) if isinstance(one, Answered) else one for one in arrived)
    return [HostSnapshot.failed(HostFailure.from_error(one)) if isinstance(one, HostError) else one for one in settled]


def _mapped(
    ask: Ask,
    settle: Settle,
    hosts: Sequence[Host],
    jobs: int,
    executor: Executor | None,
    on_host: Callable[[HostSnapshot], None],
) -> list[HostSnapshot]:
    """Every host's answer, in order; `on_host` has seen each as it came."""
    answers: dict[int, HostSnapshot] = {}

    def take(slots: Sequence[int], arrived: Sequence[Arrived]) -> None:
        for slot, answer in zip(slots, settle(arrived), strict=True):
            answers[slot] = answer
            on_host(answer)

    if executor is None and (jobs == 1 or len(hosts) == 1):
        for slot, host in enumerate(hosts):
            take([slot], [ask(host)])
    elif executor is None:
        threads = ThreadPoolExecutor(min(jobs, len(hosts)), thread_name_prefix="fleetpmap")
        wait = True
        try:
            _share(ask, hosts, threads, take)
        except SystemExit:  # the program is to end, whoever is still being asked
            wait = False
            raise
        finally:
            threads.shutdown(wait)
    elif isinstance(executor, ThreadPoolExecutor):
        _share(ask, hosts, executor, take)
    else:  # in other processes answers are digested where they come in: a snapshot can be sent, an answer cannot
        for slot, answer in enumerate(executor.map(partial(_ask_and_settle, ask=ask, settle=settle), hosts)):
            answers[slot] = answer
            on_host(answer)
    return [answers[slot] for slot in range(len(hosts))]


def _share(ask: Ask, hosts: Sequence[Host], threads: ThreadPoolExecutor, take: Take) -> None:
    """Ask in the threads, and take the replies in this one."""
    with Arrivals(ask, hosts, threads) as arrivals:
        import_module("fleetpmap.collection.interpret")  # takes numpy with it, while the first hosts are on their way
        arrivals.hand_to(take)


def _ask_and_settle(host: Host, *, ask: Ask, settle: Settle) -> HostSnapshot:
    return settle([ask(host)])[0]


def _drained(answers: list[HostSnapshot]) -> Iterator[HostSnapshot]:
    """The answers, each let go of once it is taken."""
    answers.reverse()
    while answers:
        yield answers.pop()
