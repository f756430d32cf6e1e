"""Hints for a run in which no process matched on any host.   Snapshot, Selection ─► [no_match] ─► stderr"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from fleetpmap.catalogue import listed
from fleetpmap.matching import from_glob
from fleetpmap.near_misses import MOST, NearMisses, likeness, words_of

if TYPE_CHECKING:
    from fleetpmap.processes import Selection
    from fleetpmap.snapshot import Snapshot

_MOST_HOSTS = 5
"""Hosts that a hint names; more are counted."""

_Near = Sequence[tuple[str, NearMisses]]
"""What is near on each host, by its name."""


def hints(snapshot: Snapshot, selection: Selection) -> Iterator[str]:
    """Yield a sentence for each thing that is near the selection; nothing if a process matched, or no host answered."""
    near = [(host.name, host.near) for host in snapshot.hosts if host.near]
    if snapshot.coverage.matched or not near:
        return
    if selection.match is not None:
        pattern = selection.match.pattern
        if meant := from_glob(pattern):
            yield (
                f"--match is a regular expression, in which x* is any number of x: for the glob {pattern} write "
                f"{' or '.join(map(shlex.quote, meant))}"
            )
        if selection.exact:
            whole = "command line" if selection.full else "name"
            yield f"--exact: the whole {whole} has to match; without it a part of the {whole} is enough"
        yield from _by_name(near, pattern)
        yield from _by_other_options(near)
        if not selection.full and all(each.full is None for _, each in near):
            yield (
                "names alone were searched: `fleetpmap ps` with the same options for hosts and processes also searches "
                "command lines, units and containers"
            )
    else:
        yield from _by_other_options(near)
    yield from _by_user(near, selection.users)


def _by_name(near: _Near, pattern: str) -> Iterator[str]:
    hosts_of: dict[str, list[str]] = {}
    for host, each in near:
        for name in each.names:
            hosts_of.setdefault(name, []).append(host)
    words = words_of(pattern)
    nearest = sorted(hosts_of, key=lambda name: (-likeness(name, words), -len(hosts_of[name])))[:MOST]
    if nearest:
        named = listed([f"{shlex.quote(name)} {_on(hosts_of[name])}" for name in nearest])
        yield f"no process has a name that matches {shlex.quote(pattern)}; near it: {named}"


def _by_other_options(near: _Near) -> Iterator[str]:
    if others := {host: each.others for host, each in near if each.others}:
        yield (
            f"{_processes(sum(others.values()))} {_on(others)} match by --match alone: the other process options "
            "leave them out"
        )
    if full := {host: each.full for host, each in near if each.full}:
        yield f"--full would match {_processes(sum(full.values()))} {_on(full)}: it searches the command lines"
    counts: Counter[tuple[str, str]] = Counter()
    hosts_of: dict[tuple[str, str], list[str]] = {}
    for host, each in near:
        for option, value, count in each.groups:
            counts[option, value] += count
            hosts_of.setdefault((option, value), []).append(host)
    for (option, value), count in counts.most_common(MOST):
        yield f"{option} {shlex.quote(value)} would match {_processes(count)} {_on(hosts_of[option, value])}"


def _by_user(near: _Near, users: Iterable[str]) -> Iterator[str]:
    from fleetpmap.inventory.names import nearest

    known = sorted({user for _, each in near for user in each.users})  # a set has another order in each process
    for user in users:
        if user not in known and not user.isdigit() and known:
            meant = nearest(user, known)
            they = f"did you mean {meant}?" if meant else f"they run as {listed(known[: 3 * MOST])}"
            yield f"no process runs as {shlex.quote(user)} there; {they}"


def _processes(count: int) -> str:
    return f"{count} process{'es' if count > 1 else ''}"


def _on(hosts: Iterable[str]) -> str:
    from fleetpmap.inventory import fold

    names = [*hosts]
    return f"on {fold(names)}" if len(names) <= _MOST_HOSTS else f"on {len(names)} hosts"
