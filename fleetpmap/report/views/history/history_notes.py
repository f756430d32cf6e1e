"""Notes on what a history leaves out, and why.   History, rows ─► [history_notes] ─► trends"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

from fleetpmap.history import LEAST_DAYS, LEAST_RUNS, History, counted_by
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.notes import counted
from fleetpmap.report.views.history.rows import Row

_MOST = 3
"""Sentences about hosts that were away, that came or that went; further hosts are counted."""


def history_notes(past: History, rows: Sequence[Row]) -> Iterator[str]:
    """Yield the notes on the runs, the hosts and the rows."""
    runs = len(past.started)
    began, ended = (_time(moment) for moment in (past.started[0], past.started[-1]))
    yield f"{counted(runs, 'run')} from {began} to {ended}; the hosts and processes counted are those of the last one"
    if silent := sum(not answered for answered in past.answered):
        yield f"in {counted(silent, 'run')} no host answered"
    yield from _away(past.away, runs)
    yield from _changes(past.came, "first asked in the run of", "came later")
    yield from _changes(past.went, "last asked in the run of", "were not asked any more")
    if past.never_read:
        yield f"the sizes leave out {counted(past.never_read, 'process')} that no run could read"
    if past.lacking:
        yield f"{fold(past.lacking)}: the kernel does not print this size of all mappings, and the sizes leave them out"
    if short := sum(row.judgement.kind is None for row in rows):
        least = f"{LEAST_RUNS} runs, and {round(LEAST_DAYS * 1440)} minutes from the first to the last"
        yield f"no trend and no class for {counted(short, 'row')}: these take at least {least}"
    if gone := sum(not row.is_there for row in rows):
        yield f"{counted(gone, 'row')} with what was not there any more in the last run"


def _away(away: Mapping[str, int], runs: int) -> Iterator[str]:
    """Yield how often hosts gave no answer, those that did so most often first."""
    groups = list(counted_by(away))
    for count, hosts in islice(groups, _MOST):
        yield f"{fold(hosts)} gave no answer, or was not asked, in {count} of {runs} runs: gaps, not zeros"
    if more := sum(len(hosts) for _, hosts in groups[_MOST:]):
        yield f"{counted(more, 'more host')} gave no answer in up to {groups[_MOST][0]} of {runs} runs"


def _changes(hosts: Mapping[str, datetime], when: str, others: str) -> Iterator[str]:
    """Yield which hosts were asked from, or up to, which run."""
    groups: dict[datetime, list[str]] = {}
    for host, moment in hosts.items():
        groups.setdefault(moment, []).append(host)
    for moment, names in islice(groups.items(), _MOST):
        yield f"{fold(names)}: {when} {_time(moment)}"
    if more := sum(len(names) for names in [*groups.values()][_MOST:]):
        yield f"{counted(more, 'more host')} {others}"


def _time(moment: datetime) -> str:
    return moment.isoformat(" ", "seconds")
