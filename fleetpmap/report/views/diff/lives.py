"""What became of each process.   pairs, cells ─► [lives] ─► growth_findings"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fleetpmap.report.views.diff.cells import Cells
from fleetpmap.report.views.diff.noise import own_growth
from fleetpmap.report.views.diff.pairs import Pairs
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Process, Snapshot
from fleetpmap.table import ROLLUP, sums


class Part(NamedTuple):
    """One mapping of a process whose size has changed by more than noise."""

    mapping: str
    """ROLLUP where a run has only sums."""
    old: int
    """The size before, in KiB; both sizes are known."""
    new: int
    own: int
    """How much of the growth is the process's own, in KiB: the pages of others that became its alone are not."""
    resident: int
    """The same, by its RSS alone."""
    is_new: bool
    """True if the process had no such mapping before."""

    @property
    def growth(self) -> int:
        """In KiB."""
        return self.new - self.old


class Life(NamedTuple):
    """One process, before and after."""

    status: str
    """same, restarted, new or gone."""
    host: str
    service: str
    """The service that the new process, or the one that is gone, belongs to."""
    pid: int | None
    old_pid: int | None
    old: int | None
    """The size before, in KiB; None if unknown, and for a new process."""
    new: int | None
    """The size after, likewise; None for one that is gone."""
    parts: Sequence[Part]
    process: Process
    """The new process, or the one that is gone."""


def lives(old: Snapshot, new: Snapshot, pairs: Pairs, cells: Cells, metric: str) -> list[Life]:
    """Return the life of each pair. `metric`: one of the sizes of `cells`.

    `cells`: those by mapping; by process if a run has only sums.
    """
    before, after = (sums(side, cells.pair, len(pairs.pairs)).tolist() for side in cells.sizes[metric])
    parts = _parts(cells, metric)
    result = []
    for slot, pair in enumerate(pairs.pairs):
        was = [] if pair.old is None else [old.processes[pair.old]]
        is_ = [] if pair.new is None else [new.processes[pair.new]]
        process = (is_ or was)[0]
        result.append(
            Life(
                status=pair.status,
                host=process.host,
                service=process.service or process.name,
                pid=is_[0].pid if is_ else None,
                old_pid=was[0].pid if was else None,
                old=before[slot] if was and before[slot] != NULL else None,
                new=after[slot] if is_ and after[slot] != NULL else None,
                parts=parts.get(slot, ()),
                process=process,
            )
        )
    return result


def _parts(cells: Cells, metric: str) -> dict[int, list[Part]]:
    """Return the changed mappings of each pair, by its index."""
    names = cells.keys["mapping"].texts() if "mapping" in cells.keys else [ROLLUP] * cells.rows
    (old, new), (own, resident) = cells.sizes[metric], own_growth(metric, cells.sizes)
    parts: dict[int, list[Part]] = {}
    for slot in cells.changed.nonzero()[0].tolist():
        part = Part(
            mapping=str(names[cells.row[slot]]),
            old=int(old[slot]),
            new=int(new[slot]),
            own=int(own[slot]),
            resident=int(resident[slot]),
            is_new=not cells.was_there[slot],
        )
        parts.setdefault(int(cells.pair[slot]), []).append(part)
    return parts
