"""Consistency checks of the data a host sent.   smaps columns, rollups ─► [check] ─► snapshot

Every process of which smaps was received is checked; no check changes a number.

    rss_identity           in each mapping Rss is Shared_Clean + Shared_Dirty + Private_Clean + Private_Dirty
    mappings_apart         no mapping begins before the one in front of it ends
    last_block_whole       the text is not cut off; if it is, the parser reports it, and the process is `cut`
    start_time_unchanged   the process is still the listed one; if not, the wire reports it, and it is `reused`
    rollup                 the sum of each field over the mappings equals smaps_rollup, if that was read too

The kernel releases a process's lock every few mappings: a mapping that grows meanwhile is printed again, larger, and
the part printed before is counted twice. smaps_rollup is read a moment after smaps, and a process runs on in between.
So an unequal sum is a failure only in a process that is `still`, and only in a field that other processes cannot
change; everywhere else it merely differs.
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
"""differs: unequal, as the process ran on meanwhile. unknown: the kernel does not print the fields that it takes."""

_HELD: Mapping[Check, Verdict] = {"last_block_whole": "held", "start_time_unchanged": "held"}
"""Verdicts of every process that has mappings here; one that failed these checks is `cut` or `reused`, without any."""
_PARTS = ("Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty")
_SHARES = frozenset({"Pss", "Pss_Dirty", "SwapPss", "Locked"})
"""Sums of fractions of pages. smaps rounds them down to whole kB in each mapping, smaps_rollup only at the end."""
_MOVED_BY_OTHERS = _SHARES.union(_PARTS, ("Shared_Hugetlb", "Private_Hugetlb"))
"""Fields that another process changes by mapping or unmapping the same pages, even while this one is stopped."""


@dataclass(frozen=True, slots=True)
class Rollup:
    """The smaps_rollup of one process."""

    fields: Mapping[str, int]
    """Sizes in KiB, by kernel key."""
    still: bool
    """True if it is stopped, and was so before its smaps was read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An inconsistency that a check found in one process."""

    check: Check
    verdict: Verdict
    message: str
    """The mapping or field, and the figures."""


_Result = Verdict | Finding
_Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Checks:
    """The results of the checks of one process."""

    verdicts: Mapping[Check, Verdict]
    """Verdict of each check that was made."""
    findings: tuple[Finding, ...] = ()
    """One finding for each verdict of failed or differs."""


def not_passed(check: Check, message: str) -> Checks:
    """Make the results of a process that was not read because it failed this check."""
    return Checks({check: "failed"}, (Finding(check, "failed", message),))


def check_processes(columns: SmapsColumns, rollups: Mapping[int, Rollup] | None = None) -> dict[int, Checks]:
    """Check every process that has mappings. Returns the results by the process's number in `columns.process`.

    `rollups` are by the same number, and lack processes without one; None if rollups were not requested.
    """
    # `first` holds the first row of each process: where the process number changes. The `reduceat` calls below reduce
    # from each first row up to the next, that is, over each process's rows.
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
    """Compare Rss with its four parts. Returns one result for each process; `first` are their first rows."""
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
    """Look for overlapping mappings. Returns one result for each process; `first` are their first rows."""
    overlaps = columns.start[1:] < columns.end[:-1]
    overlaps[first[1:] - 1] = False  # neighbours of two processes
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
    """Compare sums with the rollups. Returns one result for each process; `first` are their first rows."""
    mappings = np.diff(first, append=len(columns.process))
    compared = np.zeros(len(first), dtype=np.bool_)
    off: dict[int, list[tuple[str, int, int]]] = {}
    for key, column in columns.fields.items():
        rolled_up = np.array([rollup.fields.get(key, NULL) if rollup else NULL for rollup in rollups], dtype=np.int64)
        # NULL is the least value, so a process's minimum is NULL if one of its mappings lacks the field.
        known = (rolled_up != NULL) & (np.minimum.reduceat(column, first) != NULL)
        added = np.add.reduceat(column, first)
        excess = rolled_up - added
        # Each mapping's share is rounded down by less than 1 kB, so the rollup is larger by less than their number.
        agrees = (excess >= 0) & (excess < (mappings if key in _SHARES else 1))
        compared |= known
        for place in np.flatnonzero(known & ~agrees).tolist():
            off.setdefault(place, []).append((key, int(rolled_up[place]), int(added[place])))
    results: list[_Result] = _held(compared)
    for place, fields in off.items():
        rollup = rollups[place]
        results[place] = _disagreement(fields, still=rollup is not None and rollup.still)
    return results


def _held(checked: NDArray[np.bool_]) -> list[_Result]:
    return ["held" if was_checked else "unknown" for was_checked in checked.tolist()]


def _disagreement(fields: Sequence[tuple[str, int, int]], *, still: bool) -> Finding:
    """Make the finding of a process from its unequal fields (key, in the rollup, in the sum)."""
    own = [field for field in fields if still and field[0] not in _MOVED_BY_OTHERS]
    key, rolled_up, added = (own or fields)[0]
    message = f"{key} is {rolled_up} kB in smaps_rollup, {added} kB in the sum of its mappings"
    message += _and_more(len(fields), "field")
    if own:
        return Finding("rollup", "failed", f"{message}, though the process is stopped")
    return Finding("rollup", "differs", f"{message} ({'others moved its shares' if still else 'the process ran on'})")


def _and_more(count: int, noun: str) -> str:
    """Return the end of a message about the first of `count` findings."""
    return "" if count == 1 else f", and {count - 1} more {noun}{'' if count == 2 else 's'}"
