"""The language of --limit and --exclude: patterns, and Ansible's form of them.   selection ─► [narrowing]

    web:&prod:!db     separated by `:` `,` or space, as in Ansible: first the parts without a sign, then every `&`, then
                      every `!`, in any order as written; without a part without a sign, all hosts
    ~web\\d+           a regular expression, matched at the beginning of the name
    web               a name or glob that matches no host selects the groups that it matches; `all` is every host

Other texts are patterns, evaluated from left to right (see patterns). If the two languages disagree, that of patterns
counts: a colon before a number is a port (`web-01:2222`), and brackets hold numbers (`web[01-20]`), not positions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fleetpmap.errors import UsageError
from fleetpmap.inventory.names import is_ipv6
from fleetpmap.inventory.patterns import Endpoint, Scope, evaluate, inside, outside

_PIECE = re.compile(r"(?:\[[^\[\]]*\]|[^,\s])+")
_MARK = re.compile(r"[\[\]]|:(?!(?:\d+|\[[\d,/-]*\])(?:[:!&^]|$))")
"""A bracket, or a colon without a port behind it."""
_ANSIBLES = re.compile(r"[&!~].")


def chosen(text: str, endpoints: Sequence[Endpoint], scope: Scope) -> list[Endpoint]:
    """Return the endpoints that a pattern of --limit or --exclude matches, in their order.

    Raises:
        UsageError: the text is not a pattern, names an unknown group, or has an invalid regular expression.
    """
    pieces = _PIECE.findall(text)
    parts = [part for piece in pieces for part in _at_colons(piece)]
    if len(parts) == len(pieces) and not any(_ANSIBLES.match(part) for part in parts):
        return inside(endpoints, evaluate(text, scope))
    added = [part for part in parts if part[:1] not in ("&", "!")]
    matched = {end for part in added for end in _matching(part, endpoints, scope)} if added else set(endpoints)
    kept = [end for end in endpoints if end in matched]
    for part in parts:
        if part.startswith("&"):
            kept = inside(kept, _matching(part[1:], endpoints, scope))
    for part in parts:
        if part.startswith("!"):
            kept = outside(kept, _matching(part[1:], endpoints, scope))
    return kept


def _at_colons(piece: str) -> list[str]:
    """Split at the colons that are no part of a name: not before a port, and not between brackets. In linear time."""
    if is_ipv6(piece.lstrip("!&").rpartition("@")[2]):
        return [piece]
    parts: list[str] = []
    end, is_between = len(piece), False
    for mark in reversed([*_MARK.finditer(piece)]):  # from the end, where the next bracket tells if it is between two
        if mark[0] != ":":
            is_between = mark[0] == "]"
        elif not is_between:
            parts.append(piece[mark.end() : end])
            end = mark.start()
    return [piece[:end], *reversed(parts)]


def _matching(part: str, endpoints: Sequence[Endpoint], scope: Scope) -> list[Endpoint]:
    if not part.startswith("~"):
        return inside(endpoints, evaluate(part, scope))
    try:
        pattern = re.compile(part[1:], re.IGNORECASE)
    except re.error as error:
        raise UsageError(
            f'{scope.option}: "{part}" is not a regular expression: {error}',
            hint="a comma, a colon and a space separate patterns, so none of them can be in one",
        ) from error
    return [end for end in endpoints if pattern.match(end.name)]
