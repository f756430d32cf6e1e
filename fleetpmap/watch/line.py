"""Format a round as one line.   Snapshot ─► [line] ─► a log, the head of the screen"""

from __future__ import annotations

from fleetpmap.report.grouping import share_metric
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import total


def round_line(snapshot: Snapshot, first: Snapshot) -> str:
    """Format a round: time, hosts that answered of those asked, processes read, their PSS, and its growth."""
    coverage = snapshot.coverage
    now, before = _size(snapshot), _size(first)
    change = "?" if now is None or before is None else f"{now - before:+d}"
    return (
        f"{snapshot.run.started:%Y-%m-%dT%H:%M:%S%z}  hosts {coverage.answered}/{coverage.asked}"
        f"  processes {coverage.processes['read']}  {share_metric(snapshot).removesuffix('_kib')} "
        f"{'?' if now is None else now} kB  since start {change} kB"
    )


def _size(snapshot: Snapshot) -> int | None:
    known = total(snapshot.table.metrics[share_metric(snapshot)])
    return 0 if known is None and any(host.status == "no-match" for host in snapshot.hosts) else known
