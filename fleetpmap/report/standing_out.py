"""What stands out in a run, unasked.   evidence, peers, drift, charge ─► [standing_out] ─► reports of run and show

outliers   a host whose mapping is far from that of all other hosts that run the service (outliers.stand_alone)
limits     a cgroup that is charged LIMIT_SHARE of its limit or more, or in which the kernel killed a process
stale      processes that still run a file which an upgrade replaced
drift      a service that has other libraries or programs on some hosts than on others

A service has at most one finding of drift and one of stale files, and on a host one of its outliers: the furthest,
which counts the others. What is split into groups is not told unasked: nothing shows which group is right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from fleetpmap.catalogue import PeersBy
from fleetpmap.evidence import JUDGED, Evidence
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.charge import Cgroups, Place, above
from fleetpmap.report.drift import Drift, codes_of, drift_sentence, drifts, without_version
from fleetpmap.report.finding import Finding
from fleetpmap.report.grouping import mapped
from fleetpmap.report.model import Report
from fleetpmap.report.next_command import next_command, of_service
from fleetpmap.report.outlier_findings import Holders, outlier_findings
from fleetpmap.report.outliers import FEWEST, WORTH_TELLING, stand_alone
from fleetpmap.report.peers import WITNESSES, Peers, judged, peers_in
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Process, Snapshot, service_of
from fleetpmap.units import human

_JUDGES = frozenset({"compare", "stale", "diff"})
"""Views with findings of their own."""
LIMIT_SHARE = 90.0
"""Percent of its limit from which a cgroup is told of."""


def with_findings(
    report: Report, findings: Callable[[], tuple[Finding, ...]], notes: Callable[[], tuple[str, ...]] = tuple
) -> Report:
    """Return a report with the snapshot's findings, but for the views that judge it themselves, and pmap's own text.

    `notes`: notes on what is not judged, which go with the findings.
    """
    if report.view in _JUDGES or report.text is not None:
        return report
    return _noted(replace(report, findings=findings()), notes())


def _noted(report: Report, notes: tuple[str, ...]) -> Report:
    """Return a report with further notes, also in its forms for a terminal."""
    if not notes:
        return report
    brief, narrow = (form and _noted(form, notes) for form in (report.brief, report.narrow))
    return replace(report, notes=(*report.notes, *notes), brief=brief, narrow=narrow)


def standing_out(snapshot: Snapshot, peers_by: PeersBy = "service") -> tuple[Finding, ...]:
    """Return the findings of a snapshot: outliers, the furthest first, then limits, stale files and drift."""
    snapshot, evidence = mapped(snapshot), snapshot.evidence_by(JUDGED)
    if not len(evidence.holder):
        return tuple(_limits(snapshot, Cgroups(snapshot)))
    metric = "pss_kib" if (evidence.sizes["pss_kib"] != NULL).any() else "rss_kib"
    metrics = tuple(dict.fromkeys((metric, *WITNESSES)))
    peers = list(peers_in(snapshot, evidence, metrics, peers_by, fewest=2, least_kib=WORTH_TELLING))
    holders = Holders(snapshot, evidence)
    return (
        *_outliers(snapshot, holders, peers, metric),
        *_limits(snapshot, Cgroups(snapshot)),
        *_stale(snapshot, evidence),
        *_drift(snapshot, evidence, holders, peers),
    )


def _outliers(snapshot: Snapshot, holders: Holders, peers: Sequence[Peers], metric: str) -> list[Finding]:
    found: list[tuple[float, Finding]] = []
    for each in peers:
        if len(each.hosts) < FEWEST:
            continue
        judgement = judged(each, metric)
        alone = stand_alone(judgement.values, judgement.shares, judgement.judgement)
        found += outlier_findings(snapshot, holders, judgement, alone, _renamed(each))
    found.sort(key=lambda one: -one[0])
    first: dict[tuple[str | None, str | None], list[Finding]] = {}
    for _, finding in found:
        first.setdefault((finding.service, finding.host), []).append(finding)
    return [_with_others(findings) for findings in first.values()]


def _renamed(peers: Peers) -> frozenset[str]:
    """Return the libraries that not all hosts have under one name: a version, which drift tells."""
    names: dict[str, list[int]] = {}
    for row, name in enumerate(peers.mappings):
        names.setdefault(without_version(name), []).append(row)
    return frozenset(peers.mappings[row] for rows in names.values() if len(rows) > 1 for row in rows)


def _with_others(findings: Sequence[Finding]) -> Finding:
    first, *others = findings
    if not others:
        return first
    named = others[0].mapping if len(others) == 1 else f"{len(others)} more mappings"
    return replace(first, text=f"{first.text}; also {named}")


def _limits(snapshot: Snapshot, cgroups: Cgroups) -> Iterator[Finding]:
    """Yield a finding for each cgroup near its limit or with killed processes; of one limit, for one cgroup."""
    largest: dict[Place, Process] = {}
    for process in snapshot.processes:
        place = cgroups.place_of(process)
        if place and (place not in largest or process.rss_kib > largest[place].rss_kib):
            largest[place] = process
    killed_in = {place for place in largest if cgroups[place].oom_kills}
    killed_in -= {upper for place in killed_in for upper in above(place)}
    told: dict[Place, tuple[float, Finding]] = {}
    for place, process in largest.items():
        charge = cgroups.charge([place], whole=False)
        share = (charge.limit.share or 0.0) if charge.limit else 0.0
        kills = cgroups[place].oom_kills if place in killed_in else 0
        if share < LIMIT_SHARE and not kills:
            continue
        parts = []
        if kills:
            parts.append("1 oom kill" if kills == 1 else f"{kills} oom kills")
        if charge.limit:
            parts.append(f"{share:g}% of its limit of {human(charge.limit.kib)} is charged")
        service = service_of(process)
        holder = charge.limit.place if charge.limit and not kills else place
        finding = Finding(
            "limit",
            f"{service} on {process.host} (pid {process.pid}): {'; '.join(parts)}",
            process.host,
            service,
            process.pid,
            metric="cgroup_current_kib",
            value_kib=charge.current_kib,
            reference_kib=charge.limit.kib if charge.limit else None,
            next=next_command(snapshot, [process.host], of_service(process), "services"),
        )
        told[holder] = max(told.get(holder, (-1.0, finding)), (share, finding), key=lambda one: one[0])
    yield from (finding for _, finding in sorted(told.values(), key=lambda one: -one[0]))


def _stale(snapshot: Snapshot, evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding for each service that runs files which an upgrade replaced, that of most processes first."""
    is_stale = np.array([*(bool(code.stale) for code in evidence.codes), False], dtype=np.bool_)[evidence.code]
    services: dict[str, list[int]] = {}
    files: dict[str, Counter[str]] = {}
    for number in np.flatnonzero(is_stale).tolist():
        service = service_of(snapshot.processes[number])
        services.setdefault(service, []).append(number)
        files.setdefault(service, Counter()).update(evidence.codes[evidence.code[number]].stale)
    for service, numbers in sorted(services.items(), key=lambda item: -len(item[1])):
        processes = [snapshot.processes[number] for number in numbers]
        hosts = [*dict.fromkeys(process.host for process in processes)]
        first, *others = sorted(files[service], key=lambda path: (-files[service][path], path))
        more = f" and {len(others)} more" if others else ""
        maps = "1 process maps" if len(processes) == 1 else f"{len(processes)} processes map"
        where = f"{fold(hosts)} (pid {processes[0].pid})" if len(processes) == 1 else fold(hosts)
        yield Finding(
            "stale",
            f"{service} on {where}: {maps} the old {first}{more}, deleted or replaced, until restarted",
            hosts[0] if len(hosts) == 1 else None,
            service,
            processes[0].pid,
            first,
            next=next_command(snapshot, hosts, of_service(processes[0]), "stale"),
        )


def _drift(snapshot: Snapshot, evidence: Evidence, holders: Holders, peers: Sequence[Peers]) -> Iterator[Finding]:
    """Yield a finding for each service with other files on some of its wholly read hosts than on others."""
    hosts = [(each, [each.hosts[slot] for slot in np.flatnonzero(each.whole).tolist()]) for each in peers]
    wanted = [(each.service, whole) for each, whole in hosts]
    for (each, whole), hosts_of in zip(hosts, codes_of(snapshot, evidence, wanted), strict=True):
        if found := drifts(hosts_of):
            yield _of_drift(holders, each, whole, found)


def _of_drift(holders: Holders, peers: Peers, hosts: Sequence[str], found: Sequence[Drift]) -> Finding:
    first, *others = found
    more = f"; {len(others)} more {'file differs' if len(others) == 1 else 'files differ'}" if others else ""
    prefix = f"{peers.service}{peers.of_group}: " if peers.service else ""
    return Finding(
        "drift",
        f"{prefix}{drift_sentence(first)}{more}",
        service=peers.service or None,
        mapping=first.of,
        next=holders.compare_command(peers, hosts),
    )
