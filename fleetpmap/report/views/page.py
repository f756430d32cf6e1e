"""What a page shows: the report asked for, and others beside it.   snapshot ─► the views ─► [page] ─► export.as_html

A page is read without the fleet at hand, so it holds the whole answer: what there is, where, who stands apart and who
must restart. It is for eyes: of long tables it holds the largest rows, and `(N more)` for the rest, as with --top.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from fleetpmap.catalogue import ViewOptions
from fleetpmap.report.model import Report
from fleetpmap.report.shape import AS_IT_IS, Shape, has_label
from fleetpmap.report.views.compare import compare
from fleetpmap.report.views.hosts import hosts
from fleetpmap.report.views.merged import merged
from fleetpmap.report.views.processes import processes
from fleetpmap.report.views.stale import stale
from fleetpmap.snapshot import Snapshot

MOST_ROWS = 1_000
"""Of a table, unless --top says otherwise (0: all)."""
MOST_COMPARED = 500
"""Rows of compare, which has a column for each host."""


def page(view: Callable[[Snapshot, ViewOptions], Report], snapshot: Snapshot, options: ViewOptions) -> Report:
    """The report of a view as the options shape it, with what every page has beside it.

    Raises:
        UsageError: a column that the view does not have.
    """
    report = view(snapshot, options)
    if options.top is None and len(report.tables[0]) > MOST_ROWS and has_label(report.tables[0]):
        report = view(snapshot, replace(options, top=MOST_ROWS))
    return replace(report, beside=_parts(snapshot, options))


def _parts(snapshot: Snapshot, options: ViewOptions) -> Mapping[str, Report]:
    """Merged by kind and mapping, and by host and kind; and the views of these names."""
    compared = partial(compare, snapshot, options.metric, per_process=options.per_process, baseline=options.baseline)
    return {
        "kinds": merged(snapshot, ("kind", "mapping")),
        "kinds_of_hosts": merged(snapshot, ("host", "kind")),
        "merged": _of_most(MOST_ROWS, lambda shape: merged(snapshot, options.by, shape)),
        "hosts": _of_most(MOST_ROWS, lambda shape: hosts(snapshot, shape)),
        "compare": _of_most(MOST_COMPARED, lambda shape: compared(shape=shape)),
        "processes": _of_most(MOST_ROWS, lambda shape: processes(snapshot, shape)),
        "stale": _of_most(MOST_ROWS, lambda shape: stale(snapshot, all_deleted=options.all_deleted, shape=shape)),
    }


def _of_most(rows: int, view: Callable[[Shape], Report]) -> Report:
    report = view(AS_IT_IS)
    return report if len(report.tables[0]) <= rows else view(Shape(top=rows))
