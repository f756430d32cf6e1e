"""Libraries and programs that differ between hosts.   snapshot ─► [drift] ─► comparison

    names     one library under several names:   libcrypto.so.1.1 here, libcrypto.so.3 there
    paths     one name in several places:        /usr/lib/libssl.so.3 here, /opt/lib/libssl.so.3 there
    builds    one path with several layouts:     its code has another offset or length, so it is another build

smaps has no package version. An equal layout does not prove an equal build, so it is not reported.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from fleetpmap.naming import steady_path
from fleetpmap.report.grouping import host_slots, proper_paths
from fleetpmap.snapshot import Snapshot

_CODE = frozenset({"library", "executable"})
# The version in libcrypto.so.1.1.1k, libc-2.31.so, libzstd-jni-1.5.5-*.so (see naming),
# libpython3.11.so.1.0 and _ssl.cpython-311-x86_64-linux-gnu.so.
_VERSION = re.compile(r"(?:\.(?:cpython|abi)[-\w]*|-?\d[\d.]*(?:-\*)?|-?\*)?\.so[.\d]*[a-z]?\Z|-?\d[\d.]*\Z")

DriftKind = Literal["names", "paths", "builds"]


@dataclass(frozen=True, slots=True)
class Drift:
    """One library or program in several forms."""

    kind: DriftKind
    of: str
    """The subject: a library without its version (names), a name (paths) or a path (builds)."""
    forms: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    """(words, hosts) of each form, at least two, most hosts first; several words if hosts have several side by side."""


def drifts(snapshot: Snapshot, hosts: Iterable[str]) -> list[Drift]:
    """Return the drifts among these hosts: names first, then paths, then builds, each by its subject."""
    wanted = frozenset(hosts)
    parts = {part: where for part, hosts_of in _code_of(snapshot).items() if (where := hosts_of & wanted)}
    names = [(_VERSION.sub("", part.name) or part.name, part.name, where) for part, where in parts.items()]
    paths = [(part.name, part.path, where) for part, where in parts.items()]
    layouts = [(part.path, (part.offset, part.size), where) for part, where in parts.items()]
    return [*_drifts("names", names), *_drifts("paths", paths), *_drifts("builds", layouts)]


class _Code(NamedTuple):
    """One part of a file that is mapped as code."""

    name: str
    path: str
    offset: int
    size: int
    """Bytes."""


def _code_of(snapshot: Snapshot) -> dict[_Code, frozenset[str]]:
    """Return every part mapped as code, with the hosts that have it."""
    table, paths = snapshot.table, proper_paths(snapshot.table)
    steady = [steady_path(path, code=True) for path in paths.names]
    is_code = np.array([kind in _CODE for kind in table.kind.names], dtype=np.bool_)[table.kind.codes]
    is_executable = np.array(["x" in perms for perms in table.perms.names], dtype=np.bool_)[table.perms.codes]
    rows = np.flatnonzero(is_code & is_executable)
    columns = (table.mapping.codes, paths.codes, table.offset, table.end - table.start, host_slots(snapshot))
    hosts: dict[_Code, set[int]] = defaultdict(set)
    for *code, host in zip(*(column[rows].tolist() for column in columns), strict=True):
        name, path, *layout = code
        hosts[_Code(table.mapping.names[name], steady[path], *layout)].add(host)
    return {code: frozenset(snapshot.hosts[slot].name for slot in slots) for code, slots in hosts.items()}


def _drifts(kind: DriftKind, forms: Iterable[tuple[str, Any, frozenset[str]]]) -> list[Drift]:
    """Return the subjects with other forms on some hosts than on others; `forms` are (subject, form, hosts)."""
    by_subject: dict[str, dict[Any, frozenset[str]]] = defaultdict(dict)
    for subject, form, hosts in forms:
        by_subject[subject][form] = by_subject[subject].get(form, frozenset()) | hosts
    found: list[Drift] = []
    for subject, hosts_of in sorted(by_subject.items()):
        if len({*hosts_of.values()}) == 1:
            continue  # one form, or several that the same hosts have: the usual case, so it is checked first
        forms_of: dict[str, list[Any]] = defaultdict(list)
        for form in sorted(hosts_of):
            for host in hosts_of[form]:
                forms_of[host].append(form)
        sides: dict[tuple[Any, ...], list[str]] = defaultdict(list)
        for host in sorted(forms_of):
            sides[tuple(forms_of[host])].append(host)
        if len(sides) > 1:
            ranked = sorted(sides.items(), key=lambda side: (-len(side[1]), side[0]))
            # A build has no name that a reader would recognise, only an offset and a size.
            named = [(() if kind == "builds" else words, tuple(hosts)) for words, hosts in ranked]
            found.append(Drift(kind, subject, tuple(named)))
    return found
