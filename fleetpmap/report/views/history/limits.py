"""How much room is left until a limit.   Snapshot (the last run) ─► [limits] ─► trends

A process may reach two limits: that of its cgroup, or of the ancestor with the tightest one, and the memory of its
host. What counts is the one with less room. A cgroup's page cache is room, since the kernel drops it before it kills.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fleetpmap.history.gathering import Key
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
            groups.setdefault(tuple(_text(process, key) for key in by), []).append(process)
    hosts = {host.name: host for host in snapshot.hosts}
    found: dict[Key, Limit] = {}
    for key, processes in groups.items():
        if len({process.host for process in processes}) == 1:
            known = list(_limits(hosts[processes[0].host], {process.cgroup for process in processes}))
            if known:
                found[key] = min(known, key=lambda limit: (limit.room_kib is None, limit.room_kib))
    return found


def _text(process: Process, key: str) -> str | None:
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
    """Return what is left of the limit of cgroup `holder`, by its own charge, else by those below it that are known."""
    charged = [cgroup for cgroup in host.cgroups if cgroup.path == holder]
    charged = charged or [cgroup for cgroup in host.cgroups if cgroup.limit_path == holder]
    used = [_used(cgroup) for cgroup in charged]
    known = [size for size in used if size is not None]
    return max(kib - sum(known), 0) if used and len(known) == len(used) else None


def _used(cgroup: CgroupMemory) -> int | None:
    if cgroup.current_kib is None:
        return None
    cache = (cgroup.file_kib or 0) - (cgroup.shmem_kib or 0)
    return max(cgroup.current_kib - max(cache, 0), 0)
