"""Findings about hosts that are outliers.   evidence, peers, outliers ─► [outlier_findings] ─► standing_out, compare"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np

from fleetpmap.evidence import Evidence
from fleetpmap.report.finding import Finding
from fleetpmap.report.next_command import next_command, of_service
from fleetpmap.report.peers import Flags, Judged, Peers
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Process, Snapshot, service_of
from fleetpmap.table import ROLLUP
from fleetpmap.units import human


class Holders:
    """The processes that hold a mapping, for the findings that name one."""

    def __init__(self, snapshot: Snapshot, evidence: Evidence) -> None:
        self._snapshot, self._evidence = snapshot, evidence
        self._members: dict[tuple[str, str], list[int]] = {}
        for number, process in enumerate(snapshot.processes):
            if process.status == "read":
                for service in (service_of(process), ""):
                    self._members.setdefault((process.host, service), []).append(number)

    def largest(self, host: str, service: str, mapping: str) -> Process | None:
        """Return the process of a service on a host that has most of a mapping; of any service, if it is empty."""
        members = self._members.get((host, service), [])
        if not members:
            return None
        holder, names = self._evidence.holder, self._evidence.mapping
        # Of its own type: numpy would make a copy of the whole column, once for each outlier.
        ends = np.array((members[0], members[-1] + 1), dtype=holder.dtype)
        start, stop = np.searchsorted(holder, ends).tolist()
        code = names.names.index(mapping) if mapping in names.names else NULL
        rows = start + np.flatnonzero(names.codes[start:stop] == code)
        rows = rows[np.isin(holder[rows], members)]
        largest = int(holder[rows[self._evidence.held[rows].argmax()]]) if len(rows) else members[0]
        return self._snapshot.processes[largest]

    def one_of(self, service: str, hosts: Iterable[str]) -> Process | None:
        """Return any process of a service on these hosts."""
        found = (members[0] for host in hosts if (members := self._members.get((host, service))))
        number = next(found, None)
        return None if number is None else self._snapshot.processes[number]

    def compare_command(self, peers: Peers, hosts: Collection[str]) -> str:
        """Return the command that compares these hosts of the peers."""
        process = self.one_of(peers.service, hosts) if peers.service else None
        which = of_service(process) if process else ["--all"]
        if peers.group is not None:
            which = [*which, "--peers", "group"]
        return next_command(self._snapshot, [*hosts], which, "compare")


def outlier_findings(
    snapshot: Snapshot, holders: Holders, judged: Judged, out: Flags, skip: Collection[str] = ()
) -> Iterator[tuple[float, Finding]]:
    """Yield a finding for each of these outliers, (row, judged host), with its distance from the median in KiB.

    `skip`: mappings that only have another name on some hosts.
    """
    for row, column in zip(*map(np.ndarray.tolist, np.nonzero(out)), strict=True):
        mapping = judged.peers.mappings[row]
        if mapping not in skip:
            yield _outlier(snapshot, holders, judged, row, column)


def _outlier(snapshot: Snapshot, holders: Holders, judged: Judged, row: int, column: int) -> tuple[float, Finding]:
    host, service = judged.hosts[column], judged.peers.service
    mapping = judged.peers.mappings[row]
    median, value = float(judged.judgement.median[row]), int(judged.values[row, column])
    is_above = value > median
    process = holders.largest(host, service, mapping)
    subject = f"{service or (service_of(process) if process else '')} on {host}"
    subject += f" (pid {process.pid})" if process and is_above else ""
    what = "" if mapping in ("", ROLLUP) else f"{mapping} "
    apart = f"{human(round(abs(value - median)))} {'above' if is_above else 'below'} the median"
    hosts = f"{len(judged.columns)} hosts{judged.peers.of_group}"
    text = f"{subject}: {what}{human(value)}, {apart} of {hosts}{_each(judged, row, column)}"
    which = ["--pid", str(process.pid)] if process and is_above else of_service(process) if process else ["--all"]
    return abs(value - median), Finding(
        "outlier",
        text,
        host,
        service or None,
        process.pid if process and is_above else None,
        mapping if what else None,
        judged.metric,
        value,
        round(median),
        next_command(snapshot, [host], which, "mappings" if what else "processes"),
    )


def _each(judged: Judged, row: int, column: int) -> str:
    """Return the share of a process, if the hosts do not run the same number of processes; else empty."""
    if judged.has_equal_counts:
        return ""
    count = int(judged.processes[column])
    each = human(round(int(judged.values[row, column]) / count))
    processes = "its process" if count == 1 else f"each of {count} processes"
    return f", {each} in {processes}, where the median is {human(round(float(judged.median_per_process[row])))}"
