"""Who would be read.   snapshot without mappings ─► [ps] ─► Report"""

from __future__ import annotations

import numpy as np

from fleetpmap.report.base import Column, Report, Table
from fleetpmap.report.rows import identity_columns, rule_over
from fleetpmap.snapshot import Snapshot


def ps(snapshot: Snapshot) -> Report:
    """A row for each process that matched, by host and pid, with the RSS that phase one saw (stat's, not smaps')."""
    host, pid, user, name, command, status = identity_columns(snapshot.processes)
    rss = np.array([process.rss_kib for process in snapshot.processes], dtype=np.int64)
    rss_column = Column("rss_kib", "KiB", rss, rule=rule_over(len(rss), "upper bound"), total=int(rss.sum()))
    return Report(
        view="ps",
        tables=(Table("rows", (host, pid, user, name, rss_column, command, status), last="command"),),
        notes=(),
        coverage=snapshot.coverage,
        run=snapshot.run,
    )
