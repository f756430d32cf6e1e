"""Parse a batch of replies in one call, and make a snapshot of each.   interpret ─► [batch] ─► outcomes, table

A `slot` is a process's place among the processes read of all hosts of the batch, in the order of the replies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, chain, pairwise
from typing import TypeVar

import numpy as np

from fleetpmap.check import Checks, Rollup, check_processes
from fleetpmap.collection.oddities import oddities
from fleetpmap.collection.outcomes import processes_of
from fleetpmap.collection.reply import HostReply
from fleetpmap.errors import SmapsError
from fleetpmap.evidence import Evidence, evidence_of
from fleetpmap.smaps import NULL, SmapsColumns, parse_processes
from fleetpmap.snapshot import HostSnapshot, Process, host_status, service_of, sizes_by_status
from fleetpmap.table import MappingTable, from_columns, summed, summed_keys, with_unreadable

_READABLE = frozenset({"read", "empty"})
"""Statuses of processes of which the smaps was opened and read to its end."""
_Result = TypeVar("_Result", Checks, SmapsError)


def snapshots(
    batch: Sequence[HostReply],
    *,
    rollups: bool,
    sums: Collection[str] | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[HostSnapshot]:
    """Return a snapshot for each reply, in order: the one that the reply has in a batch of its own.

    `rollups`: smaps_rollup was read too. `sums`: None for a row per mapping (see interpret). `check` is called now and
    then, and may raise.
    """
    columns, torn = _parsed(batch, check)
    if len(batch) > 1 and (torn or not _alike(columns)):
        # An oddity of one host must not touch the others, neither their limits nor the order of their fields.
        return [snapshot for reply in batch for snapshot in snapshots([reply], rollups=rollups, sums=sums, check=check)]
    checks = _checks(columns, batch, rollups=rollups)
    first_slots = list(accumulate((len(reply.processes) for reply in batch), initial=0))[:-1]
    processes = [
        processes_of(reply, _of_host(torn, first, reply), _of_host(checks, first, reply))
        for first, reply in zip(first_slots, batch, strict=True)
    ]
    batch = [
        replace(reply, notes=(*reply.notes, *oddities(reply, columns, first)))
        for first, reply in zip(first_slots, batch, strict=True)
    ]
    parts = _tables(columns, batch, processes, sums)
    keys = _of_a_fleet(tuple(columns.fields))
    return [_snapshot(*each, keys) for each in zip(batch, processes, parts, strict=True)]


@lru_cache(64)
def _of_a_fleet(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return equal keys, one object for all the hosts that have them."""
    return keys


def _parsed(batch: Sequence[HostReply], check: Callable[[], None]) -> tuple[SmapsColumns, dict[int, SmapsError]]:
    """Return the columns of all processes read, and the errors of torn ones, by slot."""
    texts = [reply.text for reply in batch]
    text = texts[0] if len(texts) == 1 else b"".join(texts)
    begins = accumulate(map(len, texts), initial=0)
    # A process's span in the joined text: the texts "aaaa" and "bb" begin at 0 and 4, and the joined text ends at 6.
    spans = [
        (begin + process.start, begin + process.stop)
        for begin, reply in zip(begins, batch, strict=False)  # without the 6
        for process in reply.processes
    ]
    columns, torn = parse_processes(text, spans, check)
    execs = _of_execs(columns, batch)
    if execs.keys() <= torn.keys():
        return columns, torn
    pieces = [b"" if slot in execs else text[start:stop] for slot, (start, stop) in enumerate(spans)]
    columns, _ = parse_processes(b"".join(pieces), list(pairwise(accumulate(map(len, pieces), initial=0))), check)
    return columns, execs | torn


def _of_execs(columns: SmapsColumns, batch: Sequence[HostReply]) -> dict[int, SmapsError]:
    """Return an error for each text of a process that called exec before its stat was read, by slot.

    The kernel ends the text there, without an error, and the process lives on, with another stack and another address
    space. So no mapping of the text holds its stack. That is true of a process that has unmapped its stack, too, but
    its text has the whole address space. No process of a recorded tree calls exec.
    """
    processes = [
        (reply.listing.capabilities.probe_pid is not None, process) for reply in batch for process in reply.processes
    ]
    stacks = np.array(
        [process.start_stack or 0 if live and process.status in _READABLE else 0 for live, process in processes],
        dtype=np.uint64,
    )
    stack = stacks[columns.process]  # of the process of each mapping
    has_other_stack = stacks > 0
    has_other_stack[columns.process[(columns.start <= stack) & (stack <= columns.end)]] = False
    execs = {}
    for slot in np.flatnonzero(has_other_stack).tolist():
        of_process = slice(*np.searchsorted(columns.process, (slot, slot + 1)))
        _, process = processes[slot]
        if int((columns.end[of_process] - columns.start[of_process]).sum()) != process.address_space:
            message = "no mapping holds its stack: it called exec while it was read"
            execs[slot] = SmapsError(message, offset=process.stop - process.start)
    return execs


def _alike(columns: SmapsColumns) -> bool:
    """Return whether the first mapping has all keys of any mapping. Only then each host has its own order of fields."""
    return all(column[0] != NULL for column in columns.fields.values())


def _checks(columns: SmapsColumns, batch: Sequence[HostReply], *, rollups: bool) -> dict[int, Checks]:
    """Return the results of the self-check for the processes that have mappings, by slot."""
    if not rollups:
        return check_processes(columns)
    read = [process for reply in batch for process in reply.processes]
    sums = {slot: Rollup(process.rollup, still=process.stopped) for slot, process in enumerate(read) if process.rollup}
    return check_processes(columns, sums)


def _tables(
    columns: SmapsColumns,
    batch: Sequence[HostReply],
    processes: Sequence[Sequence[Process]],
    sums: Collection[str] | None,
) -> list[tuple[MappingTable, Evidence | None]]:
    """Return each host's table, and its evidence if the table has only sums. All are slices of one, and share memory.

    The parser numbers the processes that were read; a table numbers all that matched, of which some have no rows:

        parsed, by slot    web-01: 7, 9     web-02: 4        matched    web-01: 7, 8 (denied), 9     web-02: 4
                           0      1         2                           0        1         2         3

    so columns.process [0 1 2] becomes [0 2 3], and each table counts from its host's first process on. Process 1 gets a
    row of its own if its status could be read (see with_unreadable).
    """
    bases = list(accumulate(map(len, processes), initial=0))
    number_of_slot: list[int] = []
    for base, reply, matched in zip(bases[:-1], batch, processes, strict=True):
        number_of_pid = {process.pid: number for number, process in enumerate(matched, start=base)}
        number_of_slot += [number_of_pid[process.pid] for process in reply.processes]
    columns = replace(columns, process=np.array(number_of_slot, dtype=np.int32)[columns.process])
    evidence = None
    if sums is not None:
        needed = frozenset(summed_keys(sums))
        kept = {key: column for key, column in columns.fields.items() if key in needed}
        table = from_columns(replace(columns, fields=kept))
        evidence = evidence_of(table, [(one.host, service_of(one)) for one in chain.from_iterable(processes)])
        table = summed(table, sums)
    else:
        table = from_columns(columns)
    table = with_unreadable(table, sizes_by_status(chain.from_iterable(processes)))
    edges = pairwise(np.searchsorted(table.process, bases).tolist())  # rows are in the order of processes
    return [
        (table.rows(*edge, base=base), evidence.of_processes(base, stop) if evidence else None)
        for (base, stop), edge in zip(pairwise(bases), edges, strict=True)
    ]


def _of_host(results: Mapping[int, _Result], first: int, reply: HostReply) -> dict[int, _Result]:
    """Return one host's results, for the slots from `first` on, by the place in `reply.processes`."""
    slots = range(first, first + len(reply.processes))
    return {slot - first: results[slot] for slot in slots if slot in results}


def _snapshot(
    reply: HostReply,
    processes: Sequence[Process],
    part: tuple[MappingTable, Evidence | None],
    keys: tuple[str, ...],
) -> HostSnapshot:
    table, evidence = part
    return HostSnapshot(
        name=reply.host.name,
        status=host_status(processes),
        failure=None,
        processes=tuple(processes),
        table=table,
        evidence=evidence,
        capabilities=reply.listing.capabilities,
        notes=reply.notes,
        said=reply.other_output,
        local=reply.host.is_here,
        read_s=reply.reading.seconds if reply.reading else None,
        memory=reply.listing.memory,
        cgroups=reply.reading.cgroups if reply.reading else (),
        keys=keys if table.mappings.any() else (),
        near=reply.near,
        groups=reply.host.groups,
    )
