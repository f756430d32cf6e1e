"""Deleted or replaced files that processes still run.   snapshot ─► [stale] ─► Report

A row is a file that a service runs, with all its hosts; further keys split it, down to single processes. The rule is in
evidence.stale_code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import ViewOptions, keys_of
from fleetpmap.evidence import proper_paths, replaced, stale_code
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.finding import Finding
from fleetpmap.report.grouping import (
    by_process,
    grouped,
    host_slots,
    key_of_rows,
    known_total,
    mapped,
    membership_columns,
    owner,
    rule_over,
)
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.shape import AS_IT_IS, Rows, Shape, shaped
from fleetpmap.smaps import Coded
from fleetpmap.snapshot import Process, Snapshot, service_of
from fleetpmap.table import METRICS, IntArray, distinct, distinct_per_group, sums


def stale(
    snapshot: Snapshot,
    by: Sequence[str] = (),
    *,
    all_deleted: bool = False,
    file: str | None = None,
    shape: Shape = AS_IT_IS,
) -> Report:
    """Return a row for each service and stale file that it runs, that of most processes first.

    `by`: further keys of a row; with host and process a row is one process, by host, pid and path. `all_deleted`: also
    every other deleted file; the column `kind` tells them apart. `file`: only files with such a path or basename.

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    snapshot = mapped(snapshot)
    paths = proper_paths(snapshot.table)
    gone = replaced(snapshot.table)
    is_stale = stale_code(snapshot.table, paths, gone)
    found = gone if all_deleted else is_stale
    wanted = _named(paths, file)
    missed = [f"--file {file}: none of the deleted or replaced files has such a name"]
    return Report(
        "stale",
        (_Stale(snapshot, found & wanted, keys_of("stale", tuple(by))).table(shape),),
        (*(missed if found.any() and not (found & wanted).any() else []), *notes_on(snapshot)),
        snapshot.coverage,
        snapshot.run,
        findings=tuple(_findings(_part(snapshot, is_stale & wanted))),
    )


def _named(paths: Coded, glob: str | None) -> NDArray[np.bool_]:
    """Return, for each mapping, True if its path or its basename matches; True without a glob."""
    matches = [glob is None or any(fnmatchcase(name, glob) for name in (p, p.rpartition("/")[2])) for p in paths.names]
    return np.array([*matches, False], dtype=np.bool_)[paths.codes]


def _part(snapshot: Snapshot, rows: NDArray[np.bool_]) -> Snapshot:
    return replace(snapshot, table=snapshot.table.take(np.flatnonzero(rows)))


class _Stale:
    """The mappings of deleted files, grouped by the keys of a row."""

    def __init__(self, snapshot: Snapshot, rows: NDArray[np.bool_], by: Sequence[str]) -> None:
        self._of = part = _part(snapshot, rows)
        self._is_each = {"host", "process"} <= {*by}
        keys = {key: _key(part, key) for key in by}
        each = [by_process(map(str, range(len(part.processes))), part.table)] if self._is_each else []
        group, first = grouped([*keys.values(), *each])
        processes = distinct_per_group(part.table.process, group, len(first))
        texts = [_texts(key, first) for key in keys.values()]
        by_rank: Sequence[int] = (part.table.process[first] if self._is_each else -processes).tolist()
        order = np.array(sorted(range(len(first)), key=lambda row: (by_rank[row], [t[row] for t in texts])), np.intp)
        self._row: NDArray[np.intp] = np.argsort(order)[group]
        """The row of each mapping."""
        self._first = first[order]
        """The first mapping of each row."""
        self._whole = self._table({key: Coded(text.codes[self._first], text.names) for key, text in keys.items()})

    def table(self, shape: Shape) -> Table:
        """Return the rows; `(N more)` counts a host or process of several of its rows once.

        Raises:
            UsageError: a column that the table does not have.
        """
        return shaped(self._whole, shape, self._counted)

    def _table(self, keys: Mapping[str, Coded]) -> Table:
        table, rows = self._of.table, len(self._first)
        rss = table.metrics["rss_kib"]
        totals = self._counted(np.arange(rows))
        texts = {key: Column(key, "text", text, null="?" if key == "user" else "-") for key, text in keys.items()}
        path = texts.pop("path")
        counts = [
            Column(name, "count", distinct_per_group(codes, self._row, rows), "distinct", totals[name])
            for name, codes in self._codes().items()
        ]
        size = Column(
            "rss_kib",
            "KiB",
            sums(rss, self._row, rows),
            rule_over(totals["processes"], METRICS["rss_kib"]),
            known_total(rss, self._of),
        )
        more = (column for column in self._of_processes() if column.name not in keys) if self._is_each else counts
        return Table(
            "rows",
            (
                *texts.values(),
                *more,
                size,
                *([] if "kind" in keys else [Column("kind", "text", self._joined(table.kind, ",".join))]),
                *([] if "host" in keys else [Column("on_hosts", "text", self._joined(_key(self._of, "host"), fold))]),
                path,
            ),
            last="path",
        )

    def _codes(self) -> dict[str, NDArray[np.int32]]:
        """Return what each count counts, a code for each mapping."""
        return {"hosts": host_slots(self._of), "processes": self._of.table.process}

    def _counted(self, rows: Rows) -> dict[str, int]:
        among = np.isin(self._row, rows)
        return {name: len(distinct(codes[among])) for name, codes in self._codes().items()}

    def _joined(self, texts: Coded, joined: Callable[[tuple[str, ...]], str]) -> list[str]:
        """Return the different texts of each row as one."""
        of: list[list[str]] = [[] for _ in self._first]
        for pair in distinct(self._row.astype(np.int64) * len(texts.names) + texts.codes).tolist():
            of[pair // len(texts.names)].append(texts.names[pair % len(texts.names)])
        once = cache(joined)  # the files of one upgrade are on the same hosts
        return [once(tuple(texts)) for texts in of]

    def _of_processes(self) -> Iterator[Column]:
        """Yield what a single process has, if each row is one."""
        processes, numbers = self._of.processes, self._of.table.process[self._first]
        pids: IntArray = np.array([process.pid for process in processes], dtype=np.int64)
        yield Column("pid", "number", pids[numbers])
        owners = by_process(map(owner, processes), self._of.table)
        yield Column("user", "text", Coded(owners.codes[self._first], owners.names))
        yield from membership_columns(processes, numbers)


def _key(snapshot: Snapshot, key: str) -> Coded:
    """Return the key of every mapping; the service as the findings have it."""
    if key == "service":
        return by_process(map(service_of, snapshot.processes), snapshot.table)
    return key_of_rows(snapshot, key)


def _texts(key: Coded, rows: NDArray[np.intp]) -> list[str]:
    return [text or "" for text in Coded(key.codes[rows], key.names).texts()]


def _findings(stale: Snapshot) -> Iterator[Finding]:
    """Yield a finding for each stale file, with the hosts that need a restart; the file of most processes first."""
    paths = proper_paths(stale.table)
    users: dict[str, dict[int, None]] = {}
    for number, path in zip(stale.table.process.tolist(), paths.codes.tolist(), strict=True):
        users.setdefault(paths.names[path], {})[number] = None
    for path, numbers in sorted(users.items(), key=lambda user: (-len(user[1]), user[0])):
        yield _finding(path, [stale.processes[number] for number in numbers])


def _finding(path: str, processes: Sequence[Process]) -> Finding:
    hosts, services = ([*dict.fromkeys(map(of, processes))] for of in (_host, service_of))
    count = "1 process maps" if len(processes) == 1 else f"{len(processes)} processes map"
    return Finding(
        "stale",
        f"{path} was deleted or replaced, and {count} the old one on {fold(hosts)} until restarted",
        hosts[0] if len(hosts) == 1 else None,
        services[0] if len(services) == 1 else None,
        processes[0].pid,
        path,
    )


def _host(process: Process) -> str:
    return process.host


def from_options(snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return the report as the options of the command line describe it."""
    return stale(snapshot, options.by, all_deleted=options.all_deleted, file=options.file, shape=Shape.of(options))
