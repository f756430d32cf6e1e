"""The sizes of the last rounds, for trend and growth.   rounds ─► [history] ─► growth

A size is the PSS of a host, of a mapping on a host or of a process in one round; the RSS where a kernel has no PSS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np

from fleetpmap.report.grouping import WHOLE, host_slots, share_metric
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import sums

KEPT = 24
"""Rounds in a trend at most: one sign each."""

Key = tuple[str, ...]
"""("host", HOST), ("mapping", HOST, MAPPING) or ("process", HOST, PID)."""
Sizes = dict[Key, int]
"""KiB by key, of one round. A host where nothing matched has 0; a key without a known size is missing."""


class History:
    """The sizes of the last rounds, and the first size of each key, in KiB."""

    def __init__(self) -> None:
        self.started: datetime | None = None
        """When the first round began."""
        self._rounds: deque[Sizes] = deque(maxlen=KEPT)
        self._first: Sizes = {}

    def add(self, snapshot: Snapshot) -> None:
        """Add a round."""
        self.started = self.started or snapshot.run.started
        sizes = _sizes(snapshot)
        self._rounds.append(sizes)
        for key, size in sizes.items():
            self._first.setdefault(key, size)

    def trend(self, keys: Sequence[Key]) -> list[int | None]:
        """Return the sum of these keys in each of the last rounds; None for a round that has none of them."""
        return [_total(sizes, keys) for sizes in self._rounds]

    def since_start(self, keys: Sequence[Key]) -> int | None:
        """Return the summed growth of these keys, each since its first size; None if the last round has none."""
        if not self._rounds:
            return None
        now = [key for key in keys if key in self._rounds[-1]]
        return sum(self._rounds[-1][key] - self._first[key] for key in now) if now else None


def _total(sizes: Sizes, keys: Iterable[Key]) -> int | None:
    known = [sizes[key] for key in keys if key in sizes]
    return sum(known) if known else None


def _sizes(snapshot: Snapshot) -> Sizes:
    table, hosts = snapshot.table, [host.name for host in snapshot.hosts]
    values = table.metrics[share_metric(snapshot)]
    of_host = host_slots(snapshot)
    by_host = sums(values, of_host, len(hosts)).tolist()
    sizes: Sizes = {
        ("host", host.name): max(size, 0)  # NULL, which is negative, where nothing matched
        for host, size in zip(snapshot.hosts, by_host, strict=True)
        if host.status in WHOLE or size != NULL
    }
    by_process = sums(values, table.process, len(snapshot.processes)).tolist()
    for process, size in zip(snapshot.processes, by_process, strict=True):
        if size != NULL:
            sizes["process", process.host, str(process.pid)] = size
    names = table.mapping.names
    # A row's host and mapping as one number, host × number of names + name: host 2 and name 5 of 100 make 205.
    pairs, group = np.unique(of_host.astype(np.int64) * max(len(names), 1) + table.mapping.codes, return_inverse=True)
    for pair, size in zip(pairs.tolist(), sums(values, group, len(pairs)).tolist(), strict=True):
        if size != NULL:
            host, name = divmod(pair, len(names))
            sizes["mapping", hosts[host], names[name]] = size
    return sizes
