"""All hosts of a run.   host_result, run_record, coverage ─► [fleet_snapshot] ─► report"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fleetpmap.evidence import JUDGED, Evidence, evidence_of, joined
from fleetpmap.snapshot.coverage import Coverage, coverage_of
from fleetpmap.snapshot.host_result import HostResult, HostSnapshot
from fleetpmap.snapshot.matched_process import Process, service_of
from fleetpmap.snapshot.run_record import Run
from fleetpmap.table import MappingTable, concatenate, distinct, without_unreadable
from fleetpmap.tabular import Tabular
from fleetpmap.tuning import give_back
from fleetpmap.wire import Capabilities


@dataclass(frozen=True, repr=False)  # no slots: some properties are cached
class Snapshot(Tabular):
    """A fleet at one moment. `table.process` indexes `processes`; both follow the order of `hosts`."""

    hosts: tuple[HostResult, ...]
    processes: tuple[Process, ...]
    table: MappingTable
    run: Run
    evidence: Evidence | None = None
    """As of HostSnapshot."""

    def __repr__(self) -> str:
        return f"<Snapshot {self.run.started:%Y-%m-%d %H:%M:%S%z}: {self.coverage.brief}>"

    @classmethod
    def assemble(cls, hosts: Iterable[HostSnapshot], run: Run) -> Snapshot:
        """Build the snapshot of many hosts, in the order given."""
        results: list[HostResult] = []
        processes: list[Process] = []
        evidence: list[Evidence | None] = []

        def tables() -> Iterator[tuple[MappingTable, int]]:  # lazy, so that each host can be freed at once
            for host in hosts:
                results.append(host.result())
                processes.extend(host.processes)
                evidence.append(host.evidence)
                yield host.table, len(processes) - len(host.processes)

        table = concatenate(tables())
        return cls(tuple(results), tuple(processes), table, run, _all_of(evidence))

    @classmethod
    def alone(cls, host: HostSnapshot) -> Snapshot:
        """Build the snapshot of one host, for its rows: its run is not known."""
        return cls.assemble([host], Run(datetime.now().astimezone(), 0.0, ""))

    @classmethod
    def joined(cls, snapshots: Iterable[Snapshot]) -> Snapshot:
        """Join snapshots that have no host in common; the run lasts from the first's begin to the last's end.

        There is at least one. Of an iterator each is released at once.
        """
        hosts: list[HostResult] = []
        processes: list[Process] = []
        evidence: list[Evidence | None] = []
        runs: list[Run] = []

        def tables() -> Iterator[tuple[MappingTable, int]]:
            for snapshot in snapshots:
                hosts.extend(snapshot.hosts)
                processes.extend(snapshot.processes)
                evidence.append(snapshot.evidence)
                runs.append(snapshot.run)
                yield snapshot.table, len(processes) - len(snapshot.processes)

        table = concatenate(tables())
        if len(runs) == 1:
            return cls(tuple(hosts), tuple(processes), table, runs[0], evidence[0])
        give_back()  # the parts' columns, between which other memory is in use
        started = min(run.started for run in runs)
        ended = max(run.started + timedelta(seconds=run.elapsed_s) for run in runs)
        command = "; ".join(run.command for run in runs)
        cut_short: list[Literal["interrupted", "deadline"]] = [run.ended for run in runs if run.ended != "whole"]
        labels = tuple(label for label in runs[0].labels if all(label in run.labels for run in runs))
        ended_by = cut_short[0] if cut_short else "whole"
        run = Run(started, (ended - started).total_seconds(), command, ended_by, labels=labels)
        whole = cls(tuple(hosts), tuple(processes), table, run, _all_of(evidence))
        evidence.clear()
        give_back()  # likewise that of the parts' evidence
        return whole

    def evidence_by(self, metrics: Sequence[str] = JUDGED) -> Evidence:
        """Return the inputs of findings by these sizes, made of the table unless the run made them."""
        if self.evidence and (*self.evidence.sizes,) == (*metrics,):
            return self.evidence
        places = [(process.host, service_of(process)) for process in self.processes]
        return evidence_of(without_unreadable(self.table), places, metrics)

    @cached_property
    def coverage(self) -> Coverage:
        """Counts of the statuses of hosts and processes."""
        return coverage_of(self.hosts, self.processes)

    @cached_property
    def host_of_processes(self) -> NDArray[np.int32]:
        """The index in `hosts` of each process's host."""
        slot_of_host = {host.name: slot for slot, host in enumerate(self.hosts)}
        return np.array([slot_of_host[process.host] for process in self.processes], dtype=np.int32)

    @cached_property
    def here(self) -> frozenset[str]:
        """Names of the hosts that were read without SSH: this machine."""
        return frozenset(host.name for host in self.hosts if host.local)

    @cached_property
    def same_machines(self) -> tuple[tuple[str, ...], ...]:
        """The names of each machine that has processes under several; groups and names follow `hosts`."""
        names: dict[tuple[str, str], list[str]] = {}
        for slot in distinct(self.host_of_processes).tolist():
            host = self.hosts[slot]
            if machine := _machine(host.capabilities):
                names.setdefault(machine, []).append(host.name)
        return tuple(tuple(same) for same in names.values() if len(same) > 1)


def _all_of(parts: Sequence[Evidence | None]) -> Evidence | None:
    """Return the evidence of all parts; None if one has to be made of its rows."""
    made = [part for part in parts if part is not None]
    return joined(made) if len(made) == len(parts) else None


def counted_once(snapshot: Snapshot) -> Snapshot:
    """Keep the processes of each machine under its first name that has any; its other names get a note instead."""
    matched = {process.host for process in snapshot.processes}
    first: dict[tuple[str, str], str] = {}
    same_as: dict[str, str] = {}
    for host in snapshot.hosts:
        machine = _machine(host.capabilities) if host.name in matched else None
        if machine and (name := first.setdefault(machine, host.name)) != host.name:
            same_as[host.name] = name
    if not same_as:
        return snapshot
    is_kept = np.array([process.host not in same_as for process in snapshot.processes], dtype=np.bool_)
    return replace(
        snapshot,
        hosts=tuple(host.counted_as(same_as[host.name]) if host.name in same_as else host for host in snapshot.hosts),
        processes=tuple(process for process in snapshot.processes if process.host not in same_as),
        table=snapshot.table.of_processes(is_kept),
        evidence=snapshot.evidence and snapshot.evidence.of_hosts(is_kept),
    )


def _machine(can: Capabilities | None) -> tuple[str, str] | None:
    """Return what identifies a machine, or None if the host does not print it.

    Containers share the kernel, and with it boot_id, but each has its own processes; so the pid namespace is part of
    it. A recorded tree has no namespace.
    """
    return (can.boot_id, can.pid_namespace) if can and can.boot_id and can.pid_namespace else None
