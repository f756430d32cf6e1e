"""A report with what became of each row.   report, history ─► [growth] ─► Report

Two columns more: how much a row's PSS grew since the start, and its last rounds as a line of signs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fleetpmap.report import Column, Report, Table
from fleetpmap.report.model import Cell
from fleetpmap.watch.history import History, Key

_SIGNS = "▁▂▃▄▅▆▇█"


def with_growth(report: Report, history: History, hosts: Sequence[str]) -> Report:
    """The report with the columns `since_start_kib` and `trend` wherever a row is a host, a mapping or a process.

    `hosts` are those that the report is about.
    """
    brief = report.brief and with_growth(report.brief, history, hosts)
    return replace(report, tables=tuple(_grown(table, history, hosts) for table in report.tables), brief=brief)


def sparkline(sizes: Sequence[int | None]) -> str:
    """One sign for each size, the lowest from the least and the highest from the most; a space where there is none."""
    known = [size for size in sizes if size is not None]
    if not known:
        return ""
    least, span = min(known), max(max(known) - min(known), 1)
    return "".join(
        " " if size is None else _SIGNS[(size - least) * (len(_SIGNS) - 1) // span] for size in sizes
    ).lstrip()


def _grown(table: Table, history: History, hosts: Sequence[str]) -> Table:
    keys = list(_keys(table, hosts))
    if not keys:
        return table
    lost: list[Cell] = [None] * (len(table) - len(keys))  # of the row (N more)
    grown: list[Cell] = [*(history.since_start(row) for row in keys), *lost]
    trends: list[Cell] = [*(sparkline(history.trend(row)) for row in keys), *lost]
    more = (Column("since_start_kib", "delta", grown), Column("trend", "text", trends))
    return replace(table, columns=(*table.columns, *more))


def _keys(table: Table, hosts: Sequence[str]) -> Iterator[Sequence[Key]]:
    """What each row is in the history, but for the row (N more); nothing where the rows are something else."""
    names = {column.name for column in table.columns}
    rows = slice(0, len(table) - bool(table.more))
    if {"host", "pid"} <= names:
        for host, pid in zip(table.column("host").cells()[rows], table.column("pid").cells()[rows], strict=True):
            yield [("process", str(host), str(pid))]
    elif table.name == "hosts" or {"host", "status"} <= names:
        for host in table.column("host").cells()[rows]:
            yield [("host", str(host))]
    elif "mapping" in names and not names & {"host", "process", "user", "path", "perms", "kind", "median_kib"}:
        for mapping in table.column("mapping").cells()[rows]:
            yield [("mapping", host, str(mapping)) for host in hosts]
