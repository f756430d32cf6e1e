"""Names to node sets and back: `web[01-03]` ◄─► web01 web02 web03.   [nodesets] ─► document, patterns, reports

    list  := term ((`,` | space) term)*
    term  := text and brackets: rack[1-2]-web[01-20,30]     brackets hold numbers, ranges and steps (0-20/5)

Ranges, padding and folding are ClusterShell's. Two things are ours: the order, which is the order as written
(`web[03,01]` is web03, web01; ClusterShell sorts), and `@group`, which never reaches ClusterShell, since it would look
in the configuration of this machine. ClusterShell is imported when a bracket needs it: most runs never do.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable

MOST_NAMES = 100_000
"""A node set that means more is a typo (`web[1-20260101]`), and would eat the memory before anyone sees it."""

OPERATORS = "!&^"
"""Without, and, one of the two: the set algebra of ClusterShell, for those who read `tokens` and mean it."""

_TOKEN = re.compile(r"(?:\[[^\[\]]*\]|[^\[\],\s!&^])+|[!&^]|[,\s]+")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")
_RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18})(?:/([0-9]{1,18}))?)?")
_FOLDABLE = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:@-]*")


def tokens(text: str) -> list[str]:
    """Terms and operators in the order written; commas and spaces outside brackets separate terms and are dropped.

    Raises:
        ValueError: a bracket without its partner.
    """
    found: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f'"{text}" is not a node set: a bracket has no partner')
        position = match.end()
        if match[0].strip(", \t\r\n"):
            found.append(match[0])
    return found


def expand(text: str) -> tuple[str, ...]:
    """The names that a list of node sets means, in the order written, without duplicates.

    Raises:
        ValueError: not a list of node sets; the message is one sentence.
    """
    terms = tokens(text)
    for term in terms:
        if term in OPERATORS:
            raise ValueError(f'"{text}" holds "{term}": write plain names and node sets here')
    return tuple(dict.fromkeys(name for term in terms for name in expand_term(term)))


def expand_term(term: str) -> list[str]:
    """The names that one term means, in the order written: the last bracket turns fastest.

    Raises:
        ValueError: not a node set; the message is one sentence.
    """
    if "[" not in term:
        return [term]
    pieces = _BRACKET.split(term)  # text, ranges, text, ranges, …, text
    ranges = [[_checked(piece.strip(), term) for piece in ranges.split(",")] for ranges in pieces[1::2]]
    if math.prod(sum(count for _, count in bracket) for bracket in ranges) > MOST_NAMES:
        raise ValueError(f'"{term}" means more than {MOST_NAMES:,} names')
    choices = [[piece] for piece in pieces]
    choices[1::2] = [[number for piece, _ in bracket for number in _numbers(piece, term)] for bracket in ranges]
    return ["".join(parts) for parts in itertools.product(*choices)]


def _checked(piece: str, term: str) -> tuple[str, int]:
    """A range as it stands between the commas of a bracket, and how many numbers it means."""
    # ClusterShell reads 1-2-3 as -2 to 3; a host name never means that.
    match = _RANGE.fullmatch(piece)
    if match is None:
        raise ValueError(f'"{term}" is not a node set: "{piece}" is neither a number nor a range')
    first, last, step = match.groups()
    if last is None:
        return piece, 1
    if int(first) > int(last) or (step is not None and int(step) == 0):
        raise ValueError(f'"{term}" is not a node set: the range {piece} is empty')
    return piece, (int(last) - int(first)) // int(step or 1) + 1


def _numbers(piece: str, term: str) -> list[str]:
    """The numbers of one range, padded as written."""
    from ClusterShell.RangeSet import RangeSet, RangeSetException

    try:
        return list(RangeSet(piece).striter())
    except RangeSetException as error:
        raise ValueError(f'"{term}" is not a node set: {error}') from error


def fold(names: Iterable[str]) -> str:
    """Names as short as they go, for a sentence: `db-1,web[01-17]`. The inverse of expand, but sorted.

    Never raises: a name that cannot stand in a node set (`[::1]:2222`) follows as it is.
    """
    distinct = dict.fromkeys(names)
    plain = [name for name in distinct if _FOLDABLE.fullmatch(name)]
    others = [name for name in distinct if not _FOLDABLE.fullmatch(name)]
    return ",".join([*_folded(plain), *others])


def _folded(names: list[str]) -> list[str]:
    if len(names) < 2:
        return names
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

    try:
        return [str(NodeSet.fromlist(names, resolver=RESOLVER_NOGROUP))]
    except (NodeSetException, ValueError):
        return names
