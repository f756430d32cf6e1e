"""One host: its reply, or why there is none.   matched_process ─► [host_result] ─► fleet_snapshot"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from fleetpmap.errors import HostError
from fleetpmap.evidence import Evidence, joined
from fleetpmap.near_misses import NearMisses
from fleetpmap.snapshot.matched_process import INCOMPLETE, Process
from fleetpmap.table import MappingTable, concatenate
from fleetpmap.wire import Capabilities, CgroupMemory, HostMemory

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
ANSWERED = frozenset({"ok", "partial", "no-match"})
"""Statuses of a host that gave a reply."""


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


def host_status(processes: Iterable[Process]) -> str:
    """Return the status of a host that gave a reply, from the statuses of its processes."""
    statuses = {process.status for process in processes}
    if not statuses:
        return "no-match"
    return "partial" if statuses & INCOMPLETE else "ok"
