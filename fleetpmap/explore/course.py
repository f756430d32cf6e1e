"""The rounds so far, and what the last one is compared with.   Trends, snapshots ─► [course] ─► shown

The baseline is the first round, until another one is marked. A host that is away has not shrunk, and one that comes has
not grown: a host that failed in the baseline has there what it had when it first answered, and a host that is away now
is left out of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from fleetpmap.explore.differences import SINCE_MARK
from fleetpmap.explore.narrowing import narrowed
from fleetpmap.explore.places import Place
from fleetpmap.explore.trends import Trends
from fleetpmap.explore.vma_trends import VmaTrends
from fleetpmap.report.model import Column, Table
from fleetpmap.snapshot import ANSWERED, Snapshot

SINCE_START = "since_start_kib"


@dataclass(frozen=True, slots=True)
class Course:
    """The rounds so far."""

    first: Snapshot
    last: Snapshot
    rounds: int
    trends: Trends
    baseline: Snapshot
    """The first or the marked round, with the hosts that failed in it as they were when they first answered."""
    before: Snapshot
    """The baseline without the hosts that are away in the last round."""
    vmas: VmaTrends = field(default_factory=VmaTrends)
    from_start: bool = True
    """True if the baseline is the first round."""

    @classmethod
    def begun(cls, first: Snapshot, trends: Trends) -> Course:
        """Return the course of one round."""
        return cls(first, first, 1, trends, first, first)

    def after(self, last: Snapshot, trends: Trends, vmas: VmaTrends) -> Course:
        """Return the course with one more round."""
        baseline = _completed(self.baseline, last)
        before = _comparable(baseline, last)
        return replace(
            self, last=last, rounds=self.rounds + 1, trends=trends, vmas=vmas, baseline=baseline, before=before
        )

    def marked(self) -> Course:
        """Return the course with the last round as its baseline."""
        return replace(self, baseline=self.last, before=self.last, from_start=False)

    def on(self, table: Table, before: Table, place: Place, *, ascii_only: bool) -> Table:
        """Return the table of a place with the trend of each row; the difference has its name and its total."""
        columns = [self._named(column, table, before) for column in table.columns]
        trends = self.vmas if place.level == "vmas" else self.trends
        trend = trends.column(table, place, ascii_only=ascii_only)
        if trend is not None:
            columns.insert(_behind_sizes(columns, table), trend)
        return replace(table, columns=tuple(columns))

    def _named(self, column: Column, table: Table, before: Table) -> Column:
        if column.name != SINCE_MARK:
            return column
        named = replace(column, name=SINCE_START) if self.from_start else column
        now, old = ([one for one in each.columns if one.name == table.share] for each in (table, before))
        if not now or not old or now[0].rule != "sum":  # upper bounds have no difference
            return named
        known = now[0].total is not None and old[0].total is not None
        return replace(named, rule="sum", total=(now[0].total or 0) - (old[0].total or 0) if known else None)


def _behind_sizes(columns: list[Column], table: Table) -> int:
    """Return the slot behind the difference, or behind the size that rows are compared by; else the last."""
    names = [column.name for column in columns]
    for name in (SINCE_START, SINCE_MARK, table.share):
        if name in names:
            return names.index(name) + 1
    return len(names)


def _completed(baseline: Snapshot, now: Snapshot) -> Snapshot:
    back = _failed(baseline) - _failed(now)
    if not back:
        return baseline
    others = [host.name for host in baseline.hosts if host.name not in back]
    both = Snapshot.joined([narrowed(baseline, hosts=others), narrowed(now, hosts=back)])
    return replace(both, run=baseline.run)


def _comparable(baseline: Snapshot, now: Snapshot) -> Snapshot:
    away = _failed(now) - _failed(baseline)
    if not away:
        return baseline
    return narrowed(baseline, hosts=[host.name for host in baseline.hosts if host.name not in away])


def _failed(snapshot: Snapshot) -> set[str]:
    return {host.name for host in snapshot.hosts if host.status not in ANSWERED}
