"""Findings on growth and restarts.   lives ─► [growth_findings] ─► difference, growth

First growth from 1 MiB of processes that lived through both runs, then restarts, a finding for each service, then the
sums of new and of gone processes. The table and json have what the findings leave out.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.finding import Finding
from fleetpmap.report.next_command import next_command, of_service
from fleetpmap.report.views.diff.lives import Life, Part
from fleetpmap.report.views.diff.noise import FLOOR_KIB
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import ROLLUP
from fleetpmap.units import KIB, human

MOST = 3
"""Number of findings on growth, on restarts, and of services that a sentence names."""
_LEAST_KIB = KIB
_SPANS = ((1.0, "second", "s"), (60.0, "minute", "min"), (3600.0, "hour", "h"), (86400.0, "day", "days"))
_ALIKE = 1.25
"""Sizes whose largest is at most so many times their smallest are called the size of each."""


class Context(NamedTuple):
    """What the findings of two runs have in common."""

    new: Snapshot
    metric: str
    seconds: float
    """The time between both runs."""
    stored: tuple[str, str]
    """Where they are stored, as diff takes it; empty if unknown."""

    def finding(
        self, text: str, members: Sequence[Life], mapping: str | None, sizes: tuple[int, int] | None
    ) -> Finding:
        """Return the finding on these processes; `sizes`: before and after, None if they are unknown."""
        hosts, services, (first, *others) = {life.host for life in members}, {life.service for life in members}, members
        old, new = sizes or (None, None)
        return Finding(
            "growth",
            text,
            host=first.host if len(hosts) == 1 else None,
            service=first.service if len(services) == 1 else None,
            pid=None if others else first.pid or first.old_pid,
            mapping=None if mapping == ROLLUP else mapping,
            metric=self.metric,
            value_kib=new,
            reference_kib=old,
            next=self._next(members, by_mapping=mapping not in (None, ROLLUP)),
        )

    def _next(self, members: Sequence[Life], *, by_mapping: bool) -> str:
        """Return the command that shows the process, or what each of several changed by."""
        first, hosts = members[0], [*dict.fromkeys(life.host for life in members)]
        is_there = first.pid is not None
        if len(members) == 1 and is_there:
            return next_command(self.new, hosts, ["--pid", str(first.pid)], "mappings" if by_mapping else "processes")
        if all(self.stored):
            by = "host,process,mapping" if by_mapping else "service,host,process"
            return shlex.join(["fleetpmap", "diff", *self.stored, "--by", by])
        is_one_service = len({life.service for life in members}) == 1
        which = of_service(first.process) if is_one_service else ["--all"]
        return next_command(self.new, hosts, which, "processes") if is_there else ""


def growth_findings(lives: Sequence[Life], context: Context) -> tuple[Finding, ...]:
    """Return the findings on these processes."""
    return (*islice(growth(lives, context), MOST), *_restarts(lives, context), *_come_and_gone(lives, context))


def span(seconds: float) -> str:
    """Format a duration: `20 s`, `12.5 min`, `3 h`."""
    length, _, unit = _span_of(seconds)
    return f"{round(seconds / length, 1):g} {unit}"


def short(kib: int) -> str:
    """Format a size as ls -h does, with a decimal below 10 only: `9.5M`, `58M`."""
    text = human(kib)
    number, suffix = text[:-1], text[-1]
    return f"{float(number):.0f}{suffix}" if abs(float(number)) >= 10 else text


def _span_of(seconds: float) -> tuple[float, str, str]:
    return next((entry for entry in reversed(_SPANS) if seconds >= 2 * entry[0]), _SPANS[0])


def growth(lives: Iterable[Life], context: Context, least_kib: int = _LEAST_KIB) -> Iterator[Finding]:
    """Yield a finding for each service and mapping that grew by so much, the largest growth first."""
    replaced = {(life.service, life.host) for life in lives if life.status in ("restarted", "gone")}
    grown: dict[tuple[str, str, bool], list[tuple[Life, Part, int]]] = {}
    for life in lives:
        for part in life.parts if life.status == "same" else ():
            # Where a process of the service ended, the pages that it wrote before a fork fell to the others.
            by = part.resident if (life.service, life.host) in replaced else part.own
            if by > FLOOR_KIB:
                grown.setdefault((life.service, part.mapping, part.is_new), []).append((life, part, by))
    sums = {subject: sum(by for _, _, by in members) for subject, members in grown.items()}
    for subject in sorted((subject for subject in sums if sums[subject] >= least_kib), key=lambda one: -sums[one]):
        service, mapping, is_new = subject
        members, parts = [life for life, _, _ in grown[subject]], [part for _, part, _ in grown[subject]]
        verb = f"is new, with {short(sums[subject])}" if is_new else f"grew by {short(sums[subject])}"
        what = verb if mapping == ROLLUP else f"{mapping} {verb}"
        rate = "" if is_new else _rate(sums[subject] / len(members), context.seconds)
        each = ""
        if len(members) > 1:
            rate, each = rate and f"{rate} each", f", {short(round(sums[subject] / len(members)))} each"
        sizes = sum(part.old for part in parts), sum(part.new for part in parts)
        yield context.finding(f"{_subject(service, members)}: {what}{each}{rate}", members, mapping, sizes)


def _subject(service: str, members: Sequence[Life]) -> str:
    hosts = fold(dict.fromkeys(life.host for life in members))
    if len(members) == 1:
        return f"{_named(service)} on {hosts} (pid {members[0].pid})"
    return f"{_named(service)} on {hosts}, {len(members)} processes"


def _named(service: str) -> str:
    return service.removesuffix(".service")


def _rate(kib: float, seconds: float) -> str:
    """Format the rate of growth in the unit of the time between the runs."""
    if seconds <= 0:
        return ""
    length, unit, _ = _span_of(seconds)
    return f" in {span(seconds)}, {short(round(kib * length / seconds))} {'an' if unit == 'hour' else 'a'} {unit}"


def _restarts(lives: Iterable[Life], context: Context) -> Iterator[Finding]:
    """Yield a finding for each of the MOST services that changed most by restarts, and one for all others.

    Services of less than 1 MiB that did not change are among the others.
    """
    services: dict[str, list[Life]] = {}
    for life in lives:
        if life.status == "restarted":
            services.setdefault(life.service, []).append(life)
    sizes = {service: _known_sizes(of) for service, of in services.items()}
    held = {service: sum(new for _, new in known) for service, known in sizes.items()}
    change = {service: abs(sum(new - old for old, new in known)) for service, known in sizes.items()}
    ranked = sorted(services, key=lambda service: (-change[service], -held[service]))
    told = [one for one in ranked if change[one] > FLOOR_KIB or held[one] >= _LEAST_KIB][:MOST]
    for service in told:
        of = services[service]
        hosts = [*dict.fromkeys(life.host for life in of)]
        count = f"{len(of)} processes restarted"
        if len(of) == 1:
            count = f"1 process restarted (pid {of[0].old_pid}, now {of[0].pid})"
        where, mapping = _where(of, len(hosts))
        text = f"{_named(service)} on {fold(hosts)}: {count}; {_before_and_after(sizes[service])}{where}"
        known = [(part.old, part.new) for life in of for part in life.parts if part.mapping == mapping]
        yield context.finding(text, of, mapping, _total(known if mapping else sizes[service]))
    if others := [life for service in ranked if service not in told for life in services[service]]:
        also = "also restarted" if told else "restarted"
        text = f"{_counted(others)} {also}, with {_sum(life.new for life in others)}: {_services(others)}"
        yield context.finding(text, others, None, _total(_known_sizes(others)))


def _known_sizes(of: Iterable[Life]) -> list[tuple[int, int]]:
    return [(life.old, life.new) for life in of if life.old is not None and life.new is not None]


def _total(known: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    """Add up the sizes before and after; None without any."""
    return (sum(old for old, _ in known), sum(new for _, new in known)) if known else None


def _before_and_after(known: Sequence[tuple[int, int]]) -> str:
    """Return the size of a process before and after: `22M → 58M each`; `22M → 58M on average` if they are not alike."""
    sides = [*zip(*known, strict=True)]
    before, after = (round(sum(side) / len(side)) for side in sides)
    each = ""
    if len(known) > 1:
        each = " each" if all(max(side) <= _ALIKE * min(side) for side in sides) else " on average"
    if abs(after - before) <= FLOOR_KIB:
        return f"{short(after)}{each}, as before"
    return f"{short(before)} → {short(after)}{each}"


def _where(of: Sequence[Life], hosts: int) -> tuple[str, str | None]:
    """Return the clause on the mapping that changed most, in each process and on which hosts, and its name; or none."""
    changes: dict[str, dict[str, int]] = {}
    for life in of:
        for part in life.parts:
            on = changes.setdefault(part.mapping, {})
            on[life.host] = on.get(life.host, 0) + part.growth
    if not changes:
        return "", None
    mapping, on = max(changes.items(), key=lambda item: abs(sum(item[1].values())))
    change = round(sum(on.values()) / len(of))
    if abs(change) <= FLOOR_KIB:
        return "", None
    alike = sum((growth > 0) == (change > 0) for growth in on.values())
    text = f", {'+' if change > 0 else ''}{short(change)}" + (f" in {mapping}" if mapping != ROLLUP else "")
    if hosts > 1:
        text += f", on {f'all {hosts}' if alike == hosts else f'{alike} of the {hosts}'}"
    return text, mapping


def _come_and_gone(lives: Sequence[Life], context: Context) -> Iterator[Finding]:
    new = [life for life in lives if life.status == "new"]
    gone = [life for life in lives if life.status == "gone"]
    if new:
        sizes = [(0, life.new) for life in new if life.new is not None]
        text = f"{_counted(new)} {_are(new)} new, with {_sum(life.new for life in new)}: {_services(new)}"
        yield context.finding(text, new, None, _total(sizes))
    if gone:
        sizes = [(life.old, 0) for life in gone if life.old is not None]
        text = f"{_counted(gone)} {_are(gone)} gone, which had {_sum(life.old for life in gone)}: {_services(gone)}"
        yield context.finding(text, gone, None, _total(sizes))


def _counted(lives: Sequence[Life]) -> str:
    return "1 process" if len(lives) == 1 else f"{len(lives)} processes"


def _are(lives: Sequence[Life]) -> str:
    return "is" if len(lives) == 1 else "are"


def _services(lives: Iterable[Life]) -> str:
    """Return the services of these processes, the largest first, and the number of the others."""
    sizes: dict[str, int] = {}
    for life in lives:
        sizes[life.service] = sizes.get(life.service, 0) + (life.new or life.old or 0)
    names = sorted(sizes, key=lambda name: -sizes[name])
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(map(_named, names[:MOST])) + more


def _sum(sizes: Iterable[int | None]) -> str:
    known = [size for size in sizes if size is not None]
    return short(sum(known)) if known else "an unknown size"
