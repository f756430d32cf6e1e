"""What the kernel charges to cgroups.   snapshot ─► [charge] ─► services, leftover

A cgroup is charged for all below it. So of several cgroups each counts once, and one below another does not count
again: a process in /shop.slice and one in /shop.slice/worker are charged what /shop.slice is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import NamedTuple

from fleetpmap.report.model import UNLIMITED, Cell, Column, Table, Unit
from fleetpmap.report.proportion import percent
from fleetpmap.snapshot import Process, Snapshot
from fleetpmap.wire import CgroupMemory, Pressure

_FIGURES = tuple(each.name for each in fields(CgroupMemory) if each.name not in ("path", "is_unlimited", "pressure"))
"""The fields of a cgroup that are columns of `cgroups_table`."""

Place = tuple[str, str]
"""A host, and the path of a cgroup there."""


class Limit(NamedTuple):
    """The limit nearest to being reached."""

    kib: int
    share: float | None
    """Percent of it that is charged to the cgroup that has it, or else to the one below it; None: unknown."""
    place: Place
    """The cgroup that has it."""


@dataclass(frozen=True, slots=True)
class Charge:
    """The sums over some cgroups; None where none of them is known."""

    current_kib: int | None
    peak_kib: int | None
    """At most this, if the cgroups had their peaks at the same time."""
    oom_kills: int | None
    limit: Limit | None
    """None if they have no limit, and if none is known."""
    is_unlimited: bool
    """True if none of them has a limit."""

    @property
    def limit_kib(self) -> int | str | None:
        """The cell of the limit: UNLIMITED if there is none, None if it is unknown."""
        return self.limit.kib if self.limit else UNLIMITED if self.is_unlimited else None

    @property
    def limit_share(self) -> float | str | None:
        """The cell of the share of the limit, likewise."""
        return self.limit.share if self.limit else UNLIMITED if self.is_unlimited else None


class Cgroups:
    """The memory cgroups of a snapshot by place."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._at = {(host.name, cgroup.path): cgroup for host in snapshot.hosts for cgroup in host.cgroups}

    def __getitem__(self, place: Place) -> CgroupMemory:
        return self._at[place]

    def __contains__(self, place: Place) -> bool:
        return place in self._at

    def place_of(self, process: Process) -> Place | None:
        """Return the place of the cgroup that a process is charged to; None if its files were not read."""
        place = (process.host, process.cgroup or "")
        return place if place in self._at else None

    def topmost(self, places: Iterable[Place], figure: Callable[[CgroupMemory], int | None]) -> dict[Place, int]:
        """Return the known figures, without those of cgroups below another with a known one."""
        known = {place: kib for place in places if (kib := figure(self._at[place])) is not None}
        if len(known) < 2:
            return known
        # The hosts of a fleet have few paths: where none is above another, no host needs to be looked at.
        paths = {path for _, path in known}
        below = {path for path in paths if any(higher in paths for _, higher in above(("", path)))}
        return {
            place: kib for place, kib in known.items() if place[1] not in below or known.keys().isdisjoint(above(place))
        }

    def charge(self, places: Collection[Place], *, whole: bool) -> Charge:
        """Add up these cgroups. `whole`: every process in question is in one of them."""
        limit = self._nearest_limit(places)
        return Charge(
            current_kib=_added(self.topmost(places, lambda cgroup: cgroup.current_kib).values()),
            peak_kib=_added(self.topmost(places, lambda cgroup: cgroup.peak_kib).values()),
            oom_kills=self.oom_kills(places),
            limit=limit,
            is_unlimited=whole and bool(places) and all(self._at[place].is_unlimited for place in places),
        )

    def oom_kills(self, places: Collection[Place]) -> int | None:
        """Add up the processes that were killed in these cgroups and below them."""
        counts = self.topmost(places, lambda cgroup: cgroup.oom_kills)
        # v1, which has no count `oom`, counts a kill in the killed process's cgroup alone.
        local = {place: kills for place in places if (kills := _v1_kills(self._at[place])) is not None}
        return _added((counts | local).values())

    def _nearest_limit(self, places: Iterable[Place]) -> Limit | None:
        limits = [limit for place in places if (limit := self._limit(place))]
        return min(limits, key=lambda limit: (-(limit.share or 0.0), limit.kib), default=None)

    def _limit(self, place: Place) -> Limit | None:
        cgroup = self._at[place]
        if cgroup.limit_kib is None:
            return None
        used = cgroup.current_kib if cgroup.limit_used_kib is None else cgroup.limit_used_kib
        return Limit(cgroup.limit_kib, percent(used, cgroup.limit_kib), (place[0], cgroup.limit_path))


def columns_of_processes(snapshot: Snapshot) -> tuple[Column, ...]:
    """Return the charge and the limit of each process's cgroup, one row per process; several may have one cgroup."""
    cgroups = Cgroups(snapshot)
    places = [cgroups.place_of(process) for process in snapshot.processes]
    charges = {place: cgroups.charge((place,), whole=True) for place in {*filter(None, places)}}
    unknown = cgroups.charge((), whole=False)
    of_rows = [charges[place] if place else unknown for place in places]
    return (
        Column("cgroup_current_kib", "KiB", [charge.current_kib for charge in of_rows]),
        Column("limit_kib", "KiB", [charge.limit_kib for charge in of_rows]),
        Column("limit_share", "percent", [charge.limit_share for charge in of_rows]),
    )


def cgroups_table(snapshot: Snapshot) -> Table:
    """Return a row for each memory cgroup, with all that its host tells of it, and the services of its processes."""
    services: dict[Place, dict[str, None]] = {}
    for process in snapshot.processes:
        services.setdefault((process.host, process.cgroup or ""), {})[process.service] = None
    rows = [(host.name, cgroup) for host in snapshot.hosts for cgroup in host.cgroups]
    cgroups = [cgroup for _, cgroup in rows]
    return Table(
        "cgroups",
        (
            Column("host", "text", [host for host, _ in rows]),
            Column("cgroup", "text", [cgroup.path for cgroup in cgroups]),
            Column("services", "text", [",".join(services.get((host, cgroup.path), ())) for host, cgroup in rows]),
            *(_figures(name, [_cell(cgroup, name) for cgroup in cgroups]) for name in _FIGURES),
            *(
                Column(f"pressure_{name}", "percent", [getattr(cgroup.pressure, name, None) for cgroup in cgroups])
                for name in (each.name for each in fields(Pressure))
            ),
        ),
    )


def _figures(name: str, cells: list[Cell]) -> Column:
    unit: Unit = "text" if name == "limit_path" else "KiB" if name.endswith("_kib") else "count"
    return Column(name, unit, cells)


def _cell(cgroup: CgroupMemory, name: str) -> Cell:
    cell: Cell = getattr(cgroup, name)
    return UNLIMITED if name == "limit_kib" and cgroup.is_unlimited else cell


def above(place: Place) -> Iterator[Place]:
    """Yield the places above this one on its host, the nearest first, up to the root of the hierarchy."""
    host, path = place
    while path not in ("", "/"):
        path = path.rpartition("/")[0] or "/"
        yield host, path


def _v1_kills(cgroup: CgroupMemory) -> int | None:
    return cgroup.oom_kills if cgroup.oom is None else None


def _added(figures: Collection[int]) -> int | None:
    return sum(figures) if figures else None
