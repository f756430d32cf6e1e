"""Processes that still run a file which an upgrade replaced.   snapshot ─► [stale] ─► Report

The rule is in evidence.stale_code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import ViewOptions
from fleetpmap.evidence import proper_paths, replaced, stale_code
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.finding import Finding
from fleetpmap.report.grouping import (
    by_process,
    known_total,
    mapped,
    membership_columns,
    owner,
    rule_over,
)
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.shape import AS_IT_IS, Shape, shaped
from fleetpmap.smaps import Coded
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import METRICS, distinct, sums


def stale(snapshot: Snapshot, *, all_deleted: bool = False, shape: Shape = AS_IT_IS) -> Report:
    """Return a row for each process and stale file that it maps, by host, pid and path.

    `all_deleted`: include every other deleted file; the column `kind` tells them apart.

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    snapshot = mapped(snapshot)
    table, paths = snapshot.table, proper_paths(snapshot.table)
    gone = replaced(table)
    is_stale = stale_code(table, paths, gone)
    whole = _table(snapshot, paths, np.flatnonzero(gone if all_deleted else is_stale))
    only_stale = _table(snapshot, paths, np.flatnonzero(is_stale)) if all_deleted else whole
    return Report(
        "stale",
        (shaped(whole, shape),),
        notes_on(snapshot),
        snapshot.coverage,
        snapshot.run,
        findings=_findings(only_stale),
    )


def _table(snapshot: Snapshot, paths: Coded, rows: NDArray[np.intp]) -> Table:
    """Return a row for each process and path among these mappings."""
    table = snapshot.table
    # argsort of argsort gives each path its alphabetical rank: ["b", "c", "a"] → [1, 2, 0].
    rank = np.argsort(np.argsort(np.array(paths.names, dtype=object)))
    # One number for each (process, path), so that np.unique groups by process first, then by path.
    pairs = table.process[rows].astype(np.int64) * (len(paths.names) + 1) + rank[paths.codes[rows]]
    _, first, group = np.unique(pairs, return_index=True, return_inverse=True)
    first = rows[first]
    rss = table.metrics["rss_kib"][rows]
    pids = np.array([process.pid for process in snapshot.processes], dtype=np.int64)
    return Table(
        "rows",
        (
            _coded("host", by_process((process.host for process in snapshot.processes), table), first),
            Column("pid", "number", pids[table.process[first]]),
            _coded("user", by_process(map(owner, snapshot.processes), table), first),
            _coded("name", by_process((process.name for process in snapshot.processes), table), first),
            _coded("kind", table.kind, first),
            Column(
                "rss_kib",
                "KiB",
                sums(rss, group, len(first)),
                rule_over(len(distinct(table.process[rows])), METRICS["rss_kib"]),
                known_total(rss, snapshot),
            ),
            _coded("path", paths, first),
            *membership_columns(snapshot.processes, table.process[first]),
        ),
        last="path",
    )


def _coded(name: str, texts: Coded, rows: NDArray[np.intp]) -> Column:
    return Column(name, "text", Coded(texts.codes[rows], texts.names))


def _counted(count: int) -> str:
    return "1 process maps the old one" if count == 1 else f"{count} processes map the old one"


def _findings(table: Table) -> tuple[Finding, ...]:
    """Return a finding for each stale file, with the hosts that need a restart; the file of most processes first."""
    users: dict[str, list[tuple[str, int]]] = {}
    hosts, pids, paths = (table.column(name).cells() for name in ("host", "pid", "path"))
    for host, pid, path in zip(hosts, pids, paths, strict=True):
        users.setdefault(str(path), []).append((str(host), int(pid or 0)))
    ranked = sorted(users.items(), key=lambda user: (-len(user[1]), user[0]))
    return tuple(_finding(path, processes) for path, processes in ranked)


def _finding(path: str, processes: Sequence[tuple[str, int]]) -> Finding:
    hosts = [*dict.fromkeys(host for host, _ in processes)]
    return Finding(
        "stale",
        f"{path} was deleted or replaced, and {_counted(len(processes))} on {fold(hosts)} until restarted",
        hosts[0] if len(hosts) == 1 else None,
        pid=processes[0][1],
        mapping=path,
    )


def from_options(snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return the report as the options of the command line describe it."""
    return stale(snapshot, all_deleted=options.all_deleted, shape=Shape.of(options))
