"""Rules of --fail-if, judged on a report.   Report, rules ─► [gates] ─► Verdict

A finding of its kind breaks a rule, or a row does: each row of each table with the column is judged, also those that a
terminal or --top leaves out. A total is judged only where there is no row. An unknown size breaks no rule; a note names
it.
The grammar of the rules is in cli.gate_rules.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from fleetpmap.catalogue import GROWTH, KEYS
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.finding import BrokenRule
from fleetpmap.report.model import Cell, Column, Report, Table
from fleetpmap.snapshot import INCOMPLETE, Coverage
from fleetpmap.units import human

Comparison = Literal["<", "<=", ">", ">="]
MOST_NAMED = 5
"""Rows with an unknown number that a note names for each rule; the others are counted."""
_COMPARE: Mapping[Comparison, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_GROWTH = (("old_kib", "new_kib"), ("first_kib", "last_kib"))
"""Columns before and after, of diff and of history: a rule on GROWTH is on their difference."""
_WHAT = ("kind", "perms", "mapping", "path")
_CLASS = "class"
"""The column of history that is empty where there are too few runs to find a leak or a step."""
_OF_PROCESS = ("service", "process", "name")
_OWN_OF_COMPARE = frozenset({"median_kib", "spread_kib"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `pss>2G`, `outlier`."""

    text: str
    """As it was given."""
    of: str
    """A column, GROWTH, or a kind of finding."""
    comparison: Comparison | None = None
    """None: a kind of finding, of which there may be none."""
    limit: float = 0.0
    """KiB, or percent."""
    in_percent: bool = False

    def is_broken_by(self, value: float) -> bool:
        """Return True if a row with this value breaks the rule."""
        return self.comparison is not None and _COMPARE[self.comparison](value, self.limit)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What breaks the rules, and what could not be judged."""

    broken: tuple[BrokenRule, ...]
    """By rule; of one rule the furthest from the limit first."""
    note: str
    """One sentence on what could not be judged; empty if everything could."""


def verdict(report: Report, rules: Sequence[Rule], coverages: Sequence[Coverage]) -> Verdict:
    """Judge a report, which must be whole: without --top and --columns.

    `coverages`: those of the runs that are in it, last the one whose processes it counts.
    """
    failed = list(dict.fromkeys(failure.host for coverage in coverages for failure in coverage.failures))
    broken: list[BrokenRule] = []
    unknown: dict[str, list[str]] = {}
    for rule in rules:
        judged = [each for series in _series_of(report, rule) for each in series.judged(rule)]
        labels = [row.label for value, row in judged if value is None and row.host not in failed]
        if rule.comparison is None:
            found = [one for one in report.findings if one.kind == rule.of]
            broken += [BrokenRule(rule.text, o.text, o.host, o.service, o.pid, o.mapping, o.value_kib) for o in found]
        else:
            rows = [(value, row) for value, row in judged if value is not None]
            rows.sort(key=lambda each: each[0], reverse=rule.comparison.startswith(">"))
            broken += [row.broken(rule, value) for value, row in rows]
            if rule.of != GROWTH and not _meant(report, rule):
                labels = ["every row"]  # a field that no kernel of the run has
        if labels:
            unknown[_quantity(rule)] = labels
    return Verdict(tuple(broken), _note(failed, coverages[-1], unknown))


def with_verdict(report: Report, judged: Verdict) -> Report:
    """Return the report, in each of its forms, with what breaks the rules and the note."""
    return replace(
        report,
        notes=(*report.notes, *filter(None, [judged.note])),
        broken_rules=judged.broken,
        brief=report.brief and with_verdict(report.brief, judged),
        narrow=report.narrow and with_verdict(report.narrow, judged),
    )


def _note(failed: Sequence[str], coverage: Coverage, unknown: Mapping[str, Sequence[str]]) -> str:
    parts = [f"{fold(failed)}, which gave no answer"] if failed else []
    if unread := sum(coverage.processes[status] for status in INCOMPLETE):
        parts.append("1 process that was not read" if unread == 1 else f"{unread} processes that were not read")
    for quantity, labels in unknown.items():
        more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
        parts.append(f"{quantity} of {', '.join(labels[:MOST_NAMED])}{more}, which is unknown")
    return f"not judged by --fail-if: {'; '.join(parts)}" if parts else ""


def _quantity(rule: Rule) -> str:
    return rule.of.removesuffix("_kib")


@dataclass(frozen=True)
class _Series:
    """The cells of one column that a rule judges; of growth, those of two columns."""

    table: Table
    cells: Sequence[Cell]
    """In the unit of the rule; a text where there is nothing to judge, None where it is unknown."""
    first: int = 0
    """Index of the first row to judge."""
    host: str | None = None
    """The host of all cells, where a column is a host (compare)."""
    sides: Sequence[tuple[Cell, Cell]] = ()
    """The sizes before and after, of growth."""
    is_total: bool = False
    _texts: dict[str, Sequence[Cell]] = field(default_factory=dict)
    """The cells of other columns, each taken once."""

    def cell(self, name: str, index: int) -> Cell:
        """Return the cell of another column; None without such a column."""
        if name not in self._texts:
            column = None if self.is_total or name not in self.names else self.table.column(name)
            self._texts[name] = column.cells() if column else ()
        return self._texts[name][index] if self._texts[name] else None

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all columns."""
        return frozenset(column.name for column in self.table.columns)

    def judged(self, rule: Rule) -> Iterator[tuple[float | None, _Row]]:
        """Yield what breaks the rule, and with None what is unknown."""
        for index in range(self.first, len(self.cells)):
            value = self.cells[index]
            if value is None or (isinstance(value, int | float) and rule.is_broken_by(value)):
                yield (None if value is None else float(value)), _Row(self, index)


class _Row:
    """A row that breaks a rule, or is unknown."""

    def __init__(self, series: _Series, index: int) -> None:
        self._series, self._index = series, index
        self.host = series.host or self._text("host")

    def _cell(self, name: str) -> Cell:
        return self._series.cell(name, self._index)

    def _text(self, name: str) -> str | None:
        cell = self._cell(name)
        return cell if isinstance(cell, str) and cell else None

    @property
    def _pid(self) -> int | None:
        pid = self._cell("pid")
        return pid if isinstance(pid, int) else None

    @property
    def label(self) -> str:
        """The row in words: `[heap] of gunicorn.service on web-03 (pid 812)`."""
        if self._series.is_total:
            return "the total"
        what = [text for name in _WHAT if (text := self._text(name))]
        of = [text for name in KEYS if name not in (*_WHAT, "host") and (text := self._text(name))]
        if self._pid is not None:  # the columns of one process are many, and say the same
            what = [self._text("mapping") or self._text("path") or ""]
            of = [next((text for name in _OF_PROCESS if (text := self._text(name))), "")]
        subject = " of ".join(part for part in (" ".join(what), ", ".join(of)) if part)
        where = self.host or self._text("on_hosts") or ""
        without = [f"what has no {name}" for name in KEYS if name in self._series.names]
        label = " on ".join(part for part in (subject, where) if part) or ", ".join(without) or "all"
        return label if self._pid is None else f"{label} (pid {self._pid})"

    def broken(self, rule: Rule, value: float) -> BrokenRule:
        """Return the row as what breaks the rule, by its value."""
        sides = self._series.sides[self._index] if self._series.sides else None
        value_kib = None if rule.in_percent else int(value)
        if sides:
            old, new = (side if isinstance(side, int) else 0 for side in sides)
            text, value_kib = f"{self.label} {_grown(old, new)}", new - old
        else:
            text = f"{_quantity(rule)} of {self.label} is {f'{value:g}%' if rule.in_percent else human(int(value))}"
        return BrokenRule(
            rule.text,
            text,
            self.host,
            self._text("service"),
            self._pid,
            self._text("mapping") or self._text("path"),
            value_kib,
            round(value, 1) if rule.in_percent and math.isfinite(value) else None,
        )


def _grown(old: int, new: int) -> str:
    if not old:
        return f"is new, with {human(new)}"
    verb = "grew" if new >= old else "shrank"
    return f"{verb} by {human(abs(new - old))} ({abs(_percent(new, old)):.1f}%), from {human(old)} to {human(new)}"


def _percent(new: int, old: int) -> float:
    """Return the growth in percent; that of what is new has no bound."""
    return 100 * (new - old) / old if old else math.inf if new else 0.0


def _series_of(report: Report, rule: Rule) -> Iterator[_Series]:
    """Yield what the rule judges; the totals if no table with such a column has a row. Of a kind, the classes."""
    found = _meant(report, rule)
    if rule.of == GROWTH:
        yield from (_growth(table, rule) for table in report.tables)
    elif any(len(table) > table.counts for table, _ in found):
        yield from (_of_column(report.view, table, column) for table, column in found)
    else:
        yield from (_Series(table, [column.total], is_total=True) for table, column in found if column.rule)


def _meant(report: Report, rule: Rule) -> list[tuple[Table, Column]]:
    return [
        (table, column) for table in report.tables for column in table.columns if _is_meant(rule, report.view, column)
    ]


def _is_meant(rule: Rule, view: str, column: Column) -> bool:
    """Return True for a column of that name; in compare the name of the metric means every host."""
    if view == "compare" and rule.comparison and rule.of not in _OWN_OF_COMPARE:
        return column.unit == "KiB" and column.name not in _OWN_OF_COMPARE
    return column.name == (rule.of if rule.comparison else _CLASS)


def _of_column(view: str, table: Table, column: Column) -> _Series:
    is_host = view == "compare" and column.name not in _OWN_OF_COMPARE
    nothing = "" if column.null == "-" else None
    cells = [nothing if cell is None else cell for cell in column.cells()]
    return _Series(table, cells, table.counts, column.name if is_host else None)


def _growth(table: Table, rule: Rule) -> _Series:
    names = {column.name for column in table.columns}
    before, after = next(pair for pair in _GROWTH if {*pair} <= names)
    sides = list(zip(table.column(before).cells(), table.column(after).cells(), strict=True))
    growth = _percent if rule.in_percent else operator.sub
    cells = [None if not (isinstance(old, int) and isinstance(new, int)) else growth(new, old) for old, new in sides]
    return _Series(table, cells, sides=sides)
