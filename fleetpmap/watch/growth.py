"""Add the growth of each row to a report.   report, history ─► [growth] ─► Report

Two columns: the growth of a row's PSS since the start, and its last rounds as a line of signs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fleetpmap.report import Column, Report, Table
from fleetpmap.report.model import Cell
from fleetpmap.watch.history import History, Key

_SIGNS = "▁▂▃▄▅▆▇█"


def with_growth(report: Report, history: History, hosts: Sequence[str]) -> Report:
    """Return the report with the columns `since_start_kib` and `trend` where rows are hosts, mappings or processes.

    `hosts`: those of the report.
    """
    brief = report.brief and with_growth(report.brief, history, hosts)
    return replace(report, tables=tuple(_grown(table, history, hosts) for table in report.tables), brief=brief)


def sparkline(sizes: Sequence[int | None]) -> str:
    """Draw sizes as signs: [4, None, 8, 6] gives `▁ █▄`. None is a space; spaces before the first size are dropped."""
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
    folded: list[Cell] = [None] * (len(table) - len(keys))  # the row (N more) has none
    grown: list[Cell] = [*(history.since_start(row) for row in keys), *folded]
    trends: list[Cell] = [*(sparkline(history.trend(row)) for row in keys), *folded]
    more = (Column("since_start_kib", "delta", grown), Column("trend", "text", trends))
    return replace(table, columns=(*table.columns, *more))


def _keys(table: Table, hosts: Sequence[str]) -> Iterator[Sequence[Key]]:
    """Yield each row's keys in the history, without the row (N more); none where the history has no such rows."""
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
