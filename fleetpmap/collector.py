"""The recipe.   hosts ─► transport ─► probe ─► wire ─► smaps ─► table ─► [collector] ─► Snapshot

`collect_host` asks one host; `collect` is that function mapped over hosts by any `concurrent.futures.Executor`. A host
that fails is a value in the snapshot; an exception outside our own tree is a bug and goes through.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from threading import Event
from typing import Literal, Protocol, TypeVar

import numpy as np

from fleetpmap import probe
from fleetpmap.errors import HostError, ProtocolError, RemoteError, SmapsError
from fleetpmap.inventory import Host
from fleetpmap.probe.sudo import explain_refusal
from fleetpmap.processes import Choice, LeftOut, Selection, choose, full_name
from fleetpmap.smaps import SmapsColumns, parse_processes
from fleetpmap.snapshot import HostFailure, HostSnapshot, Process, Run, Snapshot, host_status
from fleetpmap.table import MappingTable, concatenate, from_columns
from fleetpmap.transport import Channel, Deadline, SshOptions, Transport, open_transport
from fleetpmap.wire import PROCESS_LIMIT, Decoder, ListedProcess, Listing, Reading

JOBS = 32
"""Hosts asked at once unless said otherwise: more threads only share the same interpreter."""

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


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask of every host."""

    selection: Selection = field(default_factory=Selection)
    smaps: bool = True
    """False: only list who would be read."""
    ssh: SshOptions = field(default_factory=SshOptions)


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
    stop: Event | None = None,
    executor: Executor | None = None,
    transport_for: TransportFor = open_transport,
    on_start: Callable[[Host], None] | None = None,
    on_host: Callable[[HostSnapshot], None] | None = None,
) -> Snapshot:
    """Ask every host, at most `jobs` at once, and put the answers together in the order of `hosts`.

    A host that could not be asked is a row in the snapshot. When `deadline_s` seconds have passed, the hosts still
    being asked are `timeout` and the others `not-asked`; once `stop` is set, no further host is asked.

    `executor` replaces the pool of threads that is made otherwise, and `jobs` with it. A pool of processes will do too,
    without `stop` and `on_start`, which belong to this process. `on_start` is called in the thread that asks, `on_host`
    in this one, as the answers come in.
    """
    started, clock = datetime.now().astimezone(), time.monotonic()
    run_deadline = None if deadline_s is None else Deadline.after(deadline_s)
    ask = partial(
        _ask, question=question, transport_for=transport_for, run_deadline=run_deadline, stop=stop, on_start=on_start
    )
    answers = _mapped(ask, hosts, jobs, executor, on_host or (lambda answer: None))
    ended: Literal["whole", "interrupted", "deadline"] = "whole"
    if stop is not None and stop.is_set():
        ended = "interrupted"
    elif run_deadline and run_deadline.remaining() == 0 and any(one.status in _OUT_OF_TIME for one in answers):
        ended = "deadline"
    return Snapshot.assemble(answers, Run(started, time.monotonic() - clock, command, ended))


def collect_host(
    host: Host,
    question: Question,
    *,
    run_deadline: Deadline | None = None,
    transport_for: TransportFor = open_transport,
) -> HostSnapshot:
    """Ask one host for its mappings, within `host.timeout_s` and before `run_deadline`.

    Every process that matched has one status: read, with rows in the table, or the reason why it has none.

    Raises:
        HostError: the host could not be asked, or answered something that is not the wire format.
    """
    deadline = run_deadline.sooner(host.timeout_s) if run_deadline else Deadline.after(host.timeout_s)
    with transport_for(host, deadline=deadline, options=question.ssh) as transport:
        script = probe.render(
            probe.Request(
                proc_root=host.proc_root,
                sudo=host.sudo and not transport.is_root,
                owners=bool(question.selection.users) or not question.smaps,
                cgroups=bool(question.selection.cgroup or question.selection.unit),
                exes=bool(question.selection.exe),
            )
        )
        decoder = Decoder(script, host=host.name)
        with transport.run(script.command) as channel:
            channel.send(script.stdin)
            listing = _receive(channel, decoder, lambda: decoder.listing, host)
            choice = choose(listing, question.selection, local_pid=os.getpid() if host.transport == "local" else None)
            reading = None
            if choice.read and question.smaps:
                channel.send(script.read_line(tuple(process.pid for process in choice.read)))
                reading = _receive(channel, decoder, lambda: decoder.reading, host)
                _check_asked(choice, reading, host)
        notes = (*transport.notes, *_notes(listing, choice))
    if reading is None:
        return _without_smaps(host, listing, choice, notes)
    return _with_smaps(host, listing, choice, reading, notes)


def _ask(
    host: Host,
    *,
    question: Question,
    transport_for: TransportFor,
    run_deadline: Deadline | None,
    stop: Event | None,
    on_start: Callable[[Host], None] | None,
) -> HostSnapshot:
    if stop is not None and stop.is_set():
        return _not_asked(host, "the run was interrupted before its turn", "run it again")
    if run_deadline is not None and run_deadline.remaining() == 0:
        why = f"the run's {run_deadline.seconds:g} s were over before its turn"
        return _not_asked(host, why, "give the run more time with --deadline, or ask more hosts at once with --jobs")
    if on_start is not None:
        on_start(host)
    try:
        return collect_host(host, question, run_deadline=run_deadline, transport_for=transport_for)
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


Reply = TypeVar("Reply", Listing, Reading)


def _receive(channel: Channel, decoder: Decoder, reply: Callable[[], Reply | None], host: Host) -> Reply:
    """Feed the decoder until the reply is whole."""
    while (answer := reply()) is None:
        piece = channel.receive()
        if not piece:
            raise _ended_early(channel, decoder, host)
        decoder.feed(piece)
    return answer


def _check_asked(choice: Choice, reading: Reading, host: Host) -> None:
    if [process.pid for process in choice.read] != [process.pid for process in reading.processes]:
        raise ProtocolError(
            "it answered for other processes than it was asked for",
            host=host.name,
            stage="read",
            hint="what runs there as `sh` is not our probe: look at that host",
        )


def _notes(listing: Listing, choice: Choice) -> Iterator[str]:
    """What the way in which this host was read leaves open."""
    said = listing.capabilities
    if choice.unread_exes:
        remedy = "even root may not" if said.uid == 0 else "--sudo reads them"
        yield f"the exe of {choice.unread_exes} of its processes could not be read, so --exe leaves them out; {remedy}"
    if said.uid != 0 and said.probe_pid is not None and not any(process.pid == 1 for process in listing.processes):
        yield "its /proc hides other users' processes (hidepid): only the login's own can match; --sudo shows all"
    if said.reader == "sh" and not any(process.arguments for process in listing.processes):
        yield "no usable grep and tail there: its shell read /proc alone, without command lines, so only names matched"


def _ended_early(channel: Channel, decoder: Decoder, host: Host) -> HostError:
    status = channel.finish()
    try:
        decoder.eof()
    except ProtocolError as error:
        truncated = error
    if decoder.begun:
        return truncated
    said = channel.stderr.decode(errors="replace")
    if host.sudo and (refusal := explain_refusal(said, host)):
        return refusal
    last_words = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "nothing on stderr")
    ended = f"with exit status {status}" if status is not None else "without an exit status"
    return RemoteError(
        f"the shell there ended {ended} before the probe began: {last_words}",
        host=host.name,
        stage="exec",
        hint=f"try `ssh {host.name} sh -s </dev/null`: it has to end quietly, with status 0",
    )


def _without_smaps(host: Host, listing: Listing, choice: Choice, notes: tuple[str, ...]) -> HostSnapshot:
    processes = [_process(host, process, listing.users, "read") for process in choice.read]
    processes += [_left_out(host, left, listing.users) for left in choice.left_out]
    return _snapshot(host, listing, processes, None, notes)


def _with_smaps(host: Host, listing: Listing, choice: Choice, reading: Reading, notes: tuple[str, ...]) -> HostSnapshot:
    columns, torn = parse_processes(reading.smaps, [(one.start, one.stop) for one in reading.processes])
    users = listing.users | reading.users
    processes = [_left_out(host, left, users) for left in choice.left_out]
    for slot, (listed, one) in enumerate(zip(choice.read, reading.processes, strict=True)):
        error = torn.get(slot)
        status = "cut" if error else one.status
        reason = _cut_reason(error) if error else _reason(one.status, listing)
        owned = listed if one.uid is None else replace(listed, uid=one.uid)
        processes.append(_process(host, owned, users, status, reason))
    read_pids = [process.pid for process in choice.read]
    return _snapshot(host, listing, processes, (columns, read_pids), notes)


def _snapshot(
    host: Host,
    listing: Listing,
    processes: list[Process],
    read: tuple[SmapsColumns, list[int]] | None,
    notes: tuple[str, ...],
) -> HostSnapshot:
    processes.sort(key=lambda process: process.pid)
    return HostSnapshot(
        host=host.name,
        status=host_status(processes),
        processes=tuple(processes),
        table=_table(processes, *read) if read else concatenate([]),
        capabilities=listing.capabilities,
        notes=notes,
    )


def _table(processes: list[Process], columns: SmapsColumns, read_pids: list[int]) -> MappingTable:
    slot_of_pid = {process.pid: slot for slot, process in enumerate(processes)}
    slots = np.array([slot_of_pid[pid] for pid in read_pids], dtype=np.int32)
    return from_columns(replace(columns, process=slots[columns.process]))


def _process(host: Host, listed: ListedProcess, users: Mapping[int, str], status: str, reason: str = "") -> Process:
    return Process(
        host=host.name,
        pid=listed.pid,
        name=full_name(listed),
        arguments=listed.arguments,
        uid=listed.uid,
        user=None if listed.uid is None else users.get(listed.uid),
        start_ticks=listed.start_ticks,
        rss_kib=listed.rss_kib,
        status=status,
        reason=reason,
    )


def _left_out(host: Host, left: LeftOut, users: Mapping[int, str]) -> Process:
    return _process(host, left.process, users, left.status, left.reason)


def _reason(status: str, listing: Listing) -> str:
    if status == "denied":
        return "even root may not" if listing.capabilities.uid == 0 else "run with --sudo to read it"
    return _REASONS.get(status, "")


def _cut_reason(error: SmapsError) -> str:
    return f"{error.message} (byte {error.offset} of its smaps)"
