"""What several views count by.   snapshot ─► [rows] ─► the views

Processes and mappings as coded columns, and the eight sizes summed by any group of mappings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from fleetpmap.naming import ANON, DELETED, code_texts, is_replaced, proper_path
from fleetpmap.report.model import Column
from fleetpmap.smaps import NULL, Coded
from fleetpmap.snapshot import Process, Snapshot
from fleetpmap.table import METRICS, IntArray, MappingTable, Rule, count, distinct, is_rollup, sums, total

WHOLE = frozenset({"ok", "no-match"})
"""Statuses of a host that leaves nothing out: what was not read there is not there."""


class HexTexts(Sequence[str]):
    """Addresses as lower-case hex of at least so many digits (the kernel prints 8), made when looked at."""

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


def coded(texts: Iterable[str | None]) -> Coded:
    """A coded column of texts, None as null."""
    slots: dict[str, int] = {}
    codes = [-1 if text is None else slots.setdefault(text, len(slots)) for text in texts]
    return Coded(np.array(codes, dtype=np.int32), tuple(slots))


def owner(process: Process) -> str | None:
    """The user as ps shows it: the name, the number where the host has no name for it, None where nobody knows."""
    if process.user is not None or process.uid is None:
        return process.user
    return str(process.uid)


def identity_columns(processes: Sequence[Process]) -> tuple[Column, Column, Column, Column, Column, Column]:
    """host, pid, user, name, command and status, one row per process."""
    return (
        Column("host", "text", coded(process.host for process in processes)),
        Column("pid", "number", np.array([process.pid for process in processes], dtype=np.int64)),
        Column("user", "text", coded(owner(process) for process in processes)),
        Column("name", "text", coded(process.name for process in processes)),
        Column("command", "text", coded(process.command for process in processes)),
        Column("status", "text", coded(process.status for process in processes)),
    )


def host_slots(snapshot: Snapshot) -> NDArray[np.int32]:
    """For every mapping the slot of its host in `snapshot.hosts`."""
    return _host_of_processes(snapshot)[snapshot.table.process]


def processes_on(snapshot: Snapshot) -> tuple[IntArray, IntArray]:
    """For every host how many of its processes were read, and how many were not."""
    read = np.array([process.status == "read" for process in snapshot.processes], dtype=np.bool_)
    slots, hosts = _host_of_processes(snapshot), len(snapshot.hosts)
    return np.bincount(slots[read], minlength=hosts), np.bincount(slots[~read], minlength=hosts)


def _host_of_processes(snapshot: Snapshot) -> NDArray[np.int32]:
    slot_of_host = {host.name: slot for slot, host in enumerate(snapshot.hosts)}
    return np.array([slot_of_host[process.host] for process in snapshot.processes], dtype=np.int32)


def by_process(texts: Iterable[str | None], table: MappingTable) -> Coded:
    """One text per process, spread over the process's mappings."""
    column = coded(texts)
    return Coded(column.codes[table.process], column.names)


def plain_paths(table: MappingTable) -> Coded:
    """Every mapping's path without the kernel's ` (deleted)`; `[anon]` where there is none."""
    return _rewritten(table.path, lambda path: path.removesuffix(DELETED) or ANON)


def proper_paths(table: MappingTable) -> Coded:
    """As `plain_paths`, and without what a package manager adds to the name of a file that it replaces."""
    return _rewritten(table.path, lambda path: proper_path(path) or ANON)


def replaced(table: MappingTable) -> NDArray[np.bool_]:
    """For every mapping whether its file was deleted, or moved aside for another."""
    return np.array([*map(is_replaced, table.path.names), False], dtype=np.bool_)[table.path.codes]


def _rewritten(texts: Coded, rewrite: Callable[[str], str]) -> Coded:
    return code_texts([*map(rewrite, texts.names)], texts.codes.astype(np.intp))


def mapping_counts(table: MappingTable, group: NDArray[np.integer], groups: int) -> tuple[IntArray, int | None]:
    """How many mappings each group has, and all together; NULL and None where only their sum was read."""
    counts = count(table.mappings, group, groups)
    rolled = is_rollup(table.path)
    if not rolled.any():
        return counts, int(table.mappings.sum())
    counts[group[rolled]] = NULL
    return counts, None


def rule_over(processes: int, rule: Rule) -> Rule:
    """What a sum over that many processes is: within one, no page is counted twice."""
    return "sum" if rule == "upper bound" and processes <= 1 else rule


def sums_by(table: MappingTable, group: NDArray[np.integer], groups: int) -> dict[str, IntArray]:
    """Each of METRICS summed over the mappings of each group, NULL where a group knows nothing."""
    return {name: sums(table.metrics[name], group, groups) for name in METRICS}


def size_columns(snapshot: Snapshot, values: Mapping[str, IntArray]) -> tuple[Column, ...]:
    """The columns of METRICS, with `values` as cells and the whole snapshot's totals."""
    read, metrics = len(distinct(snapshot.table.process)), snapshot.table.metrics
    return tuple(
        Column(name, "KiB", values[name], rule=rule_over(read, rule), total=known_total(metrics[name], snapshot))
        for name, rule in METRICS.items()
    )


def known_total(values: IntArray, snapshot: Snapshot) -> int | None:
    """The sum of some mappings' values; of none it is 0 where anybody's memory is known, else None."""
    told = len(snapshot.table) > 0 or any(host.status in WHOLE for host in snapshot.hosts)
    return 0 if told and not len(values) else total(values)


HUGETLB = "hugetlb_kib"
"""Huge pages are in no other size, so where rows are compared they come on top."""


def share_metric(snapshot: Snapshot) -> str:
    """The size by which rows are compared: PSS, which adds up; RSS where a kernel among them does not tell PSS."""
    return "rss_kib" if (snapshot.table.metrics["pss_kib"] == NULL).any() else "pss_kib"
