"""The view compare: mappings by hosts, judged.   matrix, outliers, drift ─► [comparison] ─► Report

A host is judged if all of its matching processes were read and its kernel has the metric. PSS alone can mislead: a
library's PSS grows if fewer processes share it. So an outlier in PSS must also be one in RSS or USS; and if the hosts
do not run the same number of processes, an outlier must also be one per process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import ViewOptions
from fleetpmap.escape import escape_word
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.drift import drifts
from fleetpmap.report.grouping import HUGETLB, coded, mapped, rule_over
from fleetpmap.report.model import ABSENT, Cell, Column, Report, Table, Unit
from fleetpmap.report.notes import notes_on
from fleetpmap.report.shape import AS_IT_IS, Shape, has_label, shaped
from fleetpmap.report.views.compare.comparison_findings import (
    MOST,
    count_sentences,
    drift_sentence,
    huge_page_sentences,
    only_some_sentences,
    outlier_sentences,
    split_text,
)
from fleetpmap.report.views.compare.matrix import matrix
from fleetpmap.report.views.compare.outliers import Judgement, groups_of, judge
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import METRICS

OWN_COLUMNS = frozenset({"mapping", "median_kib", "spread_kib", "outliers", "absent"})
"""Names of the table's own columns; a host of such a name is shown as `mapping (host)`. Parquet adds `absent`."""
PROCESSES = "processes"
"""Label of the first row, which holds counts, not sizes."""
_WITNESSES = ("rss_kib", "uss_kib")
"""Metrics that must confirm an outlier in PSS, at least one of them."""
MOST_ROWS = 20
"""Mappings on a terminal, unless --top gives another number."""
_MOST_COLUMNS = 8
"""Hosts, or groups of hosts, that a terminal shows side by side."""
_MOST_OUTLIERS = 24
"""Hosts that are outliers in some mapping and get a column each, even if these are more than _MOST_COLUMNS."""


def compare(
    snapshot: Snapshot,
    metric: str = "pss_kib",
    *,
    per_process: bool = False,
    baseline: str | None = None,
    shape: Shape = AS_IT_IS,
) -> Report:
    """Return a row for each mapping and a column for each host asked, the largest spread between hosts first.

    `baseline`: a host; the cells of all others are differences from its cells.

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    snapshot = mapped(snapshot)
    comparison = _Comparison(snapshot, metric, per_process, baseline)
    whole = comparison.table(shape)
    notes = (*comparison.notes(), *notes_on(snapshot))
    report = Report("compare", (whole,), notes, snapshot.coverage, snapshot.run, findings=comparison.findings())
    brief = replace(shape, top=MOST_ROWS) if shape.top is None and has_label(whole) else shape
    if len(snapshot.hosts) > _MOST_COLUMNS and not shape.columns:
        table, left_out = comparison.folded(brief)
        return replace(report, brief=replace(report, tables=(table,), notes=(*left_out, *notes)))
    return replace(report, brief=replace(report, tables=(comparison.table(brief),)))


class _Comparison:
    """The matrix of a snapshot, judged.

    Two indices run through it: `slot`, a host's column in the matrix, and the position of a host among the judged ones;
    `self._slots` turns the second into the first. `self._values` and `self._judged` have a column for each judged host.
    """

    def __init__(self, snapshot: Snapshot, metric: str, per_process: bool, baseline: str | None) -> None:
        metrics = tuple(dict.fromkeys((metric, *_WITNESSES, HUGETLB)))
        self._snapshot = snapshot
        self._metric = metric
        self._matrix = matrix(snapshot, metrics, per_process=per_process)
        self._base = None if baseline is None else self._matrix.hosts.index(baseline)
        self._known = self._matrix.known(metric)
        self._slots: list[int] = np.flatnonzero(self._known).tolist()
        self._values = self._matrix.values[metric][:, self._slots]
        self._judged = self._judge(per_process)
        self._order = self._ranked()
        self._columns = tuple(self._host_columns())

    def _judge(self, per_process: bool) -> Judgement:
        judged = judge(self._values)
        if self._metric == "pss_kib" and all(self._matrix.known(metric)[self._slots].all() for metric in _WITNESSES):
            rss, uss = (judge(self._matrix.values[metric][:, self._slots]) for metric in _WITNESSES)
            judged = judged.confirmed_by(rss, uss)
        counts = self._matrix.processes[self._slots]
        if not per_process and len(set(counts.tolist())) > 1:
            judged = judged.confirmed_by(judge(np.rint(self._values / counts).astype(np.int64)))
        return judged

    def _ranked(self) -> NDArray[np.intp]:
        """The rows: largest spread first, then largest median, then by name."""
        names, spread, median = self._matrix.mappings, self._judged.spread, self._judged.median
        order = sorted(range(len(names)), key=lambda row: (-spread[row], -median[row], names[row]))
        return np.array(order, dtype=np.intp)

    def findings(self) -> tuple[str, ...]:
        """Return at most MOST sentences."""
        drifting = drifts(self._snapshot, (self._matrix.hosts[slot] for slot in self._slots))
        renamed = frozenset(
            name for drift in drifting if drift.kind == "names" for words, _ in drift.forms for name in words
        )
        sentences = (
            count_sentences(self._matrix),
            () if self._metric in (HUGETLB, "size_kib") else huge_page_sentences(self._matrix, self._metric),
            outlier_sentences(self._matrix, self._values, self._judged, self._slots, renamed),
            map(drift_sentence, drifting),
            only_some_sentences(self._matrix, self._matrix.values[self._metric], self._known, renamed),
        )
        return tuple(islice(chain.from_iterable(sentences), MOST))

    def notes(self) -> tuple[str, ...]:
        """Return notes on the hosts that are shown but not judged, and on the baseline."""
        matrix, base = self._matrix, self._base
        unjudged = [matrix.hosts[slot] for slot in np.flatnonzero(matrix.whole & ~self._known).tolist()]
        notes = [f"not judged: {fold(unjudged)}, whose kernel has no {self._metric}"] if unjudged else []
        in_part = [host.name for host in self._snapshot.hosts if host.status == "partial"]
        if in_part:
            notes.append(f"not judged: {fold(in_part)}, read only in part")
        if base is not None and not matrix.complete[base]:
            notes.append(f"the baseline {matrix.hosts[base]} was not read whole, so there is no difference from it")
        elif base is not None and not matrix.processes[base]:
            notes.append(f"the baseline {matrix.hosts[base]} maps nothing, so all that the others have is a difference")
        return tuple(notes)

    def table(self, shape: Shape) -> Table:
        """Return the whole table: a column for each host, the row of process counts first."""
        counts = [None if count == NULL else count for count in self._matrix.processes.tolist()]
        return self._framed(self._columns, counts, shape)

    def _host_columns(self) -> Iterator[Column]:
        matrix = self._matrix
        rule = rule_over(len(self._snapshot.processes), METRICS[self._metric])
        out = np.zeros_like(matrix.present)
        out[:, self._slots] = self._judged.out
        for slot, host in enumerate(matrix.hosts):
            cells = self._cells(slot)
            unit: Unit = "KiB" if self._base in (None, slot) else "delta"
            # The difference of two upper bounds bounds nothing, so it gets no total.
            adds_up = rule if unit == "KiB" or rule == "sum" else None
            known = None not in cells and (cells or matrix.complete[slot])
            total = sum(cell for cell in cells if isinstance(cell, int)) if adds_up and known else None
            outliers = frozenset(np.flatnonzero(out[self._order, slot]).tolist())
            yield Column(_column_name(host), unit, cells, adds_up, total, outliers)

    def _cells(self, slot: int) -> list[Cell]:
        """Return a host's sizes, or their differences from the baseline's, in the order of the rows."""
        matrix, base = self._matrix, self._base
        values, order = matrix.values[self._metric], self._order
        sizes, absent = values[order, slot], ~matrix.present[order, slot]
        unknown = sizes == NULL
        if base is not None and slot != base:
            unknown |= (values[order, base] == NULL) | ~matrix.complete[base]
            sizes, absent = sizes - values[order, base], np.zeros_like(absent)
        cells: list[Cell] = sizes.tolist()
        for row in np.flatnonzero(unknown | absent).tolist():
            cells[row] = None if unknown[row] else ABSENT
        return cells

    def folded(self, shape: Shape) -> tuple[Table, tuple[str, ...]]:
        """Return the table for a terminal, and a note on the hosts that it has no room for.

        Hosts that are alike share a column with their median; outliers, the baseline and the host to sort by have a
        column each.
        """
        values, present = self._values[self._order], self._matrix.present[self._order][:, self._slots]
        hosts = [self._matrix.hosts[slot] for slot in self._slots]
        base = self._slots.index(self._base) if self._base in self._slots else None
        by = next((slot for slot, host in enumerate(hosts) if _column_name(host) == shape.sort), None)
        if by is None and shape.sort in [column.name for column in self._columns]:
            shape = replace(shape, sort=None)  # a host that is not judged has no column here
        columns, counts = [], []
        groups, others = self._side_by_side([slot for slot in (base, by) if slot is not None])
        out = self._judged.out[self._order]
        for slots in groups:
            name = _column_name(fold(hosts[slot] for slot in slots) if len(slots) > 1 else hosts[slots[0]])
            median = np.rint(np.median(values[:, slots], axis=1)).astype(np.int64)
            if base is None or slots == [base]:
                cells: list[Cell] = median.tolist()
                for row in np.flatnonzero(~present[:, slots].any(axis=1)).tolist():
                    cells[row] = ABSENT
                column = Column(name, "KiB", cells)
            else:
                column = Column(name, "delta", (median - values[:, base]).tolist())
            named = frozenset(np.flatnonzero(out[:, slots].any(axis=1)).tolist())
            columns.append(replace(column, outliers=named))
            counts.append(int(np.median(self._matrix.processes[self._slots][slots])))
        left_out = fold(hosts[slot] for slots in others for slot in slots)
        notes = (f"not shown here, but judged: {left_out}; --format plain has every host",) if left_out else ()
        return self._framed(columns, counts, shape), notes

    def _side_by_side(self, wanted: Sequence[int]) -> tuple[list[list[int]], list[list[int]]]:
        """Return the groups of hosts that get a column each, and the groups that get none.

        The wanted hosts come first, then the largest group, then the outliers, which the table names, then the other
        groups by size. A group is a list of positions among the judged hosts.
        """
        out = frozenset(np.flatnonzero(self._judged.out.any(axis=0)).tolist())
        first: list[list[int]] = []
        outliers: list[list[int]] = []
        groups: list[list[int]] = []
        for slots in self._alike(wanted):
            (first if slots[0] in wanted else outliers if slots[0] in out else groups).append(slots)
        ranked = [*first, *groups[:1], *outliers[:_MOST_OUTLIERS]]
        ranked += [*groups[1:], *outliers[_MOST_OUTLIERS:]]
        shown = max(_MOST_COLUMNS, len(first) + min(len(groups), 1) + len(outliers[:_MOST_OUTLIERS]))
        return ranked[:shown], ranked[shown:]

    def _alike(self, wanted: Sequence[int]) -> list[list[int]]:
        """Group the judged hosts that are alike: the wanted hosts first, then by size.

        Hosts are alike if each split row puts them in the same group and neither has an outlier. A host with an
        outlier, and a wanted host, is alone.
        """
        patterns: dict[tuple[object, ...], list[int]] = {}
        ranks = {slot: rank for rank, slot in enumerate(wanted)}
        keys: list[list[object]] = [[] for _ in self._slots]
        for row in np.flatnonzero(self._judged.split).tolist():
            for number, members in enumerate(groups_of(self._values[row])):
                for slot in members.tolist():
                    keys[slot].append((row, number))
        alone = np.flatnonzero(self._judged.out.any(axis=0)).tolist()
        for slot in (*alone, *wanted):
            keys[slot].append(slot)
        for slot, key in enumerate(keys):
            patterns.setdefault(tuple(key), []).append(slot)
        return sorted(patterns.values(), key=lambda slots: (ranks.get(slots[0], len(ranks)), -len(slots), slots))

    def _framed(self, columns: Sequence[Column], counts: Sequence[Cell], shape: Shape) -> Table:
        """Return a shaped table of names, these columns and the statistics; the first row holds the process counts."""
        judged, order = self._judged, self._order
        median, unknown = np.rint(judged.median[order]).astype(np.int64), [None] * len(order)
        table = Table(
            "rows",
            (
                Column("mapping", "text", coded(self._matrix.mappings[row] for row in order.tolist())),
                *columns,
                Column("median_kib", "KiB", median.tolist() if self._slots else unknown),
                Column("spread_kib", "KiB", judged.spread[order].tolist() if self._slots else unknown),
                Column("outliers", "text", [self._outliers(row) for row in order.tolist()]),
            ),
        )
        if shape.top and shape.sort is None:
            shape = replace(shape, sort="spread_kib")
        compared: list[int] = self._matrix.processes[self._slots].tolist()
        first: dict[str, Cell] = {
            "mapping": PROCESSES,
            **{column.name: count for column, count in zip(columns, counts, strict=True)},
            "median_kib": int(np.median(compared)) if compared else None,
            "spread_kib": max(compared) - min(compared) if compared else None,
            "outliers": "",
        }
        table = shaped(table, shape)
        return replace(
            table, columns=tuple(_with_first(column, first[column.name]) for column in table.columns), counts=1
        )

    def _outliers(self, row: int) -> str:
        if self._judged.split[row]:
            return f"split: {split_text(self._matrix, self._values[row], self._slots)}"
        return fold(self._matrix.hosts[self._slots[slot]] for slot in np.flatnonzero(self._judged.out[row]).tolist())


def _column_name(host: str) -> str:
    return f"{host} (host)" if host in OWN_COLUMNS else escape_word(host)


def _with_first(column: Column, cell: Cell) -> Column:
    """Return the column with one more cell above it."""
    below = frozenset(row + 1 for row in column.outliers)
    return replace(column, values=[cell, *column.cells()], outliers=below)


def from_options(snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return the report as the options of the command line describe it."""
    return compare(
        snapshot,
        options.metric,
        per_process=options.per_process,
        baseline=options.baseline,
        shape=Shape.of(options),
    )
