"""Mappings by hosts.   snapshot ─► [matrix] ─► outliers, comparison

A cell may be absent, zero or unknown. Absent: the host was read completely and does not have the mapping. Zero: it has
the mapping, with no page in memory. Unknown: the host did not answer, was read only in part, or its kernel lacks the
metric. With two mappings and three hosts, the second without libb.so and the third read in part:

    present   [[True, True, True], [True, False, False]]
    complete  [True, True, False]
    values    [[8, 4, 8], [2, 0, NULL]]             0 where absent; NULL where unknown
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpmap.report.grouping import WHOLE, host_slots, processes_on
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import IntArray, sums

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Arrays with a row for each mapping and a column for each host."""

    hosts: tuple[str, ...]
    mappings: tuple[str, ...]
    processes: IntArray
    """(host,): number of processes read; NULL for a host that did not answer."""
    complete: Flags
    """(host,): True if every matching process was read; also if none matched."""
    present: Flags
    """(mapping, host): True if a process read there has the mapping."""
    values: Mapping[str, IntArray]
    """Metric to (mapping, host): KiB; 0 where absent, NULL where unknown."""

    @property
    def whole(self) -> Flags:
        """Hosts that were read completely and have at least one process."""
        return self.complete & (self.processes > 0)

    def known(self, metric: str) -> Flags:
        """Return the hosts that can be compared by a metric: read completely, with a kernel that has it."""
        lacking: Flags = (self.values[metric] == NULL).any(axis=0)
        return self.whole & ~lacking


def matrix(snapshot: Snapshot, metrics: Sequence[str], *, per_process: bool = False) -> Matrix:
    """Sum each metric for every mapping and host; `per_process`: divided by the number of processes read there."""
    names, hosts = snapshot.table.mapping.names, tuple(host.name for host in snapshot.hosts)
    shape = (len(names), len(hosts))
    # The flat index of (mapping, host), row by row: what `reshape` turns back into two dimensions.
    cells = snapshot.table.mapping.codes.astype(np.int64) * len(hosts) + host_slots(snapshot)
    size = len(names) * len(hosts)
    present = np.bincount(cells, minlength=size).reshape(shape) > 0
    failed = np.array([host.failure is not None for host in snapshot.hosts], dtype=np.bool_)
    processes = np.where(failed, NULL, processes_on(snapshot)[0])
    # On a host that was read in part, the unread processes may have the mapping: it is unknown there, not absent.
    complete = np.array([host.status in WHOLE for host in snapshot.hosts], dtype=np.bool_)
    values: dict[str, IntArray] = {}
    for metric in metrics:
        added = sums(snapshot.table.metrics[metric], cells, size).reshape(shape)
        if per_process:
            added = np.where(added == NULL, NULL, np.rint(added / np.maximum(processes, 1)).astype(np.int64))
        values[metric] = np.where(~present & complete, 0, added)
    return Matrix(hosts, names, processes, complete, present, values)
