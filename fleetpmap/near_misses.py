"""What a host has that is near a selection without a match.   wire.Listing, Selection ─► [near_misses] ─► collection

    -m ngnix           processes called nginx
    -m worker          processes with worker in the command line, which --full would match; the unit worker.service
    --unit postgres    the unit postgresql@15-main.service
    --container shop   the container docker:shop-db
    -m app -u wwwdata  users that processes run as, www-data among them

Computed from the listing of a host on which nothing matched, without another question to it. Each count is that of
`choose` with the other option, so it is what the option would match. A host may list anything, so the names compared
and kept are few and short.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import islice

from fleetpmap.errors import AmbiguousError
from fleetpmap.matching import Matcher, TooSlowError
from fleetpmap.membership import labels, membership
from fleetpmap.own_processes import OwnFilter, OwnProcesses, find_own
from fleetpmap.processes import Selection, choose
from fleetpmap.wire import Listing

MOST = 3
"""Names, and groups, of one host; so many users times ten."""
_COMPARED = 2000
"""Different process names of one host that are compared. A host has some two hundred."""
_LONGEST = 64
"""Characters of a name that is kept, and of a word of the pattern that is compared."""
_ALIKE = 0.6
"""Least likeness of a near name, the default of difflib: ngnix and nginx have 0.8."""
_WORD = re.compile(r"[\w.@:+-]{2,}")


@dataclass(frozen=True, slots=True)
class NearMisses:
    """What one host has that is near the selection; empty where nothing is. Names are printable."""

    names: tuple[str, ...] = ()
    """Names of processes that are spelled like a word of --match, the nearest first."""
    others: int = 0
    """Number of processes that match by --match alone: the other options leave them out."""
    full: int | None = None
    """Number of processes that --full would match; None: their command lines were not listed."""
    groups: tuple[tuple[str, str, int], ...] = ()
    """(option, value, processes): `--unit nginx.service` or `--container docker:web` would match these."""
    users: tuple[str, ...] = ()
    """Names that its processes run as, if the selection is by user."""

    def rewritten(self, rewrite: Callable[[str], str]) -> NearMisses:
        """Return the same with `rewrite` applied to every text."""
        return replace(
            self,
            names=tuple(map(rewrite, self.names)),
            groups=tuple((option, rewrite(value), count) for option, value, count in self.groups),
            users=tuple(map(rewrite, self.users)),
        )


def near_misses(
    listing: Listing, selection: Selection, own: OwnProcesses | None = None, *, closely: bool = False
) -> NearMisses:
    """Return what is near a selection that matches nothing on this host.

    `closely`: the listing holds every process's command line, uid and cgroups, so more is near. `own`: as in `choose`.
    """
    own = own or find_own(listing)
    users = _kept({*selection.users}, listing.users.values()) if selection.users else ()
    if selection.match is None:
        return NearMisses(groups=tuple(_near_groups(listing, selection, own)), users=users)
    by_name = Selection(match=selection.match, exact=selection.exact)
    others = 0 if selection.full or selection == by_name else _count(listing, by_name, own)
    near = NearMisses(
        tuple(islice(_near_names(listing, selection.match, own), MOST)) if not others else (), others, users=users
    )
    if not closely:
        return near
    return replace(
        near,
        full=0 if selection.full else _count_full(listing, selection, own),
        groups=tuple(_groups(listing, selection, own)),
    )


def words_of(pattern: str) -> list[str]:
    """Return the words of a regular expression that names can be compared with."""
    return [word.strip(".") for word in _WORD.findall(pattern)[:MOST] if len(word) <= _LONGEST]


def likeness(name: str, words: Iterable[str]) -> float:
    """Return how like a name is to the most similar of these words: from 0 to 1."""
    return max((_likeness(name, word) for word in words), default=0.0)


@lru_cache(1 << 14)  # most names are found on many hosts
def _likeness(name: str, word: str) -> float:
    return SequenceMatcher(None, name.lower(), word.lower()).ratio()


def _near_names(listing: Listing, pattern: re.Pattern[str], own: OwnProcesses) -> Iterator[str]:
    """Yield the names of processes that are like a word of the pattern, the nearest first."""
    words = words_of(pattern.pattern)
    shortest = min(map(len, words), default=0) * _ALIKE / (2 - _ALIKE)  # ratio() is 2 * shorter / sum at most
    longest = max(map(len, words), default=0) * (2 - _ALIKE) / _ALIKE
    names = {name for name in listing.processes.names if shortest <= len(name) <= longest and _is_shown(name)}
    compared = ((likeness(name, words), name) for name in islice(sorted(names), _COMPARED))
    own_filter = OwnFilter(own, listing.processes)
    for _, name in sorted((pair for pair in compared if pair[0] >= _ALIKE), reverse=True):
        slots = [slot for slot, each in enumerate(listing.processes.names) if each == name]
        processes = map(listing.processes.at, slots)
        if any(not process.kernel_thread and process not in own_filter for process in processes):
            yield name


def _groups(listing: Listing, selection: Selection, own: OwnProcesses) -> Iterator[tuple[str, str, int]]:
    """Yield the units and containers with a name that the pattern matches, and the processes that each would select."""
    if selection.match is None or selection.unit is not None or selection.container is not None:
        return
    matcher = Matcher(selection.match)
    cgroups = Counter(process.cgroups for process in listing.processes if process.cgroups)
    found: Counter[tuple[str, str]] = Counter()
    for paths, count in cgroups.items():
        for group in _groups_of(paths, listing):
            if _is_shown(group[1]) and _matches(matcher, group[1]):
                found[group] += count
    without = replace(selection, match=None, full=False, exact=False)
    for option, value in [group for group, _ in found.most_common(MOST)]:
        narrowed = replace(without, unit=value) if option == "--unit" else replace(without, container=value)
        with contextlib.suppress(AmbiguousError):  # two containers with ids that begin alike
            if count := _count(listing, narrowed, own):
                yield option, value, count


def _near_groups(listing: Listing, selection: Selection, own: OwnProcesses) -> Iterator[tuple[str, str, int]]:
    """Yield the units with a name that holds one of --unit or is like it, the nearest first; containers likewise."""
    paths = {process.cgroups for process in listing.processes if process.cgroups}
    groups = {group for each in paths for group in _groups_of(each, listing)}
    for option, text in (("--unit", selection.unit), ("--container", selection.container)):
        wanted = [_plain(name) for name in text.split(",")] if text else []
        names = sorted(name for of, name in groups if of == option and wanted and _is_shown(name))
        nearness = {
            name: 1.0 if any(word in name.lower() for word in wanted) else likeness(_plain(name), wanted)
            for name in names[:_COMPARED]
        }
        near = [name for name, value in nearness.items() if value >= _ALIKE]
        for name in sorted(near, key=lambda name: (-nearness[name], name))[:MOST]:
            narrowed = replace(selection, unit=name) if option == "--unit" else replace(selection, container=name)
            with contextlib.suppress(AmbiguousError):
                if count := _count(listing, narrowed, own):
                    yield option, name, count


def _plain(name: str) -> str:
    """Return the name of a unit without its suffix, or of a container without its runtime, in lower case."""
    return name.lower().removesuffix(".service").rpartition(":")[2]


def _groups_of(cgroups: tuple[str, ...], listing: Listing) -> Iterator[tuple[str, str]]:
    """Yield the options that select the unit and the container of these cgroups."""
    belongs = labels(membership(cgroups), listing.names, "")
    if belongs.unit:
        yield "--unit", belongs.unit
    if belongs.container:
        yield "--container", belongs.container


def _count_full(listing: Listing, selection: Selection, own: OwnProcesses) -> int:
    """Return the number of processes that --full would match; 0 if it is only those that started fleetpmap.

    The command line of `sudo fleetpmap run -m nginx` holds the pattern, and means nothing.
    """
    choice = choose(listing, replace(selection, full=True, newest=False, oldest=False), own)
    above: set[int] = set()
    for root in own.roots:
        process = listing.processes.get(root)
        while process is not None and process.pid not in above:
            above.add(process.pid)
            process = listing.processes.get(process.ppid)
    return 0 if {process.pid for process in choice.matched} <= above else len(choice.matched) - choice.undecided


def _matches(matcher: Matcher, text: str) -> bool:
    try:
        return matcher.matches(text)
    except TooSlowError:
        return False


def _count(listing: Listing, selection: Selection, own: OwnProcesses) -> int:
    choice = choose(listing, replace(selection, newest=False, oldest=False), own)
    return len(choice.matched) - choice.undecided


def _kept(first: set[str], names: Iterable[str]) -> tuple[str, ...]:
    """Return a bounded number of user names, those of the selection first."""
    shown: Sequence[str] = sorted(filter(_is_shown, {*names}), key=lambda name: (name not in first, name))
    return tuple(shown[: 10 * MOST])


def _is_shown(name: str) -> bool:
    return 0 < len(name) <= _LONGEST and name.isprintable()
