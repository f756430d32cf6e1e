"""Merge the settings of each host; the nearest table wins.   toml_tables, ansible ─► [layers] ─► Inventory

For one host, from near to far: its own table; the tables of node sets that contain it; the groups that list it; their
parents; the parents' parents; …; [defaults]. Each step is a level. If two tables of one level set a key to different
values, and no nearer level sets it, that is a mistake with both addresses: the file does not say which one wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from fleetpmap.errors import Mistake
from fleetpmap.inventory.hosts import LOCAL, Host, Inventory
from fleetpmap.inventory.nodesets import fold
from fleetpmap.inventory.settings import LABEL, address_of, show
from fleetpmap.inventory.toml_tables import GroupTable, Layer, Tables


@dataclass(frozen=True, slots=True)
class Clash:
    """Two tables of one level that disagree about a key."""

    key: str
    first: Layer
    second: Layer

    def mistake(self, hosts: Iterable[str]) -> Mistake:
        """Return the mistake, for the hosts that it concerns."""
        here, there = show(self.first.settings[self.key]), show(self.second.settings[self.key])
        keys = self.key.split(".", 1)
        return Mistake(
            f"{fold(hosts)} would get both {here} and {there}; set it nearer, in a host's table",
            f"{address_of(*self.first.place, *keys)} and {address_of(*self.second.place, *keys)}",
        )


def build_inventory(tables: Tables, path: str, mistakes: list[Mistake]) -> Inventory:
    """Build complete hosts, and groups with their children's hosts. Circles and clashes are added to `mistakes`."""
    children = {group: list(table.children) for group, table in tables.groups.items()}
    mistakes.extend(_circles(children))
    parents = _parents(tables.groups)
    direct: dict[str, list[str]] = {}
    for group, table in tables.groups.items():
        for host in table.hosts:
            direct.setdefault(host, []).append(group)
    clashes: dict[tuple[object, ...], tuple[Clash, list[str]]] = {}
    hosts: dict[str, Host] = {}
    for name in tables.order:
        generations = _generations(direct.get(name, []), parents)
        settings, host_clashes = _nearest_wins(_levels(name, generations, tables))
        if (spelling := tables.spellings.get(name, name)) != name:
            settings.setdefault("address", spelling)
        hosts[name] = _host(name, settings, tuple(group for groups in generations for group in groups))
        for clash in host_clashes:
            key = (clash.key, clash.first.place, clash.second.place)
            clashes.setdefault(key, (clash, []))[1].append(name)
    mistakes.extend(clash.mistake(names) for clash, names in clashes.values())
    return Inventory(
        hosts=hosts,
        groups={group: _hosts_below(group, children, tables.groups) for group in tables.groups},
        defaults=_host("", dict(tables.defaults.settings), ()),
        path=path,
    )


def _levels(name: str, generations: Iterable[Iterable[str]], tables: Tables) -> Iterator[list[Layer]]:
    """Yield the tables with settings for a host, level by level, the nearest first."""
    if name in tables.hosts:
        yield [tables.hosts[name]]
    yield tables.node_sets.get(name, [])
    for groups in generations:
        yield [tables.groups[group].layer for group in groups]
    yield [tables.defaults]


def _nearest_wins(levels: Iterable[list[Layer]]) -> tuple[dict[str, object], list[Clash]]:
    settings: dict[str, object] = {}
    clashes: list[Clash] = []
    for level in levels:
        set_by: dict[str, Layer] = {}
        for layer in level:
            for key in (key for key in layer.settings if key not in settings):
                first = set_by.setdefault(key, layer)
                if first.settings[key] != layer.settings[key]:
                    clashes.append(Clash(key, first, layer))
        settings |= {key: layer.settings[key] for key, layer in set_by.items()}
    return settings, clashes


def _host(name: str, settings: dict[str, object], groups: tuple[str, ...]) -> Host:
    values: dict[str, Any] = {key: value for key, value in settings.items() if not key.startswith(LABEL)}
    values["labels"] = {key.removeprefix(LABEL): value for key, value in settings.items() if key.startswith(LABEL)}
    if name == LOCAL:
        values["transport"] = LOCAL
    return Host(name=name, groups=groups, **values)


def _parents(groups: Mapping[str, GroupTable]) -> dict[str, list[str]]:
    parents: dict[str, list[str]] = {group: [] for group in groups}
    for group, table in groups.items():
        for child in table.children:
            parents[child].append(group)
    return parents


def _generations(groups: list[str], kin: Mapping[str, list[str]]) -> list[list[str]]:
    """Return the groups, their kin (parents or children), the kin of those, …; each group once, where it is nearest."""
    generations: list[list[str]] = []
    seen: set[str] = set()
    while groups:
        generations.append(groups)
        seen.update(groups)
        further = dict.fromkeys(name for group in groups for name in kin[group])
        groups = [group for group in further if group not in seen]
    return generations


def _hosts_below(group: str, children: Mapping[str, list[str]], groups: Mapping[str, GroupTable]) -> tuple[str, ...]:
    """Return the group's own hosts, then its children's, generation by generation; each host once."""
    below = (name for generation in _generations([group], children) for name in generation)
    return tuple(dict.fromkeys(host for name in below for host in groups[name].hosts))


def _circles(children: Mapping[str, list[str]]) -> Iterator[Mistake]:
    """Yield one mistake for each circle of children."""
    children = {name: [*names] for name, names in children.items()}
    while True:
        try:
            TopologicalSorter(children).prepare()
        except CycleError as error:
            # graphlib gives it from child to parent, with the first group again at the end. One link is removed, so
            # that the next round finds another circle.
            circle: list[str] = error.args[1][::-1]
            children[circle[0]].remove(circle[1])
            address = address_of("groups", circle[0], "children")
            yield Mistake(f"children go in a circle: {' → '.join(circle)}", address)
        else:
            return
