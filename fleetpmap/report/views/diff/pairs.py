"""The processes of two snapshots, matched.   old, new ─► [pairs] ─► difference

Two processes are the same if host, pid, name and start time are equal. A process that is gone, and a new one that
replaced it on the same host, are a restarted one: with the same name and command line, or else with the same name in
the same unit or container, since a deploy may change the command line. The others are gone, or new.

Hosts and processes that are not known in both snapshots are left out, as neither gone nor new: a host that did not
answer, or was not asked, in one of them, and a process that could not be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from fleetpmap.errors import UsageError
from fleetpmap.snapshot import ANSWERED, INCOMPLETE, HostResult, Process, Snapshot
from fleetpmap.table import is_rollup

_OF_MAPPINGS = frozenset({"mapping", "path", "perms", "kind"})
"""Keys of --by that a sum over all mappings of a process does not have."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A process before and after, as indices into the snapshots' `processes`; None if it is in only one of them."""

    status: Literal["same", "restarted", "new", "gone"]
    old: int | None
    new: int | None


@dataclass(frozen=True, slots=True)
class Pairs:
    """All processes of two snapshots that can be compared."""

    pairs: tuple[Pair, ...]
    hosts: tuple[str, ...]
    """Hosts of either snapshot: in the order of the new one, then those that only the old one asked."""
    unknown: Mapping[str, str]
    """Hosts that cannot be compared, each with the reason as a clause."""


def paired(old: Snapshot, new: Snapshot) -> Pairs:
    """Match the processes of both snapshots."""
    before, after = ({host.name: host for host in snapshot.hosts} for snapshot in (old, new))
    names = tuple(dict.fromkeys((*after, *before)))
    unknown = {name: why for name in names if (why := _why_unknown(before.get(name), after.get(name)))}
    rebooted = {name for name in names if name not in unknown and _rebooted(before[name], after[name])}
    left: dict[tuple[object, ...], int] = {}
    for slot, process in _comparable(old, unknown):
        left[_identity(process, process.host in rebooted)] = slot
    pairs: list[Pair] = []
    fresh: list[int] = []
    for slot, process in _comparable(new, unknown):
        same = left.pop(_identity(process), None)
        if same is None:
            fresh.append(slot)
        else:
            pairs.append(Pair("same", same, slot))
    pairs += _restarted(old, new, [*left.values()], fresh)
    return Pairs(tuple(pair for pair in pairs if _was_read(pair, old, new)), names, unknown)


def _why_unknown(before: HostResult | None, after: HostResult | None) -> str:
    if before is None or after is None:
        return f"asked only the {'second' if before is None else 'first'} time"
    missing = [time for time, host in (("first", before), ("second", after)) if host.status not in ANSWERED]
    if missing:
        return "no answer" if len(missing) == 2 else f"no answer the {missing[0]} time"
    return "" if before.same_as == after.same_as else "counted under another name one of the times"


def _rebooted(before: HostResult, after: HostResult) -> bool:
    boots = [host.capabilities.boot_id for host in (before, after) if host.capabilities]
    return len(boots) == 2 and all(boots) and boots[0] != boots[1]


def _comparable(snapshot: Snapshot, unknown: Mapping[str, str]) -> Iterable[tuple[int, Process]]:
    """Yield the processes that have memory, whether read or not: not exited ones, zombies or kernel threads."""
    for slot, process in enumerate(snapshot.processes):
        if process.host not in unknown and (process.status == "read" or process.status in INCOMPLETE):
            yield slot, process


def _identity(process: Process, rebooted: bool = False) -> tuple[object, ...]:
    """Return the key by which a process is the same.

    Start times count from the boot, so they mean nothing across one: after a reboot the keys of `old` hold True, those
    of `new` False, and none are equal.
    """
    return (process.host, process.pid, process.name, process.start_ticks, rebooted)


def _restarted(old: Snapshot, new: Snapshot, left: list[int], fresh: list[int]) -> Iterable[Pair]:
    """Pair gone processes with the new ones that replaced them, in the order of their start; yield the others alone."""
    left = sorted(left, key=lambda slot: old.processes[slot].start_ticks)
    fresh = sorted(fresh, key=lambda slot: new.processes[slot].start_ticks)
    for same_program in (_in_same_service, _of_same_command, _of_same_unit):
        successors: dict[tuple[object, ...], list[int]] = {}
        for slot in reversed(fresh):
            if key := same_program(new.processes[slot]):
                successors.setdefault(key, []).append(slot)
        found = {slot: slots.pop() for slot in left if (slots := successors.get(same_program(old.processes[slot])))}
        yield from (Pair("restarted", *both) for both in found.items())
        taken = {*found.values()}
        left = [slot for slot in left if slot not in found]
        fresh = [slot for slot in fresh if slot not in taken]
    yield from (Pair("gone", slot, None) for slot in left)
    yield from (Pair("new", None, slot) for slot in fresh)


def _in_same_service(process: Process) -> tuple[object, ...]:
    return (process.host, process.name, process.arguments, process.service)


def _of_same_command(process: Process) -> tuple[object, ...]:
    return (process.host, process.name, process.arguments)


def _of_same_unit(process: Process) -> tuple[object, ...]:
    """Return the key within a unit or container; () outside of one, where a name alone says too little."""
    return (process.host, process.name, process.service) if process.unit or process.container else ()


def _was_read(pair: Pair, old: Snapshot, new: Snapshot) -> bool:
    sides = ((pair.old, old), (pair.new, new))
    return all(slot is None or snapshot.processes[slot].status == "read" for slot, snapshot in sides)


def comparability_notes(old: Snapshot, new: Snapshot, by: Sequence[str], looked_for: tuple[str, str]) -> list[str]:
    """Return a note for each reason why a difference need not be growth; `by` and `looked_for` as in diff.

    Raises:
        UsageError: one run has the mappings that `by` needs, and the other only their sums.
    """
    notes = []
    before, after = looked_for
    if before and after and before != after:
        notes.append(
            f"the old run looked for {before}, the new one for {after}: "
            "processes that only one of them looked for are listed as new or gone, even if nothing changed"
        )
    rolled = [name for name, snapshot in (("old", old), ("new", new)) if is_rollup(snapshot.table.path).any()]
    if len(rolled) == 1:
        if of_mappings := [key for key in by if key in _OF_MAPPINGS]:
            why = (
                f"the {rolled[0]} one holds only a sum for each process (--rollup), and no {of_mappings[0]} to compare"
            )
            raise UsageError(why, hint="add --by service, --by process or --by host")
        notes.append(
            f"the {rolled[0]} one holds only a sum for each process (--rollup): "
            "size_kib and the number of mappings cannot be compared"
        )
    return notes
