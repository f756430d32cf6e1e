"""Findings about growth and restarts.   lives ─► [growth_findings] ─► difference

First growth from 1 MiB of processes that lived through both runs, then restarts, a sentence for each service, then the
sums of new and of gone processes. The table and json have what the sentences leave out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.finding import Finding, of_kind
from fleetpmap.report.next_command import next_command, of_service
from fleetpmap.report.views.diff.lives import Life
from fleetpmap.report.views.diff.noise import FLOOR_KIB
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import ROLLUP
from fleetpmap.units import KIB, human

MOST = 3
"""Number of sentences on growth, on restarts, and of services that a sentence names."""
_LEAST_KIB = KIB
_SPANS = ((1.0, "second", "s"), (60.0, "minute", "min"), (3600.0, "hour", "h"), (86400.0, "day", "days"))
_ALIKE = 1.25
"""Sizes whose largest is at most so many times their smallest are called the size of each."""


def findings_on(lives: Sequence[Life], seconds: float, new: Snapshot) -> tuple[Finding, ...]:
    """Return all findings on these processes; `seconds`: the time between both runs, of which `new` is the later."""
    return (*growth_of(lives, seconds, new), *of_kind("growth", (*_restarts(lives), *_come_and_gone(lives))))


def growth_of(lives: Sequence[Life], seconds: float, new: Snapshot) -> tuple[Finding, ...]:
    """Return the findings on the MOST services and mappings that grew most, the largest growth first."""
    return tuple(islice(_growth(lives, seconds, new), MOST))


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


def _growth(lives: Iterable[Life], seconds: float, new: Snapshot) -> Iterator[Finding]:
    """Yield a finding for each service and mapping that grew, the largest growth first."""
    replaced = {(life.service, life.host) for life in lives if life.status in ("restarted", "gone")}
    grown: dict[tuple[str, str, bool], list[tuple[Life, int]]] = {}
    for life in lives:
        for part in life.parts if life.status == "same" else ():
            # Where a process of the service ended, the pages that it wrote before a fork fell to the others.
            growth = part.resident if (life.service, life.host) in replaced else part.own
            if growth > FLOOR_KIB:
                grown.setdefault((life.service, part.mapping, part.is_new), []).append((life, growth))
    sums = {subject: sum(growth for _, growth in members) for subject, members in grown.items()}
    for subject in sorted((subject for subject in sums if sums[subject] >= _LEAST_KIB), key=lambda one: -sums[one]):
        service, mapping, is_new = subject
        members = [life for life, _ in grown[subject]]
        verb = f"is new, with {short(sums[subject])}" if is_new else f"grew by {short(sums[subject])}"
        what = verb if mapping == ROLLUP else f"{mapping} {verb}"
        rate = "" if is_new else _rate(sums[subject] / len(members), seconds)
        each = ""
        if len(members) > 1:
            rate, each = rate and f"{rate} each", f", {short(round(sums[subject] / len(members)))} each"
        hosts = [*dict.fromkeys(life.host for life in members)]
        yield Finding(
            "growth",
            f"{_subject(service, members)}: {what}{each}{rate}",
            host=hosts[0] if len(hosts) == 1 else None,
            service=service,
            pid=members[0].pid if len(members) == 1 else None,
            mapping=None if mapping == ROLLUP else mapping,
            metric="growth_kib",
            value_kib=sums[subject],
            next=_next(new, hosts, members),
        )


def _next(new: Snapshot, hosts: Sequence[str], members: Sequence[Life]) -> str:
    """Return the command that shows the mappings of the one process, or else all processes of the service."""
    first = members[0]
    if len(members) == 1:
        return next_command(new, hosts, ["--pid", str(first.pid)], "mappings")
    process = next(one for one in new.processes if (one.host, one.pid) == (first.host, first.pid))
    return next_command(new, hosts, of_service(process), "processes")


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


def _restarts(lives: Iterable[Life]) -> Iterator[str]:
    """Yield a sentence for each of the MOST services that changed most by restarts, and one for all others.

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
        size = _before_and_after(sizes[service])
        yield f"{_named(service)} on {fold(hosts)}: {count}; {size}{_where(of, len(hosts))}"
    if others := [life for service in ranked if service not in told for life in services[service]]:
        also = "also restarted" if told else "restarted"
        yield f"{_counted(others)} {also}, with {_sum(life.new for life in others)}: {_services(others)}"


def _known_sizes(of: Iterable[Life]) -> list[tuple[int, int]]:
    return [(life.old, life.new) for life in of if life.old is not None and life.new is not None]


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


def _where(of: Sequence[Life], hosts: int) -> str:
    """Return the mapping that changed most, its change in each process, and the hosts with it; empty if none did."""
    changes: dict[str, dict[str, int]] = {}
    for life in of:
        for part in life.parts:
            on = changes.setdefault(part.mapping, {})
            on[life.host] = on.get(life.host, 0) + part.growth
    if not changes:
        return ""
    mapping, on = max(changes.items(), key=lambda item: abs(sum(item[1].values())))
    change = round(sum(on.values()) / len(of))
    if abs(change) <= FLOOR_KIB:
        return ""
    alike = sum((growth > 0) == (change > 0) for growth in on.values())
    text = f", {'+' if change > 0 else ''}{short(change)}" + (f" in {mapping}" if mapping != ROLLUP else "")
    if hosts > 1:
        text += f", on {f'all {hosts}' if alike == hosts else f'{alike} of the {hosts}'}"
    return text


def _come_and_gone(lives: Sequence[Life]) -> Iterator[str]:
    new = [life for life in lives if life.status == "new"]
    gone = [life for life in lives if life.status == "gone"]
    if new:
        yield f"{_counted(new)} {_are(new)} new, with {_sum(life.new for life in new)}: {_services(new)}"
    if gone:
        yield f"{_counted(gone)} {_are(gone)} gone, which had {_sum(life.old for life in gone)}: {_services(gone)}"


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
