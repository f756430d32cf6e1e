"""Who is asked.   Inventory, options ─► [selection] ─► tuple[Host, …]

    named    = -H, then -g, then --hosts-from; with none of them the whole inventory; without one, this machine
    selected = named, kept by --limit, less --exclude

The order is the order written, node sets expanded in place; the first mention of a host counts. A name that the
inventory has gets its settings, a user and port typed beat them; another name is ad hoc and gets [defaults].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from fleetpmap.errors import UsageError
from fleetpmap.inventory.hosts import LOCAL, Host, Inventory
from fleetpmap.inventory.names import is_ipv6
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
) -> tuple[Host, ...]:
    """The hosts that the options mean, at least one, each once.

    `hosts`, `limit` and `exclude` are patterns (see patterns; the last two also Ansible's, see narrowing), `groups` are
    names or comma-separated names, `hosts_from` the lines of the files: a pattern each, `#` begins a comment. Several
    --limit add up to one, as do several --exclude; a name in them that was not selected does no harm, and one without
    user or port means the host with any.

    None for `hosts_from` is no such option; lines that name nobody are an error, since the file was meant to narrow.

    A host is called as it was typed, without the user: `web-03`, `web-03:2222`, `[::1]:22`. Only where one host is
    asked as two users is the user in its name. With no inventory and nobody named, the one host is `local`.

    Raises:
        UsageError: a pattern that cannot be read, an unknown group, or nobody is left.
    """
    fleet = inventory if inventory is not None else Inventory(hosts={})
    named = _named(fleet, hosts, groups, hosts_from)
    if named is None:
        named = _everyone(inventory)
    elif not named:
        given = {"-H": hosts, "-g": groups, "--hosts-from": hosts_from is not None}
        options = " and ".join(option for option, is_given in given.items() if is_given)
        raise UsageError(f"nobody to ask: no host in {options}", hint="`fleetpmap hosts` lists the inventory")
    return _as_hosts(_narrowed(named, fleet, limit, exclude), fleet)


def _everyone(inventory: Inventory | None) -> list[Endpoint]:
    if inventory is None:
        return [Endpoint(LOCAL)]
    if not inventory.hosts:
        where = inventory.path or "the inventory"
        raise UsageError(f"{where}: nobody to ask, it has no hosts", hint="add a table [hosts.NAME], or use -H")
    return [Endpoint(name) for name in inventory.hosts]


def _named(
    fleet: Inventory, hosts: Sequence[str], groups: Sequence[str], hosts_from: Sequence[str] | None
) -> list[Endpoint] | None:
    """The union of -H, -g and --hosts-from; None if there is none of these options."""
    if not hosts and not groups and hosts_from is None:
        return None
    typed = Scope("-H", tuple(fleet.hosts), fleet.groups, glob_must_match=True)
    listed = replace(typed, option="--hosts-from")
    wanted = replace(typed, option="-g")
    lines = [line.partition("#")[0].strip() for line in hosts_from or ()]
    named = [end for text in hosts for end in evaluate(text, typed)]
    named += [Endpoint(host) for text in groups for name in text.split(",") for host in wanted.group(name.strip())]
    named += [end for line in lines if line for end in evaluate(line, listed)]
    return list(dict.fromkeys(named))


def _narrowed(named: list[Endpoint], fleet: Inventory, limit: Sequence[str], exclude: Sequence[str]) -> list[Endpoint]:
    groups = {name: hosts for name, hosts in fleet.groups.items() if name not in fleet.hosts}
    for option, patterns in (("--limit", limit), ("--exclude", exclude)):
        if not patterns:
            continue
        names = tuple(dict.fromkeys(end.name for end in named))
        scope = Scope(option, names, fleet.groups, bare_groups={"all": names} | groups)
        meant = {end for text in patterns for end in chosen(text, named, scope)}
        left = [end for end in named if (end in meant) == (option == "--limit")]
        if not left:
            raise UsageError(
                f"nobody is left: {option} {' '.join(patterns)} drops all of {fold(names)}",
                hint="`fleetpmap hosts` shows what the other options select",
            )
        named = left
    return named


def _as_hosts(endpoints: Sequence[Endpoint], fleet: Inventory) -> tuple[Host, ...]:
    asked = Counter(_without_user(end) for end in endpoints)
    hosts = []
    for end in endpoints:
        name = _without_user(end)
        if end.user is not None and asked[name] > 1:
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
        # The name to connect to must survive being called by user and port, and in lower case.
        address=host.address or (spelling if spelling != name else None),
        user=end.user or host.user,
        port=end.port or host.port,
    )
