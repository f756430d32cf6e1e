"""Format a round as one line.   Snapshot ─► [line] ─► a log, the head of the screen"""

from __future__ import annotations

from fleetpmap.report.grouping import share_metric
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import total
from fleetpmap.units import human


def round_line(snapshot: Snapshot, first: Snapshot, *, human_sizes: bool = False) -> str:
    """Format a round: time, hosts that answered of those asked, processes read, their PSS, and its growth.

    It is the RSS, of both rounds, if a kernel of this round has no PSS.

    `human_sizes`: sizes as 1.2G, for a screen; else in kB.
    """
    coverage, metric = snapshot.coverage, share_metric(snapshot)
    now, before = _size(snapshot, metric), _size(first, metric)
    change = None if now is None or before is None else now - before
    sign = "" if change is None or change < 0 else "+"
    return (
        f"{snapshot.run.started:%Y-%m-%dT%H:%M:%S%z}  hosts {coverage.answered}/{coverage.asked}"
        f"  processes {coverage.processes['read']}  {metric.removesuffix('_kib')} "
        f"{_shown(now, human_sizes)}  since start {sign}{_shown(change, human_sizes)}"
    )


def _shown(kib: int | None, human_sizes: bool) -> str:
    unit = "" if human_sizes else " kB"
    return f"?{unit}" if kib is None else human(kib) if human_sizes else f"{kib} kB"


def _size(snapshot: Snapshot, metric: str) -> int | None:
    known = total(snapshot.table.metrics[metric])
    return 0 if known is None and any(host.status == "no-match" for host in snapshot.hosts) else known
