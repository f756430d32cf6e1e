"""Every process that matched, one row each, read or not.   snapshot ─► [processes] ─► Report"""

from __future__ import annotations

import numpy as np

from fleetpmap.report.base import Column, Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.rows import identity_columns, size_columns, sums_by
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Snapshot


def processes(snapshot: Snapshot) -> Report:
    """A row for each process that matched, by host and pid; one that was not read has its status and no numbers."""
    table, count = snapshot.table, len(snapshot.processes)
    read = np.array([process.status == "read" for process in snapshot.processes], dtype=np.bool_)
    mappings = np.bincount(table.process, minlength=count).astype(np.int64)
    host, pid, user, name, command, status = identity_columns(snapshot.processes)
    return Report(
        view="processes",
        tables=(
            Table(
                "rows",
                (
                    *(host, pid, user, name, command, status),
                    Column("mappings", "count", np.where(read, mappings, NULL), rule="distinct", total=len(table)),
                    *size_columns(snapshot, sums_by(table, table.process, count)),
                ),
                last="command",
            ),
        ),
        notes=notes_on(snapshot),
        coverage=snapshot.coverage,
        run=snapshot.run,
    )
