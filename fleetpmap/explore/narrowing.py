"""The part of a snapshot that was entered.   Snapshot ─► [narrowing] ─► Snapshot, for every report

A narrowed snapshot is one that a run of only this part would have made, so the reports of `run` show the same numbers
of it. What could not be read stays in it, since it may hold some of what was entered: failed hosts, and processes
without rows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fleetpmap.naming import alike
from fleetpmap.smaps import Coded
from fleetpmap.snapshot import ANSWERED, INCOMPLETE, HostResult, Process, Snapshot, host_status, service_of


def narrowed(
    snapshot: Snapshot,
    *,
    service: str | None = None,
    hosts: Collection[str] | None = None,
    services: Collection[str] | None = None,
    processes: Collection[tuple[str, int]] | None = None,
    pid: int | None = None,
    mapping: str | None = None,
) -> Snapshot:
    """Return the snapshot of this service, these hosts, this process and the mappings of this name; None: of all.

    `services`, `processes`: those that are compared, a process as host and pid. Of a service, process or mapping only
    the hosts that have it stay, and the failed ones; of a mapping only the processes that have it, and those that could
    not be read. The status of a host is then that of the processes which stay. A mapping that has no such name is
    looked for by what hosts share of theirs, as a finding names it.
    """
    wanted = (service, services, processes, pid, mapping)
    if hosts is None and wanted == (None,) * len(wanted):
        return snapshot
    wants = (service, hosts, services, processes, pid)
    kept = np.array([_is_of(one, *wants) for one in snapshot.processes], dtype=np.bool_)
    table = snapshot.table
    rows = kept[table.process]
    if mapping is not None:
        rows &= is_named(table.mapping, mapping)
        unread = np.array([one.status in INCOMPLETE for one in snapshot.processes], dtype=np.bool_)
        has_it = np.zeros(len(kept), dtype=np.bool_)
        has_it[table.process[rows]] = True
        kept &= has_it | unread
    members = tuple(one for one, is_kept in zip(snapshot.processes, kept.tolist(), strict=True) if is_kept)
    return replace(
        snapshot,
        hosts=_hosts(snapshot, members, hosts, of_all=wanted == (None,) * len(wanted)),
        processes=members,
        table=table.of_processes(kept, rows),
        evidence=None,
    )


def _is_of(
    process: Process,
    service: str | None,
    hosts: Collection[str] | None,
    services: Collection[str] | None,
    processes: Collection[tuple[str, int]] | None,
    pid: int | None,
) -> bool:
    return (
        (service is None or service_of(process) == service)
        and (hosts is None or process.host in hosts)
        and (services is None or service_of(process) in services)
        and (processes is None or (process.host, process.pid) in processes)
        and (pid is None or process.pid == pid)
    )


def is_named(names: Coded, wanted: str) -> NDArray[np.bool_]:
    """Return for each row if it has this name, or, where no row has it, if hosts share it as this name."""
    plain = {wanted} if wanted in names.names else {name for name in names.names if alike(name) == wanted}
    flags = np.array([*(name in plain for name in names.names), False], dtype=np.bool_)
    return flags[names.codes]  # a null has code -1, which is the last


def _hosts(
    snapshot: Snapshot, processes: Collection[Process], hosts: Collection[str] | None, *, of_all: bool
) -> tuple[HostResult, ...]:
    """Return the hosts that stay; `of_all`: of a host that stays, all processes do."""
    of_host: dict[str, list[Process]] = {}
    for process in processes:
        of_host.setdefault(process.host, []).append(process)
    kept = []
    for host in snapshot.hosts:
        if hosts is not None and host.name not in hosts:
            continue
        if of_all or host.status not in ANSWERED:
            kept.append(host)
        elif host.name in of_host:
            status = host_status(of_host[host.name])
            kept.append(host if host.status == status else replace(host, status=status))
    return tuple(kept)
