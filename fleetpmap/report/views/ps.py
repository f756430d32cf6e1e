"""Processes that match, with the status that a run would give each.   snapshot without mappings ─► [ps] ─► Report"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fleetpmap.report.grouping import identity_columns, membership_columns, rule_over
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.notes import notes_on_listed
from fleetpmap.report.shape import AS_IT_IS, Shape, shaped
from fleetpmap.snapshot import Snapshot


def ps(snapshot: Snapshot, shape: Shape = AS_IT_IS) -> Report:
    """Return a row for each process that matched, by host and pid, with the RSS of the listing (from stat, not smaps).

    The brief form has no column that is empty, and no unit, which is the service where a process has one.

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    host, pid, user, name, command, status = identity_columns(snapshot.processes)
    rss = np.array([process.rss_kib for process in snapshot.processes], dtype=np.int64)
    total = int(rss.sum()) if snapshot.coverage.answered else None
    rss_column = Column("rss_kib", "KiB", rss, rule=rule_over(len(rss), "upper bound"), total=total)
    belonging = membership_columns(snapshot.processes)
    table = Table("rows", (host, pid, user, name, rss_column, command, status, *belonging), last="command")
    table = shaped(table, shape)
    report = Report(
        view="ps",
        tables=(table,),
        notes=notes_on_listed(snapshot),
        coverage=snapshot.coverage,
        run=snapshot.run,
        listed_only=True,
    )
    if shape.columns is not None:
        return report
    left_out = {"unit", *(column.name for column in belonging if all(cell is None for cell in column.cells()))}
    columns = tuple(column for column in table.columns if column.name not in left_out)
    return replace(report, brief=replace(report, tables=(replace(table, columns=columns),)))
