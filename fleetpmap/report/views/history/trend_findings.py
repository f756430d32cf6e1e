"""Findings on leaks and steps.   rows ─► [trend_findings] ─► trends

[heap] of api on web-01 grows by 24.0M a day (23.8M to 24.2M): reaches its limit of 2.0G in 3 to 5 days
[heap] of api on web-[01-08] went from 57.9M to 94.0M on 2026-11-23 05:00:00+00:00, with a restart
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from fleetpmap.history import History, process_keys, texts_for
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.finding import Finding, FindingKind
from fleetpmap.report.next_command import next_command, of_service
from fleetpmap.report.views.history.limits import key_of
from fleetpmap.report.views.history.rows import Row
from fleetpmap.snapshot import Process, Snapshot
from fleetpmap.units import human

_SOON_DAYS, _LATER_DAYS, _OPEN_DAYS = 2, 365, 3650
"""Up to the first, time is given in hours; from the second on, only as over a year; an end after the third is none."""
_Group = tuple[object, ...]


class TrendFindings(NamedTuple):
    """What findings need beside their rows."""

    past: History
    last: Snapshot
    """The last run, for the processes that a next command names."""
    directory: str
    """Where the runs are stored; empty if unknown."""

    def of(self, rows: Sequence[Row]) -> Iterator[Finding]:
        """Yield the findings on `rows`, which are ranked. A series that has ended has none."""
        past = self.past
        there = [row for row in rows if row.is_there]
        leaks = _grouped([row for row in there if row.judgement.kind == "leak"], _but_host)
        stepped = [row for row in there if row.judgement.kind == "step"]
        steps = _grouped(stepped, lambda row: (_came(past, row), _but_host(row)))
        yield from (self._finding("leak", _leak(group), group, self._now(group)) for group in leaks)
        for group in steps:
            yield self._finding("step", _step(past, group), group, self._across(group[0]) or self._now(group))

    def _finding(self, kind: FindingKind, text: str, rows: Sequence[Row], command: str) -> Finding:
        """Return the finding on rows that only differ in their host; sizes and pid are those of the only one."""
        [first, *others] = rows
        processes = [] if others else self._processes(rows)
        return Finding(
            kind,
            text,
            host=None if others else first.key.get("host"),
            service=first.key.get("service"),
            pid=processes[0].pid if len(processes) == 1 else None,
            mapping=first.key.get("mapping"),
            metric=self.past.metric,
            value_kib=None if others else first.last_kib,
            reference_kib=None if others else first.first_kib,
            next=command,
        )

    def _processes(self, rows: Sequence[Row]) -> list[Process]:
        """Return the processes of the last run that these rows are about."""
        keys = process_keys(self.past.by)
        wanted = {tuple(row.key[key] for key in keys) for row in rows}
        read = (process for process in self.last.processes if process.status == "read")
        return [process for process in read if tuple(key_of(process, key) for key in keys) in wanted]

    def _now(self, rows: Sequence[Row]) -> str:
        """Return the command that reads the processes of these rows again."""
        processes = self._processes(rows)
        if not processes:
            return ""
        hosts = [*dict.fromkeys(process.host for process in processes)]
        if len(processes) == 1:
            return next_command(self.last, hosts, ["--pid", str(processes[0].pid)], "mappings")
        is_one = len({of_service(process)[-1] for process in processes}) == 1
        which = of_service(processes[0]) if is_one else ["--all"]
        return next_command(self.last, hosts, which, "processes")

    def _across(self, row: Row) -> str:
        """Return the command that compares the runs before and after a step."""
        runs, cut = self.past.runs_of(row.slot), row.judgement.step or 1
        moments = (self.past.started[int(runs[slot])] for slot in (cut - 1, cut))
        stored = [f"{self.directory}@{moment.isoformat()}" for moment in moments]
        return shlex.join(["fleetpmap", "diff", *stored, "--by", ",".join(self.past.by)]) if self.directory else ""


def _grouped(rows: Sequence[Row], of: Callable[[Row], _Group]) -> list[list[Row]]:
    """Group rows that only differ in their host, in the order of the first of each group."""
    groups: dict[_Group, list[Row]] = {}
    for row in rows:
        groups.setdefault(of(row), []).append(row)
    return list(groups.values())


def _but_host(row: Row) -> _Group:
    return tuple(text for key, text in row.key.items() if key != "host")


def _came(past: History, row: Row) -> datetime:
    """Return when the first run after the step began."""
    return past.started[int(past.runs_of(row.slot)[row.judgement.step or 0])]


def _leak(rows: Sequence[Row]) -> str:
    first = rows[0]
    lines = [row.judgement.trend for row in rows if row.judgement.trend]
    if len(rows) == 1:
        rate = f"{human(round(lines[0].slope))} a day ({human(round(lines[0].low))} to {human(round(lines[0].high))})"
    else:
        slopes = [round(line.slope) for line in lines]
        rate = f"{_range(min(slopes), max(slopes))} a day on each"
    restarts = max(row.judgement.restarts for row in rows)
    through = f", through {restarts} restart{'' if restarts == 1 else 's'}" if restarts and len(rows) == 1 else ""
    return f"{_subject(rows)} grows by {rate}{through}{_reaches(first, len(rows) > 1)}"


def _reaches(row: Row, is_first: bool) -> str:
    """Return the clause on the limit that the row reaches; empty without one."""
    if row.days_left is None or row.limit is None:
        return ""
    limit = human(row.limit.kib)
    which = f"fills the host's memory of {limit}" if row.limit.is_of_host else f"reaches its limit of {limit}"
    where = f" {row.key['host']} is the first that" if is_first and row.key.get("host") else ""
    return f":{where} {which} {_in(*row.days_left[1:])}"


def _in(fewest: float, most: float) -> str:
    """Format a span of days: `in 3 to 5 days`, `in 7 to 9 hours`."""
    if most <= 0:
        return "at once"
    if fewest >= _LATER_DAYS:
        return "in over a year"
    if most >= _OPEN_DAYS:
        return f"in {math.floor(fewest)} days or more"
    if most <= _SOON_DAYS:
        low, high, unit = math.floor(24 * fewest), math.ceil(24 * most), "hours"
    else:
        low, high, unit = math.floor(fewest), math.ceil(most), "days"
    return f"in {low} to {high} {unit}" if low < high else f"in {high} {unit}"


def _step(past: History, rows: Sequence[Row]) -> str:
    first = rows[0]
    before, after = first.judgement.levels or (0.0, 0.0)
    if len(rows) == 1:
        change = f"went from {human(round(before))} to {human(round(after))}"
    else:
        heights = [round(levels[1] - levels[0]) for row in rows if (levels := row.judgement.levels)]
        change = f"changed by {_range(min(heights), max(heights), signed=True)} on each"
    restarted = [_is_restart(past, row) for row in rows]
    how = ", with a restart" if all(restarted) else "" if any(restarted) else ", in the same processes"
    return f"{_subject(rows)} {change} in the run of {_came(past, first).isoformat(' ', 'seconds')}{how}"


def _is_restart(past: History, row: Row) -> bool:
    lives, cut = past.series(row.slot).lives, row.judgement.step or 1
    return bool(lives[cut] != lives[cut - 1])


def _range(low: int, high: int, *, signed: bool = False) -> str:
    one, other = (f"{'+' if signed and kib > 0 else ''}{human(kib)}" for kib in (low, high))
    return one if one == other else f"{one} to {other}"


def _subject(rows: Sequence[Row]) -> str:
    """Return what a sentence is about: `[heap] of nginx on web-[01-08]`."""
    key = rows[0].key
    what = [str(key[name]) for name in texts_for(key) if key[name] is not None]
    whose = [str(key[name]) for name in process_keys(key) if name != "host" and key[name] is not None]
    hosts = fold(str(host) for row in rows if (host := row.key.get("host")))
    parts = [" ".join(what), ", ".join(whose)]
    subject = " of ".join(part for part in parts if part)
    if not subject:
        return hosts or "all"
    return f"{subject} on {hosts}" if hosts else subject
