"""The recipe.   hosts ─► transport ─► probe ─► wire ─► smaps ─► table ─► [collector] ─► Snapshot

`collect_host` asks one host; `collect` is that function mapped over hosts by any `concurrent.futures.Executor`. A host
that fails is a value in the snapshot; an exception outside our own tree is a bug and goes through.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

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
from fleetpmap.wire import Decoder, ListedProcess, Listing, Reading

JOBS = 32
"""Hosts asked at once unless said otherwise: more threads only share the same interpreter."""

_REASONS = {
    "gone": "ended before it was read",
    "reused": "ended, and its pid went to another process",
    "kernel": "a kernel thread has no mappings",
    "zombie": "ended, and not yet waited for by its parent",
    "empty": "the kernel gave an empty smaps",
    "unsupported": "the kernel there has no smaps",
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
    executor: Executor | None = None,
    transport_for: TransportFor = open_transport,
    on_host: Callable[[HostSnapshot], None] | None = None,
) -> Snapshot:
    """Ask every host, at most `jobs` at once, and put the answers together in the order of `hosts`.

    `executor` replaces the pool of threads that is made otherwise, and `jobs` with it; a pool of processes will do too.
    `on_host` is called here, in order, as answers come in. A host that could not be asked is a row in the snapshot.
    """
    started, clock = datetime.now().astimezone(), time.monotonic()
    ask = partial(_ask, question=question, transport_for=transport_for)
    answers: list[HostSnapshot] = []
    for answer in _mapped(ask, hosts, jobs, executor):
        answers.append(answer)
        if on_host is not None:
            on_host(answer)
    return Snapshot.assemble(answers, Run(started, time.monotonic() - clock, command))


def collect_host(host: Host, question: Question, *, transport_for: TransportFor = open_transport) -> HostSnapshot:
    """Ask one host for its mappings, within `host.timeout_s`.

    Every process that matched has one status: read, with rows in the table, or the reason why it has none.

    Raises:
        HostError: the host could not be asked, or answered something that is not the wire format.
    """
    deadline = Deadline.after(host.timeout_s)
    with transport_for(host, deadline=deadline, options=question.ssh) as transport:
        script = probe.render(
            probe.Request(
                proc_root=host.proc_root,
                sudo=host.sudo and not transport.is_root,
                owners=bool(question.selection.users) or not question.smaps,
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
        notes = transport.notes
    if reading is None:
        return _without_smaps(host, listing, choice, notes)
    return _with_smaps(host, listing, choice, reading, notes)


def _ask(host: Host, *, question: Question, transport_for: TransportFor) -> HostSnapshot:
    try:
        return collect_host(host, question, transport_for=transport_for)
    except HostError as error:
        return HostSnapshot.failed(HostFailure.from_error(error))


def _mapped(
    ask: Callable[[Host], HostSnapshot], hosts: Sequence[Host], jobs: int, executor: Executor | None
) -> Iterator[HostSnapshot]:
    if executor is not None:
        yield from executor.map(ask, hosts)
    elif jobs == 1 or len(hosts) == 1:
        yield from map(ask, hosts)
    else:
        with ThreadPoolExecutor(min(jobs, len(hosts)), thread_name_prefix="fleetpmap") as threads:
            yield from threads.map(ask, hosts)


Reply = TypeVar("Reply", Listing, Reading)


def _receive(channel: Channel, decoder: Decoder, reply: Callable[[], Reply | None], host: Host) -> Reply:
    """Feed the decoder until the reply is whole."""
    while (answer := reply()) is None:
        piece = channel.receive()
        if not piece:
            raise _ended_early(channel, decoder, host)
        decoder.feed(piece)
    return answer


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
