"""Convert an Ansible inventory into tables.   reader ─► [ansible] ─► layers

    {"_meta": {"hostvars": {HOST: {VARIABLE: value}}}, GROUP: {"hosts": [], "children": [], "vars": {}}}

`ansible-inventory --list` and dynamic inventory scripts print this JSON. INI, YAML and directories are converted by
that program; where it is missing, plain INI is converted by ansible_ini. Input: the JSON. Output: Tables, and notes
about unused parts, each with the hosts it concerns.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from fleetpmap.errors import InventoryError, Mistake
from fleetpmap.inventory.ansible_vars import Unused, settings_from
from fleetpmap.inventory.names import name_fault
from fleetpmap.inventory.settings import Table, address_of, show
from fleetpmap.inventory.toml_tables import GroupTable, Layer, Place, Tables

PROGRAM = "ansible-inventory"
_META = ("_meta", "hostvars")
_ALL = "all"
_TIMEOUT_S = 120.0
"""Time-out of the program: a dynamic inventory queries a cloud for its machines."""


def is_installed() -> bool:
    """Return whether there is an `ansible-inventory` to run."""
    return shutil.which(PROGRAM) is not None


def hint_without(path: Path) -> str:
    """Return what to do with an inventory that only Ansible reads."""
    return f"install ansible-core; or run `{PROGRAM} -i {path} --list > inventory.json` where it is, and use that"


def listing(path: Path) -> bytes:
    """Run `ansible-inventory -i PATH --list` and return its output.

    Raises:
        InventoryError: the program is not installed, or cannot read the file.
    """
    argv = [PROGRAM, "-i", str(path.absolute()), "--list"]
    # Without these two, a file that it cannot read gives an empty inventory and a warning.
    strict = {"ANSIBLE_INVENTORY_UNPARSED_FAILED": "true", "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
    try:
        done = subprocess.run(  # noqa: S603 - an argument list, no shell
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=os.environ | strict | {"ANSIBLE_NOCOLOR": "1"},
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise _unreadable(path, f"only {PROGRAM} reads this, and it is not installed", hint_without(path)) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unreadable(path, f"{PROGRAM} did not answer: {error}", f"run `{' '.join(argv)}`") from error
    if done.returncode:
        complaint = _complaint(done.stderr.decode(errors="replace"))
        raise _unreadable(path, f"{PROGRAM} cannot read it: {complaint}", f"run `{' '.join(argv)}` to see all it says")
    return done.stdout


def _unreadable(path: Path, what: str, hint: str) -> InventoryError:
    return InventoryError(str(path), (Mistake(what, ""),), hint=hint)


def _complaint(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    about_this = [line for line in lines if "Failed to parse" in line or "ERROR" in line]
    return (about_this or lines or ["no reason given"])[0].removeprefix("[WARNING]: ").removeprefix("[ERROR]: ")


def read_listing(document: object, base: Path, mistakes: list[Mistake]) -> tuple[Tables, Unused]:
    """Check the JSON, group by group and host by host. Relative paths are resolved against `base`."""
    tables, unused = Tables(), Unused()
    if not isinstance(document, dict):
        mistakes.append(Mistake(f"expected what {PROGRAM} --list prints, got {show(document)}", ""))
        return tables, unused
    reader = _Reader(tables, unused, base, mistakes)
    for name, table in document.items():
        if name != _META[0]:
            reader.group(name, table)
    meta = document.get(_META[0], {})
    hostvars = reader.table(meta.get(_META[1], {}) if isinstance(meta, dict) else meta, _META)
    reader.order(hostvars)
    for name, variables in hostvars.items():
        reader.host(name, variables)
    return tables, unused


class _Reader:
    """Fills Tables. A value of the wrong type is recorded as a mistake and treated as empty."""

    def __init__(self, tables: Tables, unused: Unused, base: Path, mistakes: list[Mistake]) -> None:
        self._tables = tables
        self._unused = unused
        self._base = base
        self._mistakes = mistakes

    def group(self, name: str, value: object) -> None:
        """Add one group. Its value is a table, or the plain list of its hosts that some scripts print."""
        table = {"hosts": value} if isinstance(value, list) else self.table(value, (name,))
        named = self._tables.named
        hosts = [named(host) for host in self._names(table, name, "hosts") if self._is_host(host, (name, "hosts"))]
        children = tuple(self._names(table, name, "children"))
        layer = self._layer(table.get("vars", {}), (name, "vars"), "")
        self._tables.groups[name] = GroupTable(layer, tuple(dict.fromkeys(hosts)), children)
        for child in children:  # an empty group may be named as a child without an entry of its own
            self._tables.groups.setdefault(child, GroupTable(Layer((child,), {}), (), ()))
        if name == _ALL:
            self._tables.defaults = layer

    def order(self, hostvars: Table) -> None:
        """Set the order of the hosts to that of the groups, from `all` downwards: hostvars are sorted by name."""
        groups = self._tables.groups
        names = (host for group in _downwards(groups, [_ALL, *groups]) for host in groups[group].hosts)
        self._tables.order = dict.fromkeys([*names, *map(self._tables.named, hostvars)])

    def host(self, name: str, variables: object) -> None:
        """Add one host's variables."""
        place = (*_META, name)
        if not self._is_host(name, place):
            return
        if first := self._tables.hosts.get(name.lower()):
            what = f"the same host as {address_of(*first.place)}: names are compared in lower case"
            self._mistakes.append(Mistake(what, address_of(*place)))
        self._tables.spellings[name.lower()] = name
        self._tables.hosts[name.lower()] = self._layer(variables, place, name)

    def table(self, value: object, place: Place) -> Table:
        """Return the value if it is a table; else record a mistake and return an empty one."""
        if isinstance(value, dict):
            return value
        self._mistakes.append(Mistake(f"expected a table, got {show(value)}", address_of(*place)))
        return {}

    def _layer(self, variables: object, place: Place, host: str) -> Layer:
        settings = settings_from(self.table(variables, place), host or place[0], self._base, self._unused)
        for variable, fault in settings.faults.items():
            self._mistakes.append(Mistake(fault, address_of(*place, variable)))
        return Layer(place, settings.values)

    def _names(self, table: Table, group: str, key: str) -> list[str]:
        value = table.get(key, [])
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return value
        self._mistakes.append(Mistake(f"expected a list of names, got {show(value)}", address_of(group, key)))
        return []

    def _is_host(self, name: str, place: Place) -> bool:
        if fault := name_fault(name):
            what = f"{show(name)} cannot be a host's name: {fault}"
            self._mistakes.append(Mistake(what, address_of(*place)))
        return not fault


def _downwards(groups: Mapping[str, GroupTable], names: list[str]) -> Iterator[str]:
    """Yield these groups, each followed by its descendants; each group once."""
    seen: set[str] = set()
    waiting = [name for name in reversed(names) if name in groups]
    while waiting:
        if (name := waiting.pop()) not in seen:
            seen.add(name)
            waiting += reversed(groups[name].children)
            yield name
