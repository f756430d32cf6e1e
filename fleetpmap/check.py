"""Whether what a host sent hangs together.   smaps columns, rollups ─► [check] ─► snapshot

Every process whose smaps came is checked; no check changes a number.

    rss_identity           in each mapping Rss is Shared_Clean + Shared_Dirty + Private_Clean + Private_Dirty
    mappings_apart         no mapping begins before the one in front of it ends
    last_block_whole       its text is not cut off; else the parser said so, and the process is `cut`
    start_time_unchanged   it started when the process that was chosen did; else the wire said so, and it is `reused`
    rollup                 the sum of each field over the mappings is what smaps_rollup says, if that was read too

The kernel lets go of a process every few mappings: one that grows meanwhile is printed once more, larger, and what was
printed before is counted twice. smaps_rollup is read a moment after smaps, and a process moves in between. So a sum
that is off is a failure only in a process that is `still`, and only in a field that others cannot change for it;
everywhere else it merely differs.
Source: fs/proc/task_mmu.c, smap_gather_stats(), show_smap() and show_smaps_rollup().
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps import NULL, SmapsColumns
from fleetpmap.units import KIB

Check = Literal["rss_identity", "mappings_apart", "last_block_whole", "start_time_unchanged", "rollup"]
ALWAYS_CHECKED: tuple[Check, ...] = ("rss_identity", "mappings_apart", "last_block_whole", "start_time_unchanged")
Verdict = Literal["held", "failed", "differs", "unknown"]
"""differs: off, which a process that ran on explains. unknown: its kernel does not print what the check takes."""

_HELD: Mapping[Check, Verdict] = {"last_block_whole": "held", "start_time_unchanged": "held"}
"""Of every process that has mappings here: without them it would be `cut` or `reused`."""
_PARTS = ("Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty")
_SHARES = frozenset({"Pss", "Pss_Dirty", "SwapPss", "Locked"})
"""Page by page a fraction, which smaps cuts to whole kB in each mapping and the rollup only in the end."""
_MOVED_BY_OTHERS = _SHARES.union(_PARTS, ("Shared_Hugetlb", "Private_Hugetlb"))
"""What another process changes by mapping the same pages or leaving them, even while this one is stopped."""


@dataclass(frozen=True, slots=True)
class Rollup:
    """What smaps_rollup said of one process."""

    fields: Mapping[str, int]
    """Kernel key to KiB."""
    still: bool
    """It is stopped, and was before its smaps was read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found amiss in one process."""

    check: Check
    verdict: Verdict
    message: str
    """Which mapping or field, and the figures."""


_Result = Verdict | Finding
_Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of one process."""

    verdicts: Mapping[Check, Verdict]
    """Of each check that was made."""
    findings: tuple[Finding, ...] = ()
    """One for each verdict of failed or differs."""


def not_passed(check: Check, message: str) -> Checks:
    """The checks of a process that for this reason was not read."""
    return Checks({check: "failed"}, (Finding(check, "failed", message),))


def check_processes(columns: SmapsColumns, rollups: Mapping[int, Rollup] | None = None) -> dict[int, Checks]:
    """The checks of every process that has mappings, by its number in `columns.process`.

    `rollups` are by that number too, without those that had none; None: they were not asked for.
    """
    first = np.flatnonzero(np.diff(columns.process, prepend=-1))
    if not len(first):
        return {}
    processes: list[int] = columns.process[first].tolist()
    identities, apart = _check_identity(columns, first), _check_apart(columns, first)
    sums: Sequence[_Result | None] = [None] * len(first)
    if rollups is not None:
        sums = _check_sums(columns, first, [rollups.get(process) for process in processes])
    return {process: _checks(*results) for process, *results in zip(processes, identities, apart, sums, strict=True)}


@lru_cache(64)  # nearly all processes of a fleet pass all checks: these share one object
def _checks(identity: _Result, apart: _Result, rollup: _Result | None) -> Checks:
    results = {"rss_identity": identity, "mappings_apart": apart, **_HELD} | (
        {} if rollup is None else {"rollup": rollup}
    )
    findings = tuple(result for result in results.values() if isinstance(result, Finding))
    verdicts = {check: result.verdict if isinstance(result, Finding) else result for check, result in results.items()}
    return Checks(verdicts, findings)


def _check_identity(columns: SmapsColumns, first: _Rows) -> list[_Result]:
    """One result for each process; `first` are their first rows."""
    if not {"Rss", *_PARTS} <= columns.fields.keys():
        return ["unknown"] * len(first)
    rss, *parts = (columns.fields[key] for key in ("Rss", *_PARTS))
    added = reduce(np.add, parts)
    known = np.logical_and.reduce([column != NULL for column in (rss, *parts)])
    results: list[_Result] = _held(np.logical_or.reduceat(known, first))
    off = np.flatnonzero(known & (rss != added))
    places, at, counts = np.unique(np.searchsorted(first, off, "right") - 1, return_index=True, return_counts=True)
    for place, row, count in zip(places.tolist(), off[at].tolist(), counts.tolist(), strict=True):
        message = f"mapping {int(columns.start[row]):08x}: Rss is {rss[row]} kB, its four parts {added[row]} kB"
        results[place] = Finding("rss_identity", "failed", message + _and_more(count, "mapping"))
    return results


def _check_apart(columns: SmapsColumns, first: _Rows) -> list[_Result]:
    """One result for each process; `first` are their first rows."""
    overlaps = columns.start[1:] < columns.end[:-1]
    overlaps[first[1:] - 1] = False  # between two processes
    results: list[_Result] = ["held"] * len(first)
    rows = np.flatnonzero(overlaps) + 1
    places = np.searchsorted(first, rows, "right") - 1
    for place in dict.fromkeys(places.tolist()):
        own = rows[places == place]
        twice = int((columns.end[own - 1] - columns.start[own]).sum()) // KIB
        message = f"mapping {int(columns.start[own[0]]):08x} grew while it was read{_and_more(len(own), 'mapping')}"
        results[place] = Finding("mappings_apart", "differs", f"{message}: up to {twice} KiB are counted twice")
    return results


def _check_sums(columns: SmapsColumns, first: _Rows, rollups: Sequence[Rollup | None]) -> list[_Result]:
    """One result for each process; `first` are their first rows."""
    mappings = np.diff(first, append=len(columns.process))
    compared = np.zeros(len(first), dtype=np.bool_)
    off: dict[int, list[tuple[str, int, int]]] = {}
    for key, column in columns.fields.items():
        told = np.array([rollup.fields.get(key, NULL) if rollup else NULL for rollup in rollups], dtype=np.int64)
        known = (told != NULL) & (np.minimum.reduceat(column, first) != NULL)
        added = np.add.reduceat(column, first)
        excess = told - added
        agrees = (excess >= 0) & (excess < (mappings if key in _SHARES else 1))
        compared |= known
        for place in np.flatnonzero(known & ~agrees).tolist():
            off.setdefault(place, []).append((key, int(told[place]), int(added[place])))
    results: list[_Result] = _held(compared)
    for place, fields in off.items():
        rollup = rollups[place]
        results[place] = _disagreement(fields, still=rollup is not None and rollup.still)
    return results


def _held(checked: NDArray[np.bool_]) -> list[_Result]:
    return ["held" if one else "unknown" for one in checked.tolist()]


def _disagreement(fields: Sequence[tuple[str, int, int]], *, still: bool) -> Finding:
    """What to say of fields (key, in the rollup, in the sum) that are off."""
    own = [field for field in fields if still and field[0] not in _MOVED_BY_OTHERS]
    key, told, added = (own or fields)[0]
    message = f"{key} is {told} kB in smaps_rollup, {added} kB in the sum of its mappings"
    message += _and_more(len(fields), "field")
    if own:
        return Finding("rollup", "failed", f"{message}, though the process is stopped")
    return Finding("rollup", "differs", f"{message} ({'others moved its shares' if still else 'the process ran on'})")


def _and_more(count: int, noun: str) -> str:
    """What a message about the first of `count` leaves out."""
    return "" if count == 1 else f", and {count - 1} more {noun}{'' if count == 2 else 's'}"
