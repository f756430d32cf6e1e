"""Hosts with memory, and cgroups with charges, by hand.

shop = of("shop.service", process(7, "app", mapping(Rss=4, Pss=4)), cgroup="/system.slice/shop.service")
web = with_memory(host("web-01", shop), cgroup("/system.slice/shop.service", current=4096, limit=8192), total=65536)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fleetpmap.snapshot import HostSnapshot
from fleetpmap.wire import CgroupMemory, HostMemory
from snapshots import ProcessWithMappings


def of(
    service: str, one: ProcessWithMappings, *, cgroup: str | None = None, started: float | None = None
) -> ProcessWithMappings:
    """The process as one of a service, in the cgroup of that path. The name tells a unit, a container and neither."""
    unit = service if service.endswith((".service", ".scope")) else None
    container = service if ":" in service else None
    belongs = replace(one.process, service=service, unit=unit, container=container, cgroup=cgroup, started=started)
    return replace(one, process=belongs)


def cgroup(
    path: str,
    *,
    current: int | None = None,
    peak: int | None = None,
    limit: int | None = None,
    unlimited: bool = False,
    limit_path: str = "",
    **figures: Any,
) -> CgroupMemory:
    """A cgroup with its charge in KiB, and further fields. A limit is its own unless `limit_path` says whose."""
    holder = limit_path or (path if limit is not None else "")
    return CgroupMemory(path, current, peak, limit, unlimited, holder, **figures)


def with_memory(
    one: HostSnapshot, *cgroups: CgroupMemory, total: int | None = None, available: int | None = None
) -> HostSnapshot:
    """The host with these cgroups, and with memory of its own if `total` is given."""
    memory = None if total is None else HostMemory(total, available, None, None)
    return replace(one, cgroups=cgroups, memory=memory)
