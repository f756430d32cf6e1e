"""The parts of a page, in order.   report ─► tables, treemap, heat ─► [page_sections] ─► html_page"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from fleetpmap.catalogue import REPORTS
from fleetpmap.export.as_html.charts import DrawnChart, drawn
from fleetpmap.export.as_html.heat import STEPS_MIB, heat, host_columns, shown_hosts
from fleetpmap.export.as_html.tables import UNKNOWN, Bar, Part, ShownTable, at_most, shown
from fleetpmap.export.as_html.treemap import NARROW, WIDE, Tile, rules, tree
from fleetpmap.report.failures import FoldedFailure, folded
from fleetpmap.report.finding import Finding
from fleetpmap.report.grouping import HUGETLB
from fleetpmap.report.model import Report, Table
from fleetpmap.report.notes import check_sentences, coverage_sentence, freed_sentence
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


class Headline(NamedTuple):
    """A number in large type."""

    name: str
    text: str
    detail: str


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


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template shows."""

    report: Report
    coverage: str
    headlines: tuple[Headline, ...]
    freed: str
    """Sentence on the memory that ending the processes frees; empty if the headlines already show it."""
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    metric: str
    """Size that areas and bars show: pss or rss."""
    kinds: tuple[Tile, ...]
    rules_wide: str
    rules_narrow: str
    charts: tuple[DrawnChart, ...]
    sections: tuple[Section, ...]
    text: str
    text_left: int
    """Number of lines of the text that are left out."""
    statuses: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    failures: tuple[FoldedFailure, ...]
    checks: tuple[str, ...]


def page_of(report: Report) -> Page:
    """Put together the page of a report and its further reports, if it has any."""
    beside = report.beside
    reports = (report, *beside.values())
    whole = beside["kinds"].tables[0] if beside else None
    metric = (whole.share if whole is not None else None) or "pss_kib"
    kinds = tree(whole, metric) if whole is not None else ()
    lines = (report.text or "").splitlines()
    return Page(
        report=report,
        coverage=coverage_sentence(report.coverage, listed_only=report.listed_only),
        headlines=tuple(_headlines(whole)) if whole is not None else (),
        freed=freed_sentence(beside["merged"], human_sizes=True) if beside else "",
        findings=report.findings,
        notes=_distinct(each.notes for each in reports),
        metric=metric.removesuffix("_kib"),
        kinds=kinds,
        rules_wide="".join(rules(kinds, WIDE)),
        rules_narrow="".join(rules(kinds, NARROW)),
        charts=tuple(map(drawn, report.charts)),
        sections=tuple(_sections(report)),
        text="\n".join(lines[:_MOST_LINES]),
        text_left=max(len(lines) - _MOST_LINES, 0),
        statuses=_statuses(report),
        failures=folded(report.coverage.failures),
        checks=_checks(report),
    )


def _distinct(groups: Iterator[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentence for group in groups for sentence in group))


def _headlines(table: Table) -> Iterator[Headline]:
    for name in _HEADLINES:
        column = table.column(name)
        if name == HUGETLB and not column.total:
            continue
        if column.total is None:
            yield Headline(name.removesuffix("_kib"), UNKNOWN, "unknown")
        else:
            yield Headline(name.removesuffix("_kib"), at_most(column, human(column.total)), f"{column.total:,} KiB")


def _checks(report: Report) -> tuple[str, ...]:
    sentences = check_sentences(report.coverage.checked)
    left = len(sentences) - _MOST_CHECKS
    return tuple(sentences) if left <= 0 else (*sentences[:_MOST_CHECKS], f"({left:,} more): -v has all of them")


def _statuses(report: Report) -> tuple[tuple[str, tuple[tuple[str, int], ...]], ...]:
    coverage = report.coverage
    counted = (("hosts", coverage.hosts), ("processes", coverage.processes))
    return tuple((name, tuple((+counts).most_common())) for name, counts in counted if counts)


def _sections(report: Report) -> Iterator[Section]:
    """Yield a section for each report; the one asked for replaces the section of its name, or comes first."""
    name = _OF_VIEW.get(report.view, report.view)
    others = {part: other for part, other in report.beside.items() if part in _TITLES}
    if name not in others:
        if report.text is None:
            yield _section(name, report)
    else:
        others[name] = report  # a dict keeps the place of a key that it replaces
    for part, other in others.items():
        if other is report or _is_worth_it(part, other):
            yield _section(part, other, report.beside)


def _is_worth_it(part: str, report: Report) -> bool:
    """Return False for a comparison of fewer than two hosts, and for stale without a row."""
    if part == "compare":
        return report.coverage.answered > 1 and len(report.tables[0]) > 1
    return part != "stale" or len(report.tables[0]) > 0


def _section(name: str, report: Report, beside: Mapping[str, Report] | None = None) -> Section:
    table, title = report.tables[0], _TITLES.get(name, name)
    if name == "compare":
        return _comparison(report, title)
    bars: Sequence[Bar] = ()
    if name == "hosts" and beside:
        bars = _host_bars(table, beside["kinds_of_hosts"].tables[0])
    return Section(name, title, shown(table, bars=bars))


def _comparison(report: Report, title: str) -> Section:
    table = report.tables[0]
    columns = shown_hosts(table)
    left = len(table.columns) - len(columns)
    hosts = host_columns(table.columns)
    remark = (
        f"{len(hosts) - left} of {len(hosts):,} hosts are here, those that stand apart first; "
        "--export compare=compare.csv has all of them."
    )
    against = "baseline" if any(column.unit == "delta" for column in hosts) else "median"
    marked = shown(table, columns, heat(table, columns))
    return Section("compare", title, marked, remark if left else "", STEPS_MIB, against)


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
