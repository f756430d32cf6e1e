"""How much of the fleet the totals include.   matched_process, host_result ─► [coverage] ─► fleet_snapshot"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest

from fleetpmap.check import ALWAYS_CHECKED, Check, Finding, Verdict
from fleetpmap.snapshot.host_result import ANSWERED, HostFailure, HostResult
from fleetpmap.snapshot.matched_process import INCOMPLETE, Process
from fleetpmap.wire import HostMemory

_SLOWEST = 10


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


def coverage_of(hosts: Sequence[HostResult], processes: Sequence[Process]) -> Coverage:
    """Count the statuses of these hosts and processes."""
    timed = (process for process in processes if process.read_s is not None)
    return Coverage(
        hosts=Counter(host.status for host in hosts),
        processes=Counter(process.status for process in processes),
        failures=tuple(host.failure for host in hosts if host.failure),
        checked=Checked.of(processes),
        read_s={host.name: host.read_s for host in hosts if host.read_s is not None},
        slowest=tuple(nlargest(_SLOWEST, timed, key=lambda process: process.read_s or 0.0)),
        memory={host.name: host.memory for host in hosts if host.memory is not None},
    )
