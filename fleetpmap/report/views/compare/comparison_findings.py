"""Findings about differences between hosts.   peers, outliers, drift ─► [comparison_findings] ─► comparison

Each follows from the numbers and gives its figure; without a difference there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from fleetpmap.evidence import Evidence
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.drift import codes_of, drift_sentence, drifts
from fleetpmap.report.finding import Finding, of_kind
from fleetpmap.report.grouping import HUGETLB
from fleetpmap.report.outlier_findings import Holders, outlier_findings
from fleetpmap.report.outliers import FLOOR_SHARE, MIB, groups_of
from fleetpmap.report.peers import Flags, Judged, Peers
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import IntArray
from fleetpmap.units import human


def comparison_findings(
    snapshot: Snapshot, evidence: Evidence, blocks: Sequence[Judged], metric: str
) -> tuple[Finding, ...]:
    """Return all findings about these services: their counts, outliers and splits, drift, files of only some hosts."""
    holders = Holders(snapshot, evidence)
    codes = codes_of(snapshot, evidence, [(judged.peers.service, judged.hosts) for judged in blocks])
    counts: list[Finding] = []
    ranked: list[tuple[float, Finding]] = []
    rest: list[Finding] = []
    for judged, hosts_of in zip(blocks, codes, strict=True):
        prefix = f"{judged.peers.service}{judged.peers.of_group}: " if len(blocks) > 1 else ""
        found = drifts(hosts_of)
        renamed = frozenset(
            name for drift in found if drift.kind == "names" for words, _ in drift.forms for name in words
        )
        huge = () if metric in (HUGETLB, "size_kib") else huge_page_sentences(judged.peers, metric)
        split = chain(count_sentences(judged.peers) if len(blocks) == 1 else (), huge)
        counts += _about(judged.peers, prefix, of_kind("split", split))
        ranked += outlier_findings(snapshot, holders, judged, judged.judgement.out, renamed)
        for apart, finding in _splits(judged, renamed):
            ranked += [(apart, one) for one in _about(judged.peers, prefix, [finding])]
        differing = (*map(drift_sentence, found), *only_some_sentences(judged, renamed))
        rest += _about(judged.peers, prefix, of_kind("drift", differing))
    ranked.sort(key=lambda one: -one[0])
    return (*counts, *(finding for _, finding in ranked), *rest)


def _about(peers: Peers, prefix: str, findings: Sequence[Finding]) -> list[Finding]:
    return [replace(one, text=f"{prefix}{one.text}", service=peers.service or None) for one in findings]


def count_sentences(peers: Peers) -> Iterator[str]:
    """Yield a sentence if the hosts do not run the same number of processes."""
    hosts_of: dict[int, list[str]] = {}
    for column in np.flatnonzero(peers.whole).tolist():
        hosts_of.setdefault(int(peers.processes[column]), []).append(peers.hosts[column])
    if len(hosts_of) < 2:
        return
    counts = sorted(hosts_of.items(), key=lambda item: -len(item[1]))
    listed = ", ".join(f"{count} on {fold(hosts)}" for count, hosts in counts)
    yield f"the hosts do not run the same number of processes: {listed}; --per process divides by it"


def huge_page_sentences(peers: Peers, metric: str) -> Iterator[str]:
    """Yield a sentence if the hosts do not have the same amount of huge pages, which the metric does not count."""
    columns: list[int] = np.flatnonzero(peers.known(HUGETLB)).tolist()
    held = peers.values[HUGETLB][:, columns].sum(axis=0)
    if len(columns) < 2 or held.max() - held.min() <= max(MIB, FLOOR_SHARE * held.min()):
        return
    text = split_text([peers.hosts[column] for column in columns], held)
    yield f"huge pages, which {metric.removesuffix('_kib')} does not count: {text}; --metric hugetlb compares them"


def _splits(judged: Judged, skip: frozenset[str]) -> Iterator[tuple[float, Finding]]:
    """Yield a finding for each split row, with its spread. `skip`: mappings with another name on some hosts."""
    for row in np.flatnonzero(judged.judgement.split).tolist():
        mapping = judged.peers.mappings[row]
        if mapping not in skip:
            text = f"{mapping}: {split_text(judged.hosts, judged.values[row])}"
            yield float(judged.judgement.spread[row]), Finding("split", text, mapping=mapping, metric=judged.metric)


def split_text(hosts: Sequence[str], values: IntArray) -> str:
    """Describe the groups of a split row: `2 groups, about 86.0M on web[01-12] and about 412.0M on web[13-17]`."""
    groups = groups_of(values)
    if len(groups) == 1:
        return f"all over the place, {human(int(values.min()))} to {human(int(values.max()))}"
    listed = [
        f"about {human(round(float(np.median(values[group]))))} on {fold(hosts[host] for host in group)}"
        for group in groups
    ]
    return f"{len(groups)} groups, {', '.join(listed[:-1])} and {listed[-1]}"


def only_some_sentences(judged: Judged, skip: frozenset[str]) -> Iterator[str]:
    """Yield a sentence for each file that only some hosts map, from 1 MiB on a host.

    `skip`: mappings that are reported as drift.
    """
    present: Flags = judged.peers.present[:, judged.columns]
    some = np.logical_and(present.any(axis=1), ~present.all(axis=1))
    largest = np.where(present, judged.values, 0).max(axis=1, initial=0)
    for row in np.argsort(-largest, kind="stable").tolist():
        name = judged.peers.mappings[row]
        if some[row] and largest[row] >= MIB and not name.startswith("[") and name not in skip:
            where = fold(host for host, is_there in zip(judged.hosts, present[row].tolist(), strict=True) if is_there)
            yield f"{name} only on {where}, up to {human(int(largest[row]))}"
