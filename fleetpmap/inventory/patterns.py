"""The language of -H, --limit and --exclude.   selection ─► [patterns] ─► endpoints

    pattern := term (op term)*      op: `,` or space union, `!` difference, `&` intersection, `^` symmetric difference
    term    := @GROUP | @SOURCE:GROUP | [USER@]NAMES[:PORT]
    NAMES   := node set | glob | IPv6 | [IPv6]                    PORT := number or a bracket of numbers

Evaluation is from left to right, without precedence, as in ClusterShell. Brackets with a colon inside are those of an
IPv6 address, others those of a node set. A glob (`web*`) matches the names in its scope, or if there is none the Host
names of ssh_config.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from fleetpmap.errors import UsageError
from fleetpmap.inventory.cluster_groups import cluster_group
from fleetpmap.inventory.names import is_ipv6, name_fault, nearest, user_fault
from fleetpmap.inventory.nodesets import OPERATORS, expand_term, tokens

_BRACKETED_IPV6 = re.compile(r"\[([^\[\]]*:[^\[\]]*)\](?::(.*))?")
_SYNTAX_HINT = "write names, node sets and globs: web[01-20], db*, ops@web-03:2222, [::1]:22, @group"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host as typed. In a pattern, a user or port of None matches any."""

    name: str
    """Lower case, without user, port and the brackets of an IPv6 address."""
    user: str | None = None
    port: int | None = None
    spelling: str = field(default="", compare=False)
    """The name as typed, for ssh_config, which distinguishes `Web-03` from `web-03`; empty: same as `name`."""

    def matches(self, other: Endpoint) -> bool:
        """Return whether this endpoint, as a pattern, matches the other."""
        return self.name == other.name and self.user in (None, other.user) and self.port in (None, other.port)


@dataclass(frozen=True, slots=True)
class Scope:
    """The names and groups that a pattern can refer to, and the option for messages."""

    option: str
    names: Sequence[str] = ()
    """Names for globs, in order."""
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Host names by the name of a group, for `@group`."""
    aliases: Callable[[], Sequence[str]] = tuple
    """Returns the names of ssh_config, for globs that match none of `names`."""
    bare_groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Groups that a name or glob without `@` selects if it matches no host."""
    glob_must_match: bool = False
    """True if a glob without a match is an error."""

    def group(self, name: str) -> list[Endpoint]:
        """Return the hosts of a group of the inventory, or else of ClusterShell.

        Raises:
            UsageError: there is no such group.
        """
        if name in self.groups:
            return [Endpoint(host) for host in self.groups[name]]
        try:
            hosts = cluster_group(name)
        except ValueError as error:
            raise UsageError(f"{self.option}: {error}", hint=f"run `nodeset -e @{name}` to see why") from error
        if hosts:
            return [Endpoint(host.lower(), spelling=host) for host in hosts]
        similar = nearest(name, self.groups)
        hint = "groups come from an inventory (see -i), or from ClusterShell's groups.conf"
        if self.groups:
            hint = f"the groups are {', '.join(self.groups)}"
        raise UsageError(
            f'{self.option}: there is no group "{name}"', hint=f'did you mean "{similar}"?' if similar else hint
        )


def evaluate(text: str, scope: Scope) -> list[Endpoint]:
    """Return the endpoints of a pattern, in the order written, without duplicates.

    Raises:
        UsageError: the text is not a pattern, names an unknown group, or (glob_must_match) has a glob without a match.
    """
    try:
        chosen = _algebra(tokens(text), scope)
    except ValueError as error:
        raise UsageError(f"{scope.option}: {error}", hint=_SYNTAX_HINT) from error
    if chosen is None:
        raise UsageError(f'{scope.option}: "{text}" names no host', hint=_SYNTAX_HINT)
    return chosen


def _algebra(parts: list[str], scope: Scope) -> list[Endpoint] | None:
    """Apply the operators from left to right; None if there is no term."""
    chosen: list[Endpoint] | None = None
    operator = ""
    for part in parts:
        if part in OPERATORS:
            if chosen is None:
                raise ValueError(f'nothing stands before "{part}"')
            operator = part
        else:
            chosen = _combined(chosen or [], operator, _term(part, scope))
            operator = ""
    if operator:
        raise ValueError(f'nothing follows "{operator}"')
    return chosen


def _combined(left: list[Endpoint], operator: str, right: list[Endpoint]) -> list[Endpoint]:
    match operator:
        case "!":
            return outside(left, right)
        case "&":
            return inside(left, right)
        case "^":
            return outside(left, right) + outside(right, left)
        case _:
            return list(dict.fromkeys(left + right))


def inside(endpoints: Iterable[Endpoint], patterns: Iterable[Endpoint]) -> list[Endpoint]:
    """Return the endpoints that at least one of the patterns matches, in their order."""
    by_name: dict[str, list[Endpoint]] = {}
    for pattern in patterns:
        by_name.setdefault(pattern.name, []).append(pattern)
    return [end for end in endpoints if any(pattern.matches(end) for pattern in by_name.get(end.name, ()))]


def outside(endpoints: Iterable[Endpoint], patterns: Iterable[Endpoint]) -> list[Endpoint]:
    """Return the endpoints that none of the patterns matches, in their order."""
    endpoints = list(endpoints)
    dropped = set(inside(endpoints, patterns))
    return [end for end in endpoints if end not in dropped]


def _term(term: str, scope: Scope) -> list[Endpoint]:
    if term.startswith("@"):
        return scope.group(term[1:])
    user, at, rest = term.rpartition("@")
    if at and (fault := user_fault(user)):
        raise ValueError(f'"{user}" cannot be a login name: {fault}')
    names, ports = _names_and_ports(rest, scope)
    return [Endpoint(name.lower(), user if at else None, port, name) for name in names for port in ports]


def _names_and_ports(text: str, scope: Scope) -> tuple[list[str], Sequence[int | None]]:
    if match := _BRACKETED_IPV6.fullmatch(text):
        address, port = match.groups()
        if not is_ipv6(address):
            raise ValueError(f'"{address}" is not an IPv6 address')
        return [address.lower()], _ports(port)
    if text.count(":") == 1:
        text, port = text.split(":")
        return _names(text, scope), _ports(port)
    return _names(text, scope), (None,)  # a plain name, or an IPv6 address without a port


def _names(text: str, scope: Scope) -> list[str]:
    names: list[str] = []
    for name in expand_term(text):
        if "*" in name or "?" in name:
            matches = [known for known in scope.names if fnmatchcase(known, name.lower())] or [
                host for group, hosts in scope.bare_groups.items() if fnmatchcase(group, name) for host in hosts
            ]
            matches = matches or [alias for alias in scope.aliases() if fnmatchcase(alias.lower(), name.lower())]
            if scope.glob_must_match and not matches:
                raise UsageError(
                    f'{scope.option}: no host of the inventory matches "{name}", and no Host of ssh_config',
                    hint="a glob chooses among the hosts of an inventory; `fleetpmap hosts` lists them",
                )
            names += matches
        elif name in scope.bare_groups:
            names += scope.bare_groups[name]
        elif fault := name_fault(name):
            raise ValueError(f'"{name}" cannot be a host\'s name: {fault}')
        else:
            names.append(name.lower() if is_ipv6(name) else name)
    return names


def _ports(text: str | None) -> Sequence[int | None]:
    if text is None:
        return (None,)
    ports = expand_term(text)
    for port in ports:
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
            raise ValueError(f'"{port}" is not a port from 1 to 65535')
    return [int(port) for port in ports]
