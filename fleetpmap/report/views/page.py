"""The reports of an html page: the one asked for, and others.   snapshot ─► the views ─► [page] ─► export.as_html

A page is read without access to the fleet, so it holds the whole answer: mappings, hosts, outliers and the processes to
restart, and the leaves, of which the page makes the sums for the part that its reader picks. Of a table that no browser
could hold it has the largest rows, and `(N more)` for the rest, as with --top.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

from fleetpmap.catalogue import ViewOptions, keys_of
from fleetpmap.report.grouping import mapped
from fleetpmap.report.leaves import leaves
from fleetpmap.report.model import Report
from fleetpmap.report.notes import notes_on
from fleetpmap.report.shape import AS_IT_IS, Shape, has_label
from fleetpmap.report.standing_out import standing_out, with_findings
from fleetpmap.report.views.compare import compare
from fleetpmap.report.views.hosts import hosts
from fleetpmap.report.views.merged import merged
from fleetpmap.report.views.processes import processes
from fleetpmap.report.views.services import nearest_limits, services
from fleetpmap.report.views.stale import stale
from fleetpmap.snapshot import Snapshot

MOST_ROWS = 50_000
"""Rows of a table, unless --top gives another number (0: all)."""
MOST_LIMITS = 20
"""Limits with a bar, those that are nearest to being reached."""
MOST_COMPARED = 500
"""Rows of compare: fewer, since it has a column for each host,"""
_MOST_CELLS, _FEWEST_COMPARED = 500_000, 20
"""and not more than have so many cells; but so many in any case."""


def page(
    view: Callable[[Snapshot, ViewOptions], Report],
    snapshot: Snapshot,
    options: ViewOptions,
    judged: Callable[[Report], Report] | None = None,
    most: int = MOST_ROWS,
) -> Report:
    """Return the report of a view, shaped by the options, with the further reports that every page shows.

    `judged`: adds the findings to the report; None: those of the snapshot alone. `most`: rows of a table.

    Raises:
        UsageError: a column that the view does not have.
    """
    if judged is None:
        judged = partial(with_findings, findings=partial(standing_out, snapshot, options.peers))
    report = judged(view(snapshot, options))
    if options.top is None and len(report.tables[0]) > most and has_label(report.tables[0]):
        report = replace(view(snapshot, replace(options, top=most)), findings=report.findings, notes=report.notes)
    return replace(report, beside=_parts(snapshot, options, most))


def _parts(snapshot: Snapshot, options: ViewOptions, most: int) -> Mapping[str, Report]:
    """Return the further reports: merged by kind and mapping, merged by host and kind, and the views of these names.

    What the services say of the memory outside of them is left out unless every process was asked for.
    """
    by_service = keys_of("services", options.by)
    said = frozenset(notes_on(mapped(snapshot)))  # merged and hosts say the same of all processes
    compared = partial(
        compare,
        snapshot,
        options.metric,
        per_process=options.per_process,
        baseline=options.baseline,
        peers=options.peers,
    )
    old_files = partial(stale, snapshot, all_deleted=options.all_deleted, file=options.file)
    of_services = _of_most(most, lambda shape: services(snapshot, by_service, shape))
    compared_rows = min(MOST_COMPARED, max(_FEWEST_COMPARED, _MOST_CELLS // max(len(snapshot.hosts), 1)))
    return {
        "services": of_services if options.services else replace(of_services, notes=()),
        "kinds": merged(snapshot, ("kind", "mapping")),
        "kinds_of_hosts": merged(snapshot, ("host", "kind")),
        "leaves": leaves(snapshot),
        "limits": nearest_limits(snapshot, MOST_LIMITS),
        "merged": _of_most(most, lambda shape: merged(snapshot, options.by, shape)),
        "hosts": _of_most(most, lambda shape: hosts(snapshot, shape)),
        "compare": _without(said, _of_most(compared_rows, lambda shape: compared(shape=shape))),
        "processes": _of_most(most, lambda shape: processes(snapshot, shape)),
        "stale": _without(said, _of_most(most, lambda shape: old_files(shape=shape))),
    }


def _without(notes: Collection[str], report: Report) -> Report:
    return replace(report, notes=tuple(note for note in report.notes if note not in notes))


def _of_most(rows: int, view: Callable[[Shape], Report]) -> Report:
    report = view(AS_IT_IS)
    return report if len(report.tables[0]) <= rows else view(Shape(top=rows))
