"""The result of a view: columns, rows, totals and notes.   snapshot ─► [report] ─► render, export

A Report knows no terminal, no file and no escaping. Its cells are plain values: a renderer decides how they look, an
exporter how they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fleetpmap.report.finding import BrokenRule, Finding
from fleetpmap.smaps import NULL, Coded
from fleetpmap.snapshot import Coverage, Run
from fleetpmap.table import Rule
from fleetpmap.tabular import Tabular

Cell = str | int | float | bool | None
Unit = Literal["KiB", "delta", "count", "percent", "text", "address", "number", "flag"]
"""KiB and count are right-aligned numbers; delta is a signed difference in KiB; percent has one digit after the point;
address is hex text; number (a pid, an inode) is never summed."""

UNLIMITED = "-"
"""Cell of a limit where there is none; a null is one that is not known."""
NOT_MAPPED = "not-mapped"
"""Cell of a host that was read completely and does not have the mapping: neither 0 nor unknown."""
NOT_RUN = "not-run"
"""Cell of a host that was read completely and does not run the service: it has no part in the row."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in every format, its unit, its cells and their total."""

    name: str
    """`rss_kib`: as in csv and json."""
    unit: Unit
    values: NDArray[np.signedinteger] | NDArray[np.uint64] | NDArray[np.bool_] | Coded | Sequence[Cell]
    """Signed integers with NULL (-1) for null; uint64 or booleans, which have no null; coded texts; or plain cells."""
    rule: Rule | None = None
    """The meaning of `total`; None: the column has no total."""
    total: int | None = None
    """The total in the column's unit; None: unknown, or no rule."""
    outliers: frozenset[int] = frozenset()
    """Rows in which this host is an outlier (compare)."""
    is_named: bool = False
    """True for a host that a row names, as an outlier or in a group: a terminal always has room for it."""
    null: Literal["?", "-"] = "?"
    """What a reader sees in place of a null: `?` where it means unknown, `-` where it means none."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def at_most(self) -> bool:
        """True if the total is an upper bound; 0 is exact."""
        return self.rule == "upper bound" and bool(self.total)

    def cells(self, start: int = 0, stop: int | None = None) -> list[Cell]:
        """Return the cells of rows start … stop as plain values, None for null."""
        values = self.values
        if isinstance(values, Coded):
            part: Sequence[Cell] = Coded(values.codes[start:stop], values.names).texts()
            return list(part)
        if isinstance(values, np.ndarray):
            plain: list[Cell] = values[start:stop].tolist()
            if values.dtype.kind == "i" and (values[start:stop] == NULL).any():
                return [None if cell == NULL else cell for cell in plain]
            return plain
        return list(values[start:stop])

    def with_texts(self, rewrite: Callable[[str], str]) -> Column:
        """Return the column with `rewrite` applied to every text; to each distinct text once, if coded."""
        values = self.values
        if isinstance(values, Coded):
            return replace(self, values=Coded(values.codes, tuple(map(rewrite, values.names))))
        if isinstance(values, np.ndarray) or self.unit == "address":
            return self
        return replace(self, values=[rewrite(cell) if isinstance(cell, str) else cell for cell in values])


@dataclass(frozen=True, slots=True, repr=False)
class Table(Tabular):
    """Columns of equal length, under a name that json uses as the key."""

    name: str
    columns: tuple[Column, ...]
    last: str | None = None
    """The column that the formats table and plain print last, since its texts hold spaces; None: no column is moved."""
    share: str | None = None
    """The size by which rows are compared: a terminal draws each row's share of its total. None: no shares."""
    measure: tuple[str, ...] = ()
    """Columns that add up to the size of a row, for --top; empty: `share`, or else PSS, or else RSS."""
    more: int = 0
    """Number of rows that the last row, `(N more)`, stands for; 0: there is no such row."""
    counts: int = 0
    """Number of rows, from the first, with counts in the columns of sizes (compare: the row `processes`)."""
    leads: bool = False
    """True: where several tables are shown, this one comes first."""
    zeros: frozenset[Literal["columns", "rows"]] = frozenset()
    """What a terminal leaves out where it is nothing but zeros: columns of sizes and counts, rows of mappings."""
    is_ranked: bool = False
    """True if --top keeps the first rows, in the order of the view, and not the largest."""

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def __repr__(self) -> str:
        return f"<Table {self.name}: {len(self):,} rows, {len(self.columns)} columns>"

    @property
    def has_totals(self) -> bool:
        """True if any column has a total."""
        return any(column.rule for column in self.columns)

    def column(self, name: str) -> Column:
        """Return the column of that name, which must exist."""
        return next(column for column in self.columns if column.name == name)

    def rows(self) -> list[tuple[Cell, ...]]:
        """Return all rows as plain values."""
        return list(zip(*(column.cells() for column in self.columns), strict=True))


@dataclass(frozen=True, slots=True)
class Chart:
    """One size over time, for an html page."""

    title: str
    caption: str
    times: tuple[datetime, ...]
    sizes: tuple[int | None, ...]
    """KiB at each of the times; None: unknown, or not there."""
    least_span: int
    """KiB that the axis spans at least, so that noise does not look like a change."""
    marks: tuple[int, ...] = ()
    """Indices of the times before which processes restarted."""
    line: tuple[tuple[int, int], ...] = ()
    """The trend: (index of a time, KiB) at its begin and at its end; empty: none is drawn."""


@dataclass(frozen=True, slots=True)
class Line:
    """The size of a service over time, or of a part of it."""

    service: str | None
    """None: all services, or those without a line of their own."""
    host: str | None
    """None: all hosts."""
    sizes: tuple[int | None, ...]
    """KiB at each of the times; None: unknown, or not there."""
    restarts: tuple[int, ...] = ()
    """Indices of the times before which at least half of its processes were replaced."""
    deploys: tuple[int, ...] = ()
    """Those of the restarts that brought other code, as far as they were looked at."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The sizes of services on hosts over many runs, for an html page."""

    metric: str
    """The size, as a column's name."""
    times: tuple[datetime, ...]
    """When each of the runs began, ascending: those that are shown of all."""
    whole: Line
    """All services on all hosts; no size where a host was away."""
    services: tuple[Line, ...]
    """The largest services, each over all its hosts; the last one the others, if there are any."""
    hosts: tuple[Line, ...]
    """Each of these services on its hosts, those that changed most if there are many."""
    notes: tuple[str, ...] = ()
    """Sentences on the runs, services and hosts that are not shown."""


@dataclass(frozen=True, slots=True, repr=False)
class Report(Tabular):
    """One table (summary has more), sentences about it, and the coverage: how much of the fleet is in it."""

    view: str
    tables: tuple[Table, ...]
    """A format that holds one table writes the first."""
    notes: tuple[str, ...]
    """Sentences needed to read the totals correctly: the hosts that a sum leaves out, and why."""
    coverage: Coverage
    run: Run
    findings: tuple[Finding, ...] = ()
    """The rows and hosts that stand out, the most important first."""
    broken_rules: tuple[BrokenRule, ...] | None = None
    """What breaks the rules of --fail-if; None: no rule was given."""
    text: str | None = None
    """The finished text of a view that is text by nature (pmap); table and plain print it as it is."""
    brief: Report | None = None
    """A shorter form for a terminal; None: the report itself is shown."""
    narrow: Report | None = None
    """A form with fewer columns for a terminal without room for the brief one; None: there is no such form."""
    details: tuple[Table, ...] = ()
    """Tables for programs: only json writes them."""
    beside: Mapping[str, Report] = field(default_factory=dict)
    """Further reports that an html page shows, by their names in views.page; no other format uses them."""
    charts: tuple[Chart, ...] = ()
    """Charts for an html page; no other format uses them."""
    timeline: Timeline | None = None
    """The sizes of services over many runs, for an html page; no other format uses them."""
    hints: tuple[str, ...] = ()
    """What is near a selection that matched nothing, for an html page; the command prints it."""
    listed_only: bool = False
    """The report only lists processes; no memory was read (ps)."""

    def __repr__(self) -> str:
        tables = ", ".join(f"{len(table):,} {table.name}" for table in self.tables)
        return f"<Report {self.view}: {tables}; {self.coverage.brief}>"

    @property
    def sentences(self) -> tuple[str, ...]:
        """The findings as sentences."""
        return tuple(finding.text for finding in self.findings)

    @property
    def in_order(self) -> tuple[Table, ...]:
        """The tables in the order in which they are shown."""
        return tuple(sorted(self.tables, key=lambda table: not table.leads))

    @property
    def has_upper_bounds(self) -> bool:
        """True if any total is an upper bound, which the formats then explain."""
        return any(column.at_most for table in self.tables for column in table.columns)
