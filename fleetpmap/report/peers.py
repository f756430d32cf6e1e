"""Like with like: a service on the hosts that run it, as mappings by hosts.   evidence, outliers ─► [peers] ─► views

A cell may be not mapped, zero or unknown. Not mapped: every process of the service on the host was read, and none
has the mapping. Zero: one has it, with no page in memory. Unknown: a process of the service was not read, or the host's
kernel lacks the metric. A host that does not run the service has no column. With two mappings and three hosts, the
second without libb.so and the third read in part:

    present   [[True, True, True], [True, False, False]]
    complete  [True, True, False]
    values    [[8, 4, 8], [2, 0, NULL]]             0 where not mapped; NULL where unknown
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import PeersBy
from fleetpmap.evidence import Evidence
from fleetpmap.report.drift import without_version
from fleetpmap.report.grouping import WHOLE, coded
from fleetpmap.report.outliers import FEWEST, MANY, MIB, Judgement, judge
from fleetpmap.smaps import NULL, Coded
from fleetpmap.snapshot import INCOMPLETE, Snapshot, service_of
from fleetpmap.table import IntArray, sums

Flags = NDArray[np.bool_]
WITNESSES = ("rss_kib", "uss_kib")
"""Metrics that must confirm an outlier in PSS, at least one of them."""


@dataclass(frozen=True, slots=True)
class Peers:
    """A service on its hosts: arrays with a row for each mapping and a column for each host."""

    service: str
    """The service; empty if all hosts are compared with each other."""
    group: str | None
    """The group of the inventory that the hosts are in, empty for hosts without one; None if groups do not count."""
    hosts: tuple[str, ...]
    slots: NDArray[np.intp]
    """(host,): its index in `snapshot.hosts`."""
    mappings: tuple[str, ...]
    processes: IntArray
    """(host,): number of processes read; NULL for a host that did not answer."""
    complete: Flags
    """(host,): True if every process of the service was read; also if there is none."""
    present: Flags
    """(mapping, host): True if a process read there has the mapping."""
    values: Mapping[str, IntArray]
    """Metric to (mapping, host): KiB; 0 where not mapped, NULL where unknown."""
    largest: IntArray | None
    """(mapping, host): the most that one process has, by the first metric; None for MANY hosts or more."""

    @property
    def of_group(self) -> str:
        """The clause on the group of the hosts; empty if groups do not count."""
        return "" if self.group is None else f" of group {self.group}" if self.group else " in no group"

    @property
    def whole(self) -> Flags:
        """Hosts that were read completely and have at least one process."""
        return self.complete & (self.processes > 0)

    def known(self, metric: str) -> Flags:
        """Return the hosts that can be compared by a metric: read completely, with a kernel that has it."""
        lacking: Flags = (self.values[metric] == NULL).any(axis=0)
        return self.whole & ~lacking


def peers_in(
    snapshot: Snapshot,
    evidence: Evidence,
    metrics: Sequence[str],
    by: PeersBy = "service",
    *,
    per_process: bool = False,
    fewest: int = 1,
    least_kib: int = 0,
) -> Iterator[Peers]:
    """Yield the peers of each service that at least `fewest` hosts run, by its name; for `all`, of all hosts at once.

    For `group`, the hosts of a service are parted by their groups (see _parted).

    `evidence`: the snapshot's, with these metrics. `per_process`: the sums are divided by the number of processes read
    there. `least_kib`: mappings that have less on every host, by the first metric, may be left out.
    """
    kept = np.array([process.status == "read" or process.status in INCOMPLETE for process in snapshot.processes], bool)
    services = coded(service_of(process) if by != "all" else "" for process in snapshot.processes)
    host = snapshot.host_of_processes.astype(np.int64)
    runs = np.zeros((len(services.names), len(snapshot.hosts)), dtype=np.bool_)
    runs[services.codes[kept], host[kept]] = True
    grid = _Grid(snapshot, evidence, services, host, metrics, per_process, least_kib)
    if by == "all":
        yield grid.peers("", None, np.arange(len(snapshot.hosts)))
        return
    for code in sorted(range(len(services.names)), key=services.names.__getitem__):
        slots = np.flatnonzero(runs[code])
        parts = _parted(snapshot, slots) if by == "group" else {None: slots}
        for group, members in parts.items():
            if len(members) >= fewest:
                yield grid.peers(services.names[code], group, members)


def _parted(snapshot: Snapshot, slots: NDArray[np.intp]) -> dict[str | None, NDArray[np.intp]]:
    """Part hosts by group, in the order of the names; hosts in no group are one part, named "".

    A host counts to the smallest of its groups that has FEWEST of these hosts; if none has, to the largest. Of groups
    of one size it is the nearest.
    """
    groups_of = {slot: snapshot.hosts[slot].groups or () for slot in slots.tolist()}
    sizes = Counter(group for groups in groups_of.values() for group in dict.fromkeys(groups))
    parts: dict[str | None, list[int]] = {}
    for slot, groups in groups_of.items():
        enough = [group for group in groups if sizes[group] >= FEWEST]
        largest = max(groups, key=sizes.__getitem__, default="")
        parts.setdefault(min(enough, key=sizes.__getitem__, default=largest), []).append(slot)
    return {group: np.array(parts[group], dtype=np.intp) for group in sorted(parts, key=str)}


class _Grid:
    """The rows of a snapshot's evidence, sorted by service once."""

    def __init__(
        self,
        snapshot: Snapshot,
        evidence: Evidence,
        services: Coded,
        host: IntArray,
        metrics: Sequence[str],
        per_process: bool,
        least_kib: int,
    ) -> None:
        self._snapshot, self._metrics, self._per_process = snapshot, metrics, per_process
        self._services, self._host = services, host
        self._holder, self._held, self._names = evidence.holder, evidence.held, evidence.mapping
        self._sizes = evidence.sizes
        kept = self._large(self._sizes[metrics[0]], least_kib)
        service = services.codes[self._holder[kept]]
        order = np.argsort(service, kind="stable")
        self._order = kept[order]
        """The rows that are kept, by service."""
        self._starts = np.searchsorted(service[order], np.arange(len(services.names) + 1))
        self._read = np.array([process.status == "read" for process in snapshot.processes], dtype=np.bool_)
        self._unread = np.array([process.status in INCOMPLETE for process in snapshot.processes], dtype=np.bool_)

    def _large(self, sizes: IntArray, least_kib: int) -> NDArray[np.intp]:
        """Return the rows of mappings that have `least_kib` on a host, and of those that differ by their version alone.

        On a thousand hosts that spares matrices of a hundred megabytes, of which nearly every cell is small.
        """
        if not least_kib:
            return np.arange(len(sizes))
        codes, count = self._names.codes, len(self._names.names) + 1  # the last one is for a null, code -1
        cells, cell = np.unique(self._host[self._holder] * count + codes % count, return_inverse=True)
        held = np.bincount(cell, weights=np.maximum(sizes, 0), minlength=len(cells))
        bases = [without_version(name) for name in self._names.names]
        large = {bases[code] for code in np.unique(cells[held >= least_kib] % count).tolist() if code < len(bases)}
        return np.flatnonzero(np.array([*(base in large for base in bases), False])[codes])

    def peers(self, service: str, group: str | None, slots: NDArray[np.intp]) -> Peers:
        snapshot, count = self._snapshot, len(slots)
        code = self._services.names.index(service) if service in self._services.names else len(self._services.names)
        # Without a process there is no service, not even the one of all hosts.
        is_any = code < len(self._services.names)
        rows = self._order[self._starts[code] : self._starts[code + 1]] if is_any else self._order[:0]
        column_of = np.full(len(snapshot.hosts), -1, dtype=np.int64)
        column_of[slots] = np.arange(count)
        column = column_of[self._host[self._holder[rows]]]
        rows, column = rows[column >= 0], column[column >= 0]
        names, row = np.unique(self._names.codes[rows], return_inverse=True)
        mine = (self._services.codes == code) & (column_of[self._host] >= 0)
        read, unread = (
            np.bincount(column_of[self._host[mine & flags]], minlength=count) for flags in (self._read, self._unread)
        )
        answered = np.array([snapshot.hosts[slot].failure is None for slot in slots.tolist()], dtype=np.bool_)
        whole = np.array([snapshot.hosts[slot].status in WHOLE for slot in slots.tolist()], dtype=np.bool_)
        complete = answered & (unread == 0) & (whole | (read > 0))
        cells, size, shape = row * count + column, len(names) * count, (len(names), count)
        present = np.bincount(cells, minlength=size).reshape(shape) > 0
        values = {}
        for metric in self._metrics:
            added = sums(self._sizes[metric][rows], cells, size).reshape(shape)
            if self._per_process:
                added = np.where(added == NULL, NULL, np.rint(added / np.maximum(read, 1)).astype(np.int64))
            values[metric] = np.where(~present & complete, 0, added)
        first = self._metrics[0]
        known = complete & (read > 0) & (values[first] != NULL).all(axis=0)
        largest = None
        if np.count_nonzero(known) < MANY:
            flat = np.zeros(size, dtype=np.int64)
            np.maximum.at(flat, cells, self._held[rows])  # NULL is below 0
            largest = flat.reshape(shape)
        return Peers(
            service,
            group,
            tuple(snapshot.hosts[slot].name for slot in slots.tolist()),
            slots,
            tuple("" if name == NULL else self._names.names[name] for name in names.tolist()),
            np.where(answered, read, NULL),
            complete,
            present,
            values,
            largest,
        )


@dataclass(frozen=True)  # no slots: some properties are cached, since each outlier asks for them
class Judged:
    """Peers, judged by a metric. `values` and the judgement have a column for each judged host."""

    peers: Peers
    metric: str
    columns: list[int]
    """The columns of `peers` of the judged hosts."""
    values: IntArray
    judgement: Judgement

    @cached_property
    def hosts(self) -> list[str]:
        """The names of the judged hosts."""
        return [self.peers.hosts[column] for column in self.columns]

    @cached_property
    def processes(self) -> IntArray:
        """The number of processes read on each judged host."""
        return self.peers.processes[self.columns]

    @cached_property
    def has_equal_counts(self) -> bool:
        """True if all judged hosts run the same number of processes."""
        return len({*self.processes.tolist()}) < 2

    @cached_property
    def median_per_process(self) -> NDArray[np.float64]:
        """The median of the hosts' values per process, for each row."""
        return np.median(self.values / self.processes, axis=1)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Size per process for outliers.stand_alone: of few hosts that of the largest process, of many the mean.

        Below 1 MiB, a mapping counts as one: factors between a few pages say nothing.
        """
        if self.peers.largest is not None:
            return np.maximum(self.peers.largest[:, self.columns], MIB).astype(np.float64)
        return np.maximum(self.values, MIB) / self.processes


def judged(peers: Peers, metric: str, *, per_process: bool = False) -> Judged:
    """Judge the hosts that were read completely, by a metric.

    PSS alone can mislead: a library's PSS grows if fewer processes share it. So an outlier in PSS must also be one in
    RSS or USS; and if the hosts do not run the same number of processes, an outlier must also be one per process.
    `per_process`: the sums are divided already.
    """
    columns: list[int] = np.flatnonzero(peers.known(metric)).tolist()
    values = peers.values[metric][:, columns]
    judgement = judge(values)
    if metric == "pss_kib" and all(peers.known(witness)[columns].all() for witness in WITNESSES):
        rss, uss = (judge(peers.values[witness][:, columns]) for witness in WITNESSES)
        judgement = judgement.confirmed_by(rss, uss)
    counts = peers.processes[columns]
    if not per_process and len(set(counts.tolist())) > 1:
        judgement = judgement.and_per_process(judge(np.rint(values / counts).astype(np.int64)))
    return Judged(peers, metric, columns, values, judgement)
