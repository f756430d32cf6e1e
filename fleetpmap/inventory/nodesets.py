"""Expand node sets and fold names: `web[01-03]` ◄─► web01 web02 web03.   [nodesets] ─► toml_tables, patterns, reports

    list  := term ((`,` | space) term)*
    term  := text and brackets: rack[1-2]-web[01-20,30]     brackets hold numbers, ranges and steps (0-20/5)

Ranges, padding and folding are done by ClusterShell. Two things differ: the order is the order as written
(`web[03,01]` is web03, web01; ClusterShell sorts), and `@group` is not read here (see cluster_groups), since in an
inventory it would depend on the configuration of this machine. ClusterShell is imported when a bracket needs it: most
runs never do.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

MOST_NAMES = 100_000
"""Most names of a node set. A larger one is a typo (`web[1-20260101]`) and would exhaust the memory."""

OPERATORS = "!&^"
"""Difference, intersection and symmetric difference, as ClusterShell writes them; allowed in patterns only."""

_TOKEN = re.compile(r"(?:\[[^\[\]]*\]|[^\[\],\s!&^])+|[!&^]|[,\s]+")
_BRACKET = re.compile(r"\[([^\[\]]*)\]")
_RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18})(?:/([0-9]{1,18}))?)?")
_FOLDABLE = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:@-]*")
_WITH_NUMBER = re.compile(r"([^0-9]*)([0-9]{1,18})([^0-9]*)")
"""Pattern of a name with one number."""


def tokens(text: str) -> list[str]:
    """Split a text into terms and operators. Commas and spaces outside brackets separate terms and are dropped.

    Raises:
        ValueError: a bracket has no partner.
    """
    parts: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f'"{text}" is not a node set: a bracket has no partner')
        position = match.end()
        if match[0].strip(", \t\r\n"):
            parts.append(match[0])
    return parts


def expand(text: str) -> tuple[str, ...]:
    """Return the names in a list of node sets, in the order written, without duplicates.

    Raises:
        ValueError: the text is not a list of node sets; the message is one sentence.
    """
    terms = tokens(text)
    for term in terms:
        if term in OPERATORS:
            raise ValueError(f'"{text}" holds "{term}": write plain names and node sets here')
    return tuple(dict.fromkeys(name for term in terms for name in expand_term(term)))


def expand_term(term: str) -> list[str]:
    """Return the names in one term, in the order written; the last bracket varies fastest.

    Raises:
        ValueError: the term is not a node set; the message is one sentence.
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
    """Return a range between two commas of a bracket, and the count of its numbers."""
    # Not left to ClusterShell, which reads 1-2-3 as -2 to 3.
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
    """Return the numbers of one range, padded as written."""
    from ClusterShell.RangeSet import RangeSet, RangeSetException

    try:
        return list(RangeSet(piece).striter())
    except RangeSetException as error:
        raise ValueError(f'"{term}" is not a node set: {error}') from error


def fold(names: Iterable[str]) -> str:
    """Write names as short as possible, for a sentence: `db-1,web[01-17]`. The inverse of expand, but sorted.

    Never raises: a name that cannot stand in a node set (`[::1]:2222`) follows unchanged.
    """
    distinct = dict.fromkeys(names)
    plain = tuple(name for name in distinct if _FOLDABLE.fullmatch(name))
    others = [name for name in distinct if not _FOLDABLE.fullmatch(name)] if len(plain) < len(distinct) else []
    return ",".join([*_folded(plain), *others])


@lru_cache(maxsize=8)  # the notes of a page's tables name the same hosts
def _folded(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) < 2:
        return names
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

    try:
        return (str(NodeSet.fromlist(_in_brackets(names), resolver=RESOLVER_NOGROUP)),)
    except (NodeSetException, ValueError):
        return names


def _in_brackets(names: Iterable[str]) -> Iterator[str]:
    """Yield node sets of the names, one for all that differ in their only number.

    ClusterShell makes several objects of each node set, and takes half the time for numbers in one bracket.
    """
    numbers: dict[tuple[str, str], list[str]] = {}
    for name in names:
        if match := _WITH_NUMBER.fullmatch(name):
            numbers.setdefault((match[1], match[3]), []).append(match[2])
        else:
            yield name
    for (head, tail), of_names in numbers.items():
        yield f"{head}[{','.join(of_names)}]{tail}"
