"""Where one is in the walk, as data.   [places] ─► narrowing, app

    fleet ─► service ─► host ─► process ─► mapping ─► its VMAs ─► the fields of one
    fleet ─► mapping ─► hosts ─► processes ─► VMAs, and so on: what was entered narrows every list below it

A Place is what was entered so far and the list that is shown of it; to enter a row gives the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from fleetpmap.report.finding import Finding
from fleetpmap.report.model import Cell

Level = Literal["services", "hosts", "processes", "mappings", "vmas", "fields", "compare"]
LISTS: tuple[Level, ...] = ("services", "hosts", "processes", "mappings")
"""The lists that each place has, in the order in which a key goes through them."""
VIEW_OF: Mapping[Level, str] = {
    "services": "services",
    "hosts": "hosts",
    "processes": "processes",
    "mappings": "merged",
    "vmas": "mappings",
    "fields": "mappings",
    "compare": "compare",
}
"""The report of each level: a value of --view."""
LEVEL_OF: Mapping[str, Level] = {VIEW_OF[level]: level for level in (*LISTS, "compare")}
"""The lists by their views: those that `watch` can begin with."""
KEYS_OF: Mapping[Level, tuple[str, ...]] = {
    "services": ("service",),
    "hosts": ("host",),
    "processes": ("host", "pid"),
    "mappings": ("mapping",),
    "vmas": ("host", "pid", "start"),
    "fields": ("field",),
    "compare": ("service", "mapping"),
}
"""The columns that tell the rows of each level apart, as far as the view has them."""
CHOOSABLE: frozenset[Level] = frozenset({"services", "hosts", "processes"})
"""Lists of which rows can be chosen, to be compared."""


@dataclass(frozen=True, slots=True)
class Place:
    """What was entered, None for what was not, and the list of it that is shown."""

    level: Level = "services"
    service: str | None = None
    hosts: tuple[str, ...] | None = None
    """One host that was entered, or the hosts that are compared."""
    services: tuple[str, ...] | None = None
    """The services that are compared."""
    processes: tuple[tuple[str, int], ...] | None = None
    """The processes that are compared, each as host and pid."""
    pid: int | None = None
    mapping: str | None = None
    start: str | None = None
    """The address of one VMA, in hex."""

    @property
    def trail(self) -> tuple[str, ...]:
        """What was entered, from the outside in."""
        hosts = self.hosts and (self.hosts[0] if len(self.hosts) == 1 else f"{len(self.hosts)} hosts")
        services = self.services and f"{len(self.services)} services"
        processes = self.processes and f"{len(self.processes)} processes"
        pid = None if self.pid is None else f"pid {self.pid}"
        parts = (services, self.service, hosts, processes, pid, self.mapping, self.start)
        return tuple(part for part in parts if part)

    @property
    def compared(self) -> tuple[str, ...]:
        """The names of the columns of what is compared; empty if that is every host."""
        if self.processes is not None:
            return tuple(process_label(host, pid) for host, pid in self.processes)
        return self.services or self.hosts or ()

    def comparing(self, chosen: Collection[tuple[Cell, ...]]) -> Place:
        """Return the place in which the chosen rows of this list are side by side; without any, the hosts.

        These are the hosts of the place, or all if it is about one.

        Rows of services, hosts or processes can be chosen, each by its KEYS_OF.
        """
        rows = sorted(chosen, key=str)
        place = replace(self, level="compare", pid=None, start=None)
        if not rows:
            return replace(place, hosts=None) if self.hosts is not None and len(self.hosts) == 1 else place
        if self.level == "processes":  # of any service and host: they may have been chosen elsewhere
            processes = tuple((str(host), int(str(pid))) for host, pid in rows)
            return replace(place, service=None, services=None, hosts=None, processes=processes)
        names = tuple(str(name) for (name,) in rows)
        if self.level == "services":
            return replace(place, service=None, services=names)
        return replace(place, hosts=names)

    def entered(self, row: Mapping[str, Cell]) -> Place | None:
        """Return the place of one row of this list, given by its KEYS_OF; None if there is nothing below it."""
        if self.level == "fields":
            return None
        place = self
        for key, cell in row.items():
            if cell is None:
                return None
            if key == "host":
                place = replace(place, hosts=(str(cell),))
            elif key == "pid":
                place = replace(place, pid=int(cell), processes=None)
            elif key == "service":
                place = replace(place, service=str(cell), services=None)
            elif key == "mapping":
                place = replace(place, mapping=str(cell))
            elif key == "start":
                place = replace(place, start=str(cell))
        return replace(place, level=_below(place))


def process_label(host: str, pid: int) -> str:
    """Return the name of the column of a process that is compared."""
    return f"{host}:{pid}"


def _below(place: Place) -> Level:
    """Return the list of the first thing that is still open."""
    if place.start is not None:
        return "fields"
    if place.pid is not None:
        return "mappings" if place.mapping is None else "vmas"
    if place.processes is not None:
        return "processes"
    if place.services is not None:
        return "services"
    return "hosts" if place.hosts is None or len(place.hosts) > 1 else "processes"


def place_of(finding: Finding) -> Place:
    """Return the place with the rows of a finding: of one process its mapping, else the hosts or processes it is about.

    A limit is about a process, whose mappings are then listed.
    """
    hosts = None if finding.host is None else (finding.host,)
    if finding.kind in ("drift", "split"):  # about several hosts: side by side
        return Place("compare", finding.service)
    if finding.kind == "stale":  # its mapping is a path, and its process one of several
        return Place("hosts" if hosts is None else "processes", finding.service, hosts)
    place = Place(
        "services",
        finding.service,
        hosts,
        pid=None if hosts is None else finding.pid,
        mapping=finding.mapping,
    )
    return replace(place, level=_below(place))
