"""Read and check the tables of an inventory, one by one.   reader ─► [toml_tables] ─► layers

    [defaults]            settings
    [groups.NAME]         settings, hosts = node sets, children = group names
    [hosts."NODE SET"]    settings; a node set gives them to each of its hosts

Input: the document of tomllib. Output: Tables, in which every value is valid, and the mistakes, each with its address.
Tables are not compared here, except for names that must exist or be distinct.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleetpmap.errors import Mistake
from fleetpmap.inventory.hosts import LOCAL, SETTINGS
from fleetpmap.inventory.names import name_fault, nearest
from fleetpmap.inventory.nodesets import expand
from fleetpmap.inventory.settings import LABEL, Table, address_of, check, show, unknown_key

SECTIONS = ("defaults", "groups", "hosts")
MEMBERS = ("hosts", "children")

Place = tuple[str, ...]
"""Path of keys to a table: ("hosts", "web-03")."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings of one table: valid values by key (labels as `labels.KEY`), and the table's place in the file."""

    place: Place
    settings: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class GroupTable:
    """One group as written: its settings, its own hosts in the order written, and its children."""

    layer: Layer
    hosts: tuple[str, ...]
    children: tuple[str, ...]


@dataclass(slots=True)
class Tables:
    """All tables of an inventory, before they are merged."""

    defaults: Layer = field(default_factory=lambda: Layer(("defaults",), {}))
    groups: dict[str, GroupTable] = field(default_factory=dict)
    hosts: dict[str, Layer] = field(default_factory=dict)
    """Each host's own table, by name."""
    node_sets: dict[str, list[Layer]] = field(default_factory=dict)
    """Tables of node sets (`[hosts."web[01-20]"]`), by each name in them."""
    order: dict[str, None] = field(default_factory=dict)
    """All hosts, in the order of their first mention in the file."""
    spellings: dict[str, str] = field(default_factory=dict)
    """Name as written, for hosts not written in lower case: ssh_config distinguishes `Web-03` from `web-03`."""

    def named(self, written: str) -> str:
        """Return the host's name, in lower case; its first other spelling is recorded."""
        name = written.lower()
        if name != written:
            self.spellings.setdefault(name, written)
        return name


def read_tables(document: Table, base: Path, mistakes: list[Mistake]) -> Tables:
    """Check the file, table by table. Relative paths are resolved against `base`."""
    tables = Tables()
    for section, table in document.items():
        if section not in SECTIONS:
            mistakes.append(Mistake(unknown_key(section, SECTIONS), address_of(section)))
        elif not isinstance(table, dict):
            mistakes.append(Mistake(f"expected a table, got {show(table)}", section))
        elif section == "defaults":
            tables.defaults = _layer(table, (section,), base, mistakes)
        elif section == "groups":
            _read_groups(table, tables, base, mistakes)
        else:
            _read_hosts(table, tables, base, mistakes)
    return tables


def _read_groups(section: Table, tables: Tables, base: Path, mistakes: list[Mistake]) -> None:
    for name, table in _named_tables("groups", section, mistakes):
        if fault := name_fault(name):
            mistakes.append(Mistake(f"no name for a group: {fault}", address_of("groups", name)))
        layer = _layer(table, ("groups", name), base, mistakes, more=MEMBERS)
        hosts = dict.fromkeys(
            tables.named(host)
            for text, place in _texts(table, ("groups", name), "hosts", mistakes)
            for host in _host_names(text, place, mistakes)
        )
        children = [
            text
            for text, place in _texts(table, ("groups", name), "children", mistakes)
            if _is_group(text, place, section, mistakes)
        ]
        tables.groups[name] = GroupTable(layer, tuple(hosts), tuple(dict.fromkeys(children)))
        tables.order.update(hosts)


def _read_hosts(section: Table, tables: Tables, base: Path, mistakes: list[Mistake]) -> None:
    for key, table in _named_tables("hosts", section, mistakes):
        names = [tables.named(name) for name in _host_names(key, address_of("hosts", key), mistakes)]
        layer = _layer(table, ("hosts", key), base, mistakes)
        tables.order.update(dict.fromkeys(names))
        if names == [key.lower()]:
            tables.spellings[names[0]] = key  # the host's own table overrides a spelling in a group
            _own_table(names[0], layer, tables, mistakes)
        else:
            for name in names:
                tables.node_sets.setdefault(name, []).append(layer)


def _own_table(name: str, layer: Layer, tables: Tables, mistakes: list[Mistake]) -> None:
    if name in tables.hosts:
        what = f"the same host as {address_of(*tables.hosts[name].place)}: names are compared in lower case"
        mistakes.append(Mistake(what, address_of(*layer.place)))
    if name == LOCAL and layer.settings.get("transport", LOCAL) != LOCAL:
        what = f'"{LOCAL}" is this machine, never by SSH: give the host another name'
        mistakes.append(Mistake(what, address_of(*layer.place, "transport")))
    tables.hosts[name] = layer


def _named_tables(section: str, tables: Table, mistakes: list[Mistake]) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the tables of a section. Another value counts as an empty table, so that references to it still hold."""
    for name, table in tables.items():
        if not isinstance(table, dict):
            what = f"expected a table [{address_of(section, name)}], got {show(table)}"
            mistakes.append(Mistake(what, address_of(section, name)))
        yield name, table if isinstance(table, dict) else {}


def _layer(table: Table, place: Place, base: Path, mistakes: list[Mistake], more: tuple[str, ...] = ()) -> Layer:
    """Check one table's settings; `more` has the keys beside them, which the caller reads."""
    settings: dict[str, object] = {}
    for key, value in _with_flat_labels(table):
        if key in SETTINGS or key.startswith(LABEL):
            try:
                settings[key] = check(key, value, base)
            except ValueError as error:
                mistakes.append(Mistake(str(error), address_of(*place, *key.split(".", 1))))
        elif key not in more:
            mistakes.extend(_unknown(key, value, place, (*SETTINGS, *more)))
    return Layer(place, settings)


def _with_flat_labels(table: Table) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if key == "labels" and isinstance(value, dict):
            yield from ((LABEL + label, text) for label, text in value.items())
        else:
            yield key, value


def _unknown(key: str, value: object, place: Place, known: tuple[str, ...]) -> Iterator[Mistake]:
    # `labels` is the only key with a table as value, so another table is a name with dots, or labels misspelled.
    if isinstance(value, dict) and len(place) > 1 and not nearest(key, ["labels"]):
        yield from _dotted(value, place, (place[1], key))
    else:
        yield Mistake(unknown_key(key, known), address_of(*place, key))


def _dotted(table: Table, place: Place, parts: tuple[str, ...]) -> Iterator[Mistake]:
    """Yield one mistake for each name with unquoted dots: TOML reads `[hosts.web.example.com]` as nested tables."""
    inner = {key: value for key, value in table.items() if isinstance(value, dict) and key not in SETTINGS}
    if len(inner) < len(table) or not table:
        what = f"a name with dots needs quotes: write [{address_of(place[0], '.'.join(parts))}]"
        yield Mistake(what, address_of(place[0], *parts))
    for key, value in inner.items():
        yield from _dotted(value, place, (*parts, key))


def _texts(table: Table, place: Place, key: str, mistakes: list[Mistake]) -> Iterator[tuple[str, str]]:
    """Yield each string of a key that holds one string or a list of them, with its address."""
    value = table.get(key, [])
    listed = value if isinstance(value, list) else [value]
    for index, text in enumerate(listed):
        where = address_of(*place, key) + (f"[{index}]" if isinstance(value, list) else "")
        if isinstance(text, str):
            yield text, where
        else:
            mistakes.append(Mistake(f"expected a string or a list of strings, got {show(text)}", where))


def _host_names(text: str, where: str, mistakes: list[Mistake]) -> list[str]:
    """Return the hosts in a node set, as written; none if it is not valid."""
    try:
        names = expand(text)
    except ValueError as error:
        mistakes.append(Mistake(str(error), where))
        return []
    if not names:
        mistakes.append(Mistake(f"{show(text)} names no host", where))
    for name in names:
        if fault := name_fault(name):
            mistakes.append(Mistake(f"{show(name)} cannot be a host's name: {fault}{_remedy(name)}", where))
            return []
    return list(names)


def _remedy(name: str) -> str:
    if name.startswith("@"):
        return " (a group in a group goes into children)"
    if "@" in name or ":" in name:
        return " (user and port are keys of the host's table)"
    return ""


def _is_group(text: str, where: str, groups: Table, mistakes: list[Mistake]) -> bool:
    if text in groups:
        return True
    similar = nearest(text, groups)
    suggestion = f', did you mean "{similar}"?' if similar else ""
    mistakes.append(Mistake(f"there is no group {show(text)}{suggestion}", where))
    return False
