"""Growth since an earlier run, told unasked.   Part (the earlier run), snapshot ─► views.diff ─► [growth] ─► run, show

Only processes that lived through both runs count, by the noise floor of diff, and only what a service has grown by in a
mapping by WORTH_TELLING or more: a process that has just started fills its caches. Of the earlier run a few columns
are enough.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from fleetpmap.catalogue import OF_A_RUN
from fleetpmap.report.finding import Finding
from fleetpmap.report.grouping import mapped
from fleetpmap.report.outliers import WORTH_TELLING
from fleetpmap.report.views.diff.cells import Compared
from fleetpmap.report.views.diff.growth_findings import MOST, Context, growth
from fleetpmap.report.views.diff.lives import lives
from fleetpmap.report.views.diff.noise import WITNESSES
from fleetpmap.report.views.diff.pairs import paired
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import HostResult, Process, Snapshot

if TYPE_CHECKING:
    from fleetpmap.snapshot_file import Part

ATTRIBUTES = ("host", "pid", "name", "start_ticks", "status", "service", "unit", "container")
"""What the earlier run has to have of its processes,"""
TEXTS = ("mapping",)
"""of its mappings,"""
KEYS = ("Pss", *(name for name in WITNESSES if not name.endswith("_kib")))
"""and of the kernel's fields, beside those of METRIC."""
METRIC = "rss_kib"


def has_lived(part: Part, new: Snapshot) -> bool:
    """Return True if a process of the earlier run is still there."""
    values = part.processes
    before = {*zip(*(values[name] for name in ATTRIBUTES[:4]), strict=True)}
    return any((one.host, one.pid, one.name, one.start_ticks) in before for one in new.processes)


def growth_since(part: Part, new: Snapshot, stored: tuple[str, str]) -> tuple[Finding, ...]:
    """Return the findings on growth, the largest first; `stored`: where both runs are, as diff takes it."""
    old, new = _snapshot(part, new), mapped(new)
    metric = "pss_kib" if (new.table.metrics["pss_kib"] != NULL).any() else "rss_kib"
    pairs = paired(old, new)
    cells = Compared(old, new, pairs).cells(("mapping",), metric)
    seconds = (new.run.started - old.run.started).total_seconds()
    found = growth(lives(old, new, pairs, cells, metric), Context(new, metric, seconds, stored), WORTH_TELLING)
    compare = shlex.join(["fleetpmap", "diff", *stored, "--by", "host,process,mapping"])
    return tuple(replace(finding, next=compare) for finding in islice(found, MOST))


def in_order(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings in the order of their kinds in a run."""
    return tuple(sorted(findings, key=lambda finding: OF_A_RUN.index(finding.kind)))


def _snapshot(part: Part, new: Snapshot) -> Snapshot:
    """Return the earlier run as a snapshot with what is known of it, without hosts that were rebooted since."""
    boots = {host.name: host.capabilities.boot_id for host in new.hosts if host.capabilities}
    hosts = tuple(
        HostResult(name, status, None, None, ())
        for name, status in part.hosts.items()
        if not (part.boots.get(name) and boots.get(name)) or part.boots[name] == boots[name]
    )
    columns = (part.processes[name] for name in ATTRIBUTES)
    processes = tuple(
        Process(*(host, pid, name, (), None, None, ticks, 0, status), service=service, unit=unit, container=container)
        for host, pid, name, ticks, status, service, unit, container in zip(*columns, strict=True)
    )
    return Snapshot(hosts, processes, part.whole_table(), part.run)
