"""The largest mappings, and the hosts.   snapshot ─► merged + hosts ─► [summary] ─► Report

In a file, a summary holds all mappings and all hosts asked. On a terminal it is brief: the MOST_MAPPINGS largest
mappings and one row for the rest; the hosts with matching processes, and of more than MOST_HOSTS the largest; hosts
without a match, and failed hosts, in a folded sentence each. The totals are always those of the whole. --top sets
another number of mappings (0: all); the views merged and hosts have every row.

Of every process (--all) the services come first, on a terminal the MOST_SERVICES largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fleetpmap.catalogue import ViewOptions, keys_of
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.charge import cgroups_table
from fleetpmap.report.model import Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.shape import AS_IT_IS, Shape, has_label, rows_of, shaped
from fleetpmap.report.views.hosts import hosts_table
from fleetpmap.report.views.merged import Merge
from fleetpmap.report.views.services import Services
from fleetpmap.snapshot import Snapshot

MOST_MAPPINGS = 20
"""Rows of mappings on a terminal, unless --top gives another number."""
MOST_SERVICES = 20
"""Rows of services on a terminal."""
MOST_HOSTS = 40
"""Rows of hosts on a terminal."""


def summary(
    snapshot: Snapshot,
    by: Sequence[str] = ("mapping",),
    shape: Shape = AS_IT_IS,
    *,
    with_services: bool = False,
    kept: tuple[tuple[tuple[str, str], ...], ...] = (),
) -> Report:
    """Return the tables of `merged`, in the given shape, and `hosts`; a format of one table writes the first.

    `with_services`: and the table of `services`, which is shown above the others. `kept`: rows that a terminal shows in
    any case, each as (column, text).

    Raises:
        UsageError: a key of `by` that merged does not have, or a column of `shape`.
    """
    merge = Merge(snapshot, by)
    services = Services(snapshot, keys_of("services", tuple(by))) if with_services else None
    mappings, hosts = merge.table(shape), hosts_table(snapshot)
    whole = Report(
        view="summary",
        tables=(mappings, hosts, *_first(services, Shape(top=shape.top))),
        notes=(*(services.notes() if services else ()), *notes_on(snapshot)),
        coverage=snapshot.coverage,
        run=snapshot.run,
        details=(cgroups_table(snapshot),) if services else (),
    )
    long = len(mappings) > MOST_MAPPINGS + 1  # one row more is as short as `(1 more)`
    if shape.top is None and long and has_label(mappings):
        mappings = merge.table(replace(shape, top=MOST_MAPPINGS, kept=kept))
    of_hosts = (_with_something(snapshot, hosts, kept),) if len(snapshot.hosts) > 1 else ()
    most = Shape(top=MOST_SERVICES, kept=kept) if shape.top is None else Shape(top=shape.top)
    tables = (mappings, *of_hosts, *_first(services, most))
    return replace(whole, brief=replace(whole, tables=tables, notes=(*_without_a_match(snapshot), *whole.notes)))


def _first(services: Services | None, shape: Shape) -> tuple[Table, ...]:
    """Return the table of services as one that is shown first, with the rows of the shape; with one more, all."""
    if services is None:
        return ()
    whole = services.table(AS_IT_IS)
    is_long = shape.top and len(whole) > shape.top + 1
    return (replace(services.table(shape) if is_long else whole, leads=True),)


def _with_something(snapshot: Snapshot, hosts: Table, kept: tuple[tuple[tuple[str, str], ...], ...]) -> Table:
    """Return the rows of hosts on which processes matched."""
    slots = [slot for slot, host in enumerate(snapshot.hosts) if host.status in ("ok", "partial")]
    some = rows_of(hosts, np.array(slots, dtype=np.intp))
    return shaped(some, Shape(top=MOST_HOSTS, kept=kept)) if len(some) > MOST_HOSTS + 1 else some


def _without_a_match(snapshot: Snapshot) -> list[str]:
    """Return a sentence that names the hosts without a match: a service may be down where it should run."""
    names = [host.name for host in snapshot.hosts if host.status == "no-match"]
    return [f"no process matched on {fold(names)}"] if names and len(names) < len(snapshot.hosts) else []


def from_options(snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return the report as the options of the command line describe it."""
    return summary(snapshot, options.by, Shape.of(options), with_services=options.services, kept=options.kept)
