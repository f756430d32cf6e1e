"""The recipe.   hosts ─► transport ─► probe ─► wire ─► smaps ─► table ─► [collector] ─► Snapshot

`collect_host` asks one host; `collect` is that function mapped over hosts by any `concurrent.futures.Executor`. A host
that fails is a value in the snapshot; an exception outside our own tree is a bug and goes through.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import datetime
from functools import partial
from threading import Event, Lock
from typing import Literal, Protocol

import numpy as np

from fleetpmap.check import Checks, Rollup, check_processes, not_passed
from fleetpmap.connections import Connections
from fleetpmap.conversation import Conversation, converse
from fleetpmap.conversation import Question as Question  # what collect() takes stands beside it
from fleetpmap.errors import HostError, SmapsError
from fleetpmap.inventory import Host
from fleetpmap.processes import LeftOut, full_name
from fleetpmap.smaps import SmapsColumns, parse_processes
from fleetpmap.snapshot import HostFailure, HostSnapshot, Process, Run, Snapshot, host_status, once_per_machine
from fleetpmap.table import ROLLUP, MappingTable, from_columns
from fleetpmap.transport import Bastions, Deadline, SshOptions, Transport, open_transport
from fleetpmap.wire import PROCESS_LIMIT, ListedProcess, Reading

JOBS = 32
"""Hosts asked at once unless said otherwise: more threads only share the same interpreter."""

_PARSING = Lock()
"""One host is parsed at a time: threads would only take turns in the interpreter, each holding several megabytes."""

_OUT_OF_TIME = frozenset({"timeout", "not-asked"})
_REASONS = {
    "gone": "ended before it was read",
    "reused": "ended, and its pid went to another process",
    "kernel": "a kernel thread has no mappings",
    "zombie": "ended, and not yet waited for by its parent",
    "empty": "the kernel gave an empty smaps",
    "unsupported": "the kernel there has no smaps",
    "cut": f"its smaps is longer than {PROCESS_LIMIT >> 20} MiB",
}


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
    """
    started, clock = datetime.now().astimezone(), time.monotonic()
    run_deadline = None if deadline_s is None else Deadline.after(deadline_s)
    with Bastions() as bastions:
        ask = partial(
            _ask,
            question=question,
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
    return Snapshot.assemble(answers, Run(started, time.monotonic() - clock, command, ended))


def collect_host(
    host: Host,
    question: Question,
    *,
    run_deadline: Deadline | None = None,
    transport_for: TransportFor = open_transport,
    connections: Connections | None = None,
    keep: Keep | None = None,
) -> HostSnapshot:
    """Ask one host for its mappings, within `host.timeout_s` and before `run_deadline`.

    Every process that matched has one status: read, with rows in the table, or the reason why it has none.

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
    notes = (*notes, *answer.notes())
    if question.rollup_only:
        answer = _with_totals(answer)
    snapshot = host_snapshot(host, answer, notes, rollups=question.rollups)
    if question.rollup_only and len(snapshot.table) and ROLLUP not in snapshot.table.path.names:
        snapshot = replace(snapshot, notes=(*notes, "its kernel has no smaps_rollup (before 4.14), so smaps was read"))
    if keep is not None:
        keep(host, answer, snapshot)
    return snapshot


def _with_totals(answer: Conversation) -> Conversation:
    """The answer with each smaps_rollup as the text of one mapping."""
    if answer.reading is None:
        return answer
    smaps = answer.reading.smaps.replace(b" [rollup]\n", b" %b\n" % ROLLUP.encode())
    return replace(answer, reading=replace(answer.reading, smaps=smaps))


def host_snapshot(host: Host, answer: Conversation, notes: tuple[str, ...], *, rollups: bool) -> HostSnapshot:
    """What a host's answer comes to, whether it has just arrived or was kept; `rollups`: they were asked for."""
    with _PARSING:
        columns, torn = _parsed(answer.reading)
    processes = [_left_out(host, left, answer) for left in answer.choice.left_out]
    checks = _checks(columns, answer, rollups=rollups)
    for slot in range(len(answer.choice.read)):
        processes.append(_chosen(host, slot, answer, torn.get(slot), checks.get(slot)))
    processes.sort(key=lambda process: process.pid)
    return HostSnapshot(
        host=host.name,
        status=host_status(processes),
        processes=tuple(processes),
        table=_table(processes, columns, answer.choice.read),
        capabilities=answer.listing.capabilities,
        notes=notes,
        said=answer.said,
        local=host.transport == "local",
        read_s=answer.reading.seconds if answer.reading else None,
    )


def _ask(
    host: Host,
    *,
    question: Question,
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


def _parsed(reading: Reading | None) -> tuple[SmapsColumns, dict[int, SmapsError]]:
    """The columns of the processes read, and by their place in `reading` those whose text is not whole."""
    if reading is None:
        return parse_processes(b"", [])
    return parse_processes(reading.smaps, [(one.start, one.stop) for one in reading.processes])


def _table(processes: list[Process], columns: SmapsColumns, read: Sequence[ListedProcess]) -> MappingTable:
    slot_of_pid = {process.pid: slot for slot, process in enumerate(processes)}
    slots = np.array([slot_of_pid[process.pid] for process in read], dtype=np.int32)
    return from_columns(replace(columns, process=slots[columns.process]))


def _checks(columns: SmapsColumns, answer: Conversation, *, rollups: bool) -> dict[int, Checks]:
    """What the self-check found in the processes that have mappings, by their place in the reading."""
    read = answer.reading.processes if answer.reading else ()
    told = {slot: Rollup(one.rollup, still=one.stopped) for slot, one in enumerate(read) if one.rollup}
    return check_processes(columns, told if rollups else None)


def _chosen(host: Host, slot: int, answer: Conversation, torn: SmapsError | None, checks: Checks | None) -> Process:
    """A process that was to be read, with what became of it."""
    listed = answer.choice.read[slot]
    if answer.reading is None:
        return _process(host, listed, answer, "read")
    read = answer.reading.processes[slot]
    if read.uid is not None:
        listed = listed._replace(uid=read.uid)
    if torn is not None:
        reason = f"{torn.message} (byte {torn.offset} of its smaps)"
        return _process(host, listed, answer, "cut", reason, not_passed("last_block_whole", reason))
    reason = _reason(read.status, host, answer)
    if read.status == "reused":
        checks = not_passed("start_time_unchanged", reason)
    return replace(_process(host, listed, answer, read.status, reason, checks), start_stack=read.start_stack)


def _left_out(host: Host, left: LeftOut, answer: Conversation) -> Process:
    return _process(host, left.process, answer, left.status, left.reason)


def _process(
    host: Host,
    listed: ListedProcess,
    answer: Conversation,
    status: str,
    reason: str = "",
    checks: Checks | None = None,
) -> Process:
    return Process(
        host=host.name,
        pid=listed.pid,
        name=full_name(listed),
        arguments=listed.arguments,
        uid=listed.uid,
        user=None if listed.uid is None else answer.users.get(listed.uid),
        start_ticks=listed.start_ticks,
        rss_kib=listed.rss_kib,
        status=status,
        reason=reason,
        checks=checks,
    )


def _reason(status: str, host: Host, answer: Conversation) -> str:
    if status != "denied":
        return _REASONS.get(status, "")
    if answer.listing.capabilities.uid == 0:
        return "even root may not"
    return "nor may the user that sudo leads to" if host.sudo else "run with --sudo to read it"
