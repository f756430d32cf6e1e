"""Directories of many runs, as --save DIR/ fills them.   [kept_runs] ─► tests of history, its benchmark

    keep(directory, [Service("web-01", "api", {"[heap]": [4000, 4012, 4030]}), …])

A run is a snapshot of the same hosts, processes and mappings; only sizes and start times differ from run to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from fleetpmap.smaps.fields import FIELDS
from fleetpmap.snapshot import HostSnapshot, Run, Snapshot
from fleetpmap.snapshot_file import save_in
from fleetpmap.wire import CgroupMemory, HostMemory
from snapshots import failed, host, mapping, process

MIB = 1024
GIB = 1024 * MIB
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
COMMAND = "fleetpmap run --all"
_FIELDS = {one.key: 4 for one in FIELDS if one.unit == "KiB"}
"""What a kernel of today prints of a mapping."""


@dataclass(frozen=True)
class Service:
    """One service on one host: its mappings, each with a size for each run in KiB, and when it restarts."""

    host: str
    name: str
    mappings: Mapping[str, Sequence[int]]
    restarts: frozenset[int] = field(default_factory=frozenset)
    """Runs before which the process was restarted."""
    deploys: frozenset[int] = field(default_factory=frozenset)
    """Runs before which its libraries were replaced by another build."""
    limit_kib: int | None = None
    used_kib: int = 0
    """What its cgroup is charged."""

    @property
    def cgroup(self) -> str:
        return f"/system.slice/{self.name}.service"


def keep(
    directory: Path,
    services: Sequence[Service],
    *,
    away: Callable[[str, int], bool] = lambda name, run: False,
    every: timedelta = timedelta(hours=1),
) -> None:
    """Save a run for each size that the services have; `away`: hosts that give no answer in a run."""
    runs = len(next(iter(services[0].mappings.values())))
    template = _hosts(services)
    sizes = {one.name: _sizes_of(one.name, services) for one in template}
    for run in range(runs):
        hosts = [
            failed(one.name, "timeout", f"{one.name}: no answer in 10 s")
            if away(one.name, run)
            else _at(one, services, sizes[one.name][:, run], run)
            for one in template
        ]
        save_in(directory, Snapshot.assemble(hosts, Run(BEGIN + run * every, 2.0, COMMAND)))


def _hosts(services: Sequence[Service]) -> list[HostSnapshot]:
    hosts = []
    for name in dict.fromkeys(service.host for service in services):
        here = [service for service in services if service.host == name]
        processes = [
            process(
                100 + number,
                service.name,
                *(
                    mapping(path, perms=_perms(path), start=0x10000000 * (slot + 1), size=GIB, **_FIELDS)
                    for slot, path in enumerate(service.mappings)
                ),
            )
            for number, service in enumerate(here)
        ]
        cgroups = tuple(
            CgroupMemory(one.cgroup, one.used_kib, None, one.limit_kib, one.limit_kib is None, one.cgroup)
            for one in here
        )
        hosts.append(replace(host(name, *processes), memory=HostMemory(8 * GIB, 6 * GIB, 0, 0), cgroups=cgroups))
    return hosts


def _perms(path: str) -> str:
    return "r-xp" if ".so" in path else "rw-p"


def _sizes_of(name: str, services: Sequence[Service]) -> np.ndarray:
    """The sizes of the mappings of one host, in the order of its rows: [mapping, run]."""
    return np.array([sizes for service in services if service.host == name for sizes in service.mappings.values()])


def _at(one: HostSnapshot, services: Sequence[Service], sizes: np.ndarray, run: int) -> HostSnapshot:
    """The host as it is in a run."""
    here = [service for service in services if service.host == one.name]
    processes = []
    for process_, service in zip(one.processes, here, strict=True):
        lives = sum(restart <= run for restart in service.restarts)
        processes.append(
            replace(
                process_,
                pid=process_.pid + 1000 * lives,
                start_ticks=1 + max([0, *(restart for restart in service.restarts if restart <= run)]),
                service=f"{service.name}.service",
                unit=f"{service.name}.service",
                cgroup=service.cgroup,
            )
        )
    fields = {**one.table.fields, "Pss": sizes.astype(np.int64), "Rss": sizes.astype(np.int64)}
    longer = [4096 * sum(deploy <= run for deploy in service.deploys) for service in here for _ in service.mappings]
    table = replace(one.table, fields=fields, end=one.table.end + np.array(longer, dtype=np.uint64))
    return replace(one, processes=tuple(processes), table=table)
