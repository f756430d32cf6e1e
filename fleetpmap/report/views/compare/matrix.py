"""Mappings by hosts.   snapshot ─► [matrix] ─► outliers, drift, compare

Absent, zero and unknown are three things: a host that was read whole and does not map it (absent), one whose pages of
it are all out of memory (0), and one that did not answer, was read in part or has a kernel that does not tell.
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
    """One slot per mapping and host."""

    hosts: tuple[str, ...]
    mappings: tuple[str, ...]
    processes: IntArray
    """Read on each host; NULL where it did not answer."""
    told: Flags
    """Hosts of which every matching process was read, if there is any."""
    present: Flags
    """(mapping, host)"""
    values: Mapping[str, IntArray]
    """Metric to (mapping, host): KiB; 0 where absent, NULL where unknown."""

    @property
    def whole(self) -> Flags:
        """Hosts that told all, of at least one process."""
        return self.told & (self.processes > 0)

    def known(self, metric: str) -> Flags:
        """The hosts that can be compared by a metric: read whole, by a kernel that tells it."""
        lacking: Flags = (self.values[metric] == NULL).any(axis=0)
        return self.whole & ~lacking


def matrix(snapshot: Snapshot, metrics: Sequence[str], *, per_process: bool = False) -> Matrix:
    """Each metric's sum for every mapping and host; `per_process`: divided by the processes read there."""
    names, hosts = snapshot.table.mapping.names, tuple(host.name for host in snapshot.hosts)
    shape = (len(names), len(hosts))
    cells = snapshot.table.mapping.codes.astype(np.int64) * len(hosts) + host_slots(snapshot)
    size = len(names) * len(hosts)
    present = np.bincount(cells, minlength=size).reshape(shape) > 0
    failed = np.array([host.failure is not None for host in snapshot.hosts], dtype=np.bool_)
    processes = np.where(failed, NULL, processes_on(snapshot)[0])
    # Of a host that was read in part nobody knows what the unread processes map.
    told = np.array([host.status in WHOLE for host in snapshot.hosts], dtype=np.bool_)
    values: dict[str, IntArray] = {}
    for metric in metrics:
        added = sums(snapshot.table.metrics[metric], cells, size).reshape(shape)
        if per_process:
            added = np.where(added == NULL, NULL, np.rint(added / np.maximum(processes, 1)).astype(np.int64))
        values[metric] = np.where(~present & told, 0, added)
    return Matrix(hosts, names, processes, told, present, values)
