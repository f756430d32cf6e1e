"""Questions about a fleet's memory, each a pure function Snapshot ─► Report.   snapshot ─► [report] ─► render, export

base      Report, Table, Column: what a view hands on
rows      what several views count by          shape     --sort, --top, --columns
notes     the sentences that go with the totals   failures  who did not answer, folded
VIEWS     the views by name: a new one is a module and a line here
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from fleetpmap.report.base import Cell, Column, Report, Table
from fleetpmap.report.failures import FoldedFailure, folded
from fleetpmap.report.fields import fields
from fleetpmap.report.hosts import hosts
from fleetpmap.report.mappings import mappings
from fleetpmap.report.merged import merge_keys, merged
from fleetpmap.report.notes import check_sentences, coverage_sentence
from fleetpmap.report.pmap import Letters, PmapFormat, pmap
from fleetpmap.report.processes import processes
from fleetpmap.report.ps import ps
from fleetpmap.report.shape import Shape
from fleetpmap.report.summary import summary
from fleetpmap.smaps.fields import FIELDS
from fleetpmap.snapshot import Run, Snapshot


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What the command line says to the views; each takes what is meant for it."""

    by: tuple[str, ...] = ("mapping",)
    """summary, merged: the keys of a row."""
    letters: Letters = field(default_factory=Letters)
    """pmap: its own options."""
    sort: str | None = None
    """All but pmap, as the two below; summary: its mappings. The column to sort by (see Shape)."""
    top: int | None = None
    """Rows to keep; the others become `(N more)`. None and 0: all, but for what a terminal shows of summary."""
    columns: tuple[str, ...] | None = None
    """Columns to show, in order."""

    @property
    def shape(self) -> Shape:
        """Which rows and columns."""
        return Shape(self.sort, self.top, self.columns)


View = Callable[[Snapshot, ViewOptions], Report]

VIEWS: Mapping[str, View] = MappingProxyType(
    {
        "summary": lambda snapshot, options: summary(snapshot, options.by, options.shape),
        "merged": lambda snapshot, options: merged(snapshot, options.by, options.shape),
        "hosts": lambda snapshot, options: hosts(snapshot, options.shape),
        "processes": lambda snapshot, options: processes(snapshot, options.shape),
        "mappings": lambda snapshot, options: mappings(snapshot, options.shape),
        "pmap": lambda snapshot, options: pmap(snapshot, options.letters),
    }
)
"""What --view may name, in the order of the help."""


def column_names(view: str, options: ViewOptions | None = None) -> tuple[str, ...]:
    """What --columns and --sort may name in a view (or in `ps`), in order; of mappings, every kernel field we know.

    With `options`, the columns that these leave: the check of them, before anybody is asked.

    Raises:
        UsageError: `options` name a column that the view does not have.
    """
    options = options or ViewOptions()
    report = ps(_NOBODY, options.shape) if view == "ps" else VIEWS[view](_NOBODY, options)
    names = [column.name for column in report.tables[0].columns]
    if view == "mappings" and options.columns is None:
        names += [field.column for field in FIELDS if field.column not in names]
    return tuple(names)


_NOBODY = Snapshot.assemble((), Run(datetime.fromtimestamp(0, UTC), 0.0, ""))

__all__ = [
    "VIEWS",
    "Cell",
    "Column",
    "FoldedFailure",
    "Letters",
    "PmapFormat",
    "Report",
    "Shape",
    "Table",
    "View",
    "ViewOptions",
    "check_sentences",
    "column_names",
    "coverage_sentence",
    "fields",
    "folded",
    "hosts",
    "mappings",
    "merge_keys",
    "merged",
    "pmap",
    "processes",
    "ps",
    "summary",
]
