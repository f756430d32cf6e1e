"""The services over time, for a page.   History by service and by host ─► [timeline] ─► trends

A History of each kind of sum is gathered (see GATHERED), so that the sizes and the gaps of a sum are those that
`fleetpmap history --by` has. A page shows the largest services and, of long histories, some of the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from fleetpmap.evidence.code import CodeFile
from fleetpmap.history import History
from fleetpmap.report.model import Line, Timeline
from fleetpmap.smaps import NULL
from fleetpmap.table import IntArray

WHOLE, BY_SERVICE, ON_HOSTS = (), ("service",), ("service", "host")
GATHERED = (WHOLE, BY_SERVICE, ON_HOSTS)
"""The keys of the histories that a timeline is made of."""
MOST_SERVICES = 9
"""Services with a line of their own: as many as there are colours."""
MOST_RUNS = 240
"""Runs that are shown; of more, some between the first and the last."""
MOST_LINES = 200
"""Services on hosts with a line."""
MOST_JUDGED = 10
"""Restarts of which the code before and after is compared, the newest first: it takes two whole runs to read."""

CodeAt = Callable[[datetime], Mapping[str, frozenset[CodeFile]]]
"""The files that each service ran in the run that began then."""


def timeline(histories: Mapping[tuple[str, ...], History]) -> Timeline | None:
    """Return the timeline of these histories, which are of the same runs; None if no run has a size."""
    whole, by_service, on_hosts = (histories[by] for by in GATHERED)
    if not len(whole):
        return None
    runs = _runs(len(whole.started))
    ranked = sorted(range(len(by_service)), key=lambda slot: (-_largest(by_service.sizes[slot]), by_service.keys[slot]))
    kept = ranked[:MOST_SERVICES] if len(ranked) > MOST_SERVICES + 1 else ranked
    services = [_line(by_service, slot, runs) for slot in kept]
    if left := len(ranked) - len(kept):
        services.append(Line(None, None, _cells(_others(whole, by_service, kept)[runs])))
    names = {by_service.keys[slot][0] for slot in kept}
    of_hosts = [slot for slot, key in enumerate(on_hosts.keys) if key[0] in names]
    lines = sorted(of_hosts, key=lambda slot: -_change(on_hosts.sizes[slot]))[:MOST_LINES]
    return Timeline(
        whole.metric,
        tuple(whole.started[run] for run in runs),
        _line(whole, 0, runs),
        tuple(services),
        tuple(_line(on_hosts, slot, runs) for slot in sorted(lines)),
        tuple(_notes(len(whole.started), len(runs), left, len(of_hosts) - len(lines))),
    )


def with_deploys(past: Timeline, code_at: CodeAt) -> Timeline:
    """Return the timeline with the restarts of services that brought other code marked as deploys."""
    restarts = [(run, slot) for slot, line in enumerate(past.services) if line.service for run in line.restarts]
    deploys: dict[int, list[int]] = {}
    for run, slot in sorted(restarts, reverse=True)[:MOST_JUDGED]:
        line = past.services[slot]
        known = [at for at, size in enumerate(line.sizes) if size is not None]
        around = [*[at for at in known if at < run][-1:], *[at for at in known if at >= run][:1]]
        codes = [code_at(past.times[at]).get(line.service or "", frozenset()) for at in around]
        if len(codes) == 2 and _is_other(*codes):
            deploys.setdefault(slot, []).append(run)
    lines = tuple(
        replace(line, deploys=tuple(sorted(deploys.get(slot, ())))) for slot, line in enumerate(past.services)
    )
    left = len(restarts) - MOST_JUDGED
    more = (f"Of {left:,} earlier restarts it is not known whether they were deploys.",) if left > 0 else ()
    return replace(past, services=lines, notes=(*past.notes, *more))


def _is_other(old: frozenset[CodeFile], new: frozenset[CodeFile]) -> bool:
    """Return whether a program or library of the same name has another path or layout; an added one may be a plugin."""
    names = {file.name for file in old}
    return any(file.name in names for file in new - old)


def _runs(count: int) -> list[int]:
    """Return the indices of the runs that are shown of so many."""
    if count <= MOST_RUNS:
        return list(range(count))
    shown: list[int] = np.linspace(0, count - 1, MOST_RUNS).round().astype(int).tolist()
    return shown


def _line(past: History, slot: int, runs: list[int]) -> Line:
    """Return a series of a history; a restart counts before the next run that is shown."""
    key = dict(zip(past.by, (text or "?" for text in past.keys[slot]), strict=True))  # ?: runs of an older version
    restarts = (np.flatnonzero(np.diff(past.lives[slot, runs])) + 1).tolist()
    return Line(key.get("service"), key.get("host"), _cells(past.sizes[slot, runs]), tuple(restarts))


def _others(whole: History, by_service: History, kept: Sequence[int]) -> IntArray:
    """Return what the whole has beside these services in each run; NULL where it is unknown."""
    parts = by_service.sizes[kept]
    # Where the whole is known no host was away, so a service without a size was not running.
    others = whole.sizes[0] - np.where(parts == NULL, 0, parts).sum(axis=0)
    return np.where(whole.sizes[0] == NULL, NULL, others)


def _largest(sizes: IntArray) -> int:
    return int(sizes.max(initial=NULL))


def _change(sizes: IntArray) -> int:
    """Return how far the known sizes are apart."""
    known = sizes[sizes != NULL]
    return int(known.max() - known.min()) if len(known) else -1


def _cells(sizes: IntArray) -> tuple[int | None, ...]:
    return tuple(None if size == NULL else size for size in sizes.tolist())


def _notes(runs: int, shown: int, services: int, lines: int) -> Iterator[str]:
    if runs > shown:
        yield f"{shown:,} of {runs:,} runs are drawn, the first and the last among them."
    if services:
        yield f"The {services:,} smallest services are drawn as one."
    if lines:
        yield f"{lines:,} lines of services on hosts are left out: those that changed least."
