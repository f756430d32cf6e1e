"""Sentences about differences between hosts.   matrix, outliers, drift ─► [comparison_findings] ─► comparison

Each follows from the numbers and gives its figure; without a difference there is no sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.drift import Drift
from fleetpmap.report.grouping import HUGETLB
from fleetpmap.report.views.compare.matrix import Flags, Matrix
from fleetpmap.report.views.compare.outliers import FLOOR_SHARE, MIB, Judgement, groups_of
from fleetpmap.table import IntArray
from fleetpmap.units import human

MOST = 5
"""Number of sentences; the table and json have the rest."""


def count_sentences(matrix: Matrix) -> Iterator[str]:
    """Yield a sentence if the hosts do not run the same number of processes."""
    hosts_of: dict[int, list[str]] = {}
    for slot in np.flatnonzero(matrix.whole).tolist():
        hosts_of.setdefault(int(matrix.processes[slot]), []).append(matrix.hosts[slot])
    if len(hosts_of) < 2:
        return
    counts = sorted(hosts_of.items(), key=lambda item: -len(item[1]))
    listed = ", ".join(f"{count} on {fold(hosts)}" for count, hosts in counts)
    yield f"the hosts do not run the same number of processes: {listed}; --per process divides by it"


def huge_page_sentences(matrix: Matrix, metric: str) -> Iterator[str]:
    """Yield a sentence if the hosts do not have the same amount of huge pages, which the metric does not count."""
    slots: list[int] = np.flatnonzero(matrix.known(HUGETLB)).tolist()
    held = matrix.values[HUGETLB][:, slots].sum(axis=0)
    if len(slots) < 2 or held.max() - held.min() <= max(MIB, FLOOR_SHARE * held.min()):
        return
    yield (
        f"huge pages, which {metric.removesuffix('_kib')} does not count: {split_text(matrix, held, slots)}; "
        "--metric hugetlb compares them"
    )


def outlier_sentences(
    matrix: Matrix, values: IntArray, judged: Judgement, hosts: Sequence[int], skip: frozenset[str]
) -> Iterator[str]:
    """Yield a sentence for every outlier and every split row, the largest difference first.

    `hosts`: the slots of the judged hosts. `skip`: mappings that only have another name on some hosts.
    """
    ranked: list[tuple[float, int, str]] = []
    for row, column in zip(*map(np.ndarray.tolist, np.nonzero(judged.out)), strict=True):
        median, value = float(judged.median[row]), int(values[row, column])
        side = "above" if value > median else "below"
        difference, figures = human(round(abs(value - median))), f"{human(value)}, {human(round(median))}"
        subject = f"{matrix.hosts[hosts[column]]}: {matrix.mappings[row]}"
        text = f"{subject} {difference} {side} the median of {len(hosts)} hosts ({figures})"
        ranked.append((abs(value - median), row, text))
    for row in np.flatnonzero(judged.split).tolist():
        text = f"{matrix.mappings[row]}: {split_text(matrix, values[row], hosts)}"
        ranked.append((float(judged.spread[row]), row, text))
    ranked.sort(key=lambda entry: -entry[0])
    yield from (text for _, row, text in ranked if matrix.mappings[row] not in skip)


def split_text(matrix: Matrix, values: IntArray, hosts: Sequence[int]) -> str:
    """Describe the groups of a split row: `2 groups, about 86.0M on web[01-12] and about 412.0M on web[13-17]`."""
    groups = groups_of(values)
    if len(groups) == 1:
        return f"all over the place, {human(int(values.min()))} to {human(int(values.max()))}"
    listed = [
        f"about {human(round(float(np.median(values[group]))))} on {fold(matrix.hosts[hosts[host]] for host in group)}"
        for group in groups
    ]
    return f"{len(groups)} groups, {', '.join(listed[:-1])} and {listed[-1]}"


def drift_sentence(drift: Drift) -> str:
    """Describe one drift: each form, and the hosts that have it."""
    hosts = [fold(hosts) for _, hosts in drift.forms]
    if drift.kind == "builds":
        return f"{drift.of}: {len(drift.forms)} builds by layout, on {', '.join(hosts[:-1])} and on {hosts[-1]}"
    forms = [f"{' and '.join(words)} on {where}" for (words, _), where in zip(drift.forms, hosts, strict=True)]
    return f"{drift.of}: {', '.join(forms)}" if drift.kind == "paths" else ", ".join(forms)


def only_some_sentences(matrix: Matrix, values: IntArray, hosts: Flags, skip: frozenset[str]) -> Iterator[str]:
    """Yield a sentence for each file that only some hosts map, from 1 MiB on a host.

    `skip`: mappings that are reported as drift.
    """
    slots = np.flatnonzero(hosts)
    present: Flags = matrix.present[:, slots]
    some = np.logical_and(present.any(axis=1), ~present.all(axis=1))
    largest = np.where(present, values[:, slots], 0).max(axis=1, initial=0)
    for row in np.argsort(-largest, kind="stable").tolist():
        name = matrix.mappings[row]
        if some[row] and largest[row] >= MIB and not name.startswith("[") and name not in skip:
            where = fold(matrix.hosts[slot] for slot in slots[present[row]].tolist())
            yield f"{name} only on {where}, up to {human(int(largest[row]))}"
