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
from fleetpmap.snapshot import (
    ANSWERED,
    HOST_STATUSES,
    INCOMPLETE,
    PROCESS_STATUSES,
    Coverage,
    Process,
    Snapshot,
)
from fleetpmap.table import KERNEL_KEYS

MOST_NAMED = 5
"""Pids of one host, and hosts, that a sentence names; the rest is a number."""


def coverage_sentence(coverage: Coverage, *, listed_only: bool = False) -> str:
    """How many answered, how many did not and why, and what became of the processes.

    The names of those who did not are in `failures.folded`. `listed_only`: nobody's smaps was read.
    """
    if coverage.hosts["not-asked"] == coverage.asked:
        return f"{_counted(coverage.asked, 'host')}, none of them asked"
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
    return ", ".join(
        f"{count} {status}" for status in HOST_STATUSES if status not in ANSWERED and (count := coverage.hosts[status])
    )


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
    """A sentence for each status and reason whose processes have memory that no total holds."""
    left_out: dict[tuple[str, str], dict[str, list[str]]] = {}
    for process in processes:
        if process.status in INCOMPLETE:
            places = left_out.setdefault((process.status, process.reason), {})
            places.setdefault(process.host, []).append(str(process.pid))
    return [
        _left_out_sentence(status, reason, places)
        for (status, reason), places in sorted(left_out.items(), key=lambda item: PROCESS_STATUSES.index(item[0][0]))
    ]


def _left_out_sentence(status: str, reason: str, places: dict[str, list[str]]) -> str:
    count = sum(len(pids) for pids in places.values())
    sentence = f"the totals leave out {_counted(count, f'{status} process')}"
    if len(places) > MOST_NAMED:
        sentence += f" on {fold(places)}"
    else:
        sentence += ": " + "; ".join(f"{_some(pids)} on {host}" for host, pids in places.items())
    return f"{sentence} ({reason})" if reason else sentence


def _some(words: Sequence[str]) -> str:
    named = ", ".join(words[:MOST_NAMED])
    return named if len(words) <= MOST_NAMED else f"{named} and {len(words) - MOST_NAMED} more"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _counted(count: int, noun: str) -> str:
    plural = "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{'' if count == 1 else plural}"
