"""The recipe.   hosts ─► transport ─► probe ─► wire ─► smaps ─► table ─► [collector] ─► Snapshot

`collect_host` asks one host; `collect` is that function mapped over hosts by any `concurrent.futures.Executor`. A host
that fails is a value in the snapshot; an exception outside our own tree is a bug and goes through.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from datetime import datetime
from functools import partial
from threading import Event
from typing import Literal, Protocol

from fleetpmap.connections import Connections
from fleetpmap.conversation import Conversation, converse
from fleetpmap.conversation import Question as Question  # what collect() takes stands beside it
from fleetpmap.digest import Digest
from fleetpmap.errors import HostError
from fleetpmap.inventory import Host
from fleetpmap.snapshot import HostFailure, HostSnapshot, Run, Snapshot, once_per_machine
from fleetpmap.transport import Bastions, Deadline, SshOptions, Transport, open_transport

JOBS = 32
"""Hosts asked at once unless said otherwise: more threads only share the same interpreter."""

_OUT_OF_TIME = frozenset({"timeout", "not-asked"})

Keep = Callable[[Host, Conversation, HostSnapshot], None]
"""Takes what a host answered, raw and parsed, before the raw text is let go."""


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

    A host that could not be asked is a row in the snapshot. When `deadline_s` seconds have passed, the hosts still
    being asked are `timeout` and the others `not-asked`; once `stop` is set, no further host is asked. `machines_once`:
    a machine that answers under several names is counted under the first.

    `executor` replaces the pool of threads that is made otherwise, and `jobs` with it. A pool of processes will do too,
    without `stop`, `on_start` and `keep`, which belong to this process. `on_start` and `keep` are called in the thread
    that asks, `on_host` in this one, as the answers come in. `transport_for`: None for open_transport, with one
    connection to each bastion for all the hosts behind it. `connections` take its place for who asks the same again
    and again: they stay open.

    `sums`: what is wanted of the snapshot is its sums, and it need not have a row for each mapping, which on a thousand
    hosts saves some hundred megabytes; see table.summed, and report.sums_for for which views that is enough.
    """
    started, clock = datetime.now().astimezone(), time.monotonic()
    run_deadline = None if deadline_s is None else Deadline.after(deadline_s)
    with Bastions() as bastions:
        ask = partial(
            _ask,
            question=question,
            digest=Digest(question, sums=sums, keep_text=keep is not None),
            transport_for=transport_for or partial(open_transport, bastions=bastions),
            connections=connections,
            run_deadline=run_deadline,
            stop=stop,
            on_start=on_start,
            keep=keep,
        )
        answers = _mapped(ask, hosts, jobs, executor, on_host or (lambda answer: None))
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
    digest: Digest | None = None,
    keep: Keep | None = None,
) -> HostSnapshot:
    """Ask one host for its mappings, within `host.timeout_s` and before `run_deadline`.

    Every process that matched has one status: read, with rows in the table, or the reason why it has none. `digest` is
    for who asks several hosts at once; it must be of the same question.

    Raises:
        HostError: the host could not be asked, or answered something that is not the wire format.
    """
    deadline = run_deadline.sooner(host.timeout_s) if run_deadline else Deadline.after(host.timeout_s)
    if connections is not None:
        answer, notes = connections.converse(host, question, deadline=deadline)
    else:
        with transport_for(host, deadline=deadline, options=question.ssh) as transport:
            answer = converse(transport, host, question)
            notes = transport.notes
    snapshot, answer = (digest or Digest(question, keep_text=keep is not None))(host, answer, (*notes, *answer.notes()))
    if keep is not None:
        keep(host, answer, snapshot)
    return snapshot


def _ask(
    host: Host,
    *,
    question: Question,
    digest: Digest,
    transport_for: TransportFor,
    connections: Connections | None,
    run_deadline: Deadline | None,
    stop: Event | None,
    on_start: Callable[[Host], None] | None,
    keep: Keep | None,
) -> HostSnapshot:
    if stop is not None and stop.is_set():
        return _not_asked(host, "the run was interrupted before its turn", "run it again")
    if run_deadline is not None and run_deadline.remaining() == 0:
        why = f"the run's {run_deadline.seconds:g} s were over before its turn"
        return _not_asked(host, why, "give the run more time with --deadline, or ask more hosts at once with --jobs")
    if on_start is not None:
        on_start(host)
    try:
        return collect_host(
            *(host, question),
            run_deadline=run_deadline,
            transport_for=transport_for,
            connections=connections,
            digest=digest,
            keep=keep,
        )
    except HostError as error:
        return HostSnapshot.failed(HostFailure.from_error(error))


def _not_asked(host: Host, message: str, hint: str) -> HostSnapshot:
    return HostSnapshot.failed(HostFailure(host.name, "not-asked", "queue", message, hint))


def _mapped(
    ask: Callable[[Host], HostSnapshot],
    hosts: Sequence[Host],
    jobs: int,
    executor: Executor | None,
    on_host: Callable[[HostSnapshot], None],
) -> list[HostSnapshot]:
    """Every host's answer, in order; `on_host` has seen each as it came."""
    if executor is not None:
        return _submitted(ask, hosts, executor, on_host)
    if jobs == 1 or len(hosts) == 1:
        answers = []
        for answer in map(ask, hosts):
            answers.append(answer)
            on_host(answer)
        return answers
    with ThreadPoolExecutor(min(jobs, len(hosts)), thread_name_prefix="fleetpmap") as threads:
        return _submitted(ask, hosts, threads, on_host)


def _submitted(
    ask: Callable[[Host], HostSnapshot],
    hosts: Sequence[Host],
    executor: Executor,
    on_host: Callable[[HostSnapshot], None],
) -> list[HostSnapshot]:
    futures = [executor.submit(ask, host) for host in hosts]
    try:
        for future in as_completed(futures):
            on_host(future.result())
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return [future.result() for future in futures]


def _drained(answers: list[HostSnapshot]) -> Iterator[HostSnapshot]:
    """The answers, each let go of once it is taken."""
    answers.reverse()
    while answers:
        yield answers.pop()
