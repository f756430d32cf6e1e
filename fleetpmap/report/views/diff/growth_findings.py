"""Sentences about growth and restarts.   rows ─► [growth_findings] ─► difference

First growth from 1 MiB, then restarted processes, then the sums of new and of gone ones, each with its figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from fleetpmap.inventory.nodesets import fold
from fleetpmap.units import KIB, human

MOST = 5
"""Number of sentences on growth, and on restarts; the table and json have the rest."""
_LEAST_KIB = KIB
_LEAST_RATE_KIB = 100
_SPANS = ((1.0, "second", "s"), (60.0, "minute", "min"), (3600.0, "hour", "h"), (86400.0, "day", "days"))


class Row(NamedTuple):
    """One mapping, kind, process or host, before and after; sizes in KiB, None is unknown."""

    host: str
    pid: int | None
    """Pid in the new snapshot, or in the old one if the process is gone; None for a host."""
    old_pid: int | None
    """Pid in the old snapshot, which differs after a restart; None for a new process, and for a host."""
    name: str | None
    """Name of the process; None for a host."""
    part: str | None
    """The mapping or the kind; None for a process or a host."""
    status: str
    """new, gone, grown, shrunk, restarted, same or unknown."""
    old: int | None
    new: int | None
    growth: int | None
    pair: str = "same"
    """Status of the pair of processes: same, restarted, new or gone. For a host: same, or others if any is not same."""


def sentences(rows: Sequence[Row], processes: Sequence[Row], seconds: float) -> tuple[str, ...]:
    """Return the sentences on `rows`, which are sorted by growth.

    `processes`: the rows by process; `seconds`: the time between both snapshots.
    """
    return (*islice(_growth(rows, seconds), MOST), *islice(_restarts(processes), MOST), *_come_and_gone(processes))


def span(seconds: float) -> str:
    """Format a duration: `20 s`, `12.5 min`, `3 h`."""
    length, _, unit = next((entry for entry in reversed(_SPANS) if seconds >= 2 * entry[0]), _SPANS[0])
    return f"{round(seconds / length, 1):g} {unit}"


def _growth(rows: Sequence[Row], seconds: float) -> Iterator[str]:
    for row in rows:
        if row.pair not in ("same", "others") or row.growth is None or row.growth < _LEAST_KIB:
            continue
        if row.status == "new":
            yield f"{_subject(row)} is new, with {human(row.growth)}"
        else:
            rate = _rate(row.growth, seconds) if row.pair == "same" else ", with other processes than before"
            yield f"{_subject(row)} grew by {human(row.growth)}{rate}"


def _subject(row: Row) -> str:
    if row.name is None:
        return row.host
    process = f"{row.name} (pid {row.pid})"
    return f"{row.host}: {process if row.part is None else f'{row.part} of {process}'}"


def _rate(kib: int, seconds: float) -> str:
    """Format the rate of growth, per the shortest unit of time that gives at least _LEAST_RATE_KIB."""
    if seconds <= 0:
        return ""
    rates = ((kib * length / seconds, unit) for length, unit, _ in _SPANS)
    rate, unit = next(((rate, unit) for rate, unit in rates if rate >= _LEAST_RATE_KIB), (kib * 86400 / seconds, "day"))
    return f" in {span(seconds)}, {human(round(rate))} {'an' if unit == 'hour' else 'a'} {unit}"


def _restarts(processes: Sequence[Row]) -> Iterator[str]:
    """Yield one sentence for each program, the largest first."""
    programs: dict[str, list[Row]] = {}
    for row in processes:
        if row.pair == "restarted":
            programs.setdefault(str(row.name), []).append(row)
    for name, rows in sorted(programs.items(), key=lambda item: -sum(row.new or 0 for row in item[1])):
        sizes = f"{_sum([row.old for row in rows])} before, {_sum([row.new for row in rows])} now"
        if len(rows) == 1:
            yield f"{rows[0].host}: {name} (pid {rows[0].old_pid}) was restarted as pid {rows[0].pid}: {sizes}"
        else:
            hosts = fold(dict.fromkeys(row.host for row in rows))
            yield f"{name} was restarted on {hosts}, {len(rows)} processes: {sizes}"


def _come_and_gone(processes: Sequence[Row]) -> Iterator[str]:
    new = [row.new for row in processes if row.pair == "new"]
    gone = [row.old for row in processes if row.pair == "gone"]
    if new:
        yield f"{_counted(new)} new, with {_sum(new)}"
    if gone:
        yield f"{_counted(gone)} gone, which had {_sum(gone)}"


def _counted(sizes: Sequence[int | None]) -> str:
    return "1 process is" if len(sizes) == 1 else f"{len(sizes)} processes are"


def _sum(sizes: Sequence[int | None]) -> str:
    known = [size for size in sizes if size is not None]
    return human(sum(known)) if known else "an unknown size"
