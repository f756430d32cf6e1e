"""The smallest parts that an html page adds up.   snapshot ─► [leaves] ─► views.page ─► export.as_html

A leaf is what one process holds under one name and kind of mapping. A page adds leaves up for the host, service or
mapping that its reader picks, so one table of them serves the tables, the treemap and the bars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleetpmap.report.grouping import coded, share_metric, sums_by
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.smaps import Coded
from fleetpmap.snapshot import Snapshot, service_of
from fleetpmap.table import IntArray, sums

MOST_LEAVES = 250_000
"""Leaves of a page; beyond them the smaller ones of each process share one, so that its sum stays whole."""
FEWEST_OF_A_PROCESS = 4
"""Leaves that a process has at least; a fleet without room for them has none."""
SMALLER = "(smaller ones)"
"""Name of the leaf that smaller ones share,"""
OTHER = "other"
"""and its kind."""


def leaves(snapshot: Snapshot, most: int = MOST_LEAVES) -> Report:
    """Return two tables: the processes that have leaves, and the leaves, by process and largest first.

    The column `process` of the leaves has indices of rows of the first table.
    """
    found = _cut(_leaves(snapshot), most)
    used, process = np.unique(found.process, return_inverse=True)
    members = [snapshot.processes[number] for number in used.tolist()]
    processes = (
        Column("host", "text", coded(one.host for one in members)),
        Column("service", "text", coded(service_of(one) for one in members)),
        Column("pid", "number", np.array([one.pid for one in members], dtype=np.int64)),
        Column("name", "text", coded(one.name for one in members)),
    )
    parts = (
        Column("process", "number", process.astype(np.int64)),
        Column("mapping", "text", found.mapping),
        Column("kind", "text", found.kind),
        *(Column(name, "KiB", values) for name, values in found.sizes.items()),
    )
    tables = (Table("processes", processes), Table("leaves", parts, share=found.share))
    return Report("leaves", tables, (), snapshot.coverage, snapshot.run)


@dataclass(frozen=True, slots=True)
class _Leaves:
    """Arrays with one slot for each leaf, by process and largest first."""

    process: IntArray
    """Index of the process in the snapshot."""
    mapping: Coded
    kind: Coded
    sizes: Mapping[str, IntArray]
    share: str
    """The size by which leaves are compared."""


def _leaves(snapshot: Snapshot) -> _Leaves:
    table = snapshot.table
    first, group = _grouped(table.process.astype(np.int64), table.mapping, table.kind)
    return _in_order(
        _Leaves(
            table.process[first].astype(np.int64),
            Coded(table.mapping.codes[first], table.mapping.names),
            Coded(table.kind.codes[first], table.kind.names),
            sums_by(table, group, len(first)),
            share_metric(snapshot),
        )
    )


def _grouped(process: IntArray, mapping: Coded, kind: Coded) -> tuple[IntArray, IntArray]:
    """Return the first row of each combination, and the combination of each row."""
    key = process * (len(mapping.names) + 1) + mapping.codes + 1
    key = key * (len(kind.names) + 1) + kind.codes + 1
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    return first, group


def _in_order(found: _Leaves) -> _Leaves:
    sizes = (-found.sizes["rss_kib"], -found.sizes[found.share])
    return _taken(found, np.lexsort((_rank(found.kind), _rank(found.mapping), *sizes, found.process)))


def _rank(texts: Coded) -> NDArray[np.intp]:
    """Return the place of each row's text among all texts in order: codes differ from one snapshot to its copy."""
    places = np.argsort(np.argsort(np.array([*texts.names, ""], dtype=np.object_)))
    ranks: NDArray[np.intp] = places[texts.codes]
    return ranks


def _cut(found: _Leaves, most: int) -> _Leaves:
    """Return at most so many leaves, the smaller ones of each process put together; none if there is no room."""
    if len(found.process) <= most:
        return found
    _, start, counts = np.unique(found.process, return_index=True, return_counts=True)
    each = most // len(counts)
    if each < FEWEST_OF_A_PROCESS:
        return _taken(found, np.zeros(0, dtype=np.intp))
    rank = np.arange(len(found.process)) - np.repeat(start, counts)
    small = rank >= each - 1
    names, kinds = (*found.mapping.names, SMALLER), (*found.kind.names, OTHER)
    mapping = Coded(np.where(small, len(names) - 1, found.mapping.codes).astype(np.int32), names)
    kind = Coded(np.where(small, len(kinds) - 1, found.kind.codes).astype(np.int32), kinds)
    first, group = _grouped(found.process, mapping, kind)
    return _in_order(
        _Leaves(
            found.process[first],
            Coded(mapping.codes[first], names),
            Coded(kind.codes[first], kinds),
            {name: sums(values, group, len(first)) for name, values in found.sizes.items()},
            found.share,
        )
    )


def _taken(found: _Leaves, rows: NDArray[np.intp]) -> _Leaves:
    return _Leaves(
        found.process[rows],
        Coded(found.mapping.codes[rows], found.mapping.names),
        Coded(found.kind.codes[rows], found.kind.names),
        {name: values[rows] for name, values in found.sizes.items()},
        found.share,
    )
