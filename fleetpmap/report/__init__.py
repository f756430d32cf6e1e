"""Questions about a fleet's memory, each a pure function Snapshot ─► Report.   snapshot ─► [report] ─► render, export

base      Report, Table, Column: what a view hands on
rows      what several views count by        notes    the sentences that go with the totals
VIEWS     the views by name: a new one is a module and a line here
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fleetpmap.report.base import Cell, Column, Report, Table
from fleetpmap.report.hosts import hosts
from fleetpmap.report.mappings import mappings
from fleetpmap.report.merged import merge_keys, merged
from fleetpmap.report.notes import coverage_sentence
from fleetpmap.report.pmap import pmap
from fleetpmap.report.processes import processes
from fleetpmap.report.ps import ps
from fleetpmap.report.summary import summary
from fleetpmap.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What the command line says to the views; each takes what is meant for it."""

    by: tuple[str, ...] = ("mapping",)
    """summary, merged: the keys of a row."""
    extended: bool = False
    """pmap: as pmap -x."""


View = Callable[[Snapshot, ViewOptions], Report]

VIEWS: Mapping[str, View] = MappingProxyType(
    {
        "summary": lambda snapshot, options: summary(snapshot, options.by),
        "merged": lambda snapshot, options: merged(snapshot, options.by),
        "hosts": lambda snapshot, _: hosts(snapshot),
        "processes": lambda snapshot, _: processes(snapshot),
        "mappings": lambda snapshot, _: mappings(snapshot),
        "pmap": lambda snapshot, options: pmap(snapshot, options.extended),
    }
)
"""What --view may name, in the order of the help."""

__all__ = [
    "VIEWS",
    "Cell",
    "Column",
    "Report",
    "Table",
    "View",
    "ViewOptions",
    "coverage_sentence",
    "hosts",
    "mappings",
    "merge_keys",
    "merged",
    "pmap",
    "processes",
    "ps",
    "summary",
]
