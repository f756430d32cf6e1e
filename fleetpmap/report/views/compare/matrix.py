"""The services of a comparison as one matrix: (service, mapping) by hosts asked.   peers ─► [matrix] ─► comparison"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.grouping import WHOLE, processes_on
from fleetpmap.report.outliers import groups_of
from fleetpmap.report.peers import Flags, Judged
from fleetpmap.report.views.compare.comparison_findings import split_text
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import IntArray


@dataclass(frozen=True, slots=True)
class Matrix:
    """Arrays by (row,), (host,) or (row, host)."""

    hosts: tuple[str, ...]
    services: tuple[str, ...]
    """(row,)"""
    groups: tuple[str | None, ...]
    """(row,): the group of the inventory that its hosts are in; None if groups do not count."""
    mappings: tuple[str, ...]
    """(row,)"""
    processes: IntArray
    """(host,): number of processes read; NULL for a host that did not answer."""
    values: IntArray
    """(row, host): KiB; 0 where not mapped, NULL where unknown or not run."""
    present: Flags
    """(row, host)"""
    runs: Flags
    """(row, host): False where the host answered and does not run the service."""
    is_judged: Flags
    """(row, host)"""
    out: Flags
    """(row, host)"""
    median: IntArray
    """(row,): KiB; NULL if no host was judged."""
    spread: IntArray
    """(row,): likewise."""
    outliers: tuple[str, ...]
    """(row,): the outliers, or the groups of a split row, in words."""
    sides: tuple[tuple[tuple[int, ...], ...], ...]
    """(row,): the groups of a split row, as indices of hosts; empty for any other."""
    complete: Flags
    """(host,): True if every matching process was read."""

    @property
    def named(self) -> frozenset[int]:
        """The hosts that a row names, as outliers or in groups."""
        in_groups = (host for groups in self.sides if len(groups) > 1 for group in groups for host in group)
        return frozenset((*np.flatnonzero(self.out.any(axis=0)).tolist(), *in_groups))

    @property
    def order(self) -> NDArray[np.intp]:
        """The rows in order: those in which hosts stand apart, then by spread, by median and by name."""
        named = [not text for text in self.outliers]
        sizes = ((-self.spread).tolist(), (-self.median).tolist())
        texts = (self.services, self.mappings, [group or "" for group in self.groups])
        key = [*zip(named, *sizes, *texts, strict=True)]
        return np.array(sorted(range(len(key)), key=key.__getitem__), dtype=np.intp)

    def reordered(self, order: NDArray[np.intp]) -> Matrix:
        """Return the matrix with its rows in another order."""
        taken = {
            "services": tuple(self.services[row] for row in order.tolist()),
            "groups": tuple(self.groups[row] for row in order.tolist()),
            "mappings": tuple(self.mappings[row] for row in order.tolist()),
            "outliers": tuple(self.outliers[row] for row in order.tolist()),
            "sides": tuple(self.sides[row] for row in order.tolist()),
            **{name: getattr(self, name)[order] for name in ("values", "present", "runs", "is_judged", "out")},
            **{name: getattr(self, name)[order] for name in ("median", "spread")},
        }
        return Matrix(**{each.name: getattr(self, each.name) for each in fields(Matrix)} | taken)


def matrix(snapshot: Snapshot, blocks: Sequence[Judged], metric: str) -> Matrix:
    """Put the services of a snapshot into one matrix, its rows in order."""
    rows, hosts = sum(len(block.peers.mappings) for block in blocks), len(snapshot.hosts)
    complete = np.array([host.status in WHOLE for host in snapshot.hosts], dtype=np.bool_)
    failed = np.array([host.failure is not None for host in snapshot.hosts], dtype=np.bool_)
    values = np.full((rows, hosts), NULL, dtype=np.int64)
    flags = {name: np.zeros((rows, hosts), dtype=np.bool_) for name in ("present", "is_judged", "out")}
    # The services of all listed processes are known, even of those that could not be read.
    runs = np.broadcast_to(failed, (rows, hosts)).copy()
    median, spread = (np.full(rows, NULL, dtype=np.int64) for _ in range(2))
    texts: list[str] = []
    sides: list[tuple[tuple[int, ...], ...]] = []
    start = 0
    for block in blocks:
        peers, judgement = block.peers, block.judgement
        part = slice(start, start := start + len(peers.mappings))
        slots = peers.slots[block.columns]
        values[part, peers.slots], flags["present"][part, peers.slots] = peers.values[metric], peers.present
        runs[part, peers.slots] = True
        flags["is_judged"][part, slots], flags["out"][part, slots] = True, judgement.out
        if len(slots):
            median[part], spread[part] = np.rint(judgement.median).astype(np.int64), judgement.spread
        for row in range(len(peers.mappings)):
            is_split = bool(judgement.split[row])
            out = fold(block.hosts[slot] for slot in np.flatnonzero(judgement.out[row]).tolist())
            texts.append(f"split: {split_text(block.hosts, block.values[row])}" if is_split else out)
            groups = groups_of(block.values[row]) if is_split else []
            sides.append(tuple(tuple(slots[group].tolist()) for group in groups))
    whole = Matrix(
        tuple(host.name for host in snapshot.hosts),
        tuple(block.peers.service for block in blocks for _ in block.peers.mappings),
        tuple(block.peers.group for block in blocks for _ in block.peers.mappings),
        tuple(name for block in blocks for name in block.peers.mappings),
        np.where(failed, NULL, processes_on(snapshot)[0]),
        values,
        runs=runs,
        median=median,
        spread=spread,
        outliers=tuple(texts),
        sides=tuple(sides),
        complete=complete,
        **flags,
    )
    return whole.reordered(whole.order)
