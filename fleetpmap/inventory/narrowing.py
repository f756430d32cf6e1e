"""What --limit and --exclude are written in: patterns, and Ansible's spelling of them.   selection ─► [narrowing]

    web:&prod:!db     separated by `:` `,` or space, as Ansible does it: first what is added, then every `&`, then every
                      `!`, in whatever order they stand; with nothing added, all hosts
    ~web\\d+           a regular expression, from the beginning of the name
    web               a name or glob that no host has means the groups of that name; `all` is every host

Anything else is a pattern, read from left to right (see patterns). Where the two disagree, a pattern's meaning stays: a
colon before a number is a port (`web-01:2222`), and brackets hold numbers (`web[01-20]`), not places in a group.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fleetpmap.errors import UsageError
from fleetpmap.inventory.names import is_ipv6
from fleetpmap.inventory.patterns import Endpoint, Scope, evaluate, inside, outside

_PIECE = re.compile(r"(?:\[[^\[\]]*\]|[^,\s])+")
_COLON = re.compile(
    r":(?!(?:\d+|\[[\d,/-]*\])(?:[:!&^]|$))"  # no port behind it
    r"(?![^\[]*\])"  # and not between brackets
)
_ANSIBLES = re.compile(r"[&!~].")


def chosen(text: str, endpoints: Sequence[Endpoint], scope: Scope) -> list[Endpoint]:
    """Those of the endpoints that a pattern of --limit or --exclude means, in their order.

    Raises:
        UsageError: not a pattern, no such group, or a regular expression that is none.
    """
    pieces = _PIECE.findall(text)
    parts = [part for piece in pieces for part in _at_colons(piece)]
    if len(parts) == len(pieces) and not any(_ANSIBLES.match(part) for part in parts):
        return inside(endpoints, evaluate(text, scope))
    added = [part for part in parts if part[:1] not in ("&", "!")]
    found = {end for part in added for end in _meant(part, endpoints, scope)} if added else set(endpoints)
    kept = [end for end in endpoints if end in found]
    for part in parts:
        if part.startswith("&"):
            kept = inside(kept, _meant(part[1:], endpoints, scope))
    for part in parts:
        if part.startswith("!"):
            kept = outside(kept, _meant(part[1:], endpoints, scope))
    return kept


def _at_colons(piece: str) -> list[str]:
    name = piece.lstrip("!&").rpartition("@")[2]
    return [piece] if is_ipv6(name) else _COLON.split(piece)


def _meant(part: str, endpoints: Sequence[Endpoint], scope: Scope) -> list[Endpoint]:
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
