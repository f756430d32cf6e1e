"""Select the hosts of a run.   Inventory, options ─► [selection] ─► tuple[Host, …]

    named    = -H, then -g, then --hosts-from; with none of them the whole inventory; without an inventory, this machine
    selected = the named hosts that --limit matches and --exclude does not

Hosts are in the order written, with node sets expanded in place; the first mention of a host counts. A host of the
inventory gets its settings from there; a user and port after -H override them. Any other name gets [defaults].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from fleetpmap.errors import UsageError
from fleetpmap.inventory.hosts import LOCAL, Host, Inventory
from fleetpmap.inventory.names import is_ipv6, nearest
from fleetpmap.inventory.narrowing import chosen
from fleetpmap.inventory.nodesets import fold
from fleetpmap.inventory.patterns import Endpoint, Scope, evaluate


def select(
    inventory: Inventory | None,
    *,
    hosts: Sequence[str] = (),
    groups: Sequence[str] = (),
    limit: Sequence[str] = (),
    exclude: Sequence[str] = (),
    hosts_from: Sequence[str] | None = None,
    aliases: Callable[[], Sequence[str]] = tuple,
    note: Callable[[str], object] = lambda sentence: None,
) -> tuple[Host, ...]:
    """Return the hosts that the options select, at least one, each once.

    `hosts`, `limit` and `exclude` are patterns (see patterns; the last two also Ansible's, see narrowing). `groups` are
    names or comma-separated names. `hosts_from` has the lines of the files: a pattern each, `#` begins a comment.
    Several --limit are combined by union, as are several --exclude. A name in them that was not selected is ignored,
    and one without user or port matches any; `note` gets a sentence for each pattern that matches none of the named
    hosts. `aliases` returns the names of ssh_config: a glob that matches no host of
    the inventory chooses among them.

    `hosts_from` is None without that option. Lines without a host are an error, since the file was meant to restrict
    the run.

    The name of a host is the name as typed, without the user: `web-03`, `web-03:2222`, `[::1]:22`. It has the user only
    if a host is selected with two users. Without an inventory and without names, the only host is `local`.

    Raises:
        UsageError: a pattern is not valid, a group is unknown, or no host is left.
    """
    fleet = inventory if inventory is not None else Inventory(hosts={})
    named = _named(fleet, hosts, groups, hosts_from, aliases)
    for name in {end.name for end in named or () if end.name in fleet.groups and end.name not in fleet.hosts}:
        note(f"{name} is asked as a host, which the inventory does not have; its group of that name is @{name}")
    if named is None:
        named = _all_hosts(inventory)
    elif not named:
        given = {"-H": hosts, "-g": groups, "--hosts-from": hosts_from is not None}
        options = " and ".join(option for option, is_given in given.items() if is_given)
        raise UsageError(f"no host to ask: none in {options}", hint="`fleetpmap hosts` lists the inventory")
    return _as_hosts(_narrowed(named, fleet, limit, exclude, note), fleet)


def _all_hosts(inventory: Inventory | None) -> list[Endpoint]:
    if inventory is None:
        return [Endpoint(LOCAL)]
    if not inventory.hosts:
        where = inventory.path or "the inventory"
        raise UsageError(f"{where}: it has no hosts", hint="add a table [hosts.NAME], or use -H")
    return [Endpoint(name) for name in inventory.hosts]


def _named(
    fleet: Inventory,
    hosts: Sequence[str],
    groups: Sequence[str],
    hosts_from: Sequence[str] | None,
    aliases: Callable[[], Sequence[str]],
) -> list[Endpoint] | None:
    """Return the union of -H, -g and --hosts-from; None if none of these options is given."""
    if not hosts and not groups and hosts_from is None:
        return None
    typed = Scope("-H", tuple(fleet.hosts), fleet.groups, aliases, glob_must_match=True)
    listed = replace(typed, option="--hosts-from")
    wanted = replace(typed, option="-g")
    lines = [line.partition("#")[0].strip() for line in hosts_from or ()]
    named = [end for text in hosts for end in evaluate(text, typed)]
    named += [end for text in groups for name in text.split(",") for end in wanted.group(name.strip())]
    named += [end for line in lines if line for end in evaluate(line, listed)]
    return list(dict.fromkeys(named))


def _narrowed(
    named: list[Endpoint],
    fleet: Inventory,
    limit: Sequence[str],
    exclude: Sequence[str],
    note: Callable[[str], object],
) -> list[Endpoint]:
    groups = {name: hosts for name, hosts in fleet.groups.items() if name not in fleet.hosts}
    everyone = tuple(dict.fromkeys(end.name for end in named))
    left = named
    for option, patterns in (("--limit", limit), ("--exclude", exclude)):
        if not patterns:
            continue
        names = tuple(dict.fromkeys(end.name for end in left))
        scope = Scope(option, everyone, fleet.groups, bare_groups={"all": everyone} | groups)
        chosen_by = {text: set(chosen(text, named, scope)) for text in patterns}
        left = [end for end in left if any(end in ends for ends in chosen_by.values()) == (option == "--limit")]
        near = {text: nearest(text, [*everyone, *groups]) for text, ends in chosen_by.items() if not ends}
        if not left:
            similar = next(filter(None, near.values()), "")
            hint = f'did you mean "{similar}"?' if similar else "`fleetpmap hosts` shows what the other options select"
            if elsewhere := [text for text in patterns if option == "--limit" and text in fleet.hosts]:
                hint = f"{elsewhere[0]} is in the inventory, but not among the hosts that -H, -g or --hosts-from name"
            raise UsageError(f"no host is left: {option} {' '.join(patterns)} excludes all of {fold(names)}", hint=hint)
        for text, similar in near.items():
            note(f"{option} {text} matches no host" + (f'; did you mean "{similar}"?' if similar else ""))
    return left


def _as_hosts(endpoints: Sequence[Endpoint], fleet: Inventory) -> tuple[Host, ...]:
    mentions = Counter(_without_user(end) for end in endpoints)
    hosts = []
    for end in endpoints:
        name = _without_user(end)
        if end.user is not None and mentions[name] > 1:
            name = f"{end.user}@{name}"
        hosts.append(_as_host(end, name, fleet))
    return tuple(hosts)


def _without_user(end: Endpoint) -> str:
    if end.port is None:
        return end.name
    return f"[{end.name}]:{end.port}" if is_ipv6(end.name) else f"{end.name}:{end.port}"


def _as_host(end: Endpoint, name: str, fleet: Inventory) -> Host:
    known = fleet.hosts.get(end.name)
    host, spelling = known or replace(fleet.defaults, name=end.name), end.name if known else end.spelling or end.name
    if end.name == LOCAL:
        host = replace(host, transport="local")
    if not host.is_ssh and (end.user is not None or end.port is not None):
        raise UsageError(
            f"{host.name}: a user or a port means nothing to a host that is reached without SSH",
            hint="write localhost for this machine over SSH" if end.name == LOCAL else "leave them out",
        )
    return replace(
        host,
        name=name,
        # `name` may have user and port in it, and is in lower case: keep the name to connect to.
        address=host.address or (spelling if spelling != name else None),
        user=end.user or host.user,
        port=end.port or host.port,
    )
