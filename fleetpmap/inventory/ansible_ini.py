"""Ansible's INI inventories without Ansible, as far as they are plain.   reader ─► [ansible_ini] ─► ansible

    [GROUP]              NAME[:PORT] VARIABLE=VALUE …      NAME may hold ranges: web[01:20], db-[a:f], n[1:9:2]
    [GROUP:children]     a group a line
    [GROUP:vars]         VARIABLE = VALUE

Input: the text. Output: what `ansible-inventory --list` prints about it, with the variables of the groups given to each
host, deeper groups last. Refused, with its line: what only Ansible can tell, such as variables in files beside it.
Source: plugins/inventory/ini.py, parsing/utils/addresses.py and inventory/helpers.py of ansible-core 2.19.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
import shlex
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from fleetpmap.errors import Mistake
from fleetpmap.inventory.names import is_ipv6
from fleetpmap.inventory.nodesets import MOST_NAMES
from fleetpmap.inventory.settings import show

_ALL, _UNGROUPED = "all", "ungrouped"
_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_GROUP = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")
_RANGE = re.compile(r"\[([^\[\]]*)\]")
_BOUNDS = re.compile(r"(\d{0,9}):(\d{1,9})(?::(\d{1,9}))?|([A-Za-z]):([A-Za-z])(?::(\d{1,9}))?")
_PORT = re.compile(r"(.+?):(\d{1,5})")
_BRACKETED = re.compile(r"\[(.+)\](?::(\d{1,5}))?")
_BESIDE = ("group_vars", "host_vars")
_PRIORITY = "ansible_group_priority"

Variables = dict[str, str]


@dataclass(slots=True)
class _Group:
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, int] = field(default_factory=dict)
    """Line of each child."""
    variables: Variables = field(default_factory=dict)
    is_declared: bool = False
    """True if there is a section of its hosts or its children."""
    line: int = 0
    """Line of its first section."""


def read_ini(path: Path, text: str, mistakes: list[Mistake]) -> dict[str, object]:
    """Return the inventory as `ansible-inventory --list` prints it; the mistakes have the line as address."""
    if beside := next((name for name in _BESIDE if (path.absolute().parent / name).is_dir()), None):
        mistakes.append(Mistake(f"there are variables in {beside}/ beside it, which only Ansible reads", ""))
    reader = _Reader(mistakes)
    for number, line in enumerate(text.splitlines(), start=1):
        if (stripped := line.strip()) and stripped[0] not in "#;":
            reader.line(stripped, number)
    return reader.listing()


class _Reader:
    """Reads line by line. A line with a mistake is recorded and left out."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self._mistakes = mistakes
        self._groups: dict[str, _Group] = {_ALL: _Group(is_declared=True), _UNGROUPED: _Group(is_declared=True)}
        self._hosts: dict[str, Variables] = {}
        self._section = (_UNGROUPED, "hosts")

    def line(self, line: str, number: int) -> None:
        """Read one line that is neither empty nor a comment."""
        name, kind = self._section
        group = self._groups[name]
        try:
            if line.startswith("[") and (section := _SECTION.fullmatch(line)):
                self._begin(section[1], section[2] or "hosts", number)
            elif kind == "hosts":
                self._host(line, group)
            elif kind == "vars":
                self._variable(line, group)
            elif match := _GROUP.fullmatch(line):
                group.children.setdefault(match[1], number)
            else:
                raise ValueError(f"expected the name of a group, got {show(line)}")
        except ValueError as error:
            self._mistakes.append(Mistake(str(error), f"line {number}"))

    def _begin(self, name: str, kind: str, number: int) -> None:
        group = self._groups.setdefault(name, _Group(line=number))
        group.is_declared = group.is_declared or kind != "vars"
        # The lines of an unknown section are read as variables, of which only a mistake would matter.
        self._section = (name, kind if kind in ("hosts", "children") else "vars")
        if kind not in ("hosts", "children", "vars"):
            raise ValueError(f"[{name}:{kind}] is no section: write [{name}], [{name}:children] or [{name}:vars]")

    def _host(self, line: str, group: _Group) -> None:
        pattern, *assignments = _words(line)
        names, port = _names(pattern)
        variables: Variables = {} if port is None else {"ansible_port": port}
        for assignment in assignments:
            key, equals, value = assignment.partition("=")
            if not equals:
                raise ValueError(f"expected VARIABLE=VALUE, got {show(assignment)}")
            _set(variables, key, value)
        for name in names:
            group.hosts[name] = None
            self._hosts.setdefault(name, {}).update(variables)

    def _variable(self, line: str, group: _Group) -> None:
        key, equals, value = line.partition("=")
        if not equals:
            raise ValueError(f"expected VARIABLE=VALUE, got {show(line)}")
        _set(group.variables, key.strip(), value.strip())

    def listing(self) -> dict[str, object]:
        """Return the groups, and under `_meta` the variables of each host."""
        self._check_groups()
        groups = self._groups
        parents: dict[str, list[str]] = {name: [] for name in groups}
        for name, group in groups.items():
            for child in group.children:
                parents[child].append(name)
        groups[_ALL].children |= {name: 0 for name in groups if name != _ALL and not parents[name]}
        inherited = self._inherited(parents)
        listing = {
            name: {"hosts": [*group.hosts], "children": [*group.children]}
            for name, group in sorted(groups.items())  # as that program prints them: it decides the order of hosts
            if group.hosts or group.children
        }
        return listing | {"_meta": {"hostvars": {host: inherited[host] | own for host, own in self._hosts.items()}}}

    def _check_groups(self) -> None:
        for name, group in [*self._groups.items()]:
            if not group.is_declared:
                self._mistakes.append(Mistake(f"[{name}:vars], and there is no group {name}", f"line {group.line}"))
            for child, number in group.children.items():
                if child not in self._groups:
                    self._mistakes.append(Mistake(f"there is no group {show(child)}", f"line {number}"))
                    self._groups[child] = _Group(is_declared=True)

    def _ranks(self, parents: Mapping[str, Iterable[str]]) -> dict[str, tuple[int, str]]:
        """Return the order in which the variables of groups are merged: by depth, then by name."""
        depth: dict[str, int] = {}
        try:
            for name in TopologicalSorter(parents).static_order():
                depth[name] = 0 if name == _ALL else 1 + max((depth[parent] for parent in parents[name]), default=0)
        except CycleError as error:
            circle: list[str] = error.args[1]
            self._mistakes.append(Mistake(f"children go in a circle: {' → '.join(circle)}", ""))
        return {name: (depth.get(name, 0), name) for name in parents}

    def _inherited(self, parents: Mapping[str, list[str]]) -> dict[str, Variables]:
        """Return the variables that each host has from its groups, their parents and so on, up to `all`."""
        ranks = self._ranks(parents)
        direct: dict[str, list[str]] = {}
        for name, group in self._groups.items():
            for host in group.hosts:
                direct.setdefault(host, []).append(name)
        merged: dict[tuple[str, ...], Variables] = {}  # most hosts share their groups
        for names in map(tuple, direct.values()):
            if names not in merged:
                above, waiting = {_ALL}, [*names]
                while waiting:
                    if (name := waiting.pop()) not in above:
                        above.add(name)
                        waiting += parents[name]
                variables: Variables = {}
                for name in sorted(above, key=lambda name: ranks[name]):
                    variables |= self._groups[name].variables
                merged[names] = variables
        return {host: merged[tuple(names)] for host, names in direct.items()}


def _words(line: str) -> list[str]:
    if not re.search(r"[\"'\\#]", line):
        return line.split()
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise ValueError(f"its quotes do not match: {show(line)}") from error


def _set(variables: Variables, key: str, value: str) -> None:
    """Add a variable of Ansible's own; the others have no effect. The value of a Python text is the text."""
    if not key.startswith("ansible_"):
        return
    if key == _PRIORITY:
        raise ValueError(f"{_PRIORITY} changes which group wins, which only Ansible can tell")
    if value[:1] in ("'", '"'):
        try:
            text = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            text = value  # as Ansible does
        value = text if isinstance(text, str) else value
    elif value[:1] in ("[", "{", "(") and value[:2] not in ("{{", "{%"):  # a template is a text
        raise ValueError(f"{key} is a list or a table, which only Ansible reads")
    if value != "None":
        variables[key] = value


def _names(pattern: str) -> tuple[list[str], str | None]:
    """Return the names that a pattern stands for, and its port."""
    port = None
    if (match := _BRACKETED.fullmatch(pattern)) and is_ipv6(match[1]):
        return [match[1]], match[2]
    if not is_ipv6(pattern) and (match := _PORT.fullmatch(pattern)):
        pattern, port = match[1], match[2]
    pieces = _RANGE.split(pattern)  # text, range, text, …
    ranges = [_range(bounds, pattern) for bounds in pieces[1::2]]
    if math.prod(map(len, ranges)) > MOST_NAMES:
        raise ValueError(f"{show(pattern)} means more than {MOST_NAMES:,} names")
    choices: list[Iterable[str]] = [[piece] for piece in pieces]
    choices[1::2] = ranges
    return ["".join(parts) for parts in itertools.product(*choices)], port


def _range(bounds: str, pattern: str) -> list[str]:
    match = _BOUNDS.fullmatch(bounds)
    if match is None:
        raise ValueError(f"{show(pattern)}: [{bounds}] is not a range: write [01:20], [a:f] or [1:9:2]")
    step = int(match[3] or match[6] or 1)
    if match[2] is not None:
        first, last = match[1] or "0", match[2]
        width = len(first) if first.startswith("0") and len(first) > 1 else 0
        if width and width != len(last):
            raise ValueError(f"{show(pattern)}: both ends of [{bounds}] have to be equally long")
        count = (int(last) - int(first)) // step + 1 if step else 0
        numbers = range(int(first), int(last) + 1, step or 1)
        found = [str(number).zfill(width) for number in numbers] if 0 < count <= MOST_NAMES else []
    else:
        letters = string.ascii_letters
        count = letters.index(match[5]) - letters.index(match[4]) + 1 if step else 0
        found = [*letters[letters.index(match[4]) : letters.index(match[5]) + 1 : step or 1]]
    if count > MOST_NAMES:
        raise ValueError(f"{show(pattern)} means more than {MOST_NAMES:,} names")
    if not found or not step:
        raise ValueError(f"{show(pattern)}: the range [{bounds}] is empty")
    return found
