"""Sentences on memory that is charged to a cgroup and that its processes do not map.   charge ─► [leftover] ─► services

    charged = mapped by the processes read (their PSS)
            + page cache that none of them maps      memory.stat's file without shmem, less the PSS in pages of files
            + shared memory that none of them maps   memory.stat's shmem, less the PSS in shared memory
            + the kernel's own                       memory.stat's kernel
            + anonymous memory of other processes    memory.stat's anon, less the PSS in anonymous pages
            + what is not known

Page cache that a process maps is in its PSS and in memory.stat, so it counts once, as the process's. The parts need not
add up: a page of a library is charged to the cgroup that read it first, and divided among all that map it. What they do
not explain is named, and none of them is negative.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetpmap.report.charge import Cgroups, Place, above
from fleetpmap.smaps import NULL, Coded
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import ANONYMOUS, IntArray, MappingTable, is_rollup
from fleetpmap.units import KIB, human

LARGE_KIB = 64 * KIB
"""The least memory outside of the processes that is worth a sentence, and the least share of the charge:"""
LARGE_SHARE = 0.1
MOST = 5
"""Number of sentences; one more counts the rest."""
_SMALL_SHARE = 0.01
"""A part below this share of the charge is not named."""
_ANON_KINDS = frozenset({"heap", "stack", "thread-stack", "anon", "named-anon"})
_SHM_KINDS = frozenset({"shm"})


@dataclass(frozen=True, slots=True)
class _Mapped:
    """The PSS of each process, and its parts, in KiB; NULL where unknown."""

    pss: IntArray
    anon: IntArray
    file: IntArray
    shmem: IntArray


def leftover_sentences(snapshot: Snapshot, table: MappingTable, cgroups: Cgroups) -> tuple[str, ...]:
    """Return a sentence for each service on a host with much memory outside of its processes, the largest first.

    `table`: the snapshot's, summed by path and permissions or finer.
    """
    mapped = _mapped(table, len(snapshot.processes))
    judged = [(_rest(group, mapped, cgroups), group) for group in _groups(snapshot, cgroups)]
    told = [(rest, group) for rest, group in judged if rest is not None]
    told.sort(key=lambda one: -one[0].kib)
    texts = [_sentence(rest, group, mapped, cgroups) for rest, group in told[:MOST]]
    if left := len(told) - MOST if len(told) > MOST else 0:
        noun = "service is" if left == 1 else "services are"
        texts.append(f"{left} more {noun} charged much memory that no process maps: cgroup_current less pss")
    return tuple(texts)


@dataclass(frozen=True, slots=True)
class _Group:
    """The cgroups of a service on a host, and what was matched in them."""

    name: str
    host: str
    top: tuple[Place, ...]
    """The topmost of them."""
    places: tuple[Place, ...]
    """These, and those of matched processes below them, as far as their files were read."""
    read: NDArray[np.intp]
    """The processes read in these places: indices in `snapshot.processes`."""


def _groups(snapshot: Snapshot, cgroups: Cgroups) -> Iterator[_Group]:
    """Yield the cgroups of each unit and container; and each cgroup of other processes, as that of a login session."""
    places_of: dict[tuple[str, str], dict[Place, None]] = defaultdict(dict)
    read_at: dict[Place, list[int]] = defaultdict(list)
    for slot, process in enumerate(snapshot.processes):
        if place := cgroups.place_of(process):
            name = process.service if process.unit or process.container else place[1].rpartition("/")[2] or "/"
            places_of[process.host, name][place] = None
        if process.status == "read" and process.cgroup:
            read_at[process.host, process.cgroup].append(slot)
    tops = {
        owner: tuple(sorted(cgroups.topmost(places, lambda cgroup: cgroup.current_kib)))
        for owner, places in places_of.items()
    }
    owners_of: dict[Place, list[tuple[str, str]]] = defaultdict(list)
    for owner, top in tops.items():
        for place in top:
            owners_of[place].append(owner)
    below: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in dict.fromkeys((*(place for places in places_of.values() for place in places), *read_at)):
        for upper in (place, *above(place)):
            for owner in owners_of.get(upper, ()):
                below[owner].append(place)
    for owner, places in below.items():
        read = [slot for place in places for slot in read_at.get(place, ())]
        known = tuple(place for place in places if place in cgroups)
        yield _Group(owner[1], owner[0], tops[owner], known, np.array(read, dtype=np.intp))


class _Rest(NamedTuple):
    """What a group is charged outside of its processes. The first three are in KiB."""

    kib: int
    charged: int
    pss: int
    is_large: bool
    """True if it is large enough for a sentence; else the kernel killed a process."""


def _rest(group: _Group, mapped: _Mapped, cgroups: Cgroups) -> _Rest | None:
    """Return the memory of a group outside of its processes; None if there is nothing to say of it."""
    pss = _known_sum(mapped.pss[group.read])
    charged = _figure(cgroups, group.top, "current_kib")
    if charged is None or pss is None or not len(group.read):
        return None
    rest = charged - pss
    is_large = rest >= LARGE_KIB and rest >= LARGE_SHARE * charged
    return _Rest(rest, charged, pss, is_large) if is_large or cgroups.oom_kills(group.places) else None


def _sentence(rest: _Rest, group: _Group, mapped: _Mapped, cgroups: Cgroups) -> str:
    """Return the sentence on what no process of a group maps."""
    _, charged, pss, is_large = rest
    charge = cgroups.charge(group.places, whole=False)
    clauses = [f"{human(charged)} charged, {human(pss)} in {_processes(group, cgroups)}"]
    if is_large:
        parts = _parts(group, mapped, cgroups)
        known = pss + sum(parts.values())
        parts["not known"] = max(charged - known, 0)
        named = [f"{human(kib)} {part}" for part, kib in parts.items() if kib > 0 and kib >= _SMALL_SHARE * charged]
        clauses += [", ".join(named)] if named else []
    if charge.limit:
        share = "" if charge.limit.share is None else f" ({charge.limit.share}%)"
        holder = "" if charge.limit.place in group.top else f", of {charge.limit.place[1].rpartition('/')[2] or '/'}"
        clauses.append(f"limit {human(charge.limit.kib)}{share}{holder}")
    if charge.oom_kills:
        clauses.append("1 oom kill" if charge.oom_kills == 1 else f"{charge.oom_kills} oom kills")
    return f"{group.name} on {group.host}: {'; '.join(clauses)}"


def _processes(group: _Group, cgroups: Cgroups) -> str:
    """Return words for the processes that were read, with their number if there are more in these cgroups."""
    counts = [cgroups[place].processes for place in group.places]
    there = sum(count for count in counts if count is not None)
    read = len(group.read)
    if None not in counts and read < there:
        return f"its processes ({read} of {there} read)"
    return "its process" if read == 1 else "its processes"


def _parts(group: _Group, mapped: _Mapped, cgroups: Cgroups) -> dict[str, int]:
    """Return the known parts of the rest, by their names."""
    anon, file, shmem, kernel = (
        _figure(cgroups, group.top, name) for name in ("anon_kib", "file_kib", "shmem_kib", "kernel_kib")
    )
    in_anon, in_file, in_shmem = (_known_sum(part[group.read]) for part in (mapped.anon, mapped.file, mapped.shmem))
    parts: dict[str, int] = {}
    if file is not None and in_file is not None and in_shmem is not None:
        if shmem is None:
            parts["page cache and shared memory that no process maps"] = file - in_file - in_shmem
        else:
            parts["page cache"] = file - shmem - in_file
            parts["shared memory that no process maps"] = shmem - in_shmem
    if kernel is not None:
        parts["kernel"] = kernel
    if anon is not None and in_anon is not None:
        parts["anonymous memory of other processes"] = anon - in_anon
    return {name: max(kib, 0) for name, kib in parts.items()}


def _figure(cgroups: Cgroups, top: Sequence[Place], name: str) -> int | None:
    """Return the sum of a figure over cgroups that are not below one another; None if one of them lacks it."""
    figures = [getattr(cgroups[place], name) for place in top]
    return None if None in figures else sum(figures)


def _known_sum(values: IntArray) -> int | None:
    return None if (values == NULL).any() else int(values.sum())


def _mapped(table: MappingTable, processes: int) -> _Mapped:
    """Return the PSS of each process by what its pages are.

    A mapping of a file has pages of the file and private copies, which are anonymous; `Anonymous` tells how many. The
    PSS is divided in the proportion of the RSS.
    """
    pss, rss = table.metrics["pss_kib"], table.metrics["rss_kib"]
    copies = table.fields.get(ANONYMOUS, np.broadcast_to(np.int64(NULL), len(table)))
    is_anon, is_shm = _is_one_of(table.kind, _ANON_KINDS), _is_one_of(table.kind, _SHM_KINDS)
    share = np.where((copies > 0) & (rss > 0), np.minimum(copies / np.maximum(rss, 1), 1.0), 0.0)
    share = np.where(is_anon, 1.0, share)
    # smaps_rollup does not tell the kinds, and a kernel without PSS tells nothing.
    whole, unknown = is_rollup(table.path), pss == NULL
    of_kind = np.where(unknown, 0, pss)

    def sums_of(weights: NDArray[np.floating | np.integer], null: NDArray[np.bool_]) -> IntArray:
        total = np.rint(np.bincount(table.process, weights=weights, minlength=processes)).astype(np.int64)
        total[np.bincount(table.process, weights=null, minlength=processes) > 0] = NULL
        return total

    return _Mapped(
        pss=sums_of(of_kind, unknown),
        anon=sums_of(of_kind * share, unknown | whole),
        file=sums_of(of_kind * (1 - share) * ~is_shm, unknown | whole),
        shmem=sums_of(of_kind * (1 - share) * is_shm, unknown | whole),
    )


def _is_one_of(texts: Coded, wanted: Collection[str]) -> NDArray[np.bool_]:
    return np.array([*(text in wanted for text in texts.names), False], dtype=np.bool_)[texts.codes]
