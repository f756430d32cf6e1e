"""The state behind the screen: snapshot, mark, order, filter, chosen rows, and the way back.   [shown] ─► app

Nothing here knows Textual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fleetpmap.escape import escape, in_ascii
from fleetpmap.explore.course import SINCE_START, Course
from fleetpmap.explore.differences import SINCE_MARK, difference
from fleetpmap.explore.listing import Sort, listing, order_of, takes_mark
from fleetpmap.explore.places import KEYS_OF, Level, Place
from fleetpmap.explore.sheet import Sheet
from fleetpmap.explore.source import Source
from fleetpmap.explore.trends import TREND, Trends
from fleetpmap.explore.vma_trends import VmaTrends
from fleetpmap.naming import alike
from fleetpmap.render.zeros import without_zeros
from fleetpmap.report import Report, Table
from fleetpmap.report.finding import Finding
from fleetpmap.report.model import Cell, Column
from fleetpmap.report.shape import column_named, rows_of
from fleetpmap.snapshot import Snapshot

_MOST_KEPT = 12
"""Reports that are kept for the way back."""
_OF_PROCESS = ("service", "unit", "container", "pod", "started")
"""Columns of mappings that are the same in all rows of a process."""
_OF_ROUNDS = (SINCE_START, SINCE_MARK, TREND)
"""Columns that have room on any terminal, and that --columns does not leave out."""
_ORDERS: Mapping[Level, str | None] = {
    "compare": "spread_kib",
    **dict.fromkeys(("hosts", "processes", "vmas", "fields")),
}
"""The columns by which the views sort, where it is not the size of the shares; None: by the names of the rows."""
Key = Mapping[str, Cell]
Prepared = tuple[Place, Report]
"""A place and its report."""


class Walk:
    """The place, and the places before it, each with its filter and the row that the cursor was on."""

    def __init__(self) -> None:
        self.place = Place()
        self._before: list[tuple[Place, str, Key]] = []

    @property
    def is_at_start(self) -> bool:
        """True if there is no place to go back to."""
        return not self._before

    def enter(self, place: Place, text: str, key: Key) -> None:
        """Go to a place; `text` is the filter, and `key` the row that the cursor is on."""
        if place != self.place:
            self._before.append((self.place, text, key))
            self.place = place

    def list_as(self, level: Level) -> None:
        """Show another list of the same place."""
        self.place = replace(self.place, level=level, start=None)

    def back(self) -> tuple[str, Key]:
        """Go back; returns the filter, and the row that the cursor was on."""
        self.place, text, key = self._before.pop()
        return text, key


class Shown:
    """The snapshot that is shown, and how."""

    def __init__(self, source: Source) -> None:
        self.snapshot: Snapshot | None = None
        self.marked: Snapshot | None = None
        """The baseline; None without one."""
        self.course: Course | None = None
        """The rounds so far; None where there is no interval."""
        self.everywhere = False
        """True: every size is shown as its difference from the baseline."""
        self.filter = ""
        self.hints: tuple[str, ...] = ()
        """What is near the selection, if no process matched."""
        self.chosen: dict[Level, frozenset[tuple[Cell, ...]]] = {}
        """The rows of each list that are chosen to be compared, by its KEYS_OF."""
        self.ascii_only = source.ascii_only
        self._source = source
        self._sorts: dict[Level, Sort] = {}
        self._columns: dict[Level, tuple[str, ...]] = {}
        """The columns of a list in their order, where not all of them are shown."""
        self._reports: dict[Place, Report] = {}
        self._before: tuple[Snapshot | None, dict[Place, Report]] = (None, {})
        """The baseline with its reports, which is the same in many rounds."""
        self._sheets: dict[tuple[Place, bool], Sheet] = {}

    def safe(self, text: str) -> str:
        """Return a text of a host made safe to show."""
        return in_ascii(escape(text)) if self.ascii_only else escape(text)

    @property
    def rounds(self) -> int:
        """Number of the last round; 0 without one."""
        return self.course.rounds if self.course else 0

    def take(self, snapshot: Snapshot, prepared: Prepared | None = None) -> None:
        """Show another snapshot, of which a report may be there already."""
        if self.snapshot is not None and self.snapshot is self.marked:
            self._before = (self.snapshot, self._reports)
        self.snapshot = snapshot
        self.hints = () if snapshot.processes else tuple(self._source.hints(snapshot))
        self._reports = {}
        if prepared is not None:
            self.take_prepared(prepared)
        self._sheets.clear()

    def begin(self, place: Place) -> None:
        """Give the first list the order and the columns that the user asked for.

        Raises:
            UsageError: the list has no such column.
        """
        table = self._with_changes(place)
        if self._source.sort is not None:
            self._sorts[place.level] = Sort(column_named(table, self._source.sort, "--sort"))
        if self._source.columns:
            chosen = [column_named(table, name, "--columns") for name in self._source.columns]
            self._columns[place.level] = tuple(dict.fromkeys(chosen))
        self._sheets.clear()

    def add_round(self, snapshot: Snapshot, trends: Trends, vmas: VmaTrends) -> None:
        """Take over a round, before it is shown. The first one is a mark."""
        self.course = self.course.after(snapshot, trends, vmas) if self.course else Course.begun(snapshot, trends)
        self.marked = self.marked or snapshot

    def mark(self) -> None:
        """Make the snapshot the baseline."""
        self.marked = self.snapshot
        if self.course:
            self.course = self.course.marked()
            for level, sort in self._sorts.items():
                if sort.column == SINCE_START:
                    self._sorts[level] = sort._replace(column=SINCE_MARK)
        self._sheets.clear()

    def sort(self, place: Place) -> Sort | None:
        """Return the order of the list; None: one that no column tells."""
        own = self._sorts.get(place.level)
        return own if own is not None or self.snapshot is None else self._sheet(place).order

    def sort_by(self, place: Place, column: str) -> None:
        """Sort this list by a column, or the other way round if it is sorted by it."""
        now = self.sort(place)
        reverse = now is not None and now.column == column and not now.reverse
        self._sorts[place.level] = Sort(column, reverse)

    def sort_next(self, place: Place, by: int) -> None:
        """Sort by the column after or before the one that the list is sorted by.

        Behind the last comes the order of the view, if no column tells it.
        """
        sheet, now = self._sheet(place), self.sort(place)
        choices = [*([] if sheet.order else [None]), *sheet.drawable]
        at = choices.index(now.column) if now is not None and now.column in choices else 0
        name = choices[(at + by) % len(choices)]
        self._sorts.pop(place.level, None)
        if name is not None:
            self._sorts[place.level] = Sort(name)

    def report(self, place: Place) -> Report:
        """Return the report of a place, in the order of its view.

        Raises:
            ValueError: there is no snapshot yet.
        """
        if self.snapshot is None:
            raise ValueError("no snapshot")
        return self._report_of(place, self.snapshot, self._reports)

    def prepared(self, place: Place, snapshot: Snapshot) -> Prepared:
        """Make the report of a place in a thread, for take_prepared."""
        return place, listing(place, snapshot, self._source.options)

    def take_prepared(self, prepared: Prepared) -> None:
        """Keep a report that was prepared of this snapshot."""
        place, report = prepared
        self._reports[place] = report

    def _report_of(self, place: Place, snapshot: Snapshot, reports: dict[Place, Report]) -> Report:
        """Return the report of a place; `reports`: those of this snapshot that are kept."""
        if place in reports:
            reports[place] = reports.pop(place)  # now the last to go
        else:
            while len(reports) >= _MOST_KEPT:
                reports.pop(next(iter(reports)))
            reports[place] = listing(place, snapshot, self._source.options)
        return reports[place]

    def _report_before(self, place: Place, baseline: Snapshot) -> Report:
        """Return the report of a place in the baseline."""
        if baseline is self.snapshot:
            return self.report(place)
        if self._before[0] is not baseline:
            self._before = (baseline, {})
        return self._report_of(place, baseline, self._before[1])

    def table(self, place: Place) -> Table:
        """Return the table of a place, with differences if a baseline was marked, and without columns of zeros."""
        table = self._with_changes(place)
        if (names := self._columns.get(place.level)) is not None:
            return replace(table, columns=_in_order(table.columns, names), last=None, share=None)
        return without_zeros([replace(table, zeros=table.zeros - {"rows"})], ())[0][0]

    def _with_changes(self, place: Place) -> Table:
        table = self.report(place).tables[0]
        if self.marked is not None and takes_mark(place):
            before = self._report_before(place, self.course.before if self.course else self.marked)
            table = difference(table, before, place, everywhere=self.everywhere)
            if self.course:
                table = self.course.on(table, before.tables[0], place, ascii_only=self.ascii_only)
        return table

    def sheet(self, place: Place, findings: Sequence[Finding]) -> Sheet:
        """Return what is drawn of a place: sorted and filtered, with the rows of findings marked."""
        sheet = self._sheet(place)
        sheet.choose(order_of(sheet.table, self._sorts.get(place.level)), self.filter)
        sheet.mark(_named(sheet.table, place, findings))
        return sheet

    def _sheet(self, place: Place) -> Sheet:
        what = (place, self.everywhere)
        if what not in self._sheets:
            while len(self._sheets) >= _MOST_KEPT:
                self._sheets.pop(next(iter(self._sheets)))
            look = {"human_sizes": self._source.human, "ascii_only": self._source.ascii_only}
            table, first, hidden = self.table(place), KEYS_OF[place.level], frozenset(_entered(place))
            if (names := self._columns.get(place.level)) is not None:
                first, hidden = names, frozenset(one.name for one in table.columns) - {*names, *_OF_ROUNDS}
            kept = (*KEYS_OF[place.level], *(place.compared or ("spread_kib",)), *_OF_ROUNDS)
            if not self.report(place).coverage.failures:
                hidden |= {"error"}
            order = _ORDERS.get(place.level, table.share)
            self._sheets[what] = Sheet(table, first=first, kept=kept, hidden=hidden, falls_by=order, **look)
        return self._sheets[what]

    def as_shown(self, place: Place, sheet: Sheet) -> Report:
        """Return the report of a place as the sheet draws it: its order, differences, and rows that the filter keeps.

        All columns are there. Totals are of all rows; a note says so where some are left out.
        """
        report = self.report(place)
        whole = sheet.table if self.marked is not None and takes_mark(place) else report.tables[0]
        table, notes = rows_of(whole, sheet.rows), report.notes
        if len(sheet.rows) < len(whole):
            notes = (f"{len(sheet.rows)} of {len(whole)} rows have {self.filter!r}; totals are of all", *notes)
        return replace(report, tables=(table, *report.tables[1:]), notes=notes, brief=None, narrow=None)


def _in_order(columns: Sequence[Column], names: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns in this order, behind them all others in theirs."""
    at = {name: slot for slot, name in enumerate(names)}
    return tuple(sorted(columns, key=lambda column: at.get(column.name, len(at))))


def _entered(place: Place) -> set[str]:
    """Return the columns that have one value in this list, since it was entered."""
    names = set()
    if place.hosts is not None and len(place.hosts) == 1 and place.level not in ("hosts", "compare"):
        names.add("host")
    if place.service is not None and place.level in ("processes", "compare"):
        names.add("service")
    if place.pid is not None and place.level in ("mappings", "vmas"):
        names |= {"pid", "name", "hosts", "processes", *_OF_PROCESS}
    if place.mapping is not None and place.level == "vmas":
        names.add("mapping")
    return names


def _named(table: Table, place: Place, findings: Sequence[Finding]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return for each row if a finding is about it: if all of its keys that the finding has are those of the row."""
    flags = np.zeros(len(table), np.bool_)
    keys = [name for name in KEYS_OF[place.level] if name != "start"]
    if place.level in ("fields", "compare", "vmas"):
        return flags
    rows = zip(*(table.column(name).cells() for name in keys), strict=True)
    of_key: dict[tuple[Cell, ...], list[int]] = {}
    for row, key in enumerate(rows):
        of_key.setdefault(key, []).append(row)
        if len(key) == 1 and isinstance(key[0], str) and (shared := alike(key[0])) != key[0]:
            of_key.setdefault((shared,), []).append(row)  # a finding names a mapping by what hosts share of its name
    for finding in findings:
        wanted = tuple(getattr(finding, name) for name in keys)
        is_here = place.service in (None, finding.service) and (not place.hosts or finding.host in place.hosts)
        if is_here and None not in wanted:
            flags[of_key.get(wanted, [])] = True
    return flags
