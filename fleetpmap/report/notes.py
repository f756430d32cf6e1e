"""What a reader must know to read the totals right.   snapshot ─► [notes] ─► every report

One place for the sentences, so that every view, and stderr, say the same: the coverage, whose kernel lacks a field, and
which processes' memory is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.rows import host_slots
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import INCOMPLETE, PROCESS_STATUSES, Coverage, Process, Snapshot
from fleetpmap.table import KERNEL_KEYS

MOST_NAMED = 5
"""Pids of one host, and hosts, that a sentence names; the rest is a number."""


def coverage_sentence(coverage: Coverage, *, listed_only: bool = False) -> str:
    """Who answered, who did not and why, and what became of the processes; `listed_only`: nobody's smaps was read."""
    sentence = f"{coverage.answered} of {_counted(coverage.asked, 'host')} answered"
    if without := coverage.hosts["no-match"]:
        sentence += f", {without} without a match"
    if missing := coverage.asked - coverage.answered:
        sentence += f"; {missing} did not: {_failures(coverage)}"
    if coverage.answered:
        sentence += f"; {_processes(coverage, 'would be read' if listed_only else 'read')}"
    return sentence


def notes_on(snapshot: Snapshot) -> tuple[str, ...]:
    """What the totals of a snapshot leave out."""
    return (*_kernel_gaps(snapshot), *_unread(snapshot.processes))


def _failures(coverage: Coverage) -> str:
    hosts_of: dict[str, list[str]] = {}
    for failure in coverage.failures:
        hosts_of.setdefault(failure.status, []).append(failure.host)
    parts = [f"{fold(hosts)} ({status})" for status, hosts in hosts_of.items()]
    if unnamed := coverage.asked - coverage.answered - len(coverage.failures):
        parts.append(f"{unnamed} not asked")
    return ", ".join(parts)


def _processes(coverage: Coverage, verb: str) -> str:
    if not coverage.matched:
        return "no process matched"
    read = f"{coverage.processes['read']} of {_counted(coverage.matched, 'process')} {verb}"
    others = [f"{count} {status}" for status in PROCESS_STATUSES[1:] if (count := coverage.processes[status])]
    return ", ".join([read, *others])


def _kernel_gaps(snapshot: Snapshot) -> list[str]:
    """A sentence for each set of hosts whose kernels do not tell what a total needs."""
    table, slots = snapshot.table, host_slots(snapshot)
    mappings_on = np.bincount(slots, minlength=len(snapshot.hosts))
    gaps: dict[tuple[str, str], tuple[list[str], list[str]]] = {}
    for metric, keys in KERNEL_KEYS.items():
        unknown = table.metrics[metric] == NULL
        if not unknown.any():
            continue
        nulls_on = np.bincount(slots[unknown], minlength=len(snapshot.hosts))
        missing = [key for key in keys if key not in table.fields or (table.fields[key][unknown] == NULL).any()]
        for gap in _gaps([host.name for host in snapshot.hosts], nulls_on.tolist(), mappings_on.tolist()):
            columns, lacking = gaps.setdefault(gap, ([], []))
            columns.append(metric)
            lacking.extend(key for key in missing if key not in lacking)
    return [
        f"{_listed(columns)} {'leaves' if len(columns) == 1 else 'leave'} out {who}: {why} {', '.join(lacking)}"
        for (who, why), (columns, lacking) in gaps.items()
    ]


def _gaps(names: Sequence[str], nulls_on: Sequence[int], mappings_on: Sequence[int]) -> list[tuple[str, str]]:
    """Who is left out, and why: hosts wholly, and hosts in some mappings."""
    counts = list(zip(names, nulls_on, mappings_on, strict=True))
    whole = [name for name, nulls, mappings in counts if 0 < nulls == mappings]
    gaps = [(fold(whole), "its kernel has no" if len(whole) == 1 else "their kernels have no")] if whole else []
    return gaps + [
        (f"{_counted(nulls, 'mapping')} on {name}", "its kernel gave them no")
        for name, nulls, mappings in counts
        if 0 < nulls < mappings
    ]


def _unread(processes: Sequence[Process]) -> list[str]:
    """A sentence for each status whose processes have memory that no total holds."""
    left_out: dict[str, dict[tuple[str, str], list[str]]] = {}
    for process in processes:
        if process.status in INCOMPLETE:
            places = left_out.setdefault(process.status, {})
            places.setdefault((process.host, process.reason), []).append(str(process.pid))
    return [_left_out_sentence(status, left_out[status]) for status in PROCESS_STATUSES if status in left_out]


def _left_out_sentence(status: str, places: dict[tuple[str, str], list[str]]) -> str:
    parts = [
        f"{_some(pids, ', ')} on {host}{f' ({reason})' if reason else ''}" for (host, reason), pids in places.items()
    ]
    count = sum(len(pids) for pids in places.values())
    return f"the totals leave out {_counted(count, f'{status} process')}: {_some(parts, '; ')}"


def _some(words: Sequence[str], separator: str) -> str:
    named = separator.join(words[:MOST_NAMED])
    return named if len(words) <= MOST_NAMED else f"{named} and {len(words) - MOST_NAMED} more"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _counted(count: int, noun: str) -> str:
    plural = "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{'' if count == 1 else plural}"
