"""The view compare: mappings by hosts, judged.   peers, outliers, drift ─► [comparison] ─► Report

A host is judged among the hosts that run the same service, if all processes of the service there were read and its
kernel has the metric. With several services a row is a mapping of one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from fleetpmap.catalogue import PeersBy, ViewOptions
from fleetpmap.escape import escape_cell
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.finding import told
from fleetpmap.report.grouping import HUGETLB, coded, mapped, rule_over
from fleetpmap.report.model import NOT_MAPPED, NOT_RUN, Cell, Column, Report, Table, Unit
from fleetpmap.report.notes import MOST_NAMED, notes_on
from fleetpmap.report.peers import WITNESSES, Peers, judged, peers_in
from fleetpmap.report.shape import AS_IT_IS, Shape, has_label, shaped
from fleetpmap.report.views.compare.comparison_findings import comparison_findings
from fleetpmap.report.views.compare.matrix import matrix
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import METRICS

OWN_COLUMNS = frozenset({"mapping", "service", "group", "median_kib", "spread_kib", "outliers", "not_mapped"})
"""Names of the table's own columns; a host of such a name is shown as `mapping (host)`. Parquet adds `not_mapped`."""
PROCESSES = "processes"
"""Label of the first row, which holds counts, not sizes."""
MOST_ROWS = 20
"""Mappings on a terminal, unless --top gives another number."""
MOST_COLUMNS = 8
"""Hosts, or groups of hosts, that a terminal shows side by side."""
_MOST_OUTLIERS = 24
"""Hosts that are outliers in some mapping and get a column each, even if these are more than MOST_COLUMNS."""


def compare(
    snapshot: Snapshot,
    metric: str = "pss_kib",
    *,
    per_process: bool = False,
    baseline: str | None = None,
    peers: PeersBy = "service",
    shape: Shape = AS_IT_IS,
) -> Report:
    """Return a row for each mapping and a column for each host asked.

    The rows in which hosts stand apart come first, then those with the largest spread between hosts. `baseline`: a
    host; the cells of all others are differences from its cells.

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    snapshot = mapped(snapshot)
    comparison = _Comparison(snapshot, metric, per_process, baseline, peers)
    whole = comparison.table(shape)
    notes = (*comparison.notes(), *notes_on(snapshot))
    report = Report("compare", (whole,), notes, snapshot.coverage, snapshot.run, findings=comparison.findings)
    brief = replace(shape, top=MOST_ROWS, kept=comparison.kept) if shape.top is None and has_label(whole) else shape
    if shape.columns:
        return replace(report, brief=replace(report, tables=(comparison.table(brief),)))
    table, left_out = comparison.folded(brief)
    more = (f"not shown here, but judged: {left_out}; --format plain has every host",) if left_out else ()
    folded = replace(report, tables=(table,), notes=(*more, *notes))
    if len(snapshot.hosts) > MOST_COLUMNS:
        return replace(report, brief=folded)
    return replace(report, brief=replace(report, tables=(comparison.table(brief, brief=True),), narrow=folded))


def alike_together(snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return the same with one column for hosts that are alike, as a terminal shows many hosts, and with all rows.

    Raises:
        UsageError: `options` names a column that the table does not have.
    """
    snapshot = mapped(snapshot)
    comparison = _Comparison(snapshot, options.metric, options.per_process, options.baseline, options.peers)
    table, left_out = comparison.folded(Shape.of(options), brief=False)
    more = (f"not shown here, but judged: {left_out}",) if left_out else ()
    notes = (*more, *comparison.notes(), *notes_on(snapshot))
    return Report("compare", (table,), notes, snapshot.coverage, snapshot.run, findings=comparison.findings)


class _Comparison:
    """The matrix of a snapshot, judged. A slot is a host's column in the matrix."""

    def __init__(
        self, snapshot: Snapshot, metric: str, per_process: bool, baseline: str | None, peers: PeersBy
    ) -> None:
        metrics = tuple(dict.fromkeys((metric, *WITNESSES, HUGETLB)))
        self._snapshot = snapshot
        self._metric = metric
        evidence = snapshot.evidence_by(metrics)
        all_peers = list(peers_in(snapshot, evidence, metrics, peers, per_process=per_process))
        blocks = [judged(one, metric, per_process=per_process) for one in all_peers]
        self._matrix = matrix(snapshot, blocks, metric)
        self._several = len({*self._matrix.services}) > 1
        parts = [(one.service, _read_in_part(one, snapshot)) for one in all_peers]
        services = dict.fromkeys(service for service, hosts in parts if hosts)
        self._in_part = {
            one: [host for service, hosts in parts if service == one for host in hosts] for one in services
        }
        self._lacking = sorted(
            {one.hosts[slot] for one in all_peers for slot in np.flatnonzero(one.whole & ~one.known(metric)).tolist()}
        )
        self._base = None if baseline is None else self._matrix.hosts.index(baseline)
        self._slots: list[int] = np.flatnonzero(self._matrix.is_judged.any(axis=0)).tolist()
        self._columns = tuple(self._host_columns())
        self.findings = comparison_findings(snapshot, evidence, blocks, metric)
        self._told = told(self.findings)[0]

    @property
    def kept(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """The rows that a terminal shows in any case, as Shape has them: those that findings name."""
        rows = ((one.service or "", one.mapping) for one in self._told if one.mapping)
        names = (name for service, name in rows for name in {name, _of_service(service, name)})
        return tuple((("mapping", name),) for name in names)

    def notes(self) -> tuple[str, ...]:
        """Return notes on the hosts that are shown but not judged, and on the baseline."""
        matrix, base = self._matrix, self._base
        notes = [f"not judged: {fold(self._lacking)}, whose kernel has no {self._metric}"] if self._lacking else []
        if self._in_part:
            parts = [*map(fold, self._in_part.values())]
            if len({*self._matrix.services, *self._in_part}) > 1:
                parts = [f"{service} on {fold(hosts)}" for service, hosts in self._in_part.items()]
            more = f" and {len(parts) - MOST_NAMED} more services" if len(parts) > MOST_NAMED else ""
            notes.append(f"not judged: {'; '.join(parts[:MOST_NAMED])}{more}, read only in part")
        if base is not None and not matrix.complete[base]:
            notes.append(f"the baseline {matrix.hosts[base]} was not read whole, so there is no difference from it")
        elif base is not None and not matrix.processes[base]:
            notes.append(f"the baseline {matrix.hosts[base]} maps nothing, so all that the others have is a difference")
        return tuple(notes)

    def table(self, shape: Shape, *, brief: bool = False) -> Table:
        """Return the whole table: a column for each host, the row of process counts first."""
        counts = [None if count == NULL else count for count in self._matrix.processes.tolist()]
        return self._framed(self._columns, counts, shape, brief=brief)

    def _host_columns(self) -> Iterator[Column]:
        matrix = self._matrix
        rule = rule_over(len(self._snapshot.processes), METRICS[self._metric])
        named = matrix.named
        for slot, host in enumerate(matrix.hosts):
            cells = self._cells(slot)
            unit: Unit = "KiB" if self._base in (None, slot) else "delta"
            # The difference of two upper bounds bounds nothing, so it gets no total.
            adds_up = rule if unit == "KiB" or rule == "sum" else None
            known = None not in cells and (cells or matrix.complete[slot])
            total = sum(cell for cell in cells if isinstance(cell, int)) if adds_up and known else None
            outliers = frozenset(np.flatnonzero(matrix.out[:, slot]).tolist())
            yield Column(_column_name(host), unit, cells, adds_up, total, outliers, slot in named)

    def _cells(self, slot: int) -> list[Cell]:
        """Return a host's sizes, or their differences from the baseline's."""
        matrix, base = self._matrix, self._base
        sizes, runs = matrix.values[:, slot], matrix.runs[:, slot]
        unmapped = runs & ~matrix.present[:, slot]
        unknown = runs & (sizes == NULL)
        if base is not None and slot != base:
            # What the baseline does not run is all difference.
            held = np.where(matrix.runs[:, base], matrix.values[:, base], 0)
            unknown |= runs & ((held == NULL) | ~matrix.complete[base])
            sizes, unmapped = sizes - held, np.zeros_like(unmapped)
        cells: list[Cell] = sizes.tolist()
        for row in np.flatnonzero(unknown | unmapped | ~runs).tolist():
            cells[row] = NOT_RUN if not runs[row] else None if unknown[row] else NOT_MAPPED
        return cells

    def folded(self, shape: Shape, *, brief: bool = True) -> tuple[Table, str]:
        """Return the table for a terminal, and the hosts that it has no room for.

        Hosts that are alike share a column with their median; outliers, the baseline and the host to sort by have a
        column each.
        """
        matrix, slots = self._matrix, self._slots
        base = self._base if self._base in slots else None
        by = next((slot for slot in slots if _column_name(matrix.hosts[slot]) == shape.sort), None)
        if by is None and shape.sort in [column.name for column in self._columns]:
            shape = replace(shape, sort=None)  # a host that is not judged has no column here
        columns, counts, hosts_named = [], [], matrix.named
        groups, others = self._side_by_side([slot for slot in (base, by) if slot is not None])
        for group in groups:
            named = frozenset(np.flatnonzero(matrix.out[:, group].any(axis=1)).tolist())
            is_named = not hosts_named.isdisjoint(group)
            columns.append(replace(self._folded_column(group, base), outliers=named, is_named=is_named))
            counts.append(int(np.median(matrix.processes[group])))
        left_out = fold(matrix.hosts[slot] for group in others for slot in group)
        return self._framed(columns, counts, shape, brief=brief), left_out

    def _folded_column(self, group: Sequence[int], base: int | None) -> Column:
        """Return the column of hosts that are alike: the median of those that run the service, for each row."""
        matrix = self._matrix
        name = _column_name(fold(matrix.hosts[slot] for slot in group) if len(group) > 1 else matrix.hosts[group[0]])
        runs, values = matrix.runs[:, group], matrix.values[:, group]
        known = runs & (values != NULL)
        median = np.zeros(len(values))
        rows = np.logical_or.reduce(known, axis=1)
        median[rows] = np.nanmedian(np.where(known, values, np.nan)[rows], axis=1)
        sizes = np.rint(median).astype(np.int64)
        unmapped, unknown = ~(matrix.present[:, group] & runs).any(axis=1), ~rows
        is_delta = base is not None and [*group] != [base]
        if base is not None and is_delta:
            held = np.where(matrix.runs[:, base], matrix.values[:, base], 0)
            sizes, unmapped, unknown = sizes - held, np.zeros_like(unmapped), unknown | (held == NULL)
        cells: list[Cell] = sizes.tolist()
        is_run = np.logical_or.reduce(runs, axis=1)
        for row in np.flatnonzero(unknown | unmapped | ~is_run).tolist():
            cells[row] = NOT_RUN if not is_run[row] else None if unknown[row] else NOT_MAPPED
        return Column(name, "delta" if is_delta else "KiB", cells)

    def _side_by_side(self, wanted: Sequence[int]) -> tuple[list[list[int]], list[list[int]]]:
        """Return the groups of hosts that get a column each, and the groups that get none.

        The wanted hosts come first, then the largest group, then the outliers, which the table names, those of findings
        that are told before the others, then the other groups by size.
        """
        out = frozenset(np.flatnonzero(self._matrix.out.any(axis=0)).tolist())
        first: list[list[int]] = []
        outliers: list[list[int]] = []
        groups: list[list[int]] = []
        for slots in self._alike(wanted):
            (first if slots[0] in wanted else outliers if slots[0] in out else groups).append(slots)
        told_hosts = {one.host for one in self._told}
        outliers.sort(key=lambda slots: self._matrix.hosts[slots[0]] not in told_hosts)
        ranked = [*first, *groups[:1], *outliers[:_MOST_OUTLIERS]]
        ranked += [*groups[1:], *outliers[_MOST_OUTLIERS:]]
        shown = max(MOST_COLUMNS, len(first) + min(len(groups), 1) + len(outliers[:_MOST_OUTLIERS]))
        return ranked[:shown], ranked[shown:]

    def _alike(self, wanted: Sequence[int]) -> list[list[int]]:
        """Group the judged hosts that are alike: the wanted hosts first, then by size.

        Hosts are alike if they run the same services, in the same groups of the inventory where these count, each split
        row puts them on the same side, and neither has an outlier. A host with an outlier, and a wanted host, is alone.
        """
        matrix = self._matrix
        patterns: dict[tuple[object, ...], list[int]] = {}
        ranks = {slot: rank for rank, slot in enumerate(wanted)}
        service = coded(
            f"{service}\0{group}" for service, group in zip(matrix.services, matrix.groups, strict=True)
        ).codes
        keys: dict[int, list[object]] = {
            slot: [tuple(np.unique(service[matrix.is_judged[:, slot]]).tolist())] for slot in self._slots
        }
        for row, groups in enumerate(matrix.sides):
            for number, members in enumerate(groups):
                for slot in members:
                    keys[slot].append((row, number))
        for slot in (*np.flatnonzero(matrix.out.any(axis=0)).tolist(), *wanted):
            keys[slot].append(slot)
        for slot, key in keys.items():
            patterns.setdefault(tuple(key), []).append(slot)
        return sorted(patterns.values(), key=lambda slots: (ranks.get(slots[0], len(ranks)), -len(slots), slots))

    def _labels(self, *, brief: bool) -> list[Column]:
        """Return the columns that name a row; `brief`: one column, which a terminal shows in any case."""
        matrix = self._matrix
        labels: list[tuple[str, Sequence[str | None]]] = [("service", matrix.services)] if self._several else []
        if any(group is not None for group in matrix.groups):
            labels.append(("group", matrix.groups))
        texts = matrix.mappings
        if brief and labels:
            # The group first: of a service in two groups, the rows look alike up to it.
            first = [[(name or "no group").removesuffix(".service") for name in names] for _, names in reversed(labels)]
            texts = tuple(": ".join(parts) for parts in zip(*first, texts, strict=True))
            labels = []
        columns = (Column(name, "text", coded(names)) for name, names in labels)
        return [Column("mapping", "text", coded(texts)), *columns]

    def _framed(self, columns: Sequence[Column], counts: Sequence[Cell], shape: Shape, *, brief: bool = False) -> Table:
        """Return a shaped table of names, these columns and the statistics; the first row holds the process counts."""
        matrix = self._matrix
        table = Table(
            "rows",
            (
                *self._labels(brief=brief and shape.sort not in ("service", "group")),
                *columns,
                Column("median_kib", "KiB", _or_none(matrix.median.tolist())),
                Column("spread_kib", "KiB", _or_none(matrix.spread.tolist())),
                Column("outliers", "text", [*matrix.outliers]),
            ),
            zeros=frozenset({"rows"}),
            is_ranked=True,
        )
        compared: list[int] = matrix.processes[self._slots].tolist()
        first: dict[str, Cell] = {
            "mapping": PROCESSES,
            "service": "",
            "group": "",
            **{column.name: count for column, count in zip(columns, counts, strict=True)},
            "median_kib": int(np.median(compared)) if compared else None,
            "spread_kib": max(compared) - min(compared) if compared else None,
            "outliers": "",
        }
        table = shaped(table, shape)
        return replace(
            table, columns=tuple(_with_first(column, first[column.name]) for column in table.columns), counts=1
        )


def _read_in_part(peers: Peers, snapshot: Snapshot) -> list[str]:
    """Return the hosts that answered and on which a process of the service was not read."""
    answered = [snapshot.hosts[slot].failure is None for slot in peers.slots.tolist()]
    return [
        host
        for host, is_whole, did in zip(peers.hosts, peers.complete.tolist(), answered, strict=True)
        if did and not is_whole
    ]


def _of_service(service: str, mapping: str) -> str:
    """Return the label of a mapping where there are several services."""
    return f"{service.removesuffix('.service')}: {mapping}"


def _or_none(values: Sequence[int]) -> list[Cell]:
    return [None if value == NULL else value for value in values]


def _column_name(host: str) -> str:
    return f"{host} (host)" if host in OWN_COLUMNS else escape_cell(host)


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
        peers=options.peers,
        shape=Shape.of(options),
    )
