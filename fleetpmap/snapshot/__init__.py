"""A fleet at one moment.   table + statuses ─► [snapshot] ─► report

A Snapshot holds everything that a report needs, so that every report is a pure function of it: the hosts asked, in
order, each with its status; every process that matched, each with its status; and one table of all mappings read.

    matched_process ─► host_result ─► coverage ─► fleet_snapshot ◄─ run_record
"""

from __future__ import annotations

from fleetpmap.snapshot.coverage import Checked, Coverage
from fleetpmap.snapshot.fleet_snapshot import Snapshot, counted_once
from fleetpmap.snapshot.host_result import ANSWERED, HOST_STATUSES, HostFailure, HostResult, HostSnapshot, host_status
from fleetpmap.snapshot.matched_process import (
    INCOMPLETE,
    PROCESS_STATUSES,
    UNREADABLE_STATUSES,
    Process,
    service_of,
    sizes_by_status,
)
from fleetpmap.snapshot.run_record import FleetShard, Run

__all__ = [
    "ANSWERED",
    "HOST_STATUSES",
    "INCOMPLETE",
    "PROCESS_STATUSES",
    "UNREADABLE_STATUSES",
    "Checked",
    "Coverage",
    "FleetShard",
    "HostFailure",
    "HostResult",
    "HostSnapshot",
    "Process",
    "Run",
    "Snapshot",
    "counted_once",
    "host_status",
    "service_of",
    "sizes_by_status",
]
