"""A fleet at one moment.   table + statuses ─► [snapshot] ─► report

A Snapshot holds everything that a report needs, so that every report is a pure function of it: the hosts asked, in
order, each with its status; every process that matched, each with its status; and one table of all mappings read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from heapq import nlargest
from typing import Literal

from fleetpmap.check import ALWAYS_CHECKED, Check, Checks, Finding, Verdict
from fleetpmap.errors import HostError
from fleetpmap.table import MappingTable, concatenate
from fleetpmap.wire import Capabilities

PROCESS_STATUSES = (
    "read",
    "denied",
    "gone",
    "reused",
    "kernel",
    "zombie",
    "empty",
    "unsupported",
    "skipped",
    "cut",
)
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
"""Statuses of a host that told us what it has."""
INCOMPLETE = frozenset({"denied", "skipped", "cut", "unsupported"})
"""Statuses of a process whose memory is missing from the totals though it is there: they make a host `partial`."""


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
    """The host's name for the uid; None where it has none."""
    start_ticks: int
    rss_kib: int
    """As stat said in phase one, before smaps was read."""
    status: str
    """One of PROCESS_STATUSES."""
    reason: str = ""
    """Why it has no rows, as a clause; empty for `read`."""
    checks: Checks | None = None
    """What the self-check found; None where there is nothing to check."""
    start_stack: int | None = None
    """Address at which its stack begins; 0 where the login may not know, None where the host does not say."""
    read_s: float | None = None
    """Seconds that reading it took on the host; None but for those read by themselves, which all large ones are."""

    @property
    def command(self) -> str:
        """The command line in one string; the name in brackets where there is none, as ps shows it."""
        return " ".join(self.arguments) or f"[{self.name}]"


@dataclass(frozen=True, slots=True)
class HostFailure:
    """Why a host could not be asked."""

    host: str
    status: str
    stage: str
    message: str
    hint: str
    said: str = ""
    """What the host printed that is not our probe's."""
    traceback: str = ""
    """Where in the code it came up; empty for what is known to happen."""

    @classmethod
    def from_error(cls, error: HostError) -> HostFailure:
        """The failure that an error of our own tree is."""
        facts = (error.host, error.status, error.stage, error.message, error.hint, error.said, error.traceback)
        return cls(*facts)


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """What one host answered, or why it did not. `table.process` counts in `processes`."""

    host: str
    status: str
    """One of HOST_STATUSES."""
    processes: tuple[Process, ...]
    table: MappingTable
    capabilities: Capabilities | None
    failure: HostFailure | None = None
    notes: tuple[str, ...] = ()
    """What the user may want to know about the way there."""
    said: str = ""
    """What the host printed that is not our probe's: a banner, a login script's talk, stderr."""
    local: bool = False
    """It is this machine, read without SSH."""
    same_as: str = ""
    """The name under which this machine is counted, if that is another (`once_per_machine`)."""
    read_s: float | None = None
    """Seconds that reading took on the host, by its own clock, which tells hundredths; None where that is unknown."""
    keys: tuple[str, ...] = ()
    """The kernel's fields in the order of its smaps."""

    @classmethod
    def failed(cls, failure: HostFailure) -> HostSnapshot:
        """A host that could not be asked."""
        return cls(failure.host, failure.status, (), concatenate([]), None, failure, said=failure.said)

    def result(self) -> HostResult:
        """The same without processes and table."""
        return HostResult(
            *(self.host, self.status, self.failure, self.capabilities, self.notes, self.said),
            local=self.local,
            same_as=self.same_as,
            keys=self.keys,
            read_s=self.read_s,
        )

    def counted_as(self, name: str) -> HostSnapshot:
        """The same without its processes, since they are those of the host `name`."""
        note = f"the same machine as {name}, and counted there"
        return replace(
            self, status="ok", processes=(), table=concatenate([]), keys=(), notes=(*self.notes, note), same_as=name
        )


@dataclass(frozen=True, slots=True)
class Run:
    """When and how the snapshot was taken."""

    started: datetime
    """With its time zone."""
    elapsed_s: float
    command: str
    """What the user typed; never holds a secret, since no option takes one."""
    ended: Literal["whole", "interrupted", "deadline"] = "whole"
    """Whether every host had its turn and its time."""


@dataclass(frozen=True, slots=True)
class HostResult:
    """One host asked: its place in the order is the inventory's."""

    name: str
    status: str
    failure: HostFailure | None
    capabilities: Capabilities | None
    notes: tuple[str, ...]
    said: str = ""
    local: bool = False
    """It is this machine, read without SSH."""
    same_as: str = ""
    """The name under which this machine is counted, if that is another (`once_per_machine`)."""
    read_s: float | None = None
    """Seconds that reading took on the host, by its own clock, which tells hundredths; None where that is unknown."""
    keys: tuple[str, ...] = ()
    """The kernel's fields in the order of that host's smaps; the table of many hosts has them in another."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The self-check of every process whose smaps came, whole or not."""

    processes: int
    """How many these are."""
    verdicts: Mapping[Check, Counter[Verdict]]
    """Of each check, verdict to number of processes; rollup only if it was asked for."""
    findings: tuple[tuple[Process, Finding], ...]
    """What is amiss, in the order of the processes."""

    @classmethod
    def of(cls, processes: Iterable[Process]) -> Checked:
        """What the checks of these processes come to."""
        verdicts: dict[Check, Counter[Verdict]] = {check: Counter() for check in ALWAYS_CHECKED}
        findings: list[tuple[Process, Finding]] = []
        checked = [(process, process.checks) for process in processes if process.checks]
        for process, checks in checked:
            for check, verdict in checks.verdicts.items():
                verdicts.setdefault(check, Counter())[verdict] += 1
            findings += [(process, finding) for finding in checks.findings]
        return cls(len(checked), verdicts, tuple(findings))


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of what was asked for is in the totals, and whether it hangs together."""

    hosts: Counter[str]
    """Status to number of hosts; their sum is the hosts asked."""
    processes: Counter[str]
    """Status to number of processes; their sum is the processes matched."""
    failures: tuple[HostFailure, ...]
    checked: Checked = field(default_factory=lambda: Checked.of(()))
    read_s: Mapping[str, float] = field(default_factory=dict)
    """Host to the seconds that reading took there, for those that tell."""
    slowest: tuple[Process, ...] = ()
    """The processes whose reading took longest, of those of which that is known."""

    @property
    def asked(self) -> int:
        """Hosts asked."""
        return self.hosts.total()

    @property
    def matched(self) -> int:
        """Processes matched."""
        return self.processes.total()

    @property
    def answered(self) -> int:
        """Hosts that told us what they have."""
        return sum(count for status, count in self.hosts.items() if status in ANSWERED)

    @property
    def complete(self) -> bool:
        """Whether every host answered and no process's memory is missing."""
        return self.answered == self.asked and not any(self.processes[status] for status in INCOMPLETE)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A fleet at one moment. `table.process` counts in `processes`; both follow the order of `hosts`."""

    hosts: tuple[HostResult, ...]
    processes: tuple[Process, ...]
    table: MappingTable
    run: Run

    @classmethod
    def assemble(cls, hosts: Iterable[HostSnapshot], run: Run) -> Snapshot:
        """One snapshot of many hosts, in the order given."""
        results: list[HostResult] = []
        processes: list[Process] = []

        def tables() -> Iterator[tuple[MappingTable, int]]:  # each let go of as soon as it is taken
            for host in hosts:
                results.append(host.result())
                processes.extend(host.processes)
                yield host.table, len(processes) - len(host.processes)

        table = concatenate(tables())
        return cls(tuple(results), tuple(processes), table, run)

    @classmethod
    def joined(cls, snapshots: Sequence[Snapshot]) -> Snapshot:
        """One snapshot of several that have no host in common; its run is from the first's begin to the last's end."""
        first, *others = snapshots
        if not others:
            return first
        processes: list[Process] = []
        tables: list[tuple[MappingTable, int]] = []
        for one in snapshots:
            tables.append((one.table, len(processes)))
            processes.extend(one.processes)
        runs = [one.run for one in snapshots]
        started = min(run.started for run in runs)
        ended = max(run.started + timedelta(seconds=run.elapsed_s) for run in runs)
        command = "; ".join(run.command for run in runs)
        cut_short: list[Literal["interrupted", "deadline"]] = [run.ended for run in runs if run.ended != "whole"]
        run = Run(started, (ended - started).total_seconds(), command, cut_short[0] if cut_short else "whole")
        return cls(tuple(host for one in snapshots for host in one.hosts), tuple(processes), concatenate(tables), run)

    @property
    def coverage(self) -> Coverage:
        """The statuses counted."""
        timed = (process for process in self.processes if process.read_s is not None)
        return Coverage(
            hosts=Counter(host.status for host in self.hosts),
            processes=Counter(process.status for process in self.processes),
            failures=tuple(host.failure for host in self.hosts if host.failure),
            checked=Checked.of(self.processes),
            read_s={host.name: host.read_s for host in self.hosts if host.read_s is not None},
            slowest=tuple(nlargest(_SLOWEST, timed, key=lambda process: process.read_s or 0.0)),
        )

    def same_machines(self) -> tuple[tuple[str, ...], ...]:
        """The names of each machine that is in here more than once with processes; both in the order of `hosts`."""
        matched = {process.host for process in self.processes}
        names: dict[tuple[str, str], list[str]] = {}
        for host in self.hosts:
            if host.name in matched and (machine := _machine(host.capabilities)):
                names.setdefault(machine, []).append(host.name)
        return tuple(tuple(same) for same in names.values() if len(same) > 1)


def once_per_machine(answers: Sequence[HostSnapshot]) -> list[HostSnapshot]:
    """The answers with each machine's processes under the first name that has any; the others say which that is."""
    first: dict[tuple[str, str], str] = {}
    counted: list[HostSnapshot] = []
    for answer in answers:
        machine = _machine(answer.capabilities) if answer.processes else None
        name = first.setdefault(machine, answer.host) if machine else answer.host
        counted.append(answer if name == answer.host else answer.counted_as(name))
    return counted


def _machine(can: Capabilities | None) -> tuple[str, str] | None:
    """What only one machine has. Containers share the kernel, and so boot_id, but each has processes of its own; a
    recorded tree has no namespace. None where the host does not tell."""
    return (can.boot_id, can.pid_namespace) if can and can.boot_id and can.pid_namespace else None


def host_status(processes: Iterable[Process]) -> str:
    """The status of a host that answered, from those of its processes."""
    statuses = {process.status for process in processes}
    if not statuses:
        return "no-match"
    return "partial" if statuses & INCOMPLETE else "ok"
