"""The processes of a saved run that process options mean.   Snapshot, Selection ─► [selected] ─► Snapshot

A saved run has of each process what its reports show, which is enough for every option but --exe. So the listing of
each host is made of that, and `processes.choose` decides, as in a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from fleetpmap.errors import AmbiguousError, UsageError
from fleetpmap.membership import membership
from fleetpmap.near_misses import near_misses
from fleetpmap.own_processes import OwnProcesses
from fleetpmap.processes import Choice, Selection, choose
from fleetpmap.snapshot import ANSWERED, HostFailure, HostResult, Process, Snapshot, host_status
from fleetpmap.wire import Capabilities, ContainerName, ListedProcess, Listing, Processes

_NONE = OwnProcesses()
"""A saved run has no processes of fleetpmap's own."""


def selected(snapshot: Snapshot, selection: Selection) -> Snapshot:
    """Return the snapshot with the processes that the selection means, and every host; unchanged if it means all.

    A host without any is `no-match`, with what is near the selection; one where --container or --pod is ambiguous
    fails. The limits of the selection on RSS do not count: the processes have been read. A process that had ended is
    found by its pid, name and command line only; it has no memory.

    Raises:
        UsageError: the selection is by --exe, which a saved run lacks.
    """
    if selection.exe is not None:
        raise UsageError("--exe: a saved run does not have the paths of programs", hint="select by --match or --unit")
    selection = replace(selection, max_rss_kib=None, max_rss_sum_kib=None)
    if selection == Selection(max_rss_kib=None, max_rss_sum_kib=None):
        return snapshot
    of_host = {name: list(some) for name, some in groupby(snapshot.processes, key=lambda one: one.host)}
    hosts: list[HostResult] = []
    kept: dict[tuple[str, int], Process] = {}
    for host in snapshot.hosts:
        if host.status not in ANSWERED or host.capabilities is None:
            hosts.append(host)
            continue
        processes = of_host.get(host.name, [])
        listing = _listing(host.capabilities, processes)
        try:
            choice = choose(listing, selection, _NONE, host=host.name)
        except AmbiguousError as error:
            failure = HostFailure.from_error(error)
            hosts.append(replace(host, status=failure.status, failure=failure, keys=()))
            continue
        members = _members(choice, processes)
        kept |= {(one.host, one.pid): one for one in members}
        notes = tuple(dict.fromkeys((*host.notes, *choice.notes)))  # the run may have selected by the same unit
        near = None if members else near_misses(listing, selection, closely=True)
        keys = host.keys if any(one.status == "read" for one in members) else ()
        hosts.append(replace(host, status=host_status(members), notes=notes, near=near, keys=keys))
    return _of(snapshot, hosts, kept)


def _listing(capabilities: Capabilities, processes: Sequence[Process]) -> Listing:
    return Listing(
        capabilities=capabilities,
        processes=Processes.of([_listed(one) for one in processes]),
        users={one.uid: one.user for one in processes if one.uid is not None and one.user is not None},
        names=dict(filter(None, map(_named, processes))),
    )


def _listed(process: Process) -> ListedProcess:
    # A process that could not be read has no cgroup here, and its unit by the listing.
    paths = [process.cgroup, f"/{process.slice or ''}/{process.unit}" if process.unit else None]
    return ListedProcess(
        pid=process.pid,
        name=process.name,
        state="Z" if process.status == "zombie" else "S",
        ppid=0,
        session=0,
        start_ticks=process.start_ticks,
        rss_kib=process.rss_kib,
        arguments=process.arguments,
        kernel_thread=process.status == "kernel",
        uid=process.uid,
        cgroups=tuple(path for path in paths if path),
    )


def _named(process: Process) -> tuple[str, ContainerName] | None:
    """Return the id and the names of the process's container; None if it has none, or its id is not known."""
    container = membership((process.cgroup,)).container if process.cgroup else None
    if container is None or process.container in (None, container.label()):
        return None
    assert process.container is not None  # noqa: S101  # for the type checker
    name = process.container.removeprefix(f"{container.runtime}:")
    namespace, _, pod = (process.pod or "").rpartition("/")
    return container.id, ContainerName(name, pod if namespace else "", namespace)


def _members(choice: Choice, processes: Sequence[Process]) -> list[Process]:
    """Return the chosen processes. One on which --match took too long is skipped, since it may match."""
    read = {process.pid for process in choice.read}
    skipped = {one.process.pid: one for one in choice.skipped}
    members = []
    for process in processes:
        if process.pid in read:
            members.append(process)
        elif one := skipped.get(process.pid):
            is_undecided = one.status == "skipped"
            members.append(replace(process, status="skipped", reason=one.reason) if is_undecided else process)
    return members


def _of(snapshot: Snapshot, hosts: Sequence[HostResult], kept: dict[tuple[str, int], Process]) -> Snapshot:
    """Return the snapshot of these hosts and processes, with the rows of those that were read."""
    now = [kept.get((one.host, one.pid)) for one in snapshot.processes]
    is_kept = np.array([one is not None for one in now], dtype=np.bool_)
    is_read = np.array([one is not None and one.status != "skipped" for one in now], dtype=np.bool_)
    table = snapshot.table
    return replace(
        snapshot,
        hosts=tuple(hosts),
        processes=tuple(one for one in now if one is not None),
        table=table.of_processes(is_kept, is_read[table.process]),
        evidence=None,
    )
