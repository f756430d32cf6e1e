"""Sentences needed to read the totals correctly.   snapshot ─► [notes] ─► every report

They stand here once, so that every view, and stderr, print the same: the coverage, the kernels that lack a field, the
processes that were not read, and the results of the self-check.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fleetpmap.catalogue import listed
from fleetpmap.check import Check
from fleetpmap.inventory.nodesets import fold
from fleetpmap.report.grouping import HUGETLB, host_slots
from fleetpmap.report.model import Report
from fleetpmap.smaps import NULL
from fleetpmap.smaps.fields import field_columns
from fleetpmap.snapshot import (
    ANSWERED,
    HOST_STATUSES,
    INCOMPLETE,
    PROCESS_STATUSES,
    UNREADABLE_STATUSES,
    Checked,
    Coverage,
    Process,
    Snapshot,
)
from fleetpmap.table import KERNEL_KEYS, count, distinct, is_unreadable
from fleetpmap.units import KIB, human

MOST_NAMED = 5
"""Pids of one host, and hosts, that a sentence names; the rest is counted."""
UPPER_BOUND = "≤: at most; a page that processes share is counted once for each of them"
"""The legend of the sign before a total that is an upper bound."""
HUGE_PAGES = "hugetlb: huge pages, which no other column counts; each row's share is of the {0} alone"
"""The legend of a table with huge pages; {0} is the size that the shares are of."""
_CHECKS: Mapping[Check, str] = {
    "rss_identity": "RSS identity",
    "mappings_apart": "mappings apart",
    "last_block_whole": "last block whole",
    "start_time_unchanged": "start time unchanged",
    "rollup": "sums of smaps_rollup",
}
"""The names of the checks in sentences."""
_MOVED = ("rollup", "differs")
"""A check and verdict without a sentence for each process: the memory of a live process changed between two reads."""


def coverage_sentence(coverage: Coverage, *, listed_only: bool = False) -> str:
    """Return one sentence: how many hosts answered, how many did not and why, and the statuses of the processes.

    The names of the failed hosts are in `failures.folded`. `listed_only`: no smaps was read. Empty if there was no host
    to query.
    """
    if not coverage.asked:
        return ""
    if coverage.hosts["not-asked"] == coverage.asked:
        return f"{counted(coverage.asked, 'host')}, {'not' if coverage.asked == 1 else 'none of them'} asked"
    sentence = f"{coverage.answered} of {counted(coverage.asked, 'host')} answered"
    if without := coverage.hosts["no-match"]:
        sentence += f", {without} without a match"
    if missing := coverage.asked - coverage.answered:
        sentence += f"; {missing} did not: {_failures(coverage)}"
    if coverage.answered:
        sentence += f"; {_processes(coverage, 'would be read' if listed_only else 'read')}"
    return sentence


def notes_on(snapshot: Snapshot, fields: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the notes on a snapshot's totals: what they leave out, and which of them may be wrong.

    `fields`: the kernel keys that the view has as columns, in place of the sizes.
    """
    return (
        *_kernel_gaps(snapshot, fields),
        *_huge_pages_unknown(snapshot),
        *_unread(snapshot),
        *same_machine_notes(snapshot),
        *_doubts(snapshot.coverage.checked),
    )


def notes_on_listed(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the notes on processes that are only listed: of which of them a run leaves out memory, and why."""
    return (*_unread(snapshot, listed_only=True), *same_machine_notes(snapshot))


def freed_sentence(report: Report, *, human_sizes: bool = False) -> str:
    """Return how much memory ending all processes frees, if the total of uss is well below it; else empty.

    smaps does not say which processes share a page: USS is the least that ending all of them frees, PSS the most.
    """
    columns = {column.name: column for table in report.tables for column in table.columns}
    read = report.coverage.processes["read"]
    uss, pss = (columns[name].total if name in columns else None for name in ("uss_kib", "pss_kib"))
    if read < 2 or uss is None or pss is None or pss - uss <= max(KIB, pss // 10):
        return ""
    figure = human(pss) if human_sizes else f"{pss} kB"
    besides = ", and huge pages" if (huge := columns.get(HUGETLB)) and huge.total else ""
    return f"uss: what ending one process alone frees; ending all {read} frees up to their pss, {figure}{besides}"


def same_machine_notes(snapshot: Snapshot) -> list[str]:
    """Return a sentence if a machine is in the totals under several names, else an empty list."""
    machines = snapshot.same_machines
    if not machines:
        return []
    if len(machines) == 1:
        return [f"{fold(machines[0])} are one machine, counted under each name; --once-per-machine counts it once"]
    named = "; ".join(map(fold, machines[:MOST_NAMED])) + ("; …" if len(machines) > MOST_NAMED else "")
    return [f"{len(machines)} machines are counted under several names; --once-per-machine counts each once: {named}"]


def check_sentences(checked: Checked) -> list[str]:
    """Return the result of the self-check in one sentence, then one for each process that did not pass it."""
    if not checked.processes:
        return []
    # A rollup that differs is only counted: it is no evidence against the totals.
    named = [(process, finding) for process, finding in checked.findings if (finding.check, finding.verdict) != _MOVED]
    failed = {(process.host, process.pid) for process, finding in named if finding.verdict == "failed"}
    passed = checked.processes - len(failed)
    sentence = f"self-check: {passed} of {counted(checked.processes, 'process')}: "
    sentence += ", ".join(_CHECKS[check] for check in checked.verdicts)
    for check, verdicts in checked.verdicts.items():
        if unknown := verdicts["unknown"]:
            sentence += f"; {_CHECKS[check]} unknown in {unknown}"
        if differs := verdicts["differs"]:
            sentence += f"; {_CHECKS[check]} different in {differs}, since the memory of a live process changes"
    details = (
        f"{process.host}: process {process.pid} ({process.name}): {finding.message}" for process, finding in named
    )
    return [sentence, *details]


def _failures(coverage: Coverage) -> str:
    return ", ".join(
        f"{count} {status}" for status in HOST_STATUSES if status not in ANSWERED and (count := coverage.hosts[status])
    )


def _processes(coverage: Coverage, verb: str) -> str:
    if not coverage.matched:
        return "no process matched"
    read = f"{coverage.processes['read']} of {counted(coverage.matched, 'process')} {verb}"
    others = [f"{count} {status}" for status in PROCESS_STATUSES[1:] if (count := coverage.processes[status])]
    return ", ".join([read, *others])


def _kernel_gaps(snapshot: Snapshot, fields: Sequence[str] | None) -> list[str]:
    """Return a sentence for each set of hosts with kernels that lack a field that a total needs."""
    if fields is None:
        needed = KERNEL_KEYS
    else:
        columns_of = field_columns(snapshot.table.fields)
        needed = {columns_of[key]: (key,) for key in fields}
    slots, names = host_slots(snapshot), [host.name for host in snapshot.hosts]
    mappings = snapshot.table.mappings
    mappings_on = count(mappings, slots, len(names)).tolist()
    gaps: dict[_Gap, tuple[dict[str, None], dict[str, None]]] = {}
    for column, keys in needed.items():
        for key in keys:
            values = snapshot.table.fields.get(key)
            lacking = slice(None) if values is None else values == NULL
            nulls_on = count(mappings[lacking], slots[lacking], len(names))
            for gap in _gaps(names, nulls_on.tolist(), mappings_on) if nulls_on.any() else ():
                columns, missing = gaps.setdefault(gap, ({}, {}))
                columns[column] = missing[key] = None
    if fields is None:
        return [_gap_sentence(gap, [*columns], ", ".join(missing)) for gap, (columns, missing) in gaps.items()]
    return [_field_gap_sentence(gap, [*columns], needed) for gap, (columns, _) in gaps.items()]


def _huge_pages_unknown(snapshot: Snapshot) -> list[str]:
    """Return a sentence if huge pages are mapped where the kernel (before 4.4) counts them in no size at all."""
    table = snapshot.table
    # One flag for each kind, spread to the rows by their codes; the False at the end is for a null kind, code -1.
    huge = np.array([*(kind == "hugetlb" for kind in table.kind.names), False], dtype=np.bool_)[table.kind.codes]
    if not huge.any():
        return []
    unknown = huge & (table.metrics[HUGETLB] == NULL)
    sizes = table.metrics["size_kib"][unknown]
    if not len(sizes):
        return []
    where = fold(snapshot.hosts[slot].name for slot in distinct(host_slots(snapshot)[unknown]).tolist())
    mapped = human(int(np.where(sizes == NULL, 0, sizes).sum()))
    return [f"no size but size_kib counts the huge pages on {where}, where up to {mapped} of them are mapped"]


class _Gap(NamedTuple):
    """Memory that a total leaves out for lack of a field."""

    where: str
    """The hosts, or the mappings of a host: `web[01-03]`, `2 mappings on web-01`."""
    why: str
    """The reason, up to the name of the field: `its kernel has no`."""


def _gap_sentence(gap: _Gap, columns: Sequence[str], missing: str) -> str:
    return f"{listed(columns)} {'leaves' if len(columns) == 1 else 'leave'} out {gap.where}: {gap.why} {missing}"


def _field_gap_sentence(gap: _Gap, columns: Sequence[str], all_: Collection[str]) -> str:
    """Return the sentence for columns that are fields; if nearly all fields lack, it names the others."""
    others = [column for column in all_ if column not in columns]
    if 0 < len(others) < len(columns) // 2:
        return f"all fields but {listed(others)} leave out {gap.where}: {gap.why} others"
    return _gap_sentence(gap, columns, "such field" if len(columns) == 1 else "such fields")


def _gaps(names: Sequence[str], nulls_on: Sequence[int], mappings_on: Sequence[int]) -> list[_Gap]:
    """Return the gaps of one field: hosts without any value, as one; then each host that lacks it in some mappings."""
    counts = list(zip(names, nulls_on, mappings_on, strict=True))
    whole = [name for name, nulls, mappings in counts if 0 < nulls == mappings]
    gaps = [_Gap(fold(whole), "its kernel has no" if len(whole) == 1 else "their kernels have no")] if whole else []
    return gaps + [
        _Gap(f"{counted(nulls, 'mapping')} on {name}", "its kernel gave them no")
        for name, nulls, mappings in counts
        if 0 < nulls < mappings
    ]


def _unread(snapshot: Snapshot, *, listed_only: bool = False) -> list[str]:
    """Return a sentence for each status and reason of processes that the totals leave out, in whole or in part.

    `listed_only`: the sentences say it of a run, which has yet to read them.
    """
    table = snapshot.table
    in_part = frozenset(table.process[is_unreadable(table)].tolist())
    left_out: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for number, process in enumerate(snapshot.processes):
        if process.status in INCOMPLETE:
            known = _known_sizes(process) if number in in_part or listed_only else ""
            places = left_out.setdefault((process.status, process.reason, known), {})
            places.setdefault(process.host, []).append(str(process.pid))
    sentence = _run_sentence if listed_only else _totals_sentence
    sentences = []
    for (status, reason, known), places in sorted(
        left_out.items(), key=lambda item: PROCESS_STATUSES.index(item[0][0])
    ):
        processes = counted(sum(map(len, places.values())), f"{status} process")
        why = f" ({reason})" if reason else ""
        sentences.append(f"{sentence(processes, known)}{_where(places)}{why}")
    return sentences


def _known_sizes(process: Process) -> str:
    """Return the sizes that are known of a process whose mappings are not, or that a run will know; empty for none."""
    if process.resident is None:
        return "RSS and swap" if process.status in UNREADABLE_STATUSES else ""
    return "RSS" if process.resident.swap_kib is None else "RSS and swap"


def _totals_sentence(processes: str, known: str) -> str:
    if not known:
        return f"the totals leave out {processes}"
    return f"the totals have only {known} of {processes}, from /proc/PID/status; PSS and USS are not known"


def _run_sentence(processes: str, known: str) -> str:
    return f"run reads only {known} of {processes}" if known else f"run leaves out {processes}"


def _doubts(checked: Checked) -> list[str]:
    """Return the reasons to doubt the totals: processes in them that did not pass the self-check."""
    failed: dict[str, dict[str, None]] = {}
    grew: dict[str, dict[str, None]] = {}
    for process, finding in checked.findings:
        if process.status == "read" and finding.verdict == "failed":
            failed.setdefault(process.host, {})[str(process.pid)] = None
        elif finding.check == "mappings_apart":
            grew.setdefault(process.host, {})[str(process.pid)] = None
    doubts: list[str] = []
    if failed:
        doubts.append(f"the totals may be wrong: {_processes_of(failed, 'did not pass the self-check')} (-v says why)")
    if grew:
        twice = _processes_of(grew, "grew while read")
        doubts.append(f"the totals may count some memory twice: {twice} (-v says how much)")
    return doubts


def _processes_of(places: Mapping[str, Mapping[str, None]], did: str) -> str:
    count = sum(map(len, places.values()))
    return f"{counted(count, 'process')} {did}{_where({host: [*pids] for host, pids in places.items()})}"


def _where(places: Mapping[str, Sequence[str]]) -> str:
    """Return the pids on each host; for more than MOST_NAMED hosts only their names."""
    if len(places) > MOST_NAMED:
        return f" on {fold(places)}"
    return ": " + "; ".join(f"{_some(pids)} on {host}" for host, pids in places.items())


def _some(words: Sequence[str]) -> str:
    named = ", ".join(words[:MOST_NAMED])
    return named if len(words) <= MOST_NAMED else f"{named} and {len(words) - MOST_NAMED} more"


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: `1 host`, `2 processes`."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{'' if count == 1 else plural}"
