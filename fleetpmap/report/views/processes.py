"""Every process that matched, one row each, whether read or not.   snapshot ─► [processes] ─► Report"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fleetpmap.catalogue import ViewOptions
from fleetpmap.report.charge import columns_of_processes
from fleetpmap.report.grouping import (
    HUGETLB,
    coded,
    identity_columns,
    mapping_counts,
    membership_columns,
    share_metric,
    size_columns,
    sums_by,
)
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.shape import AS_IT_IS, Shape, shaped
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Process, Snapshot
from fleetpmap.table import IntArray


def processes(snapshot: Snapshot, shape: Shape = AS_IT_IS) -> Report:
    """Return a row for each process that matched, by host and pid; with RSS and swap alone, or without any size, if its
    mappings were not read.

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    mappings, count = snapshot.table, len(snapshot.processes)
    read = np.array([process.status == "read" for process in snapshot.processes], dtype=np.bool_)
    counts, total = mapping_counts(mappings, mappings.process, count)
    table = Table(
        "rows",
        (
            *identity_columns(snapshot.processes),
            Column("mappings", "count", np.where(read, counts, NULL), rule="distinct", total=total),
            *size_columns(snapshot, sums_by(mappings, mappings.process, count)),
            *membership_columns(snapshot.processes),
            Column("oom_score_adj", "count", [process.oom_score_adj for process in snapshot.processes]),
            Column("hwm_kib", "KiB", _largest_rss(snapshot.processes)),
            Column("rss_source", "text", coded(process.rss_source for process in snapshot.processes), null="-"),
            *columns_of_processes(snapshot),
        ),
        last="command",
        share=share_metric(snapshot),
        zeros=frozenset({"columns"}),
        measure=(share_metric(snapshot), HUGETLB),
    )
    return Report(
        view="processes",
        tables=(shaped(table, shape),),
        notes=notes_on(snapshot),
        coverage=snapshot.coverage,
        run=snapshot.run,
    )


def _largest_rss(processes: Sequence[Process]) -> IntArray:
    sizes = (process.resident.hwm_kib if process.resident else None for process in processes)
    return np.array([NULL if size is None else size for size in sizes], dtype=np.int64)


def from_options(snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return the report as the options of the command line describe it."""
    return processes(snapshot, Shape.of(options))
