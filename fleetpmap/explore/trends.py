"""The sizes of the last rounds, drawn as signs on the scale of what counts as a change.   rounds ─► [trends] ─► shown

A cell is what one process has in the mappings of one name. Its size moves only when `diff` would say that it changed
(report.views.diff.noise): by more than the floor, and with the process's own memory. Until then it has the size that
it had before, so that noise is a flat line, also in the sum of many processes. A row is the sum of the cells that it
is about, and a sign is more than the floor above the one below it.

The cells of a host that was away, and of a process that could not be read, have the size that they had before. A row
of which nothing was read in a round has a gap there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fleetpmap.explore.narrowing import is_named
from fleetpmap.explore.places import KEYS_OF, LISTS, Place
from fleetpmap.report.grouping import mapped, share_metric
from fleetpmap.report.model import Cell, Column, Table
from fleetpmap.report.views.diff.noise import FLOOR_KIB, WITNESSES, Sides, have_changed
from fleetpmap.smaps import NULL, Coded
from fleetpmap.snapshot import ANSWERED, INCOMPLETE, Process, Snapshot, service_of
from fleetpmap.table import METRICS, IntArray, sums

TREND = "trend"
KEPT = 16
"""Rounds in a trend at most: a sign each."""
_SIGNS, _ASCII_SIGNS = "▁▂▃▄▅▆▇█·", "_,-~=+*#."
"""From the lowest to the highest; the last is a gap."""
_LEVELS = len(_SIGNS) - 1
_BITS = 32
"""A cell's number is that of its process, shifted by so many bits, and that of its mapping."""

Matrix = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Trends:
    """The last rounds: a row of the matrices is a cell, a column is a round."""

    metric: str = ""
    """The size: PSS, or RSS where a kernel has no PSS."""
    processes: tuple[Process, ...] = ()
    mappings: tuple[str, ...] = ()
    cells: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    """The numbers of the cells, ascending."""
    held: Mapping[str, IntArray] = field(default_factory=dict)
    """What each cell had when it changed last, in KiB: the metric and its witnesses; empty before the first round."""
    sizes: Matrix = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """What each cell held in each round, of the metric; NULL where it was not there."""
    read: Flags = field(default_factory=lambda: np.zeros((0, 0), np.bool_))
    """True where the cell was read in the round."""
    answered: tuple[frozenset[str], ...] = ()
    """The hosts that answered in each round."""

    def after(self, snapshot: Snapshot) -> Trends:
        """Return the trends with one more round."""
        unread = self.metric and not len(mapped(snapshot).table)  # then only RSS is known, by status
        metric = self.metric if unread else share_metric(snapshot)
        if metric != self.metric and self.metric:
            return Trends().after(snapshot)  # sizes of two kinds are no course
        processes, mappings = _numbered(self, snapshot)
        numbers, sizes = _cells(snapshot, metric, processes, mappings)
        known = self._spread_over(np.union1d(self.cells, numbers), (*sizes,))
        here = np.searchsorted(known.cells, numbers)
        now = {name: _spread(values, here, len(known.cells)) for name, values in sizes.items()}
        is_read = now[metric] != NULL
        was_there = known.sizes[:, -1] != NULL if self.answered else np.zeros_like(is_read)
        changed = have_changed(metric, {name: Sides(known.held[name], now[name]) for name in now})
        moves = is_read & (changed | ~was_there)
        held = {name: np.where(moves, now[name], known.held[name]) for name in now}
        answered = frozenset(host.name for host in snapshot.hosts if host.status in ANSWERED)
        away = _away([*processes.values()], snapshot, answered)[known.cells >> _BITS]
        return replace(
            known,
            metric=metric,
            processes=tuple(processes.values()),
            mappings=tuple(mappings),
            held=held,
            sizes=np.column_stack([known.sizes, np.where(is_read | (away & was_there), held[metric], NULL)]),
            read=np.column_stack([known.read, is_read]),
            answered=(*self.answered, answered),
        )._last_rounds()

    def _spread_over(self, cells: IntArray, names: Sequence[str]) -> Trends:
        """Return the same rounds for more cells; these sizes of a new cell are NULL."""
        at = np.searchsorted(cells, self.cells)
        read = np.zeros((len(cells), len(self.answered)), np.bool_)
        read[at] = self.read
        held = {name: _spread(self.held.get(name, self.cells), at, len(cells)) for name in names}
        return replace(self, cells=cells, held=held, sizes=_spread(self.sizes, at, len(cells)), read=read)

    def _last_rounds(self) -> Trends:
        """Return the trends without older rounds, and without what was not there since."""
        sizes = self.sizes[:, -KEPT:]
        there = (sizes != NULL).any(axis=1)
        process, mapping = np.divmod(self.cells[there], 1 << _BITS)
        processes, process = np.unique(process, return_inverse=True)
        mappings, mapping = np.unique(mapping, return_inverse=True)
        return replace(
            self,
            processes=tuple(self.processes[number] for number in processes.tolist()),
            mappings=tuple(self.mappings[number] for number in mappings.tolist()),
            cells=(process << _BITS) | mapping,
            held={name: held[there] for name, held in self.held.items()},
            sizes=sizes[there],
            read=self.read[there, -KEPT:],
            answered=self.answered[-KEPT:],
        )

    def column(self, table: Table, place: Place, *, ascii_only: bool = False) -> Column | None:
        """Return the trend of each row of the table of a place; None for a list without trends."""
        if place.level not in LISTS:
            return None
        keys = [*zip(*(table.column(name).cells() for name in KEYS_OF[place.level]), strict=True)]
        return self.drawn(keys, place, ascii_only=ascii_only)

    def drawn(self, keys: Sequence[tuple[Cell, ...]], place: Place, *, ascii_only: bool) -> Column:
        """Return the trend of each row of a list, the rows given by their KEYS_OF."""
        sizes, read = self.of_rows(keys, place)
        return Column(TREND, "text", _drawn(sizes, read, _ASCII_SIGNS if ascii_only else _SIGNS))

    def of_rows(self, keys: Sequence[tuple[Cell, ...]], place: Place) -> tuple[Matrix, Flags]:
        """Return the size of each row in each round, and if something of it was read there."""
        rows = {key: row for row, key in enumerate(keys)}
        process, mapping = np.divmod(self.cells, 1 << _BITS)
        if place.level == "mappings":
            row = np.array([rows.get((name,), -1) for name in self.mappings], np.int64)[mapping]
        else:
            row = np.array([rows.get(_key(one, place), -1) for one in self.processes], np.int64)[process]
        inside = np.array([_is_inside(one, place) for one in self.processes], np.bool_)
        row[~inside[process]] = -1
        if place.mapping is not None:
            row[~is_named(Coded(mapping.astype(np.int32), self.mappings), place.mapping)] = -1
        sizes = _added(np.where(self.sizes == NULL, 0, self.sizes), row, len(keys))
        read = _added(self.read.astype(np.int64), row, len(keys)) > 0
        if place.level == "hosts" and (place.service, place.pid, place.mapping) == (None, None, None):
            read |= np.array([[key[0] in hosts for hosts in self.answered] for key in keys], np.bool_).reshape(
                read.shape
            )
        return sizes, read


def _numbered(trends: Trends, snapshot: Snapshot) -> tuple[dict[object, Process], dict[str, int]]:
    """Return the processes of both, by what tells them apart, and the mappings of both with their numbers."""
    processes = {_identity(process): process for process in (*trends.processes, *snapshot.processes)}
    mappings = dict.fromkeys((*trends.mappings, *snapshot.table.mapping.names))
    return processes, {name: number for number, name in enumerate(mappings)}


def _cells(
    snapshot: Snapshot, metric: str, processes: Mapping[object, Process], mappings: Mapping[str, int]
) -> tuple[IntArray, dict[str, IntArray]]:
    """Return the numbers of the snapshot's cells, ascending, and their sizes: the metric, which is known, and more."""
    table = snapshot.table
    number = {identity: slot for slot, identity in enumerate(processes)}
    process = np.array([number[_identity(one)] for one in snapshot.processes], np.int64)
    mapping = np.array([mappings[name] for name in table.mapping.names], np.int64)
    numbers, group = np.unique((process[table.process] << _BITS) | mapping[table.mapping.codes], return_inverse=True)
    unknown = np.full(len(table), NULL, np.int64)
    sizes = {}
    for name in dict.fromkeys((metric, *WITNESSES)):
        values = table.metrics[name] if name in METRICS else table.fields.get(name, unknown)
        sizes[name] = sums(values, group, len(numbers))
    known = sizes[metric] != NULL
    return numbers[known], {name: size[known] for name, size in sizes.items()}


def _identity(process: Process) -> object:
    return (process.host, process.pid, process.start_ticks)


def _key(process: Process, place: Place) -> tuple[Cell, ...]:
    """Return the key of a process's row in a list of services, hosts or processes."""
    if place.level == "services":
        return (service_of(process),)
    return (process.host,) if place.level == "hosts" else (process.host, process.pid)


def _is_inside(process: Process, place: Place) -> bool:
    """Return True if the process is in the part that was entered."""
    return (
        place.service in (None, service_of(process))
        and (place.hosts is None or process.host in place.hosts)
        and place.pid in (None, process.pid)
    )


def _away(processes: Sequence[Process], snapshot: Snapshot, answered: frozenset[str]) -> Flags:
    """Return for each process if nothing of it is known now: its host did not answer, or it could not be read."""
    hosts = {host.name for host in snapshot.hosts} - answered
    unread = {_identity(process) for process in snapshot.processes if process.status in INCOMPLETE}
    return np.array([one.host in hosts or _identity(one) in unread for one in processes], np.bool_)


def _spread(values: NDArray[np.int64], at: NDArray[np.intp], length: int) -> NDArray[np.int64]:
    """Return an array of so many rows, these at `at`, and NULL in all others."""
    spread = np.full((length, *values.shape[1:]), NULL, np.int64)
    spread[at] = values
    return spread


def _added(values: Matrix, row: NDArray[np.int64], rows: int) -> Matrix:
    """Add up the lines of a matrix by their row; -1 is none."""
    added = np.zeros((rows, values.shape[1]), np.int64)
    order = np.argsort(row, kind="stable")
    order = order[row[order] >= 0]
    found, first = np.unique(row[order], return_index=True)
    if len(found):
        added[found] = np.add.reduceat(values[order], first, axis=0)
    return added


def _drawn(sizes: Matrix, read: Flags, signs: str) -> Coded:
    """Return a text for each row, with a sign for each round.

    The lowest sign is the row's least size, the highest one its largest, or so many steps above noise if that is more.
    """
    most = np.iinfo(np.int64).max
    least = np.where(read, sizes, most).min(axis=1, initial=most)
    above = np.where(read, sizes - np.where(read.any(axis=1), least, 0)[:, None], 0)
    span = np.maximum(above.max(axis=1, initial=0), (_LEVELS - 1) * (FLOOR_KIB + 1))
    drawn = np.array([*signs])[np.where(read, above * (_LEVELS - 1) // span[:, None], _LEVELS)]
    texts, codes = np.unique(["".join(line) for line in drawn.tolist()], return_inverse=True)
    return Coded(codes.astype(np.int32), tuple(texts.tolist()))
