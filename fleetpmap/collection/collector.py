"""The recipe: `ask_host` mapped over hosts by a bounded pool, then `interpret`, then one Snapshot.

    hosts ─► [collector]: host ─► pool ─► interpret ─► Snapshot

A host that fails is a value in the snapshot, with any exception; one that a callback raises is the caller's and goes
through.

Hosts share nothing but bastions, so a run can be spread over processes and machines by shards of hosts. A shard is a
call of `collect` there with its part of the hosts: Host, Question and Snapshot can be sent, replies and sessions
cannot, and `Snapshot.joined` puts the parts together. With an `executor` of processes each host is a shard of one:
`_ask_and_interpret` runs there, and its HostSnapshot is sent back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from importlib import import_module
from threading import Event
from typing import TYPE_CHECKING

from fleetpmap.collection.clock import RunClock
from fleetpmap.collection.host import ask_host
from fleetpmap.collection.pool import Ask, Pool
from fleetpmap.collection.question import Question as Question  # what collect() takes stands beside it
from fleetpmap.collection.reply import HostReply
from fleetpmap.collection.sessions import OneShotSessions, Sessions, TransportFor
from fleetpmap.defaults import JOBS
from fleetpmap.errors import HostError
from fleetpmap.inventory import Host
from fleetpmap.transport import Bastions, Deadline, get_ready, open_transport

if TYPE_CHECKING:
    from fleetpmap.collection.interpret import Keep
    from fleetpmap.collection.parts import HostParts, OnRows
    from fleetpmap.snapshot import HostSnapshot, Snapshot

Interpret = Callable[[Sequence[HostReply | HostError]], list["HostSnapshot"]]
"""Makes a snapshot of each reply or error."""


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
    sessions: Sessions | None = None,
    sums: Collection[str] | None = None,
    on_start: Callable[[Host], None] | None = None,
    on_host: Callable[[HostSnapshot], None] | None = None,
    on_rows: OnRows | None = None,
    keep: Keep | None = None,
) -> Snapshot:
    """Ask every host, at most `jobs` at once, and return one Snapshot in the order of `hosts`.

    A host that could not be asked is a row in the snapshot, also where something unexpected was raised (status
    `error`). An exception of `on_start`, `on_host` or `keep` ends the run. When `deadline_s` seconds have passed, the
    hosts still being asked are `timeout` and the others `not-asked`. Once `stop` is set, no further host is asked, and
    half a second later the hosts that have not replied are `not-asked`, too: nothing waits for their threads.
    `machines_once`: a machine that answers under several names is counted under the first.

    `executor` replaces the pool of threads that is made otherwise. A pool of processes will do too, without `stop`,
    `on_start` and `keep`, which belong to this process. `on_start` is called in the thread that asks, `keep` and
    `on_host` in this one, as the replies are interpreted. `transport_for`: None for open_transport, with one connection
    to each bastion for all the hosts behind it. `sessions` take its place where the same hosts are asked again and
    again (KeptSessions): they stay open from one call to the next.

    `sums`: the sums by process and these columns suffice, and the snapshot need not have a row for each mapping, which
    on a thousand hosts saves some hundred megabytes; see table.summed, and report.sums_for for each view's columns.
    With them `on_rows` gets the rows that the snapshot lacks: those of some hosts at a time, as the last has replied.
    """
    clock = RunClock(None if deadline_s is None else Deadline.after(deadline_s, "--deadline"), stop)
    parts: HostParts | None = None

    def take(place: int, snapshot: HostSnapshot) -> None:
        nonlocal parts
        if parts is None:
            from fleetpmap.collection.parts import HostParts  # takes numpy with it, as interpret has by now

            parts = HostParts(len(hosts), sums, on_rows)
        parts.add(place, snapshot, clock.finished("", ()))
        if on_host is not None:
            on_host(snapshot)

    ask_all(
        hosts,
        question,
        take,
        clock=clock,
        jobs=jobs,
        executor=executor,
        transport_for=transport_for,
        sessions=sessions,
        sums=None if on_rows else sums,
        on_start=on_start,
        keep=keep,
    )
    from fleetpmap.snapshot import Snapshot, counted_once

    run = clock.finished(command, parts.statuses if parts else ())
    snapshot = parts.joined(run) if parts else Snapshot.assemble([], run)
    return counted_once(snapshot) if machines_once else snapshot


def ask_all(
    hosts: Sequence[Host],
    question: Question,
    take: Callable[[int, HostSnapshot], None],
    *,
    clock: RunClock,
    jobs: int = JOBS,
    executor: Executor | None = None,
    transport_for: TransportFor | None = None,
    sessions: Sessions | None = None,
    bastions: Bastions | None = None,
    sums: Collection[str] | None = None,
    on_start: Callable[[Host], None] | None = None,
    keep: Keep | None = None,
) -> None:
    """Ask every host, and call `take` with its place and its snapshot as its reply is received.

    The arguments are those of `collect`, which also keeps the snapshots; `bastions`: the connections to use, None for
    new ones.
    """
    if transport_for is None:
        get_ready(hosts)
    threads = executor if isinstance(executor, ThreadPoolExecutor) else None
    is_stoppable = clock.stop is not None
    with bastions or Bastions() as shared, Pool(jobs, threads, clock.is_over if is_stoppable else None) as pool:
        sessions = sessions or OneShotSessions(transport_for or partial(open_transport, bastions=shared))
        ask = partial(_ask, question=question, sessions=sessions, clock=clock, on_start=on_start)
        interpret = partial(_interpret, question=question, clock=clock, sums=sums, keep=keep)
        if executor is None or threads:
            results = _in_threads(pool, ask, interpret, hosts)
        else:
            results = _in_processes(executor, ask, interpret, hosts)
        for place, snapshot in results:  # in the order in which hosts reply
            take(place, snapshot)


def collect_host(
    host: Host,
    question: Question,
    *,
    run_deadline: Deadline | None = None,
    transport_for: TransportFor = open_transport,
    sums: Collection[str] | None = None,
    keep: Keep | None = None,
) -> HostSnapshot:
    """Ask one host for its mappings, within `host.timeout_s` and before `run_deadline`.

    Every process that matched has one status: read, with rows in the table, or the reason why it has none. `sums` and
    `keep` as in collect().

    Raises:
        HostError: the host could not be asked, or sent something that is not the wire format.
    """
    from fleetpmap.collection.interpret import interpret

    clock = RunClock(run_deadline)
    reply = ask_host(host, question, sessions=OneShotSessions(transport_for), deadline=clock.deadline_for(host))
    [result] = interpret([reply], question, clock=clock, sums=sums, keep=keep)
    if isinstance(result, HostError):
        raise result
    return result


def _ask(
    host: Host, *, question: Question, sessions: Sessions, clock: RunClock, on_start: Callable[[Host], None] | None
) -> HostReply | HostError:
    """Ask a host, if the run still has time for it."""
    if too_late := clock.refusal(host):
        return too_late
    if on_start is not None:
        on_start(host)
    return ask_host(host, question, sessions=sessions, deadline=clock.deadline_for(host))


def _interpret(
    replies: Sequence[HostReply | HostError],
    *,
    question: Question,
    clock: RunClock,
    sums: Collection[str] | None,
    keep: Keep | None,
) -> list[HostSnapshot]:
    """Interpret replies; an error becomes the snapshot of a failed host."""
    from fleetpmap.collection.interpret import interpret
    from fleetpmap.snapshot import HostFailure, HostSnapshot

    return [
        HostSnapshot.failed(HostFailure.from_error(result)) if isinstance(result, HostError) else result
        for result in interpret(replies, question, clock=clock, sums=sums, keep=keep)
    ]


def _in_threads(
    pool: Pool, ask: Ask, interpret: Interpret, hosts: Sequence[Host]
) -> Iterator[tuple[int, HostSnapshot]]:
    """Ask in threads, and interpret in this one. Yield each host's place and snapshot as its reply is received."""
    batches = pool.map_as_completed(ask, hosts)
    import_module("fleetpmap.collection.interpret")  # takes numpy with it, while the first hosts are connected to
    for batch in batches:
        places = [place for place, _ in batch]
        yield from zip(places, interpret([reply for _, reply in batch]), strict=True)


def _in_processes(
    processes: Executor, ask: Ask, interpret: Interpret, hosts: Sequence[Host]
) -> Iterator[tuple[int, HostSnapshot]]:
    """Ask and interpret in other processes, since a snapshot can be sent and a reply cannot."""
    yield from enumerate(processes.map(partial(_ask_and_interpret, ask=ask, interpret=interpret), hosts))


def _ask_and_interpret(host: Host, *, ask: Ask, interpret: Interpret) -> HostSnapshot:
    return interpret([ask(host)])[0]
