"""Processes, or services, side by side: compare with a column for each of them.   snapshot ─► [side_by_side] ─► Report

Each is taken for a host of its own, so that cells, median, spread and outliers are those of compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fleetpmap.catalogue import ViewOptions
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.shape import Shape
from fleetpmap.report.views.compare.comparison import compare
from fleetpmap.snapshot import HostResult, Process, Snapshot, host_status


def side_by_side(snapshot: Snapshot, label: Callable[[Process], str], options: ViewOptions) -> Report:
    """Return a row for each mapping and a column for each label; the processes of one label are summed up.

    Coverage is that of the snapshot. There are no findings: these are about hosts.

    Raises:
        UsageError: `options` names a column that the table does not have.
    """
    parted = _parted(snapshot, label)
    report = compare(parted, options.metric, peers="all", shape=Shape.of(options))
    table = report.tables[0]
    if len(parted.processes) == len(parted.hosts):  # of one process each: their number tells nothing
        table = _without_first(table)
    return replace(report, tables=(table,), coverage=snapshot.coverage, findings=(), brief=None)


def _parted(snapshot: Snapshot, label: Callable[[Process], str]) -> Snapshot:
    """Return the snapshot with a host for each label, which has the processes of this label."""
    processes = tuple(replace(process, host=label(process)) for process in snapshot.processes)
    of_label: dict[str, list[Process]] = {}
    for process in processes:
        of_label.setdefault(process.host, []).append(process)
    hosts = tuple(HostResult(name, host_status(members), None, None, ()) for name, members in of_label.items())
    return replace(snapshot, hosts=hosts, processes=processes, evidence=None)


def _without_first(table: Table) -> Table:
    """Return the table without its first row."""

    def below(column: Column) -> Column:
        outliers = frozenset(row - 1 for row in column.outliers if row)
        return replace(column, values=column.cells(1), outliers=outliers)

    return replace(table, columns=tuple(map(below, table.columns)), counts=0)
