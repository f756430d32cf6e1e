"""Sentences that sum up a report in everyday words.   views.page ─► [headline] ─► export.as_html

Of a difference and of many runs: the growth. Of one run a sentence each on: how much on how many hosts; the host that
stands out, and the process; growth, and since when; the limits; the hosts that are missing. Unknown facts are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from fleetpmap.report.finding import Finding
from fleetpmap.report.model import UNLIMITED, Cell, Report, Table
from fleetpmap.snapshot import INCOMPLETE
from fleetpmap.units import human

_ALIKE = 1.25
"""Hosts are called alike if the upper quartile of their sizes is at most so many times the lower one."""
_MOST_OF_IT = 0.75
"""Share of a host's memory from which on a mapping is called what the host takes."""
_TELLING = ("outlier", "growth", "leak")
"""Kinds of findings that name a host with more or less than the others."""

_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"))


class _Holding(NamedTuple):
    """What one host holds."""

    host: str
    kib: int


def headline(report: Report) -> tuple[str, ...]:
    """Return the sentences on a report that has the further reports of a page, or that tells growth; else none."""
    if not report.beside:
        return tuple(_growth(report))
    coverage = report.coverage
    if not coverage.answered:
        return ("No host answered.",) if coverage.asked else ()
    holdings = _holdings(report.beside["hosts"].tables[0])
    if not holdings:
        hints = (f"{hint[0].upper()}{hint[1:]}." for hint in report.hints)
        return (f"Nothing matched on {_counted(coverage.answered, 'host')}.", *hints, *_missing(report))
    return (
        _amount(report, holdings),
        *_standing_out(report, holdings),
        *_limits(report),
        *_missing(report),
    )


def _growth(report: Report) -> Iterator[str]:
    """Yield how the whole grew: from run to run of a timeline, or from the old to the new size of a difference."""
    if report.timeline:
        known = [kib for kib in report.timeline.whole.sizes if kib is not None]
        before, after = (known[0], known[-1]) if known else (None, None)
        where = f" in {_long(report.timeline.times[-1] - report.timeline.times[0])}"
    else:
        totals = {
            column.name: column.total for table in report.tables for column in table.columns if not column.at_most
        }
        before, after, where = totals.get("old_kib"), totals.get("new_kib"), ""
    if before is None or after is None:
        return
    if before == after:
        yield f"Memory did not change{where}: {size(after)}."
    else:
        verb = "grew" if after > before else "shrank"
        yield f"Memory {verb} by {size(abs(after - before))}{where}, from {size(before)} to {size(after)}."


def size(kib: int) -> str:
    """Format a size as in a sentence: `629 MiB`, `1.9 GiB`."""
    text = human(kib)
    number = text[:-1] if abs(float(text[:-1])) < 10 else f"{float(text[:-1]):.0f}"
    return f"{number.removesuffix('.0')} {text[-1]}iB"


def _holdings(hosts: Table) -> list[_Holding]:
    """Return the hosts with memory of a process that matched, in the order of the inventory."""
    names, sizes = hosts.column("host").cells(), hosts.column(hosts.share or "pss_kib").cells()
    return [_Holding(str(name), kib) for name, kib in zip(names, sizes, strict=True) if isinstance(kib, int) and kib]


def _amount(report: Report, holdings: Sequence[_Holding]) -> str:
    hosts, services = report.beside["hosts"].tables[0], report.beside["services"].tables[0]
    column = hosts.column(hosts.share or "pss_kib")
    kib = column.total if column.total is not None else sum(one.kib for one in holdings)
    at_most = "at most " if column.at_most else ""
    names = [str(name or "") for name in services.column("service").cells()]
    subject, verb = _subject(report, names)
    where = holdings[0].host if len(holdings) == 1 else _counted(len(holdings), "host")
    sentence = f"{subject} {verb} {at_most}{size(kib)} on {where}"
    if len(holdings) > 1:
        sentence += f", {_each([one.kib for one in holdings])} each"
    if len(names) > 1 and names[0] and (largest := services.column(services.share or "pss_kib").cells()[0]):
        sentence += f"; the largest is {_plain(names[0])} with {size(int(largest))}"
    return f"{sentence}."


def _subject(report: Report, services: Sequence[str]) -> tuple[str, str]:
    """Return what takes the memory: the service, the name that all processes have, or a number; and the verb."""
    if len(services) > 1:
        return _counted(len(services), "service"), "take"
    if services[0]:
        return _plain(services[0]), "takes"
    names = {str(name) for name in report.beside["processes"].tables[0].column("name").cells()}
    if len(names) == 1:
        return names.pop(), "takes"
    return _counted(len(names), "program"), "take"


def _each(sizes: Sequence[int]) -> str:
    lower, middle, upper = np.percentile(sizes, (25, 50, 75))
    if upper <= _ALIKE * lower:
        return f"about {size(round(middle))}"
    return f"from {size(min(sizes))} to {size(max(sizes))}"


def _standing_out(report: Report, holdings: Sequence[_Holding]) -> Iterator[str]:
    """Yield sentences on the first finding about a host, and on its growth and age."""
    first = next((one for one in report.findings if one.kind in _TELLING and one.host and one.value_kib), None)
    if first is None or first.value_kib is None:
        return
    several = len(report.beside["services"].tables[0]) > 1
    held = next((one.kib for one in holdings if one.host == first.host), None)
    part = first.value_kib
    is_less = first.reference_kib is not None and part < first.reference_kib
    subject = f"{_plain(first.service)} on {first.host}" if several and first.service else f"{first.host}"
    whose = ""
    if first.pid is not None:  # of several processes the one that holds the most
        whose = f" of pid {first.pid}" if _is_alone(report, first) else f", the largest part in pid {first.pid}"
    only = "only " if is_less else ""
    what = f"{first.mapping or 'all of it'}{whose}"
    if several or held is None:
        verb, where = ("has", f" in {what}") if first.mapping else ("takes", "")
        yield f"{subject} {verb} {only}{size(part)}{where}."
    elif part >= _MOST_OF_IT * held:
        yield f"{subject} takes {only}{size(held)}: {what}."
    else:
        yield f"{subject} takes {size(held)}, {only}{size(part)} of it in {what}."
    yield from _since(report, first)


def _is_alone(report: Report, finding: Finding) -> bool:
    """Return whether one process makes up what the finding is about."""
    processes = report.beside["processes"].tables[0]
    cells = zip(*(processes.column(name).cells() for name in ("host", "service")), strict=True)
    mine = [host for host, service in cells if host == finding.host and service in (None, finding.service)]
    return len(mine) == 1


def _since(report: Report, first: Finding) -> Iterator[str]:
    """Yield how its memory grew, and since when its process runs."""
    grown = next(
        (one for one in report.findings if one.kind in ("growth", "leak") and (one.host, one.pid) == _of(first)), None
    )
    if grown is not None:
        yield f"{grown.text.partition(': ')[2] or grown.text}."
    processes = report.beside["processes"].tables[0]
    cells = (processes.column(name).cells() for name in ("host", "pid", "started"))
    started = next((since for host, pid, since in zip(*cells, strict=True) if (host, pid) == _of(first)), None)
    if started:
        yield f"Process {first.pid} has run since {_time(str(started))}."


def _of(finding: Finding) -> tuple[str | None, int | None]:
    return finding.host, finding.pid


def _limits(report: Report) -> Iterator[str]:
    services = report.beside["services"].tables[0]
    kills = services.column("oom_kills").total
    if kills:
        yield f"The kernel killed {_counted(kills, 'process')} for lack of memory."
    processes = report.beside["processes"].tables[0]
    cells = (processes.column(name).cells() for name in ("limit_share", "host", "service"))
    shares = list(zip(*cells, strict=True))
    known = [(share, host, service) for share, host, service in shares if isinstance(share, float | int)]
    some = "" if all(share is not None for share, _, _ in shares) else "known "
    if known:
        share, host, service = max(known, key=lambda one: one[0])
        whose = f"of {_plain(str(service))} on {host}" if len(services) > 1 else f"on {host}"
        within = f"All processes are within their {some}limits; the" if share < 100 else "The"
        yield f"{within} fullest limit, {whose}, is at {share:.0f} %."
    elif shares and not some and all(share == UNLIMITED for share, _, _ in shares):
        yield "No process has a memory limit."


def _missing(report: Report) -> Iterator[str]:
    coverage = report.coverage
    if missing := coverage.asked - coverage.answered:
        yield f"{_counted(missing, 'host')} did not answer, so the real total may be higher."
    if unread := sum(count for status, count in coverage.processes.items() if status in INCOMPLETE):
        yield f"{_counted(unread, 'process')} could not be read, so the real total is higher."


def _plain(service: Cell) -> str:
    return str(service).removesuffix(".service")


def _time(text: str) -> str:
    return f"{text.replace('T', ' ')[:16]} UTC"


def _long(span: timedelta) -> str:
    """Format a span of time in a unit of which it has at least two: `12.5 days`, `36 hours`."""
    seconds = span.total_seconds()
    unit, noun = next((one for one in _UNITS if seconds >= 2 * one[0]), (1, "seconds"))
    return f"{f'{seconds / unit:.1f}'.removesuffix('.0')} {noun}"


def _counted(count: int, noun: str) -> str:
    plural = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{'' if count == 1 else plural}"
