"""A fleet at one moment.   table + statuses ─► [snapshot] ─► report

A Snapshot holds everything that a report needs, so that every report is a pure function of it: the hosts asked, in
order, each with its status; every process that matched, each with its status; and one table of all mappings read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import MAXYEAR, datetime, timedelta
from functools import cached_property
from heapq import nlargest
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fleetpmap.check import ALWAYS_CHECKED, Check, Checks, Finding, Verdict
from fleetpmap.errors import HostError
from fleetpmap.evidence import JUDGED, Evidence, evidence_of, joined
from fleetpmap.labels import Label
from fleetpmap.near_misses import NearMisses
from fleetpmap.processes import in_one_line
from fleetpmap.table import MappingTable, concatenate, distinct, without_unreadable
from fleetpmap.tabular import Tabular
from fleetpmap.tuning import give_back
from fleetpmap.wire import Capabilities, CgroupMemory, HostMemory, Resident

PROCESS_STATUSES = ("read", "denied", "gone", "reused", "kernel", "zombie", "empty", "unsupported", "skipped", "cut")
HOST_STATUSES = (
    "ok",
    "partial",
    "no-match",
    "dns",
    "refused",
    "unreachable",
    "timeout",
    "host-key",
    "auth",
    "sudo",
    "protocol",
    "remote-error",
    "error",
    "not-asked",
)
_SLOWEST = 10
ANSWERED = frozenset({"ok", "partial", "no-match"})
"""Statuses of a host that gave a reply."""
INCOMPLETE = frozenset({"denied", "skipped", "cut", "unsupported"})
"""Statuses of a process that has memory which the totals lack; one such process makes its host `partial`."""
UNREADABLE_STATUSES = frozenset({"denied", "unsupported", "cut"})
"""Statuses of a process whose smaps could not be read, while its status could."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process that matched."""

    host: str
    pid: int
    name: str
    """The process name, completed from the command line where the kernel cut it."""
    arguments: tuple[str, ...]
    uid: int | None
    user: str | None
    """The host's user name for the uid; None if it has none."""
    start_ticks: int
    rss_kib: int
    """Resident memory by /proc/PID/stat in the list phase, before smaps was read."""
    status: str
    """One of PROCESS_STATUSES."""
    reason: str = ""
    """The reason why it has no rows, as a clause; empty for `read`."""
    checks: Checks | None = None
    """Results of the self-check; None if there is nothing to check."""
    start_stack: int | None = None
    """Start address of its stack; 0 if the login may not read it, None if the host does not print it."""
    read_s: float | None = None
    """Seconds that reading it took on the host; None if it was read together with others. Large ones are read alone."""
    unit: str | None = None
    """Its systemd unit; None for none, and where its cgroups were not read. The next three likewise; see membership."""
    slice: str | None = None
    container: str | None = None
    pod: str | None = None
    service: str = ""
    """The unit; else the container; else the name. Empty only in a snapshot of a version without it."""
    cgroup: str | None = None
    """The path of the cgroup that its memory is charged to: that of one of its host's `cgroups`."""
    started: float | None = None
    """When it started, in seconds since 1970 by the clock of the machine that ran fleetpmap."""
    oom_score_adj: int | None = None
    """How soon the kernel kills it when memory is short: from -1000, never, to 1000."""
    resident: Resident | None = None
    """Its sizes by status, which needs no right to read its smaps."""

    @property
    def command(self) -> str:
        """The command line without blanks at its end; without one, the name in brackets, as ps prints it."""
        return in_one_line(self.arguments).rstrip(" ") or f"[{self.name}]"

    @property
    def rss_source(self) -> Literal["smaps", "status"] | None:
        """The file in /proc/PID that its RSS and swap in the table come from; None if it has no rows there."""
        if self.status == "read":
            return "smaps"
        return "status" if self.status in UNREADABLE_STATUSES and self.resident else None


@dataclass(frozen=True, slots=True)
class HostFailure:
    """The reason why a host gave no reply."""

    host: str
    status: str
    stage: str
    message: str
    hint: str
    said: str = ""
    """Other output of the host than the probe's."""
    traceback: str = ""
    """Stack trace of an unexpected error; empty for an expected one."""

    @classmethod
    def from_error(cls, error: HostError) -> HostFailure:
        """Make the failure of a host's error."""
        facts = (error.host, error.status, error.stage, error.message, error.hint, error.said, error.traceback)
        return cls(*facts)


@dataclass(frozen=True, slots=True)
class HostResult:
    """The outcome of querying one host, without its processes and mappings."""

    name: str
    status: str
    """One of HOST_STATUSES."""
    failure: HostFailure | None
    """The reason why the host gave no reply; None if it did."""
    capabilities: Capabilities | None
    notes: tuple[str, ...]
    """Remarks on the connection that may interest the user."""
    said: str = ""
    """Other output of the host than the probe's: a banner, a login script's output, stderr."""
    local: bool = False
    """True for this machine, read without SSH."""
    same_as: str = ""
    """The other name under which this machine is counted (`once_per_machine`); empty if it is counted under its own."""
    read_s: float | None = None
    """Seconds that reading took on the host, by its own clock, which counts hundredths; None if unknown."""
    memory: HostMemory | None = None
    """The host's own memory when its processes were listed; None if unknown."""
    cgroups: tuple[CgroupMemory, ...] = ()
    """The memory cgroups of the processes that were to be read, as far as the host shows them."""
    keys: tuple[str, ...] = ()
    """The kernel's fields in the order of this host's smaps; a table of many hosts has its own order."""
    near: NearMisses | None = None
    """What is near the selection, where nothing matched it; None in a stored run."""
    groups: tuple[str, ...] | None = None
    """Its groups in the inventory, nearest first; None if unknown: it failed, or a stored run does not have them."""

    def counted_as(self, name: str) -> HostResult:
        """Return the result of a host whose processes are counted under `name`, another name of the same machine."""
        note = f"the same machine as {name}, and counted there"
        return replace(self, status="ok", keys=(), notes=(*self.notes, note), same_as=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSnapshot(HostResult):
    """One host at one moment: its result, its processes and its mappings. `table.process` indexes `processes`."""

    processes: tuple[Process, ...]
    table: MappingTable
    evidence: Evidence | None = None
    """The inputs of findings; None: they are to be made of `table`, which has a row for each mapping."""

    @classmethod
    def failed(cls, failure: HostFailure) -> HostSnapshot:
        """Make the snapshot of a host that gave no reply."""
        return cls(
            name=failure.host,
            status=failure.status,
            failure=failure,
            capabilities=None,
            notes=(),
            said=failure.said,
            processes=(),
            table=concatenate([]),
            evidence=joined(()),
        )

    def result(self) -> HostResult:
        """Return the result alone, so that processes and table can be released."""
        return HostResult(*(getattr(self, column.name) for column in fields(HostResult)))


@dataclass(frozen=True, slots=True)
class FleetShard:
    """The part of a fleet that a run asked, by --shard; the other parts are asked by other runs."""

    number: int
    """From 1 to `of`."""
    of: int
    """Number of shards."""
    fleet: tuple[str, ...]
    """Names of all hosts of the fleet, in order."""
    looked_for: str
    """The process options, in one spelling: runs that looked for other processes are no shards of the same run."""


@dataclass(frozen=True, slots=True)
class Run:
    """The time and the command of a snapshot."""

    started: datetime
    """Begin, with its time zone."""
    elapsed_s: float
    command: str
    """The command line as typed. It never holds a secret, since no option takes one."""
    ended: Literal["whole", "interrupted", "deadline"] = "whole"
    """`whole` if every host was asked and had its full time; otherwise the event that cut the run short."""
    shard: FleetShard | None = None
    """None: the run asked its whole fleet."""
    labels: tuple[Label, ...] = ()
    """The labels of --label."""

    @property
    def has_dates(self) -> bool:
        """True if begin and end are dates in every time zone; a file may hold the calendar's last day."""
        try:
            ended = self.started + timedelta(seconds=self.elapsed_s)
        except (ValueError, OverflowError):
            return False
        return self.elapsed_s >= 0 and self.started.year > 1 and ended.year < MAXYEAR


@dataclass(frozen=True, slots=True)
class Checked:
    """Self-check results of all processes that smaps was received of, whole or cut."""

    processes: int
    """Number of these processes."""
    verdicts: Mapping[Check, Counter[Verdict]]
    """Number of processes by check and verdict; `rollup` is there only if rollups were requested."""
    findings: tuple[tuple[Process, Finding], ...]
    """Each inconsistency with its process, in the order of the processes."""

    @classmethod
    def of(cls, processes: Iterable[Process]) -> Checked:
        """Count the verdicts of these processes, and gather their findings."""
        verdicts: dict[Check, Counter[Verdict]] = {check: Counter() for check in ALWAYS_CHECKED}
        checked = [process for process in processes if process.checks]
        # Nearly all processes share one object.
        results = {id(process.checks): process.checks for process in checked if process.checks}
        for number, count in Counter(id(process.checks) for process in checked).items():
            for check, verdict in results[number].verdicts.items():
                verdicts.setdefault(check, Counter())[verdict] += count
        findings: list[tuple[Process, Finding]] = []
        if any(checks.findings for checks in results.values()):
            findings = [
                (process, finding) for process in checked if process.checks for finding in process.checks.findings
            ]
        return cls(len(checked), verdicts, tuple(findings))


@dataclass(frozen=True, slots=True)
class Coverage:
    """Counts of the hosts and processes in the totals and missing from them, with the self-check results."""

    hosts: Counter[str]
    """Number of hosts by status; their sum is the hosts asked."""
    processes: Counter[str]
    """Number of processes by status; their sum is the processes matched."""
    failures: tuple[HostFailure, ...]
    checked: Checked = field(default_factory=lambda: Checked.of(()))
    read_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds that reading took, by host; only hosts that measure it."""
    slowest: tuple[Process, ...] = ()
    """The ten processes that took longest to read, longest first, among those with a known time."""
    memory: Mapping[str, HostMemory] = field(default_factory=dict)
    """The memory of each host itself; only hosts that tell it."""

    @property
    def asked(self) -> int:
        """Number of hosts asked."""
        return self.hosts.total()

    @property
    def matched(self) -> int:
        """Number of processes matched."""
        return self.processes.total()

    @property
    def answered(self) -> int:
        """Number of hosts that gave a reply."""
        return sum(count for status, count in self.hosts.items() if status in ANSWERED)

    @property
    def brief(self) -> str:
        """The coverage in a few words, for a repr: `2 of 3 hosts answered, 5 of 6 processes read`."""
        return (
            f"{self.answered} of {self.asked} hosts answered, {self.processes['read']} of {self.matched} processes read"
        )

    @property
    def complete(self) -> bool:
        """True if every host gave a reply and no process's memory is missing."""
        return self.answered == self.asked and not any(self.processes[status] for status in INCOMPLETE)


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
        timed = (process for process in self.processes if process.read_s is not None)
        return Coverage(
            hosts=Counter(host.status for host in self.hosts),
            processes=Counter(process.status for process in self.processes),
            failures=tuple(host.failure for host in self.hosts if host.failure),
            checked=Checked.of(self.processes),
            read_s={host.name: host.read_s for host in self.hosts if host.read_s is not None},
            slowest=tuple(nlargest(_SLOWEST, timed, key=lambda process: process.read_s or 0.0)),
            memory={host.name: host.memory for host in self.hosts if host.memory is not None},
        )

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


def service_of(process: Process) -> str:
    """Return the service of a process; its name in a snapshot of a version without services."""
    return process.service or process.name


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
    rows = np.flatnonzero(is_kept[snapshot.table.process])
    table = snapshot.table.take(rows)
    # A process's new number is that of the processes kept before it: of kept, left, kept they are 0, -, 1.
    number = np.cumsum(is_kept, dtype=np.int32) - np.int32(1)
    return replace(
        snapshot,
        hosts=tuple(host.counted_as(same_as[host.name]) if host.name in same_as else host for host in snapshot.hosts),
        processes=tuple(process for process in snapshot.processes if process.host not in same_as),
        table=replace(table, process=number[table.process]),
        evidence=snapshot.evidence and snapshot.evidence.of_hosts(is_kept),
    )


def sizes_by_status(processes: Iterable[Process]) -> dict[int, tuple[int, int | None]]:
    """Return the RSS and the swap of the processes of which only the status could be read (see with_unreadable)."""
    return {
        number: (process.resident.rss_kib, process.resident.swap_kib)
        for number, process in enumerate(processes)
        if process.rss_source == "status" and process.resident
    }


def _machine(can: Capabilities | None) -> tuple[str, str] | None:
    """Return what identifies a machine, or None if the host does not print it.

    Containers share the kernel, and with it boot_id, but each has its own processes; so the pid namespace is part of
    it. A recorded tree has no namespace.
    """
    return (can.boot_id, can.pid_namespace) if can and can.boot_id and can.pid_namespace else None


def host_status(processes: Iterable[Process]) -> str:
    """Return the status of a host that gave a reply, from the statuses of its processes."""
    statuses = {process.status for process in processes}
    if not statuses:
        return "no-match"
    return "partial" if statuses & INCOMPLETE else "ok"
