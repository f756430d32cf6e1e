"""Memory beside what it must not exceed, as bars.   report (limits, hosts) ─► [limits] ─► page

A bar is as long as the limit, so its end is the limit, and how full it is can be compared between services of any size.
Its first part is what the processes hold, its second what else is charged: page cache, memory of the kernel, and of a
host the other processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from fleetpmap.report.model import Cell, Column, Table
from fleetpmap.report.proportion import percent
from fleetpmap.units import human

MOST_HOSTS = 20
"""Hosts with a bar, those with the least room first."""
NEAR, FULL = 75.0, 90.0
"""Percent of a limit from which on it is near, and nearly reached."""
Level = Literal["low", "near", "full"]


class LimitBar(NamedTuple):
    """A limit, and how much of it is used."""

    host: str
    service: str
    """Empty for a host's memory."""
    held: float
    """Percent of the limit that the processes hold."""
    charged: float
    """Percent of the limit that is used in all, at most 100."""
    share: float
    """The same as it is: a cgroup may for a moment exceed its limit."""
    level: Level
    held_text: str
    used_text: str
    limit_text: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The bars of a page, the fullest first."""

    of_services: tuple[LimitBar, ...]
    of_hosts: tuple[LimitBar, ...]
    remarks: tuple[str, ...]
    """Sentences on the bars that are left out."""


def limits_of(services: Table, hosts: Table) -> Limits:
    """Return the bars. `services`: one row for each service on each host, by `limit_share`; `hosts`: as of the view."""
    of_services = tuple(_of_services(services))
    of_hosts = sorted(_of_hosts(hosts), key=lambda bar: -bar.share)
    shown = of_hosts[:MOST_HOSTS]
    remarks = []
    if services.more and of_services:
        least = of_services[-1].share
        remarks.append(f"{services.more:,} more use at most {least:.1f} % of a limit, or have none that is known.")
    if left := len(of_hosts) - len(shown):
        remarks.append(f"{left:,} more hosts use at most {shown[-1].share:.1f} % of their memory.")
    return Limits(of_services, tuple(shown), tuple(remarks))


def _of_services(table: Table) -> Iterator[LimitBar]:
    """Yield a bar for each row with a limit of which the used share is known."""
    names = ("host", "service", _held(table), "cgroup_current_kib", "limit_kib", "limit_share")
    for host, service, held, charged, limit, share in _rows(table, names):
        if isinstance(limit, int) and limit and isinstance(share, float):
            is_own = isinstance(charged, int) and percent(charged, limit) == share  # else an ancestor has the limit
            used = charged if is_own and isinstance(charged, int) else round(limit * share / 100)
            yield _bar(str(host), str(service or "?"), held, used, limit, share)


def _of_hosts(table: Table) -> Iterator[LimitBar]:
    """Yield a bar for each host that tells how much of its memory is available."""
    names = ("host", _held(table), "mem_total_kib", "mem_available_kib")
    for host, held, total, available in _rows(table, names):
        if isinstance(total, int) and isinstance(available, int):
            used = max(total - available, 0)
            share = percent(used, total)
            if share is not None:
                yield _bar(str(host), "", held, used, total, share)


def _bar(host: str, service: str, held: Cell, used: int, limit: int, share: float) -> LimitBar:
    known = held if isinstance(held, int) else None
    return LimitBar(
        host,
        service,
        round(min(100 * (known or 0) / limit, share, 100.0), 2),
        round(min(share, 100.0), 2),
        share,
        "full" if share >= FULL else "near" if share >= NEAR else "low",
        "?" if known is None else human(known),
        human(used),
        human(limit),
    )


def _held(table: Table) -> str:
    return table.share or "pss_kib"


def _rows(table: Table, names: Sequence[str]) -> Iterator[tuple[Cell, ...]]:
    """Yield these cells of each row but `(N more)`."""
    columns: list[Column] = [table.column(name) for name in names]
    stop = len(table) - 1 if table.more else len(table)
    return zip(*(column.cells(0, stop) for column in columns), strict=True)
