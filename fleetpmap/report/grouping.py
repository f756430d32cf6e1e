"""Keys and sums that several views share.   snapshot ─► [grouping] ─► the views

Texts of hosts, processes and paths become coded columns: a text is stored once, and a row holds its index (a code; -1
is null). A group is an array with one number for each mapping; the eight sizes can be summed by any group:

    host_slots(snapshot)                    [0, 0, 1, 1, 1]      five mappings on two hosts
    table.metrics["rss_kib"]                [8, 4, 2, 2, 1]
    sums_by(table, slots, 2)["rss_kib"]     [12, 5]              one sum for each host
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fleetpmap.evidence import proper_paths, rewritten
from fleetpmap.naming import ANON, DELETED
from fleetpmap.report.model import Column
from fleetpmap.smaps import NULL, Coded
from fleetpmap.snapshot import Process, Snapshot
from fleetpmap.table import (
    METRICS,
    IntArray,
    MappingTable,
    Rule,
    count,
    distinct,
    first_rows,
    is_rollup,
    is_unreadable,
    metric_sums,
    numbered,
    total,
    without_unreadable,
)
from fleetpmap.units import time_text as time_text  # the views take it from here

WHOLE = frozenset({"ok", "no-match"})
"""Statuses of hosts that were read completely: a mapping missing there does not exist there."""
NULL_AS_NONE = frozenset({"unit", "container", "pod", "slice"})
"""Columns and keys in which a null means none."""


class HexTexts(Sequence[str]):
    """Addresses as lower-case hex of at least `digits` digits (the kernel prints 8), formatted on access.

    Millions of addresses stay an array of integers until a format prints a slice of them.
    """

    def __init__(self, values: NDArray[np.uint64], digits: int = 8) -> None:
        self.values = values
        self._format = f"0{digits}x"

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [format(value, self._format) for value in self.values[index].tolist()]
        return format(int(self.values[index]), self._format)

    def of(self, rows: NDArray[np.integer]) -> HexTexts:
        """Return the addresses of some rows."""
        part = copy(self)
        part.values = self.values[rows]
        return part


class Gathered:
    """The codes of rows by those of their processes, taken when rows are asked for: millions of them need no memory."""

    def __init__(self, codes: NDArray[np.int32], process: NDArray[np.signedinteger]) -> None:
        self._codes, self._process = codes, process

    def __len__(self) -> int:
        return len(self._process)

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> NDArray[np.int32]:
        codes: NDArray[np.int32] = self._codes[self._process[rows]]
        return codes

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self._codes[self._process], dtype=dtype)


def gathered(texts: Iterable[str | None], process: NDArray[np.signedinteger]) -> Coded:
    """Return a text for each row, given one for each process; `process`: the index of each row's process."""
    column = coded(texts)
    return Coded(Gathered(column.codes, process), column.names)  # type: ignore[arg-type]  # an array to all that reads it


def coded(texts: Iterable[str | None]) -> Coded:
    """Return a coded column of texts, None as null."""
    slots: dict[str, int] = {}
    codes = [-1 if text is None else slots.setdefault(text, len(slots)) for text in texts]
    return Coded(np.array(codes, dtype=np.int32), tuple(slots))


def owner(process: Process) -> str | None:
    """Return the user as ps shows it: the name, or the uid if the host has no name for it; None if unknown."""
    if process.user is not None or process.uid is None:
        return process.user
    return str(process.uid)


def identity_columns(processes: Sequence[Process]) -> tuple[Column, Column, Column, Column, Column, Column]:
    """Return the columns host, pid, user, name, command and status, one row per process."""
    return (
        Column("host", "text", coded(process.host for process in processes)),
        Column("pid", "number", np.array([process.pid for process in processes], dtype=np.int64)),
        Column("user", "text", coded(owner(process) for process in processes)),
        Column("name", "text", coded(process.name for process in processes)),
        Column("command", "text", coded(process.command for process in processes)),
        Column("status", "text", coded(process.status for process in processes)),
    )


def membership_columns(
    processes: Sequence[Process], rows: NDArray[np.signedinteger] | None = None
) -> tuple[Column, ...]:
    """Return the columns service, unit, container, pod and started.

    `rows`: the index of each row's process; None for one row per process.
    """
    texts: dict[str, Iterator[str | None]] = {
        "service": (process.service or None for process in processes),
        "unit": (process.unit for process in processes),
        "container": (process.container for process in processes),
        "pod": (process.pod for process in processes),
        "started": (time_text(process.started) for process in processes),
    }
    return tuple(
        Column(
            name,
            "text",
            coded(each) if rows is None else gathered(each, rows),
            null="-" if name in NULL_AS_NONE else "?",
        )
        for name, each in texts.items()
    )


def host_slots(snapshot: Snapshot) -> NDArray[np.int32]:
    """Return, for each mapping, the index of its host in `snapshot.hosts`."""
    return snapshot.host_of_processes[snapshot.table.process]


def processes_on(snapshot: Snapshot) -> tuple[IntArray, IntArray]:
    """Count, for each host, its processes that were read and those that were not."""
    read = np.array([process.status == "read" for process in snapshot.processes], dtype=np.bool_)
    slots, hosts = snapshot.host_of_processes, len(snapshot.hosts)
    return np.bincount(slots[read], minlength=hosts), np.bincount(slots[~read], minlength=hosts)


def by_process(texts: Iterable[str | None], table: MappingTable) -> Coded:
    """Turn one text per process into one per mapping."""
    column = coded(texts)
    return Coded(column.codes[table.process], column.names)


def key_of_rows(snapshot: Snapshot, key: str) -> Coded:
    """Return the key of every mapping."""
    table = snapshot.table
    match key:
        case "host":
            return by_process((process.host for process in snapshot.processes), table)
        case "process":
            return by_process((process.name for process in snapshot.processes), table)
        case "service" | "unit" | "container" | "pod" | "slice":
            return by_process((getattr(process, key) for process in snapshot.processes), table)
        case "user":
            return by_process((owner(process) for process in snapshot.processes), table)
        case "path":
            return proper_paths(table)
        case "perms":
            return table.perms
        case "kind":
            return table.kind
        case _:
            return table.mapping


def key_column(key: str, texts: Coded) -> Column:
    """Return the column of a key of --by."""
    return Column(key, "text", texts, null="-" if key in NULL_AS_NONE else "?")


def grouped(keys: Sequence[Coded]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the group of every mapping, and the first mapping of every group.

    Two keys with the codes [0, 0, 1] and [2, 2, 2] give the groups [0, 0, 1] and the first rows [0, 2].
    """
    group: NDArray[np.intp] = np.zeros(len(keys[0]), dtype=np.intp)
    for key in keys:
        # The groups are numbered from 0 again after each key, so that the product cannot overflow 64 bits.
        # Null (-1) is a value like the others: the + 1 makes it 0.
        group *= len(key.names) + 1
        group += key.codes
        group += 1
        different, group = numbered(group)
    return group, first_rows(group, len(different))


def plain_paths(table: MappingTable) -> Coded:
    """Return each mapping's path without the kernel's ` (deleted)`; `[anon]` for a mapping without a path."""
    return rewritten(table.path, lambda path: path.removesuffix(DELETED) or ANON)


def mapped(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with mappings alone: without the rows of processes whose mappings could not be read."""
    table = without_unreadable(snapshot.table)
    return snapshot if table is snapshot.table else replace(snapshot, table=table)


def mapping_counts(table: MappingTable, group: NDArray[np.integer], groups: int) -> tuple[IntArray, int | None]:
    """Count the mappings of each group, and all of them.

    NULL and None where only rollups were read, and where no process could be read.
    """
    counts = count(table.mappings, group, groups)
    rolled, unreadable = is_rollup(table.path), is_unreadable(table)
    counts[group[rolled]] = NULL
    if unreadable.any():
        counts[(counts == 0) & (np.bincount(group[unreadable], minlength=groups) > 0)] = NULL
    is_known = not rolled.any() and not (len(table) and unreadable.all())
    return counts, int(table.mappings.sum()) if is_known else None


def rule_over(processes: int, rule: Rule) -> Rule:
    """Return the rule for a sum over that many processes: within one process, no page is counted twice."""
    return "sum" if rule == "upper bound" and processes <= 1 else rule


def sums_by(table: MappingTable, group: NDArray[np.integer], groups: int) -> dict[str, IntArray]:
    """Sum each of METRICS over the mappings of each group; NULL for a group without any known value."""
    return {name: metric_sums(table, name, group, groups) for name in METRICS}


def size_columns(snapshot: Snapshot, values: Mapping[str, IntArray]) -> tuple[Column, ...]:
    """Return the columns of METRICS, with `values` as cells and the totals of the whole snapshot."""
    table = snapshot.table
    read = len(distinct(table.process))
    totals = sums_by(table, np.broadcast_to(np.intp(0), len(table)), min(len(table), 1))  # one group, or none
    return tuple(
        Column(name, "KiB", values[name], rule=rule_over(read, rule), total=known_total(totals[name], snapshot))
        for name, rule in METRICS.items()
    )


def known_total(values: IntArray, snapshot: Snapshot) -> int | None:
    """Return the sum of `values`. If there are none, it is 0 where the memory of any host is known, else None."""
    is_known = len(snapshot.table) > 0 or any(host.status in WHOLE for host in snapshot.hosts)
    return 0 if is_known and not len(values) else total(values)


HUGETLB = "hugetlb_kib"
"""Huge pages are in no other size, so rows are compared by this size and `share_metric` together."""


def share_metric(snapshot: Snapshot) -> str:
    """Return the size by which rows are compared: PSS, which adds up; RSS if any kernel in the run lacks PSS.

    Also RSS if no process could be read; a process that could not be read among others has no part in it.
    """
    unknown, unreadable = snapshot.table.metrics["pss_kib"] == NULL, is_unreadable(snapshot.table)
    return "rss_kib" if unknown[~unreadable].any() or (unknown.any() and unreadable.all()) else "pss_kib"
