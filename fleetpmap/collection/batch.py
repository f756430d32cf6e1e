"""A batch of answers to host snapshots.   batches ─► [batch] ─► processes, table"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TypeVar

import numpy as np

from fleetpmap.check import Checks, Rollup, check_processes
from fleetpmap.collection.oddities import oddities
from fleetpmap.collection.outcomes import processes_of
from fleetpmap.collection.reply import HostReply
from fleetpmap.errors import SmapsError
from fleetpmap.smaps import NULL, SmapsColumns, parse_processes
from fleetpmap.snapshot import HostSnapshot, Process, host_status
from fleetpmap.table import KERNEL_KEYS, MappingTable, from_columns, summed

_Result = TypeVar("_Result", Checks, SmapsError)
_SUMMED = frozenset(key for keys in KERNEL_KEYS.values() for key in keys)


def snapshots(
    batch: Sequence[HostReply],
    *,
    rollups: bool,
    sums: Collection[str] | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[HostSnapshot]:
    """What each answer comes to, in order; the same as if it were alone.

    `rollups`: they were asked for. `sums`: None where every mapping keeps its row (see digest). `check` is called now
    and then, and may raise.
    """
    columns, torn = _parsed(batch, check)
    if len(batch) > 1 and (torn or not _alike(columns)):
        # Whatever is odd about one must not touch the others, neither their limits nor the order of their fields.
        return [snapshot for one in batch for snapshot in snapshots([one], rollups=rollups, sums=sums, check=check)]
    checks = _checks(columns, batch, rollups=rollups)
    first = list(accumulate((len(one.processes) for one in batch), initial=0))
    processes = [
        processes_of(one, _from(torn, slot, one), _from(checks, slot, one))
        for slot, one in zip(first, batch, strict=False)  # the last is where they end
    ]
    batch = [
        replace(one, notes=(*one.notes, *oddities(one, columns, slot)))
        for slot, one in zip(first, batch, strict=False)  # the same
    ]
    tables = _tables(columns, batch, processes, sums)
    return [_snapshot(*parts, tuple(columns.fields)) for parts in zip(batch, processes, tables, strict=True)]


def _parsed(batch: Sequence[HostReply], check: Callable[[], None]) -> tuple[SmapsColumns, dict[int, SmapsError]]:
    """The columns of all processes read, and by their place among these those whose text is not whole."""
    texts = [one.text for one in batch]
    begins = accumulate(map(len, texts), initial=0)
    spans = [
        (begin + process.start, begin + process.stop)
        for begin, one in zip(begins, batch, strict=False)  # the last is where the texts end
        for process in one.processes
    ]
    return parse_processes(texts[0] if len(texts) == 1 else b"".join(texts), spans, check)


def _alike(columns: SmapsColumns) -> bool:
    """Whether the first mapping has all the keys that any has: then the order of the fields is every host's own."""
    return all(column[0] != NULL for column in columns.fields.values())


def _checks(columns: SmapsColumns, batch: Sequence[HostReply], *, rollups: bool) -> dict[int, Checks]:
    """What the self-check found in the processes that have mappings, by their place among those read."""
    if not rollups:
        return check_processes(columns)
    read = [process for one in batch for process in one.processes]
    told = {slot: Rollup(one.rollup, still=one.stopped) for slot, one in enumerate(read) if one.rollup}
    return check_processes(columns, told)


def _tables(
    columns: SmapsColumns,
    batch: Sequence[HostReply],
    processes: Sequence[Sequence[Process]],
    sums: Collection[str] | None,
) -> list[MappingTable]:
    """Each host's table. They share the batch's memory."""
    bases = list(accumulate(map(len, processes), initial=0))
    slots: list[int] = []
    for base, one, own in zip(bases, batch, processes, strict=False):  # the last is where they end
        slot_of_pid = {process.pid: base + slot for slot, process in enumerate(own)}
        slots += [slot_of_pid[process.pid] for process in one.processes]
    columns = replace(columns, process=np.array(slots, dtype=np.int32)[columns.process])
    if sums is not None:
        kept = {key: column for key, column in columns.fields.items() if key in _SUMMED}
        table = summed(from_columns(replace(columns, fields=kept)), sums)
    else:
        table = from_columns(columns)
    edges = pairwise(np.searchsorted(table.process, bases).tolist())
    return [table.rows(start, stop, base=base) for base, (start, stop) in zip(bases, edges, strict=False)]


def _from(results: Mapping[int, _Result], first: int, one: HostReply) -> dict[int, _Result]:
    """Those of one host's processes, by their place among its own."""
    places = range(first, first + len(one.processes))
    return {place - first: results[place] for place in places if place in results}


def _snapshot(one: HostReply, processes: Sequence[Process], table: MappingTable, keys: tuple[str, ...]) -> HostSnapshot:
    return HostSnapshot(
        name=one.host.name,
        status=host_status(processes),
        failure=None,
        processes=tuple(processes),
        table=table,
        capabilities=one.listing.capabilities,
        notes=one.notes,
        said=one.other_output,
        local=one.host.is_here,
        read_s=one.reading.seconds if one.reading else None,
        keys=keys if len(table) else (),
    )
