"""The state behind the screen: snapshot, mark, order, filter, and the way back.   [shown] ─► app

Nothing here knows Textual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fleetpmap.escape import escape, in_ascii
from fleetpmap.explore.listing import difference, listing, order_of, takes_mark
from fleetpmap.explore.places import KEYS_OF, Level, Place
from fleetpmap.explore.sheet import Sheet
from fleetpmap.explore.source import Source
from fleetpmap.naming import alike
from fleetpmap.render.zeros import without_zeros
from fleetpmap.report import Report, Table
from fleetpmap.report.finding import Finding
from fleetpmap.report.model import Cell
from fleetpmap.report.shape import rows_of
from fleetpmap.snapshot import Snapshot

_MOST_KEPT = 8
"""Reports that are kept for the way back."""
_OF_PROCESS = ("service", "unit", "container", "pod", "started")
"""Columns of mappings that are the same in all rows of a process."""
Key = Mapping[str, Cell]


class Walk:
    """The place, and the places before it with the rows that the cursor was on."""

    def __init__(self) -> None:
        self.place = Place()
        self._before: list[tuple[Place, Key]] = []

    def enter(self, place: Place, key: Key) -> None:
        """Go to a place; `key` is the row that the cursor is on."""
        if place != self.place:
            self._before.append((self.place, key))
            self.place = place

    def list_as(self, level: Level) -> None:
        """Show another list of the same place."""
        self.place = replace(self.place, level=level, start=None)

    def back(self) -> Key | None:
        """Go back; returns the row that the cursor was on, None at the beginning."""
        if not self._before:
            return None
        self.place, key = self._before.pop()
        return key


class Shown:
    """The snapshot that is shown, and how."""

    def __init__(self, source: Source) -> None:
        self.snapshot: Snapshot | None = None
        self.marked: Snapshot | None = None
        """The baseline; None without one."""
        self.everywhere = False
        """True: every size is shown as its difference from the baseline."""
        self.filter = ""
        self.ascii_only = source.ascii_only
        self._source = source
        self._sorts: dict[Level, str] = {}
        self._reports: dict[tuple[Place, str | None], Report] = {}
        self._sheets: dict[tuple[Place, bool, str | None], Sheet] = {}

    def safe(self, text: str) -> str:
        """Return a text of a host made safe to show."""
        return in_ascii(escape(text)) if self.ascii_only else escape(text)

    def take(self, snapshot: Snapshot) -> None:
        """Show another snapshot."""
        self.snapshot = snapshot
        self._reports.clear()
        self._sheets.clear()

    def mark(self) -> None:
        """Make the snapshot the baseline."""
        self.marked = self.snapshot
        self._sheets.clear()

    def sort(self, place: Place) -> str | None:
        """Return the column that the list is sorted by; None: the order of the view."""
        return self._sorts.get(place.level)

    def sort_by(self, place: Place, column: str) -> None:
        """Sort this list by a column."""
        self._sorts[place.level] = column

    def sort_next(self, place: Place, by: int) -> None:
        """Sort by the column after or before the one that the list is sorted by; behind the last as the view does."""
        columns = self.sheet(place, ()).drawable
        choices = [None, *columns]
        now = self.sort(place)
        name = choices[((choices.index(now) if now in choices else 0) + by) % len(choices)]
        self._sorts.pop(place.level, None)
        if name is not None:
            self._sorts[place.level] = name

    def report(self, place: Place) -> Report:
        """Return the report of a place, in the order of its view.

        Raises:
            ValueError: there is no snapshot yet.
        """
        if self.snapshot is None:
            raise ValueError("no snapshot")
        own = self.sort(place) if place.level == "compare" else None
        if (place, own) not in self._reports:
            while len(self._reports) >= _MOST_KEPT:
                self._reports.pop(next(iter(self._reports)))
            self._reports[place, own] = listing(place, self.snapshot, self._source.options, own)
        return self._reports[place, own]

    def table(self, place: Place) -> Table:
        """Return the table of a place, with differences if a baseline was marked, and without columns of zeros."""
        table = self.report(place).tables[0]
        if self.marked is not None and takes_mark(place):
            before = listing(place, self.marked, self._source.options)
            table = difference(table, before, place, everywhere=self.everywhere)
        return without_zeros([replace(table, zeros=table.zeros - {"rows"})], ())[0][0]

    def sheet(self, place: Place, findings: Sequence[Finding]) -> Sheet:
        """Return what is drawn of a place: sorted and filtered, with the rows of findings marked."""
        what = (place, self.everywhere, self.sort(place) if place.level == "compare" else None)
        if what not in self._sheets:
            while len(self._sheets) >= _MOST_KEPT:
                self._sheets.pop(next(iter(self._sheets)))
            look = {"human_sizes": self._source.human, "ascii_only": self._source.ascii_only}
            hidden = frozenset(_entered(place))
            kept = place.hosts or () if place.level == "compare" else ()
            self._sheets[what] = Sheet(self.table(place), first=KEYS_OF[place.level], kept=kept, hidden=hidden, **look)
        sheet = self._sheets[what]
        sheet.choose(order_of(sheet.table, self.sort(place), place), self.filter)
        sheet.mark(_named(sheet.table, place, findings))
        return sheet

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
    rows = [*zip(*(table.column(name).cells() for name in keys), strict=True)]
    for finding in findings:
        if place.service not in (None, finding.service) or (place.hosts and finding.host not in place.hosts):
            continue
        wanted = tuple(getattr(finding, name) for name in keys)
        if None not in wanted:
            flags |= np.array([row == wanted or _alike(row, wanted) for row in rows], dtype=np.bool_)
    return flags


def _alike(row: tuple[Cell, ...], wanted: tuple[Cell, ...]) -> bool:
    return len(row) == 1 and isinstance(row[0], str) and alike(row[0]) == wanted[0]
