"""The view diff: sizes before and after, and their growth.   old, new ─► pairs ─► [difference] ─► Report

There is a row for each mapping, kind, process or host with another size than before, by growth. Unchanged ones are
counted in a note, and are in the totals. A host that cannot be compared is unknown, neither new nor gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.grouping import coded, mapped, rule_over
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.shape import AS_IT_IS, Shape, shaped
from fleetpmap.report.views.diff.growth_findings import Row, sentences, span
from fleetpmap.report.views.diff.pairs import Pair, Pairs, comparability_notes, paired
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Process, Snapshot
from fleetpmap.table import KERNEL_KEYS, METRICS, IntArray, concatenate, sums, total

By = Literal["mapping", "kind", "process", "host"]
MOST_ROWS = 20
"""Rows on a terminal, unless --top gives another number."""
_HOUR_S = 3600
_Figures = tuple[int | None, int | None, int | None]
"""Size before, size after, growth, in KiB; None is unknown."""


def diff(
    old: Snapshot,
    new: Snapshot,
    by: By = "mapping",
    metric: str = "pss_kib",
    *,
    shape: Shape = AS_IT_IS,
    looked_for: tuple[str, str] = ("", ""),
) -> Report:
    """Return a row for each mapping or kind (of a process), process or host that changed, the largest growth first.

    `metric`: one of METRICS. `looked_for`: the selections of the old and the new run, in words; empty if unknown.
    Coverage and run are those of `new`.

    Raises:
        UsageError: a column of `shape` that the table does not have; or `by` needs mappings and one run has only sums.
    """
    old, new = mapped(old), mapped(new)
    caveats = comparability_notes(old, new, by, looked_for)
    difference = _Difference(old, new, by, metric)
    table = difference.table()
    brief = replace(shape, top=MOST_ROWS) if shape.top is None else shape
    report = Report(
        "diff",
        (shaped(table, shape),),
        (*caveats, *difference.notes()),
        new.coverage,
        new.run,
        findings=sentences(difference.rows, difference.processes, difference.seconds),
    )
    return replace(report, brief=replace(report, tables=(shaped(table, brief),)))


@dataclass(frozen=True, slots=True)
class _Sizes:
    """One size of groups of mappings, before and after; each array has an element for each group."""

    owner: NDArray[np.int64]
    """Index of the process pair (in Pairs.pairs), or of the host (in Pairs.hosts), that has the mappings."""
    parts: list[str | None]
    """The mapping or the kind; None by process and by host."""
    old: IntArray
    """Sums before, KiB; NULL if the kernel lacks the metric."""
    new: IntArray
    """Sums after, KiB, likewise."""
    old_there: NDArray[np.bool_]
    """True if the group has a mapping before."""
    new_there: NDArray[np.bool_]
    """True if the group has a mapping after."""


class _Difference:
    """Two snapshots, matched and summed."""

    def __init__(self, old: Snapshot, new: Snapshot, by: By, metric: str) -> None:
        self.seconds = (new.run.started - old.run.started).total_seconds()
        self._old, self._new, self._by, self._metric = old, new, by, metric
        self._pairs = paired(old, new)
        self._sizes = _summed(old, new, self._pairs, by, metric)
        rows = _rows(old, new, self._pairs, by, self._sizes)
        self.rows = [row for row in rows if _is_shown(row, by)]
        self._unchanged = sum(row.growth == 0 for row in rows) - sum(row.growth == 0 for row in self.rows)
        self.rows.sort(key=lambda row: (row.status == "unknown", -(row.growth or 0), row.host, row.pid or 0))
        self.processes = (
            self.rows
            if by == "process"
            else _rows(old, new, self._pairs, "process", _summed(old, new, self._pairs, "process", metric))
        )

    def table(self) -> Table:
        """Return the rows that changed, with the totals of all that was compared."""
        rows, by = self.rows, self._by
        columns = [Column("host", "text", coded(row.host for row in rows))]
        if by != "host":
            columns.append(Column("pid", "number", [row.pid for row in rows]))
            columns.append(Column("old_pid", "number", [row.old_pid for row in rows]))
            columns.append(Column("name", "text", coded(row.name for row in rows)))
        columns.append(Column("status", "text", coded(row.status for row in rows)))
        columns += self._size_columns()
        if by in ("mapping", "kind"):
            columns.append(Column(by, "text", coded(row.part for row in rows)))
        return Table("rows", tuple(columns), last="mapping" if by == "mapping" else None, measure=("growth_kib",))

    def _size_columns(self) -> Iterator[Column]:
        rule = rule_over(len(self._pairs.pairs), METRICS[self._metric])
        before, after = (total(sizes) if len(sizes) else 0 for sizes in (self._sizes.old, self._sizes.new))
        yield Column("old_kib", "KiB", _array(row.old for row in self.rows), rule, before)
        yield Column("new_kib", "KiB", _array(row.new for row in self.rows), rule, after)
        # The difference of two upper bounds bounds nothing, so it gets no total.
        adds_up = rule if rule == "sum" else None
        growth = None if before is None or after is None or not adds_up else after - before
        yield Column("growth_kib", "delta", [row.growth for row in self.rows], adds_up, growth)
        yield Column("growth_kib_per_hour", "delta", [self._hourly(row) for row in self.rows])

    def _hourly(self, row: Row) -> int | None:
        same = row.pair == "same" and row.status in ("grown", "shrunk", "same")
        if row.growth is None or not same or self.seconds <= 0:
            return None
        return round(row.growth * _HOUR_S / self.seconds)

    def notes(self) -> Iterator[str]:
        """Yield notes on the times of both, the hosts left out, and the totals of either."""
        began, ended = (snapshot.run.started.isoformat(" ", "seconds") for snapshot in (self._old, self._new))
        if self.seconds > 0:
            yield f"from {began} to {ended}, {span(self.seconds)}"
        else:
            yield f"the new one ({ended}) was not taken after the old one ({began}): there are no rates"
        hosts_by_reason: dict[str, list[str]] = {}
        for host, why in self._pairs.unknown.items():
            hosts_by_reason.setdefault(why, []).append(host)
        for why, hosts in hosts_by_reason.items():
            yield f"{fold(hosts)}: {why}, so it is unknown whether anything grew there"
        if self._by != "host" and self._unchanged:
            yield f"{self._unchanged} more did not change: they are in the totals only"
        keys = KERNEL_KEYS.get(self._metric, ())
        of_new = notes_on(self._new, keys)
        yield from of_new
        yield from (f"before, {note}" for note in notes_on(self._old, keys) if note not in of_new)


def _summed(old: Snapshot, new: Snapshot, pairs: Pairs, by: By, metric: str) -> _Sizes:
    """Sum the metric of each group in both snapshots.

    Both tables are put into one, the processes of `new` numbered after those of `old`. A group is the pair (owner, code
    of the mapping or kind), packed into one number, `owner * width + code`, that np.unique can group by.
    """
    both = concatenate([(old.table, 0), (new.table, len(old.processes))])
    owners = _owners(old, new, pairs, by)
    kept = np.flatnonzero(owners[both.process] >= 0)
    owner = owners[both.process[kept]]
    texts = {"mapping": both.mapping, "kind": both.kind}.get(by)
    codes, names = (texts.codes[kept], texts.names) if texts else (np.zeros(len(kept), np.int32), (None,))
    width = max(len(names), 1)
    groups, group = np.unique(owner * width + codes, return_inverse=True)
    parts = [names[code] for code in (groups % width).tolist()]
    values, is_new = both.metrics[metric][kept], both.process[kept] >= len(old.processes)
    sides = []
    for side in (~is_new, is_new):
        there = np.bincount(group[side], minlength=len(groups)) > 0
        # 0 for a group without a mapping on this side; NULL for one whose kernel lacks the metric.
        sides.append((np.where(there, sums(values[side], group[side], len(groups)), 0), there))
    (of_old, old_there), (of_new, new_there) = sides
    return _Sizes(groups // width, parts, of_old, of_new, old_there, new_there)


def _owners(old: Snapshot, new: Snapshot, pairs: Pairs, by: By) -> NDArray[np.int64]:
    """Return the owner of each process: the index of its pair, or of its host; -1: not compared.

    The processes of `old` come first, then those of `new`, in one array.
    """
    owners = np.full(len(old.processes) + len(new.processes), -1, dtype=np.int64)
    slot_of_host = {host: slot for slot, host in enumerate(pairs.hosts)}
    for slot, pair in enumerate(pairs.pairs):
        for snapshot, process, base in ((old, pair.old, 0), (new, pair.new, len(old.processes))):
            if process is not None:
                host = snapshot.processes[process].host
                owners[base + process] = slot_of_host[host] if by == "host" else slot
    return owners


def _rows(old: Snapshot, new: Snapshot, pairs: Pairs, by: By, sizes: _Sizes) -> list[Row]:
    """Return a row for each group; by host, also for each host without a group."""
    figures = [_figures(before, after) for before, after in zip(sizes.old.tolist(), sizes.new.tolist(), strict=True)]
    owners: list[int] = sizes.owner.tolist()
    if by == "host":
        held = {pairs.hosts[owner]: sizes_of for owner, sizes_of in zip(owners, figures, strict=True)}
        others = _others(old, new, pairs)
        return [
            _host_row(host, held.get(host, (0, 0, 0)), host in pairs.unknown, host in others) for host in pairs.hosts
        ]
    there = zip(sizes.old_there.tolist(), sizes.new_there.tolist(), strict=True)
    rows = []
    for owner, part, sizes_of, (was_there, is_there) in zip(owners, sizes.parts, figures, there, strict=True):
        pair = pairs.pairs[owner]
        before = None if pair.old is None else old.processes[pair.old]
        after = None if pair.new is None else new.processes[pair.new]
        status = _change(sizes_of[2]) if was_there and is_there else "gone" if was_there else "new"
        rows.append(_process_row(pair, before, after, part, status, sizes_of))
    return rows


def _others(old: Snapshot, new: Snapshot, pairs: Pairs) -> frozenset[str]:
    """Return the hosts on which a process came, went or restarted: their growth has no rate."""
    return frozenset(
        (new.processes[pair.new] if pair.new is not None else old.processes[pair.old or 0]).host
        for pair in pairs.pairs
        if pair.status != "same"
    )


def _figures(before: int, after: int) -> _Figures:
    known = before != NULL and after != NULL
    return (None if before == NULL else before, None if after == NULL else after, after - before if known else None)


def _host_row(host: str, figures: _Figures, unknown: bool, others: bool) -> Row:
    figures = (None, None, None) if unknown else figures
    return Row(host, None, None, None, None, _change(figures[2]), *figures, "others" if others else "same")


def _process_row(
    pair: Pair, before: Process | None, after: Process | None, part: str | None, status: str, figures: _Figures
) -> Row:
    process = next(found for found in (after, before) if found)
    old_pid = before.pid if before else None
    status = status if pair.status == "same" else pair.status
    return Row(process.host, process.pid, old_pid, process.name, part, status, *figures, pair.status)


def _change(growth: int | None) -> str:
    if growth is None:
        return "unknown"
    return "grown" if growth > 0 else "shrunk" if growth < 0 else "same"


def _is_shown(row: Row, by: By) -> bool:
    """Return True for every host, every process that came or went, and every other row with a changed size."""
    if by == "host":
        return True
    return bool(row.growth) or (by == "process" and row.status not in ("same", "unknown"))


def _array(values: Iterable[int | None]) -> IntArray:
    return np.array([NULL if value is None else value for value in values], dtype=np.int64)
