"""The sizes of the VMAs of the process that is open, as trends.   Trends ─► [vma_trends] ─► course

Those of all VMAs of a fleet would take 190 bytes each. So the VMAs of one process have a trend, which begins with the
round before the first one that came while the process was open.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from fleetpmap.explore.narrowing import narrowed
from fleetpmap.explore.places import Place
from fleetpmap.explore.trends import TREND, Trends
from fleetpmap.report.grouping import HexTexts
from fleetpmap.report.model import Column, Table
from fleetpmap.smaps import Coded
from fleetpmap.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class VmaTrends:
    """The last rounds of one process."""

    process: tuple[str, int] | None = None
    """Its host and pid; None if no process is open."""
    trends: Trends = field(default_factory=Trends)
    """Those of its VMAs, which are the mappings there, by the address of their start."""

    def after(self, snapshot: Snapshot, place: Place, last: Snapshot) -> VmaTrends:
        """Return the trends with one more round; `last`: the round before it, for a process that was opened since."""
        process = _opened(place)
        if process is None:
            return VmaTrends()
        before = self.trends if process == self.process else Trends().after(_by_start(last, *process))
        return VmaTrends(process, before.after(_by_start(snapshot, *process)))

    def column(self, table: Table, place: Place, *, ascii_only: bool) -> Column:
        """Return the trend of each VMA of the process of a place; empty texts before there are two rounds of it."""
        if _opened(place) is None or _opened(place) != self.process:
            return Column(TREND, "text", Coded(np.zeros(len(table), np.int32), ("",)))
        keys = [(start,) for start in table.column("start").cells()]
        return self.trends.drawn(keys, replace(place, level="mappings", mapping=None), ascii_only=ascii_only)


def _opened(place: Place) -> tuple[str, int] | None:
    return (place.hosts[0], place.pid) if place.hosts and place.pid is not None else None


def _by_start(snapshot: Snapshot, host: str, pid: int) -> Snapshot:
    """Return the part of one process, in which a mapping has its address as its name."""
    part = narrowed(snapshot, hosts=(host,), pid=pid)
    starts, codes = np.unique(part.table.start, return_inverse=True)
    return replace(part, table=replace(part.table, mapping=Coded(codes.astype(np.int32), tuple(HexTexts(starts)[:]))))
