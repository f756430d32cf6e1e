"""Every host asked, one row each, whether it answered or not.   snapshot ─► [hosts] ─► Report"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fleetpmap.catalogue import ViewOptions
from fleetpmap.report.grouping import (
    HUGETLB,
    WHOLE,
    coded,
    host_slots,
    mapping_counts,
    processes_on,
    share_metric,
    size_columns,
    sums_by,
)
from fleetpmap.report.model import Column, Report, Table
from fleetpmap.report.notes import notes_on
from fleetpmap.report.proportion import held_by, percent
from fleetpmap.report.shape import AS_IT_IS, Shape, shaped
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import ANSWERED, HostResult, Snapshot
from fleetpmap.table import IntArray


def hosts(snapshot: Snapshot, shape: Shape = AS_IT_IS) -> Report:
    """Return a row for each host asked, in the order asked; a failed host has its error and no numbers.

    Raises:
        UsageError: a column of `shape` that the table does not have.
    """
    return Report(
        view="hosts",
        tables=(shaped(hosts_table(snapshot), shape),),
        notes=notes_on(snapshot),
        coverage=snapshot.coverage,
        run=snapshot.run,
    )


def hosts_table(snapshot: Snapshot) -> Table:
    """Return the whole table of `hosts`."""
    return Table(
        "hosts",
        (
            Column("host", "text", coded(host.name for host in snapshot.hosts)),
            Column("status", "text", coded(host.status for host in snapshot.hosts)),
            *_count_columns(snapshot),
            *size_columns(snapshot, _sizes(snapshot)),
            *_memory_columns(snapshot),
            Column("error", "text", [_error(host) for host in snapshot.hosts]),
        ),
        share=share_metric(snapshot),
        zeros=frozenset({"columns"}),
        measure=(share_metric(snapshot), HUGETLB),
    )


def _count_columns(snapshot: Snapshot) -> tuple[Column, ...]:
    processes, absent = processes_on(snapshot)
    mappings, all_mappings = mapping_counts(snapshot.table, host_slots(snapshot), len(snapshot.hosts))
    answered = np.array([host.status in ANSWERED for host in snapshot.hosts], dtype=np.bool_)
    return tuple(
        Column(name, "count", np.where(answered, counts, NULL), rule="distinct", total=total)
        for name, counts, total in (
            ("processes", processes, int(processes.sum())),
            ("absent", absent, int(absent.sum())),
            ("mappings", mappings, all_mappings),
        )
    )


def _memory_columns(snapshot: Snapshot) -> tuple[Column, ...]:
    """Return what each host has, and the share of it that its processes hold."""
    hosts = snapshot.hosts
    sizes = {
        "mem_total_kib": [host.memory.total_kib if host.memory else None for host in hosts],
        "mem_available_kib": [host.memory.available_kib if host.memory else None for host in hosts],
    }
    held = held_by(snapshot, snapshot.host_of_processes, len(hosts)).tolist()
    nothing = [host.status in WHOLE and kib == NULL for host, kib in zip(hosts, held, strict=True)]
    shares = [
        percent(0 if is_nothing else None if kib == NULL else kib, total_kib)
        for kib, is_nothing, total_kib in zip(held, nothing, sizes["mem_total_kib"], strict=True)
    ]
    return (
        *(Column(name, "KiB", values, "sum", _of_machines(snapshot, values)) for name, values in sizes.items()),
        Column("ram_share", "percent", shares),
    )


def _of_machines(snapshot: Snapshot, values: Sequence[int | None]) -> int | None:
    """Add up the sizes of the hosts that answered and are counted under this name; None if one of them is unknown."""
    hosts = zip(snapshot.hosts, values, strict=True)
    counted = [kib for host, kib in hosts if host.status in ANSWERED and not host.same_as]
    known = [kib for kib in counted if kib is not None]
    return sum(known) if known and len(known) == len(counted) else None


def _sizes(snapshot: Snapshot) -> dict[str, IntArray]:
    """Sum the sizes of each host.

    0 for a completely read host without mappings (nothing matched, or only kernel threads), and for a host that is
    counted under another name; NULL for a host that did not answer.
    """
    slots, hosts = host_slots(snapshot), snapshot.hosts
    sizes = sums_by(snapshot.table, slots, len(hosts))
    nothing = np.array([host.status in WHOLE or bool(host.same_as) for host in hosts], dtype=np.bool_)
    nothing &= np.bincount(slots, minlength=len(hosts)) == 0
    return {name: np.where(nothing, 0, values) for name, values in sizes.items()}


def _error(host: HostResult) -> str:
    if host.same_as:
        return f"the same machine as {host.same_as}"
    return host.failure.message.removeprefix(f"{host.name}: ") if host.failure else ""


def from_options(snapshot: Snapshot, options: ViewOptions) -> Report:
    """Return the report as the options of the command line describe it."""
    return hosts(snapshot, Shape.of(options))
