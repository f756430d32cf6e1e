"""The parts of a run, joined as they come.   collector, shards ─► [parts] ─► Snapshot

A host's table is some thirty small arrays, and those of a fleet take many times the memory of one table. So hosts that
follow each other are put together as soon as all of them are there, and parts of many hosts likewise. At the end few
parts are left to be joined, and little time passes between the last reply and the report.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from fleetpmap.snapshot import HostSnapshot, Run, Snapshot, sizes_by_status
from fleetpmap.table import summed, with_unreadable, without_unreadable

_STRETCH = 250
"""Hosts that follow each other and are put together."""
_JOINED = 8
"""Neighbours that are joined: eight parts, then eight such eights, and so on."""
OnRows = Callable[[int, Snapshot], None]
"""Takes some hosts that follow each other, with a row for each mapping, and their number, which gives their order."""


class Parts:
    """The snapshots of a run's shards, by the number of the shard, which gives their order.

    With `on_rows` the shards have a row for each mapping, which it is given, and only their sums by `sums` are kept.
    """

    def __init__(self, sums: Collection[str] | None = None, on_rows: OnRows | None = None) -> None:
        self._sums, self._on_rows = sums, on_rows
        self.statuses: set[str] = set()
        """The statuses of all hosts."""
        self._added: set[int] = set()
        self._blocks: list[dict[int, Snapshot]] = [{}]
        """Snapshots by number, for each level: of one shard, of eight, of 64, …"""

    def __contains__(self, number: int) -> bool:
        return number in self._added

    def add(self, number: int, part: Snapshot) -> None:
        """Add the snapshot of a shard."""
        self._added.add(number)
        self.statuses |= {host.status for host in part.hosts}
        if self._on_rows is not None and self._sums is not None:
            self._on_rows(number, part)
            part = _summed(part, self._sums)
        for level in self._blocks:
            level[number] = part
            number, first = number // _JOINED, number - number % _JOINED
            neighbours = range(first, first + _JOINED)
            if any(one not in level for one in neighbours):
                return
            part = Snapshot.joined(level.pop(one) for one in neighbours)
            if level is self._blocks[-1]:
                self._blocks.append({})

    def joined(self, run: Run) -> Snapshot:
        """Return the snapshot of all hosts in order, and release the parts."""
        return replace(Snapshot.joined(self._in_order()) if self._added else Snapshot.assemble([], run), run=run)

    def _in_order(self) -> Iterator[Snapshot]:
        firsts = [(number * _JOINED**depth, depth) for depth, level in enumerate(self._blocks) for number in level]
        for first, depth in sorted(firsts):
            yield self._blocks[depth].pop(first // _JOINED**depth)


class HostParts:
    """The snapshots of a run's hosts, by their places in the fleet."""

    def __init__(self, hosts: int, sums: Collection[str] | None = None, on_rows: OnRows | None = None) -> None:
        self._hosts = hosts
        self._parts = Parts(sums, on_rows)
        self._waiting: dict[int, dict[int, HostSnapshot]] = {}
        """The snapshots of each stretch of which others are still to come."""

    @property
    def statuses(self) -> set[str]:
        """The statuses of all hosts, once all were added."""
        return self._parts.statuses

    def add(self, place: int, snapshot: HostSnapshot, run: Run) -> None:
        """Add the snapshot of a host; `run`: any, since `joined` has that of the whole."""
        number = place // _STRETCH
        stretch = self._waiting.setdefault(number, {})
        stretch[place] = snapshot
        if len(stretch) == min(_STRETCH, self._hosts - number * _STRETCH):
            del self._waiting[number]
            in_order = (stretch.pop(place) for place in sorted(stretch))
            self._parts.add(number, Snapshot.assemble(in_order, run))

    def joined(self, run: Run) -> Snapshot:
        """Return the snapshot of all hosts in order; each was added."""
        return self._parts.joined(run)


def _summed(part: Snapshot, by: Collection[str]) -> Snapshot:
    """Return a part with the sums and the evidence that `ask_all` would have made of its rows."""
    sums = summed(without_unreadable(part.table), by)
    return replace(part, table=with_unreadable(sums, sizes_by_status(part.processes)), evidence=part.evidence_by())
