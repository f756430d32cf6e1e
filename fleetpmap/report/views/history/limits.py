"""How much room is left until a limit.   Snapshot (the last run) ─► [limits] ─► trends

A process may reach two limits: that of its cgroup, or of the ancestor with the tightest one, and the memory of its
host. What counts is the one with less room. A cgroup's page cache is room, since the kernel drops it before it kills.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fleetpmap.history.gathering import Key
from fleetpmap.report.charge import above
from fleetpmap.report.grouping import owner
from fleetpmap.snapshot import HostResult, Process, Snapshot
from fleetpmap.wire import CgroupMemory


class Limit(NamedTuple):
    """A limit of some processes of one host."""

    kib: int
    room_kib: int | None
    """What is left of it; None if the host does not say how much is used."""
    is_of_host: bool
    """True for the memory of the host, False for the limit of a cgroup."""


def limits(snapshot: Snapshot, by: Sequence[str]) -> dict[Key, Limit]:
    """Return the limit of each group of processes by the keys `by`; groups without a known one are missing.

    A group on several hosts has none: it may grow on any of them.
    """
    groups: dict[Key, list[Process]] = {}
    for process in snapshot.processes:
        if process.status == "read":
            groups.setdefault(tuple(key_of(process, key) for key in by), []).append(process)
    hosts = {host.name: host for host in snapshot.hosts}
    found: dict[Key, Limit] = {}
    for key, processes in groups.items():
        if len({process.host for process in processes}) == 1:
            known = list(_limits(hosts[processes[0].host], {process.cgroup for process in processes}))
            if known:
                found[key] = min(known, key=lambda limit: (limit.room_kib is None, limit.room_kib))
    return found


def key_of(process: Process, key: str) -> str | None:
    """Return a key of --by of a process, as a history has it."""
    match key:
        case "process":
            return process.name
        case "user":
            return owner(process)
        case _:
            return getattr(process, key) or None


def _limits(host: HostResult, paths: set[str | None]) -> Iterable[Limit]:
    cgroups = [cgroup for cgroup in host.cgroups if cgroup.path in paths]
    holders = {cgroup.limit_path for cgroup in cgroups}
    if len(cgroups) == len(paths) and len(holders) == 1 and (kib := cgroups[0].limit_kib) is not None:
        yield Limit(kib, _room(kib, host, cgroups[0].limit_path), is_of_host=False)
    if host.memory and host.memory.total_kib:
        yield Limit(host.memory.total_kib, host.memory.available_kib, is_of_host=True)


def _room(kib: int, host: HostResult, holder: str) -> int | None:
    """Return what is left of the limit of cgroup `holder`, an ancestor perhaps, by what that is charged in all.

    Where that is not told, what the known cgroups below it are charged. Of their cache only that of known ones is room.
    """
    own = [cgroup for cgroup in host.cgroups if cgroup.path == holder]
    below = [cgroup for cgroup in host.cgroups if cgroup.limit_path == holder]
    paths = {(host.name, cgroup.path) for cgroup in below}
    # A cgroup's charge and cache include those of the cgroups below it.
    known = own or [cgroup for cgroup in below if paths.isdisjoint(above((host.name, cgroup.path)))]
    charged = [cgroup.current_kib for cgroup in known]
    told = next((cgroup.limit_used_kib for cgroup in below if cgroup.limit_used_kib is not None), None)
    if told is None and (not charged or None in charged):
        return None
    used = sum(size or 0 for size in charged) if told is None else told
    return max(kib - max(used - sum(map(_cache, known)), 0), 0)


def _cache(cgroup: CgroupMemory) -> int:
    """Return the page cache of a cgroup, without shared memory, which is no cache; 0 if unknown."""
    return max((cgroup.file_kib or 0) - (cgroup.shmem_kib or 0), 0)
