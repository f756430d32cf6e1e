"""One process that matched.   [matched_process] ─► host_result"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fleetpmap.check import Checks
from fleetpmap.processes import in_one_line
from fleetpmap.wire import Resident

PROCESS_STATUSES = ("read", "denied", "gone", "reused", "kernel", "zombie", "empty", "unsupported", "skipped", "cut")
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


def service_of(process: Process) -> str:
    """Return the service of a process; its name in a snapshot of a version without services."""
    return process.service or process.name


def sizes_by_status(processes: Iterable[Process]) -> dict[int, tuple[int, int | None]]:
    """Return the RSS and the swap of the processes of which only the status could be read (see with_unreadable)."""
    return {
        number: (process.resident.rss_kib, process.resident.swap_kib)
        for number, process in enumerate(processes)
        if process.rss_source == "status" and process.resident
    }
