"""What a report is.   snapshot ─► [report] ─► render, export

A Report is columns, rows, totals and notes: no terminal, no file, no escaping. Cells are plain values; how they look is
the renderer's business, how they are written the exporter's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps import NULL, Coded
from fleetpmap.snapshot import Coverage, Run
from fleetpmap.table import Rule

Cell = str | int | bool | None
Unit = Literal["KiB", "delta", "count", "text", "address", "number", "flag"]
"""KiB and count are right-aligned numbers, delta is a difference in KiB, with its sign; address is hex text; number (a
pid, an inode) never adds up."""

ABSENT = "absent"
"""The cell of a host that was read whole and does not have it: neither 0 nor unknown."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in every format, its unit, its cells and what they total to."""

    name: str
    """`rss_kib`: as in csv and json."""
    unit: Unit
    values: NDArray[np.signedinteger] | NDArray[np.uint64] | NDArray[np.bool_] | Coded | Sequence[Cell]
    """Signed with NULL for null, uint64 and booleans without, coded texts, or the cells themselves."""
    rule: Rule | None = None
    """What `total` is; None: the column has no total."""
    total: int | None = None
    """None is unknown (or no rule)."""
    outliers: frozenset[int] = frozenset()
    """The rows whose cell stands apart from the other hosts' (compare)."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def at_most(self) -> bool:
        """Whether the total is an upper bound; 0 is exact."""
        return self.rule == "upper bound" and bool(self.total)

    def cells(self, start: int = 0, stop: int | None = None) -> list[Cell]:
        """The cells of rows start … stop as plain values, None for null."""
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
        """The same column with every text passed through `rewrite`, once for each different text if coded."""
        values = self.values
        if isinstance(values, Coded):
            return replace(self, values=Coded(values.codes, tuple(map(rewrite, values.names))))
        if isinstance(values, np.ndarray) or self.unit == "address":
            return self
        return replace(self, values=[rewrite(cell) if isinstance(cell, str) else cell for cell in values])


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one length, under a name that json uses as the key."""

    name: str
    columns: tuple[Column, ...]
    last: str | None = None
    """The column that table and plain show last, since its texts hold spaces; None: the order is theirs too."""
    share: str | None = None
    """The column by which rows are large or small: a terminal draws each row's share of its total. None: no shares."""
    measure: tuple[str, ...] = ()
    """The columns that say together how large a row is, for --top; empty: `share`, or else PSS, or else RSS."""
    more: int = 0
    """How many rows the last one, `(N more)`, stands for; 0: there is no such row."""
    counts: int = 0
    """How many of the first rows hold counts in the columns of sizes."""

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    @property
    def has_totals(self) -> bool:
        """Whether any column has a total."""
        return any(column.rule for column in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name; it has to be there."""
        return next(column for column in self.columns if column.name == name)

    def rows(self) -> list[tuple[Cell, ...]]:
        """All rows, as plain values."""
        return list(zip(*(column.cells() for column in self.columns), strict=True))


@dataclass(frozen=True, slots=True)
class Report:
    """One answer: one table (summary has two), sentences about it, and how much of the fleet is in it."""

    view: str
    tables: tuple[Table, ...]
    """The first is the one that a one-table format writes."""
    notes: tuple[str, ...]
    """What a reader must know to read the totals right: which hosts a sum leaves out, and why."""
    coverage: Coverage
    run: Run
    findings: tuple[str, ...] = ()
    """What stands out in the table, a sentence each."""
    text: str | None = None
    """The finished text of a view that is text by nature (pmap); table and plain print it as it is."""
    brief: Report | None = None
    """The same answer as short as a person wants it on a terminal; None: it is short enough as it is."""
    beside: Mapping[str, Report] = field(default_factory=dict)
    """What a page shows beside it, by its names in report.page; of no other format's business."""
    listed_only: bool = False
    """It says who would be read: nobody's memory was."""

    @property
    def has_upper_bounds(self) -> bool:
        """Whether any total is an upper bound, which a reader has to be told."""
        return any(column.at_most for table in self.tables for column in table.columns)
