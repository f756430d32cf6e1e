"""The sizes of many runs as one matrix.   Part, Part, … ─► [gathering] ─► History

    series                            run 0   run 1   run 2   run 3
    (nginx, web-01, [heap])            2048    2060      –     2072     web-01 gave no answer in run 2
    (nginx, web-02, [heap])               –    1980    1992    1410     nginx came in run 1, and restarted after run 2

A series has a size in a run in which its processes were read. It has none where they were not running, where their
host gave no answer, and where one of them that other runs read could not be read: the rest would look like a fall.

Only numbers are kept of each run, so that a thousand runs fit into memory: the number of each series with its size, and
which processes each series consists of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpmap.history.classes import Series
from fleetpmap.naming import ANON, proper_path
from fleetpmap.smaps import NULL, Coded
from fleetpmap.snapshot import ANSWERED, INCOMPLETE
from fleetpmap.snapshot_file import Part
from fleetpmap.table import IntArray, numbered, sums

Key = tuple[str | None, ...]
"""The texts of the keys of --by, in their order; None: it has none."""

_DAY_S = 86400
_LOW = 0xFFFFFFFF
"""Mask of the lower of two numbers that are packed into one."""
_OF_MAPPINGS = frozenset({"mapping", "path", "perms", "kind"})
_ATTRIBUTES = {"process": ("name",), "user": ("user", "uid")}
"""The attributes of a process that a key is made of, unless it is the attribute of its own name."""
_IDENTITY = ("host", "pid", "name", "start_ticks", "status")


def attributes_for(by: Iterable[str]) -> tuple[str, ...]:
    """Return the attributes of processes that `Gathering` needs for these keys."""
    names = (name for key in by if key not in _OF_MAPPINGS for name in _ATTRIBUTES.get(key, (key,)))
    return tuple(dict.fromkeys((*_IDENTITY, *names)))


def texts_for(by: Iterable[str]) -> tuple[str, ...]:
    """Return the texts of mappings that `Gathering` needs for these keys."""
    return tuple(key for key in by if key in _OF_MAPPINGS)


def process_keys(by: Iterable[str]) -> tuple[str, ...]:
    """Return the keys that a process alone has, in order."""
    return tuple(key for key in by if key not in _OF_MAPPINGS)


@dataclass(frozen=True)
class History:
    """The series of all runs."""

    by: tuple[str, ...]
    started: tuple[datetime, ...]
    """When each run began, ascending."""
    keys: tuple[Key, ...]
    """One for each series."""
    sizes: IntArray
    """[series, run]: KiB; NULL where there is none."""
    lives: NDArray[np.int32]
    """[series, run]: the number of restarts before the run."""
    answered: tuple[int, ...]
    """Number of hosts that answered, for each run."""
    away: Mapping[str, int]
    """Hosts that were there before and after runs in which they were not, with the number of these runs."""
    came: Mapping[str, datetime]
    """Hosts that the first runs did not ask, with the first run that did."""
    went: Mapping[str, datetime]
    """Hosts that the last runs did not ask, with the last run that did."""
    never_read: int
    """Number of processes that no run could read."""
    lacking: tuple[str, ...] = ()
    """Hosts with mappings whose size is unknown, since their kernel does not print it."""
    metric: str = "pss_kib"
    """The size, of METRICS."""

    def __len__(self) -> int:
        return len(self.keys)

    def runs_of(self, series: int) -> NDArray[np.intp]:
        """Return the runs in which a series has a size."""
        return np.flatnonzero(self.sizes[series] != NULL)

    def series(self, series: int) -> Series:
        """Return a series without its gaps."""
        runs = self.runs_of(series)
        return Series(self.days[runs], self.sizes[series, runs].astype(np.float64), self.lives[series, runs])

    @cached_property
    def days(self) -> NDArray[np.float64]:
        """When each run began, in days since the first."""
        return np.array([(moment - self.started[0]).total_seconds() / _DAY_S for moment in self.started])


@dataclass(frozen=True, slots=True)
class _Run:
    """One run, as numbers."""

    started: datetime
    hosts: Mapping[str, str]
    series: NDArray[np.int32]
    """The series that have mappings."""
    sizes: IntArray
    """The size of each of these."""
    pairs: NDArray[np.int32]
    """[pair, 2]: a series, and a process that has mappings of it."""
    unread: tuple[int, ...]
    """Processes that could not be read."""


class Gathering:
    """Takes runs in the order of time, and puts their series together."""

    def __init__(self, by: Sequence[str], metric: str) -> None:
        self._by, self._metric = tuple(by), metric
        self._runs: list[_Run] = []
        self._parts: dict[Key, int] = {}
        """Number of each distinct part of a key: that of the process, and that of the mapping."""
        self._series: dict[int, int] = {}
        """Number of each series, by the numbers of its parts, packed into one."""
        self._known: tuple[NDArray[np.int64], NDArray[np.int32]] = (np.zeros(0, np.int64), np.zeros(0, np.int32))
        """The packed parts of the last run, and the numbers of its series: most runs have those of the run before."""
        self._processes: dict[tuple[Any, ...], int] = {}
        """Number of each process, by what identifies it."""
        self._hosts: list[str] = []
        """Host of each process."""
        self._last_seen: list[int] = []
        """Last run of each process."""
        self._lacking: dict[str, None] = {}
        """Hosts with mappings of an unknown size."""

    def add(self, part: Part) -> None:
        """Add a run, which began after the runs so far."""
        values = part.processes
        identities = zip(*(values[name] for name in _IDENTITY[:-1]), strict=True)
        numbers = [self._number(identity) for identity in identities]
        unread = [number for number, status in zip(numbers, values["status"], strict=True) if status in INCOMPLETE]
        parts, of_process = numbered(np.array(self._process_parts(values), np.int64))
        rows = [_text(getattr(part.table, key), key) for key in texts_for(self._by)]
        of_row, some_row = _grouped(rows, len(part.table))
        texts = [self._part_number(("", *(text.names[text.codes[row]] for text in rows))) for row in some_row.tolist()]
        # A row belongs to the series of its process's part and its own: packed into one number, part * texts + text.
        process, width = part.table.process, max(len(texts), 1)
        both, group = numbered(of_process[process] * width + of_row)
        series = self._series_numbers((parts[both // width] << 32) | np.array([*texts, 0], np.int64)[both % width])
        pairs, _ = numbered(process * width + of_row)
        of_pair = np.searchsorted(both, of_process[pairs // width] * width + pairs % width)
        sizes = part.table.metrics[self._metric]
        if len(unknown := np.unique(process[sizes == NULL])):
            self._lacking.update(dict.fromkeys(values["host"][slot] for slot in unknown.tolist()))
        self._runs.append(
            _Run(
                part.run.started,
                part.hosts,
                series,
                sums(sizes, group, len(both)),
                np.stack([series[of_pair], np.array(numbers, np.int32)[pairs // width]], axis=1),
                tuple(unread),
            )
        )

    def _number(self, identity: tuple[Any, ...]) -> int:
        number = self._processes.setdefault(identity, len(self._processes))
        if number == len(self._hosts):
            self._hosts.append(identity[0])
            self._last_seen.append(0)
        self._last_seen[number] = len(self._runs)
        return number

    def _part_number(self, key: Key) -> int:
        return self._parts.setdefault(key, len(self._parts))

    def _series_numbers(self, packed: NDArray[np.int64]) -> NDArray[np.int32]:
        known, numbers = self._known
        if not np.array_equal(packed, known):
            series = self._series
            numbers = np.array([series.setdefault(one, len(series)) for one in packed.tolist()], np.int32)
            self._known = packed, numbers
        return numbers

    def _process_parts(self, values: Mapping[str, list[Any]]) -> list[int]:
        """Return the number of the part of the key that each process has."""
        columns = [_key_column(values, name) for name in process_keys(self._by)]
        keys = zip(*columns, strict=True) if columns else [()] * len(values["host"])
        return [self._part_number(key) for key in keys]

    def history(self) -> History:
        """Return all series of the runs so far, of which there is at least one."""
        sizes = np.full((len(self._series), len(self._runs)), NULL, np.int64)
        for slot, run in enumerate(self._runs):
            sizes[run.series, slot] = run.sizes
        lives = self._lives(sizes != NULL)
        asked = _Asked([run.hosts for run in self._runs])
        self._remove_partial(sizes, asked)
        started = tuple(run.started for run in self._runs)
        return History(
            self._by,
            started,
            tuple(self._keys()),
            sizes,
            lives,
            tuple(sum(status in ANSWERED for status in run.hosts.values()) for run in self._runs),
            {host: len(runs) for host, runs in asked.away.items()},
            {host: started[run] for host, run in asked.first.items() if run},
            {host: started[run] for host, run in asked.last.items() if run < len(started) - 1},
            self._never_read(),
            tuple(self._lacking),
            self._metric,
        )

    def _lives(self, there: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return the number of restarts of each series before each run.

        A series restarts after a run if at least half of the processes that it had then were seen in no later run.
        """
        last_seen = np.array(self._last_seen, np.int64)
        ended = np.zeros(there.shape, np.bool_)
        for slot, run in enumerate(self._runs):
            series, process = run.pairs[:, 0], run.pairs[:, 1]
            seen = np.bincount(series, minlength=len(there))
            gone = np.bincount(series[last_seen[process] == slot], minlength=len(there))
            ended[:, slot] = (gone > 0) & (2 * gone >= seen)
        before = np.zeros(there.shape, np.int32)
        np.cumsum(ended[:, :-1], axis=1, out=before[:, 1:])
        return before

    def _remove_partial(self, sizes: IntArray, asked: _Asked) -> None:
        """Set sizes to NULL that lack a host that was away, or a process that another run could read."""
        read = self._read()
        unread = [(slot, number) for slot, run in enumerate(self._runs) for number in run.unread if read[number]]
        if unread:
            of_process = self._series_of({number: number for _, number in unread})
            for slot, number in unread:
                sizes[of_process[number], slot] = NULL
        if "host" not in self._by and asked.away:
            numbers = {host: number for number, host in enumerate(asked.away)}
            of_host = self._series_of({slot: numbers[host] for slot, host in enumerate(self._hosts) if host in numbers})
            for host, number in numbers.items():
                sizes[np.ix_(of_host.get(number, []), asked.away[host])] = NULL

    def _series_of(self, owners: Mapping[int, int]) -> dict[int, list[int]]:
        """Return the series of each owner's processes; `owners`: the owner's number by that of the process."""
        owner = np.full(len(self._processes), -1, np.int64)
        owner[[*owners]] = [*owners.values()]
        found: set[int] = set()
        for run in self._runs:
            of_pair = owner[run.pairs[:, 1]]
            owned = of_pair >= 0
            found.update(((of_pair[owned] << 32) | run.pairs[owned, 0]).tolist())
        series: dict[int, list[int]] = {}
        for one in found:
            series.setdefault(one >> 32, []).append(one & _LOW)
        return series

    def _read(self) -> NDArray[np.bool_]:
        """Return, for each process, whether a run has mappings of it."""
        read = np.zeros(len(self._processes), np.bool_)
        for run in self._runs:
            read[run.pairs[:, 1]] = True
        return read

    def _never_read(self) -> int:
        read = self._read()
        return len({number for run in self._runs for number in run.unread if not read[number]})

    def _keys(self) -> Iterator[Key]:
        """Yield the key of each series, its texts in the order of `by`."""
        parts = list(self._parts)
        names = (*process_keys(self._by), *texts_for(self._by))
        order = [names.index(key) for key in self._by]
        for packed in self._series:
            texts = (*parts[packed >> 32], *parts[packed & _LOW][1:])
            yield tuple(texts[slot] for slot in order)


class _Asked:
    """Which hosts were there in which runs."""

    def __init__(self, runs: Sequence[Mapping[str, str]]) -> None:
        self.first: dict[str, int] = {}
        """The first run that asked each host."""
        self.last: dict[str, int] = {}
        """The last run that asked each host."""
        answered: dict[str, list[int]] = {}
        for slot, hosts in enumerate(runs):
            for host, status in hosts.items():
                self.first.setdefault(host, slot)
                self.last[host] = slot
                if status in ANSWERED:
                    answered.setdefault(host, []).append(slot)
        self.away: dict[str, list[int]] = {}
        """Runs from the first to the last that asked a host in which it gave no answer."""
        for host, first in self.first.items():
            there = {*answered.get(host, ())}
            if away := [slot for slot in range(first, self.last[host] + 1) if slot not in there]:
                self.away[host] = away


def _key_column(values: Mapping[str, list[Any]], key: str) -> list[str | None]:
    if key == "process":
        return values["name"]
    if key == "user":
        pairs = zip(values["user"], values["uid"], strict=True)
        return [user if user is not None or uid is None else str(uid) for user, uid in pairs]
    return [text or None for text in values[key]]


def _text(column: Coded, key: str) -> Coded:
    """Return a column of texts as the keys of --by show it."""
    if key != "path":
        return column
    return Coded(column.codes, tuple(proper_path(path) or ANON for path in column.names))


def _grouped(texts: Sequence[Coded], rows: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the group of each row by its texts, and a row of each group."""
    group = np.zeros(rows, np.intp)
    for column in texts:
        _, group = numbered(group * len(column.names) + column.codes)
    some_row = np.zeros(int(group.max(initial=-1)) + 1, np.intp)
    some_row[group] = np.arange(rows)
    return group, some_row


def counted_by(counts: Mapping[str, int]) -> Iterator[tuple[int, list[str]]]:
    """Yield each count, the largest first, with the names that have it."""
    for count in sorted(Counter(counts.values()), reverse=True):
        yield count, [name for name, one in counts.items() if one == count]
