"""Services: units, containers or programs, each over all its hosts.   snapshot ─► [services] ─► Report

A row has the memory of a service's processes, what the kernel charges to their cgroups, and how near that is to a limit
and to the memory of the hosts. The concepts page services.md has the rules in words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpmap.catalogue import ViewOptions, keys_of, listed
from fleetpmap.evidence import proper_paths, replaced, stale_code
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.charge import Cgroups, Charge, Place, cgroups_table
from fleetpmap.report.drift import differing_builds, differing_versions
from fleetpmap.report.grouping import (
    HUGETLB,
    coded,
    rule_over,
    share_metric,
    size_columns,
    sums_by,
    time_text,
)
from fleetpmap.report.leftover import leftover_sentences
from fleetpmap.report.model import Cell, Column, Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.proportion import held_by, percent, ram_of
from fleetpmap.report.shape import AS_IT_IS, Rows, Shape, shaped
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import INCOMPLETE, Snapshot
from fleetpmap.table import IntArray, MappingTable, distinct, is_rollup, summed

_WITH_MEMORY = INCOMPLETE | {"read"}
"""Statuses of the processes that are in a row; the others have no memory."""


def services(snapshot: Snapshot, by: Sequence[str] = ("service",), shape: Shape = AS_IT_IS) -> Report:
    """Return a row for each service, or with the keys host and service for each on each host; the largest PSS first.

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    found = Services(snapshot, by)
    return Report(
        view="services",
        tables=(found.table(shape),),
        notes=(*found.notes(), *notes_on(snapshot)),
        coverage=snapshot.coverage,
        run=snapshot.run,
        details=(cgroups_table(snapshot),),
    )


def nearest_limits(snapshot: Snapshot, most: int) -> Report:
    """Return the services on hosts that are nearest to their limits, so many of them, without notes."""
    table = Services(snapshot, ("host", "service")).table(Shape(sort="limit_share", top=most))
    return Report(view="limits", tables=(table,), notes=(), coverage=snapshot.coverage, run=snapshot.run)


class Services:
    """A snapshot's processes, grouped once; several tables can be made of them."""

    def __init__(self, snapshot: Snapshot, by: Sequence[str]) -> None:
        self._snapshot = snapshot
        self._processes = snapshot.processes
        self._has_hosts = "host" in by
        keys: dict[tuple[str, ...], int] = {}
        self._group = np.full(len(self._processes), -1, dtype=np.int64)
        """The group of each process; -1 of a process without memory."""
        with_rows = {*distinct(snapshot.table.process).tolist()}
        for slot, process in enumerate(self._processes):
            if process.status in _WITH_MEMORY or slot in with_rows:
                key = (process.host, process.service) if self._has_hosts else (process.service,)
                self._group[slot] = keys.setdefault(key, len(keys))
        self._host = snapshot.host_of_processes
        self._code = _by_code(snapshot.table)
        self._cgroups = Cgroups(snapshot)
        self._places = [self._cgroups.place_of(process) for process in self._processes]
        self._sizes = sums_by(snapshot.table, self._group[snapshot.table.process], len(keys))
        """The sizes of each group."""
        names = list(keys)
        self._order = self._ordered(names)
        self._members: list[list[int]] = [[] for _ in keys]
        """The processes of each row."""
        row = np.argsort(self._order)
        for slot in np.flatnonzero(self._group >= 0).tolist():
            self._members[row[self._group[slot]]].append(slot)
        self._whole = self._table([names[group] for group in self._order.tolist()])

    def table(self, shape: Shape) -> Table:
        """Return the services as rows; `(N more)` counts hosts and cgroups that several of its services share once.

        Raises:
            UsageError: a column that the table does not have.
        """
        return shaped(self._whole, shape, self._counted)

    def notes(self) -> tuple[str, ...]:
        """Return sentences on memory outside of the processes, and on hosts that the charges leave out."""
        return (*leftover_sentences(self._snapshot, self._code, self._cgroups), *self._without_charge())

    def _ordered(self, keys: Sequence[tuple[str, ...]]) -> NDArray[np.intp]:
        """Return the groups in the order of the rows: by PSS and huge pages, then by RSS, then by name."""
        pss, huge, rss = self._sizes["pss_kib"], self._sizes[HUGETLB], self._sizes["rss_kib"].tolist()
        held = np.where(huge > 0, np.maximum(pss, 0) + huge, pss).tolist()  # NULL (-1) comes last
        order = sorted(range(len(keys)), key=lambda group: (-held[group], -rss[group], keys[group]))
        return np.array(order, dtype=np.intp)

    def _table(self, keys: Sequence[tuple[str, ...]]) -> Table:
        order, count = self._order, len(keys)
        sizes = {name: values[order] for name, values in self._sizes.items()}
        charges = [self._charge(members) for members in self._members]
        held = held_by(self._snapshot, self._group, count)[order].tolist()
        started = [self._started(members) for members in self._members]
        shares: list[Cell] = [
            percent(None if kib == NULL else kib, ram_of(self._snapshot, self._hosts(members)))
            for kib, members in zip(held, self._members, strict=True)
        ]
        everything = self._counts(np.arange(count))
        total = self._charge(np.flatnonzero(self._group >= 0).tolist())
        distinct_counts = {
            "hosts": [len(self._hosts(members)) for members in self._members],
            "processes": [len(members) for members in self._members],
        }
        return Table(
            "services",
            (
                *([Column("host", "text", coded(key[0] for key in keys))] if self._has_hosts else []),
                Column("service", "text", coded(key[-1] or None for key in keys)),
                *(
                    Column(name, "count", np.array(values, dtype=np.int64), "distinct", everything[name])
                    for name, values in distinct_counts.items()
                ),
                *size_columns(self._snapshot, sizes),
                Column("pss_per_process_kib", "KiB", self._per_process(sizes["pss_kib"])),
                *_charge_columns(charges, total, len({*filter(None, self._places)})),
                Column("ram_share", "percent", shares),
                Column("oom_kills", "count", [charge.oom_kills for charge in charges], "distinct", total.oom_kills),
                Column("started", "text", [time_text(min(times, default=None)) for times in started]),
                Column("newest", "text", [time_text(max(times, default=None)) for times in started]),
                Column("drift", "text", self._drift(count)),
            ),
            share=share_metric(self._snapshot),
            zeros=frozenset({"columns"}),
            measure=(share_metric(self._snapshot), HUGETLB),
        )

    def _per_process(self, pss: IntArray) -> IntArray:
        """Return the PSS of each row divided by its processes that were read."""
        read = [sum(self._processes[slot].status == "read" for slot in members) for members in self._members]
        return np.where(pss == NULL, NULL, pss // np.maximum(read, 1))

    def _hosts(self, members: Iterable[int]) -> set[int]:
        return set(self._host[list(members)].tolist())

    def _started(self, members: Iterable[int]) -> list[float]:
        return [started for slot in members if (started := self._processes[slot].started) is not None]

    def _charge(self, members: Sequence[int]) -> Charge:
        places = dict.fromkeys(place for slot in members if (place := self._places[slot]))
        return self._cgroups.charge(places, whole=all(self._places[slot] for slot in members))

    def _counted(self, rows: Rows) -> dict[str, int | None]:
        """Count anew what several rows may share."""
        charge = self._charge([slot for row in rows.tolist() for slot in self._members[row]])
        return {
            **self._counts(rows),
            "cgroup_current_kib": charge.current_kib,
            "cgroup_peak_kib": charge.peak_kib,
            "oom_kills": charge.oom_kills,
        }

    def _counts(self, rows: Rows) -> dict[str, int]:
        members = [slot for row in rows.tolist() for slot in self._members[row]]
        return {"hosts": len(self._hosts(members)), "processes": len(members)}

    def _drift(self, groups: int) -> list[Cell]:
        """Return the marks of each row: versions, builds, replaced; empty without drift, None where unknown."""
        table, group = self._code, self._group
        gone = replaced(table)
        stale = table.process[stale_code(table, proper_paths(table), gone)]
        is_replaced = np.zeros(groups, dtype=np.bool_)
        is_replaced[group[stale]] = True
        marks = {
            "versions": differing_versions(table, self._host, group, groups),
            "builds": differing_builds(table, group, groups),
            "replaced": is_replaced,
        }
        code = distinct(table.process[~is_rollup(table.path) & (table.mappings > 0)])
        known = np.zeros(groups, dtype=np.bool_)
        known[group[code]] = True
        return [
            ",".join(mark for mark, flags in marks.items() if flags[row]) if known[row] else None
            for row in self._order.tolist()
        ]

    def _without_charge(self) -> list[str]:
        """Return a sentence for each set of hosts that the sums over cgroups leave out."""
        figures: dict[str, Callable[[Place], int | None]] = {
            "cgroup_current_kib": lambda place: self._cgroups[place].current_kib,
            "cgroup_peak_kib": lambda place: self._cgroups[place].peak_kib,
            "oom_kills": lambda place: self._cgroups[place].oom_kills,
        }
        lacking: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for name, figure in figures.items():
            known: set[str] = set()
            without: set[str] = set()
            for slot in np.flatnonzero(self._group >= 0).tolist():
                place, host = self._places[slot], self._processes[slot].host
                (known if place and figure(place) is not None else without).add(host)
            if known and without:
                lacking[tuple(host.name for host in self._snapshot.hosts if host.name in without)].append(name)
        return [
            f"{listed(names)} {'leaves' if len(names) == 1 else 'leave'} out processes on {fold(hosts)}: "
            "their cgroups do not tell"
            for hosts, names in lacking.items()
        ]


def _charge_columns(charges: Sequence[Charge], total: Charge, cgroups: int) -> tuple[Column, ...]:
    """Return the columns of the charge and of its limit; `cgroups`: the number of all cgroups."""
    current, peak = ([getattr(charge, name) for charge in charges] for name in ("current_kib", "peak_kib"))
    return (
        Column("cgroup_current_kib", "KiB", current, "distinct", total.current_kib),
        Column("cgroup_peak_kib", "KiB", peak, rule_over(cgroups, "upper bound"), total.peak_kib),
        Column("limit_kib", "KiB", [charge.limit_kib for charge in charges]),
        Column("limit_share", "percent", [charge.limit_share for charge in charges]),
    )


def _by_code(table: MappingTable) -> MappingTable:
    """Return the table summed by path and permissions, as a run over services alone reads it."""
    # A table that was summed begins at address 0 everywhere. Of one, summing again changes nothing but the time.
    is_summed = len(table) == 0 or not table.start.any()
    return table if is_summed else summed(table, ("path", "perms"))


def from_options(snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return the report as the options of the command line describe it."""
    return services(snapshot, keys_of("services", options.by), Shape.of(options))
