"""Who still runs what an upgrade has replaced.   snapshot ─► [stale] ─► Report

A library or program that was deleted, or replaced by a new file of the same name, stays in the memory of whoever mapped
it; the upgrade reaches them when they restart. Stale is a deleted file that a process maps executable and private, or
that lies in a folder of libraries and programs. What is deleted on purpose is not: memory that is only called like a
file (shared anonymous memory, memfds, System V segments), and the temporary files that code generators map shared.
A file whose real name ends in ` (deleted)` cannot be told from one that is.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.base import Column, Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.rows import by_process, known_total, owner, plain_paths, rule_over
from fleetpmap.report.shape import AS_IT_IS, Shape, shaped
from fleetpmap.smaps import Coded
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import METRICS, MappingTable, distinct, sums

_FILES = frozenset({"library", "executable", "file"})
_SYSTEM = re.compile(r"/(?:usr|lib|lib32|lib64|libx32|bin|sbin)/")
"""Folders of libraries and programs: what was deleted there was upgraded, or removed."""
MOST = 5
"""Sentences; the table has the rest."""


def stale(snapshot: Snapshot, *, all_deleted: bool = False, shape: Shape = AS_IT_IS) -> Report:
    """A row for each process and stale file that it maps, by host, pid and path.

    `all_deleted`: every other deleted file too; `kind` says what it is.

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    whole = _table(snapshot, all_deleted)
    return Report(
        "stale",
        (shaped(whole, shape),),
        notes_on(snapshot),
        snapshot.coverage,
        snapshot.run,
        findings=_sentences(whole),
    )


def _table(snapshot: Snapshot, all_deleted: bool) -> Table:
    table, paths = snapshot.table, plain_paths(snapshot.table)
    pairs = table.process.astype(np.int64) * (len(paths.names) + 1) + paths.codes
    rows = np.flatnonzero(table.deleted & (all_deleted | _is_stale(table, paths, pairs)))
    _, first, group = np.unique(pairs[rows], return_index=True, return_inverse=True)
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
        ),
        last="path",
    )


def _is_stale(table: MappingTable, paths: Coded, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    is_file = np.array([kind in _FILES for kind in table.kind.names], dtype=np.bool_)[table.kind.codes]
    in_system = np.array([_SYSTEM.match(path) is not None for path in paths.names], dtype=np.bool_)[paths.codes]
    runs = np.array([perms[2:] == "xp" for perms in table.perms.names], dtype=np.bool_)[table.perms.codes]
    running = frozenset(pairs[table.deleted & runs].tolist())
    is_run = np.array([pair in running for pair in pairs.tolist()], dtype=np.bool_)
    stale: NDArray[np.bool_] = is_file & (is_run | in_system)
    return stale


def _coded(name: str, texts: Coded, rows: NDArray[np.intp]) -> Column:
    return Column(name, "text", Coded(texts.codes[rows], texts.names))


def _counted(count: int) -> str:
    return "1 process maps the old one" if count == 1 else f"{count} processes map the old one"


def _sentences(table: Table) -> tuple[str, ...]:
    """Who has to restart for which file, the file with most processes first."""
    users: dict[str, list[tuple[str, int]]] = {}
    hosts, pids, paths = (table.column(name).cells() for name in ("host", "pid", "path"))
    for host, pid, path in zip(hosts, pids, paths, strict=True):
        users.setdefault(str(path), []).append((str(host), int(pid or 0)))
    ranked = sorted(users.items(), key=lambda user: (-len(user[1]), user[0]))
    return tuple(
        f"{path} was deleted or replaced, and {_counted(len(who))} on {fold(host for host, _ in who)} until restarted"
        for path, who in ranked[:MOST]
    )
