"""The parts of a page, in order.   report ─► tables, treemap, heat ─► [page_sections] ─► html_page"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from fleetpmap.catalogue import REPORTS
from fleetpmap.escape import escape_cell
from fleetpmap.export.as_html.charts import DrawnChart, drawn
from fleetpmap.export.as_html.heat import STATISTICS, STEPS_MIB, Heat, Steps, heat, marks, together
from fleetpmap.export.as_html.limits import Limits, limits_of
from fleetpmap.export.as_html.over_time import OverTime, over_time, over_time_data
from fleetpmap.export.as_html.page_data import Json, in_runs, packed, plain
from fleetpmap.export.as_html.tables import UNKNOWN, Bar, Part, ShownTable, at_most, beginning, in_order, shown
from fleetpmap.export.as_html.treemap import Tile, tree, treemap_data
from fleetpmap.report.failures import FoldedFailure, folded
from fleetpmap.report.finding import Finding
from fleetpmap.report.grouping import HUGETLB
from fleetpmap.report.headline import headline
from fleetpmap.report.model import NOT_MAPPED, UNLIMITED, Cell, Column, Report, Table
from fleetpmap.report.notes import check_sentences, coverage_sentence, freed_sentence
from fleetpmap.report.shape import rows_of
from fleetpmap.smaps import Coded
from fleetpmap.units import human

_TITLES = {report.name: report.title for report in REPORTS if report.title}
_OF_VIEW = {"summary": "merged"}
"""Views to the section that shows their table, if it is that of another view."""
_HEADLINES = ("pss_kib", "uss_kib", "rss_kib", "swap_kib", "hugetlb_kib")
"""Sizes with their total in a headline; hugetlb only if there are huge pages."""
_MOST_LINES = 5_000
"""Lines shown of a view that is a text."""
_MOST_CHECKS = 50
"""Sentences shown of the self-check."""


_MEANINGS = {
    "pss_kib": "Shared memory is divided among the processes that share it, so it adds up: ending all of these "
    "processes frees that much, except for memory that other processes share.",
    "uss_kib": "The memory of each process alone, added up: ending one process frees its own part of it.",
    "rss_kib": "All that is in memory; what processes share counts once for each of them, so a sum is an "
    "upper bound (≤).",
    "swap_kib": "What the kernel has written to swap and keeps there.",
    "hugetlb_kib": "Huge pages, reserved in one piece; no other figure counts them.",
}
"""What the sizes of the headlines mean."""
_MOST_COLUMNS = 40
"""Columns of hosts in the page itself; the scripts have the others."""
_LEAF_KEYS = frozenset({"host", "service", "mapping", "kind", "process"})


class Headline(NamedTuple):
    """A number in large type."""

    name: str
    text: str
    detail: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a table, and what goes with it."""

    name: str
    title: str
    table: ShownTable
    remark: str = ""
    """Note on the hosts that are not shown."""
    steps: tuple[int, ...] = ()
    """Legend of a heat map: least distance for each colour, MiB; empty: no heat map."""
    against: str = ""
    """Reference of a heat map: `baseline` or `median`."""
    data: Json = None
    """What the scripts make the whole table of."""


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template shows."""

    report: Report
    coverage: str
    words: tuple[str, ...]
    """The sentences at the top."""
    headlines: tuple[Headline, ...]
    freed: str
    """Sentence on the memory that ending the processes frees; empty if the headlines already show it."""
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    metric: str
    """Size that areas and bars show: pss or rss."""
    kinds: tuple[Tile, ...]
    charts: tuple[DrawnChart, ...]
    sections: tuple[Section, ...]
    text: str
    text_left: int
    """Number of lines of the text that are left out."""
    statuses: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    failures: tuple[FoldedFailure, ...]
    checks: tuple[str, ...]
    data: Mapping[str, Json]
    """What the scripts take from the page, by the name of their section."""
    limits: Limits | None
    over_time: OverTime | None


def page_of(report: Report) -> Page:
    """Put together the page of a report and its further reports, if it has any."""
    beside = report.beside
    reports = (report, *beside.values())
    whole = beside["kinds"].tables[0] if beside else None
    metric = (whole.share if whole is not None else None) or "pss_kib"
    sections = tuple(_sections(report))
    lines = (report.text or "").splitlines()
    return Page(
        report=report,
        coverage=coverage_sentence(report.coverage, listed_only=report.listed_only),
        words=tuple(map(plain, headline(report))),
        headlines=tuple(_headlines(whole)) if whole is not None and len(whole) else (),
        freed=freed_sentence(beside["merged"], human_sizes=True) if beside else "",
        findings=report.findings,
        notes=_distinct(each.notes for each in reports),
        metric=metric.removesuffix("_kib"),
        kinds=tree(whole, metric) if whole is not None else (),
        charts=tuple(map(drawn, report.charts)),
        sections=sections,
        text="\n".join(lines[:_MOST_LINES]),
        text_left=max(len(lines) - _MOST_LINES, 0),
        statuses=_statuses(report),
        failures=folded(report.coverage.failures),
        checks=_checks(report),
        data=dict(_data(report, sections)),
        limits=limits_of(beside["limits"].tables[0], beside["hosts"].tables[0]) if beside else None,
        over_time=over_time(report.timeline) if report.timeline else None,
    )


def _data(report: Report, sections: Sequence[Section]) -> Iterator[tuple[str, Json]]:
    """Yield the data of the scripts, section by section."""
    yield "tables", [section.data for section in sections if not section.steps]
    yield "heat", next((section.data for section in sections if section.steps), None)
    yield "findings", list(_finding_keys(report))
    if "leaves" in report.beside:
        yield (
            "leaves",
            {
                table.name: packed(table, base)
                for table, base in zip(report.beside["leaves"].tables, (None, "rss_kib"), strict=True)
            },
        )
        yield "treemap", treemap_data(report)
    if report.timeline:
        yield "over_time", over_time_data(report.timeline)


def _finding_keys(report: Report) -> Iterator[Json]:
    """Yield what each finding picks: of its host, service and mapping those that the page has."""
    known: dict[str, set[str]] = {key: set() for key in ("host", "service", "mapping")}
    for table in report.beside.get("leaves", report).tables:
        for column in table.columns:
            if column.name in known:
                known[column.name].update(
                    column.values.names if isinstance(column.values, Coded) else map(str, column.cells())
                )
    for finding in report.findings:
        keys = {"host": finding.host, "service": finding.service}
        names = [finding.mapping or "", (finding.mapping or "").rpartition("/")[2]]
        keys["mapping"] = next((name for name in names if name in known["mapping"]), None)
        yield {key: plain(text) for key, text in keys.items() if text and text in known[key]}


def _distinct(groups: Iterator[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentence for group in groups for sentence in group))


def _headlines(table: Table) -> Iterator[Headline]:
    for name in _HEADLINES:
        column = table.column(name)
        if name == HUGETLB and not column.total:
            continue
        if column.total is None:
            yield Headline(name.removesuffix("_kib"), UNKNOWN, "unknown", _MEANINGS[name])
        else:
            text, detail = at_most(column, human(column.total)), f"{column.total:,} KiB"
            yield Headline(name.removesuffix("_kib"), text, detail, _MEANINGS[name])


def _checks(report: Report) -> tuple[str, ...]:
    sentences = check_sentences(report.coverage.checked)
    left = len(sentences) - _MOST_CHECKS
    return tuple(sentences) if left <= 0 else (*sentences[:_MOST_CHECKS], f"({left:,} more): -v has all of them")


def _statuses(report: Report) -> tuple[tuple[str, tuple[tuple[str, int], ...]], ...]:
    coverage = report.coverage
    counted = (("hosts", coverage.hosts), ("processes", coverage.processes))
    return tuple((name, tuple((+counts).most_common())) for name, counts in counted if counts)


def _sections(report: Report) -> Iterator[Section]:
    """Yield a section for each report that has rows, and for the hosts.

    The one asked for replaces the section of its name, or comes first.
    """
    name = _OF_VIEW.get(report.view, report.view)
    others = {part: other for part, other in report.beside.items() if part in _TITLES}
    if name not in others:
        if report.text is None:
            yield _section(name, report)
    else:
        others[name] = report  # a dict keeps the place of a key that it replaces
    for part, other in others.items():
        if part == "hosts" or (len(other.tables[0]) and (other is report or _is_worth_it(part, other))):
            yield _section(part, other, report.beside)


def _is_worth_it(part: str, report: Report) -> bool:
    """Return False for a comparison of fewer than two hosts, and for a single service."""
    if part == "compare":
        return report.coverage.answered > 1 and len(report.tables[0]) > 1
    return part != "services" or len(report.tables[0]) > 1


def _section(name: str, report: Report, beside: Mapping[str, Report] | None = None) -> Section:
    table, title = report.tables[0], _TITLES.get(name, name)
    if name == "compare":
        return _comparison(report, title)
    bars: Sequence[Bar] = ()
    if name == "hosts" and beside:
        bars = _host_bars(beginning(table), beside["kinds_of_hosts"].tables[0])
    return Section(name, title, shown(table, bars=bars), data=_table_data(name, table))


def _table_data(name: str, table: Table) -> Json:
    """Return a table with the columns that tell its rows apart, if the leaves have them, and those to hide at first."""
    names = {column.name for column in table.columns}
    keys = {"hosts": ["host"], "services": ["host", "service"], "processes": ["host", "pid"]}.get(name, [])
    if name == "merged":
        keys = [column.name for column in table.columns if column.unit == "text"]
    row = [key for key in keys if key in names]
    is_told = bool(row) and ("pid" in row or {*row} <= _LEAF_KEYS) and (name == "merged" or row[-1:] == keys[-1:])
    order = [column.name.removesuffix("_kib") for column in in_order(table)]
    hidden = [column.name.removesuffix("_kib") for column in table.columns if _is_empty(column, table)]
    row = ["name" if key == "process" else key for key in row]
    return {
        "name": name,
        **packed(table),
        "row": row if is_told else None,
        "order": list(map(escape_cell, order)),
        "hidden": list(map(escape_cell, hidden)),
    }


def _is_empty(column: Column, table: Table) -> bool:
    """Return True for a column that says nothing in any row: only zeros, or nothing known."""
    if "columns" not in table.zeros or column.unit not in ("KiB", "count", "percent", "text"):
        return False
    values = column.values
    if isinstance(values, Coded):
        return bool((np.asarray(values.codes) < 0).all()) or not any(values.names)
    if isinstance(values, np.ndarray):
        return bool((values <= 0).all())
    return all(cell in (None, 0, UNLIMITED, "") for cell in values)


def _comparison(report: Report, title: str) -> Section:
    table = report.tables[0]
    found = heat(table)
    against = "baseline" if found.is_delta else "median"
    return Section(
        "compare", title, *_side_by_side(table, found), STEPS_MIB, against, data=_heat_data(table, found, against)
    )


def _side_by_side(table: Table, found: Heat) -> tuple[ShownTable, str]:
    """Return the comparison with a column for all hosts that look alike, and a remark on those without room."""
    last = [len(table) - 1] if table.more else []
    order = np.array([*range(table.counts), *found.rows.tolist(), *last], dtype=np.intp)
    labels = [column for column in table.columns if column.unit == "text" and column.name != "outliers"]
    explains = [None] * table.counts + [round(percent, 1) for percent in found.explained.tolist()] + [None] * len(last)
    groups = list(zip(found.groups, found.names, strict=True))[:_MOST_COLUMNS]
    columns = [together([found.hosts[slot] for slot in group], name) for group, name in groups]
    others = [column for column in table.columns if column.name in (*STATISTICS, "outliers")]
    ordered = rows_of(replace(table, columns=(*labels, *columns, *others)), order)
    explained = Column("explains", "percent", explains, null="-")
    ordered = replace(ordered, columns=(*ordered.columns[: len(labels)], explained, *ordered.columns[len(labels) :]))
    places = {int(row): place for place, row in enumerate(order.tolist())}
    css = {(places[row], name): word for group, name in groups for row, word in marks(found, group).items()}
    left = len(found.groups) - len(groups)
    return shown(ordered, ordered.columns, css), f"{left} more columns of hosts: the scripts show them." if left else ""


def _heat_data(table: Table, found: Heat, against: str) -> Json:
    """Return the comparison for the scripts: rows in the order of `found`, cells by host."""
    names = [column for column in table.columns if column.unit == "text" or column.name in STATISTICS]
    labels = rows_of(replace(table, columns=tuple(names)), found.rows)
    return {
        "labels": packed(labels),
        "explained": [round(percent, 1) for percent in found.explained.tolist()],
        "plain": found.plain_rows,
        "hosts": [plain(column.name) for column in found.hosts],
        "totals": [column.total for column in found.hosts],
        "processes": [column.cells(0, table.counts)[0] if table.counts else None for column in found.hosts],
        "groups": found.groups,
        "names": list(map(plain, found.names)),
        "cells": [_heat_cells(column, found) for column in found.hosts],
        "steps": _sparse(found.steps),
        "out": _sparse(found.out.astype(np.int8)),
        "against": against,
        "isDelta": found.is_delta,
    }


def _heat_cells(column: Column, found: Heat) -> Json:
    """Return a host's cells as numbers: 0 for not run, 1 for not mapped, and sizes and differences from 0 on plus 2."""
    cells = column.cells()
    return in_runs([_heat_cell(cells[row]) for row in found.rows.tolist()])


def _heat_cell(cell: Cell) -> Cell:
    if isinstance(cell, int):
        return cell + 2 if cell >= 0 else cell
    return None if cell is None else int(cell == NOT_MAPPED)


def _sparse(values: Steps) -> Json:
    """Return the values that are not 0, as row, host, value, row, host, …"""
    rows, hosts = np.nonzero(values)
    return np.column_stack([rows, hosts, values[rows, hosts]]).reshape(-1).tolist() if len(rows) else []


def _host_bars(hosts: Table, kinds: Table) -> list[Bar]:
    """Return a bar for each row of `hosts`, its length the host's memory, its parts the kinds."""
    if all(column.name != "host" for column in hosts.columns):
        return []
    metric = kinds.share or "pss_kib"
    parts: dict[str, list[tuple[str, int]]] = {}
    cells = zip(*(kinds.column(name).cells() for name in ("host", "kind", metric)), strict=True)
    for host, kind, kib in cells:
        if isinstance(kib, int) and kib > 0:
            parts.setdefault(str(host), []).append((str(kind), kib))
    longest = max((sum(kib for _, kib in kinds_of_host) for kinds_of_host in parts.values()), default=1)
    return [_bar(parts.get(str(host), []), longest) for host in hosts.column("host").cells()]


def _bar(kinds: list[tuple[str, int]], longest: int) -> Bar:
    kinds.sort(key=lambda kind: kind[0])  # by name: the same order in every bar, so that they can be compared
    starts = accumulate((kib for _, kib in kinds), initial=0)
    parts = tuple(
        Part(round(100 * start / longest, 2), round(100 * kib / longest, 2), kind)
        for start, (kind, kib) in zip(starts, kinds, strict=False)
    )
    largest = sorted(kinds, key=lambda kind: -kind[1])
    return Bar(parts, ", ".join(f"{kind} {human(kib)}" for kind, kib in largest))
