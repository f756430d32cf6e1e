"""Views of a fleet's memory, each a pure function Snapshot ─► Report.   snapshot ─► [report] ─► render, export

model      Report, Table, Column: the result of a view
grouping   keys and sums that several views use       shape      --sort, --top, --columns
notes      the sentences that go with the totals      failures   the hosts without a reply, folded
finding    what stands out, as data                   outliers   the rule by which a host stands apart
peers      a service on the hosts that run it         standing_out   what a run tells unasked
growth     growth since an earlier run, told by a run
charge     what the kernel charges to cgroups         leftover   the sentences on what no process maps
proportion shares of the hosts' memory                drift      builds that differ between hosts and processes
gates      the rules of --fail-if, judged on a Report
views/     a module for each view; page adds the reports that an html page shows beside the one asked for
VIEWS      the views by name: a new one is a module in views/ and a row in the catalogue
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from types import MappingProxyType

from fleetpmap import catalogue
from fleetpmap.catalogue import ViewOptions, merge_keys, sums_for
from fleetpmap.pmap_letters import Letters, PmapFormat
from fleetpmap.report.failures import FoldedFailure, folded
from fleetpmap.report.model import Cell, Column, Report, Table
from fleetpmap.report.notes import check_sentences, coverage_sentence
from fleetpmap.report.shape import Shape
from fleetpmap.report.views.compare import compare
from fleetpmap.report.views.diff import diff
from fleetpmap.report.views.hosts import hosts
from fleetpmap.report.views.kernel_fields import fields
from fleetpmap.report.views.mappings import mappings
from fleetpmap.report.views.merged import merged
from fleetpmap.report.views.page import page
from fleetpmap.report.views.pmap import pmap
from fleetpmap.report.views.processes import processes
from fleetpmap.report.views.ps import ps
from fleetpmap.report.views.services import services
from fleetpmap.report.views.stale import stale
from fleetpmap.report.views.summary import summary
from fleetpmap.smaps.fields import FIELDS
from fleetpmap.snapshot import HostFailure, HostSnapshot, Run, Snapshot

View = Callable[[Snapshot, ViewOptions], Report]


def _view(name: str) -> View:
    """Return `from_options` of the view's module, imported when it is called."""

    def view(snapshot: Snapshot, options: ViewOptions) -> Report:
        report: Report = import_module(f"fleetpmap.report.views.{name}").from_options(snapshot, options)
        return report

    return view


VIEWS: Mapping[str, View] = MappingProxyType({name: _view(name) for name in catalogue.VIEWS})
"""The values of --view to their functions, in the order of the help."""


def column_names(view: str, options: ViewOptions | None = None, hosts: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the columns that --columns and --sort take in a view or in `ps`, in order.

    Those of mappings include every known kernel field, those of compare the `hosts`. With `options`, only the columns
    that the options leave, which checks the options before any host is asked.

    Raises:
        UsageError: `options` name a column that the view does not have.
    """
    options = options or ViewOptions()
    unasked = _unasked(hosts)
    report = ps(unasked, Shape.of(options)) if view == "ps" else VIEWS[view](unasked, options)
    names = [column.name for column in report.tables[0].columns]
    if view == "mappings" and options.columns is None:
        names += [field.column for field in FIELDS if field.column not in names]
    return tuple(names)


def _unasked(hosts: Iterable[str]) -> Snapshot:
    failures = (HostFailure(host, "not-asked", "queue", "", "") for host in hosts)
    return Snapshot.assemble(map(HostSnapshot.failed, failures), Run(datetime.fromtimestamp(0, UTC), 0.0, ""))


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
    "compare",
    "coverage_sentence",
    "diff",
    "fields",
    "folded",
    "hosts",
    "mappings",
    "merge_keys",
    "merged",
    "page",
    "pmap",
    "processes",
    "ps",
    "services",
    "stale",
    "summary",
    "sums_for",
]
