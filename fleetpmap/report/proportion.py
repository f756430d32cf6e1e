"""Memory in proportion to what a host has.   snapshot ─► [proportion] ─► services, hosts"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from fleetpmap.smaps import NULL
from fleetpmap.snapshot import INCOMPLETE, Snapshot
from fleetpmap.table import IntArray, distinct, sums


def percent(part: int | None, whole: int | None) -> float | None:
    """Return a share in percent, with one digit; None if a part of it is unknown, or there is no whole."""
    return None if part is None or not whole else round(100 * part / whole, 1)


def held_by(snapshot: Snapshot, group: IntArray, groups: int) -> IntArray:
    """Return the KiB that each group of processes holds: the PSS, or the RSS where the PSS is unknown.

    `group`: the group of each process, -1 for none. The RSS of a process without rows in the table is that of the list
    phase. NULL for a group without a process.
    """
    table = snapshot.table
    held = table.metrics["pss_kib"]
    if (held == NULL).any():
        held = np.where(held == NULL, table.metrics["rss_kib"], held)
    in_table = np.zeros(len(snapshot.processes), dtype=np.bool_)
    in_table[distinct(table.process)] = True
    of_process = sums(held, table.process, len(snapshot.processes))
    for slot, process in enumerate(snapshot.processes):
        if process.status in INCOMPLETE and not in_table[slot]:
            of_process[slot] = process.resident.rss_kib if process.resident else process.rss_kib
    grouped = group >= 0
    return sums(of_process[grouped], group[grouped], groups)


def ram_of(snapshot: Snapshot, hosts: Collection[int]) -> int | None:
    """Return the MemTotal of these hosts (indices in `snapshot.hosts`) in KiB; None if it is unknown of any of them."""
    totals = [memory.total_kib if (memory := snapshot.hosts[slot].memory) else None for slot in hosts]
    known = [total for total in totals if total is not None]
    return sum(known) if known and len(known) == len(totals) else None
