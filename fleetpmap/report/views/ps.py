"""Processes that a run would read.   snapshot without mappings ─► [ps] ─► Report"""

from __future__ import annotations

import numpy as np

from fleetpmap.report.grouping import identity_columns, rule_over
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.notes import same_machine_notes
from fleetpmap.report.shape import AS_IT_IS, Shape, shaped
from fleetpmap.snapshot import Snapshot


def ps(snapshot: Snapshot, shape: Shape = AS_IT_IS) -> Report:
    """Return a row for each process that matched, by host and pid, with the RSS of the listing (from stat, not smaps).

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    host, pid, user, name, command, status = identity_columns(snapshot.processes)
    rss = np.array([process.rss_kib for process in snapshot.processes], dtype=np.int64)
    total = int(rss.sum()) if snapshot.coverage.answered else None
    rss_column = Column("rss_kib", "KiB", rss, rule=rule_over(len(rss), "upper bound"), total=total)
    table = Table("rows", (host, pid, user, name, rss_column, command, status), last="command")
    return Report(
        view="ps",
        tables=(shaped(table, shape),),
        notes=tuple(same_machine_notes(snapshot)),
        coverage=snapshot.coverage,
        run=snapshot.run,
        listed_only=True,
    )
