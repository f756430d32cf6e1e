"""Libraries and programs that differ between hosts, or between processes.   snapshot ─► [drift] ─► findings, services

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
from numpy.typing import NDArray

from fleetpmap.inventory.nodesets import fold
from fleetpmap.naming import steady_path
from fleetpmap.report.grouping import coded, host_slots, proper_paths
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import IntArray, MappingTable

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
    names = [(without_version(part.name), part.name, where) for part, where in parts.items()]
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
    rows = _code_rows(table)
    columns = (table.mapping.codes, paths.codes, table.offset, table.end - table.start, host_slots(snapshot))
    hosts: dict[_Code, set[int]] = defaultdict(set)
    for *code, host in zip(*(column[rows].tolist() for column in columns), strict=True):
        name, path, *layout = code
        hosts[_Code(table.mapping.names[name], steady[path], *layout)].add(host)
    return {code: frozenset(snapshot.hosts[slot].name for slot in slots) for code, slots in hosts.items()}


def differing_builds(table: MappingTable, group: IntArray, groups: int) -> NDArray[np.bool_]:
    """Return, for each group of processes, True if two of them map different builds of one path.

    `group`: the group of each process, -1 for none. A build is told by the size of its code in the process.
    """
    rows = _code_rows(table)
    rows = rows[group[table.process[rows]] >= 0]
    process = table.process[rows].astype(np.int64)
    paths = proper_paths(table)
    path = coded(steady_path(name, code=True) for name in paths.names).codes[paths.codes[rows]]
    pairs, pair = np.unique(process * (len(paths.names) + 1) + path, return_inverse=True)
    size = np.bincount(pair, weights=(table.end - table.start)[rows], minlength=len(pairs)).astype(np.int64)
    process, path = np.divmod(pairs, len(paths.names) + 1)
    return _differing(path, size, process, group[process], groups)


def differing_versions(table: MappingTable, host: IntArray, group: IntArray, groups: int) -> NDArray[np.bool_]:
    """Return, for each group of processes, True if one library has other names on some of its hosts than on others.

    `host`: the host of each process; `group`: its group, -1 for none.
    """
    rows = _code_rows(table)
    rows = rows[group[table.process[rows]] >= 0]
    name, process = table.mapping.codes[rows], table.process[rows]
    library = coded(map(without_version, table.mapping.names)).codes
    return _differing(library[name], name, host[process], group[process], groups)


def drifting(table: MappingTable, host: IntArray, group: IntArray, groups: int) -> NDArray[np.bool_]:
    """Return, for each group of processes, True if `drifts` may find any among its hosts.

    `host`: the host of each process; `group`: its group, -1 for none.
    """
    rows = _code_rows(table)
    rows = rows[group[table.process[rows]] >= 0]
    paths = proper_paths(table)
    path = coded(steady_path(name, code=True) for name in paths.names).codes[paths.codes[rows]]
    name, process = table.mapping.codes[rows], table.process[rows]
    library = coded(map(without_version, table.mapping.names)).codes[name]
    _, offset = np.unique(table.offset[rows], return_inverse=True)
    layout = _numbered(offset, (table.end - table.start)[rows].astype(np.int64))
    pairs = ((library, name), (name, path), (path, layout))
    where = (host[process], group[process], groups)
    found: NDArray[np.bool_] = np.logical_or.reduce([_differing(subject, form, *where) for subject, form in pairs])
    return found


def _differing(subject: IntArray, form: IntArray, holder: IntArray, group: IntArray, groups: int) -> NDArray[np.bool_]:
    """Return, for each group, True if some of its holders of a subject have another form of it than others.

    The rule of `_drifts`, for many groups at once: the holders agree if each of them has every form. One slot of the
    arrays is one holder's form of one subject.
    """
    subjects = _numbered(group, subject)
    forms = _numbered(subjects, form)
    _, first = np.unique(_numbered(forms, holder), return_index=True)
    holders_of_form = np.bincount(forms[first])
    _, one = np.unique(_numbered(subjects, holder), return_index=True)
    holders_of_subject = np.bincount(subjects[one])
    apart = holders_of_form[forms] < holders_of_subject[subjects]
    found = np.zeros(groups, dtype=np.bool_)
    found[group[apart]] = True
    return found


def _numbered(first: IntArray, second: IntArray) -> NDArray[np.intp]:
    """Number the distinct pairs of two columns from 0, so that no product of many columns overflows."""
    _, second = np.unique(second, return_inverse=True)
    pairs = first.astype(np.int64) * (int(second.max(initial=0)) + 1) + second
    numbers: NDArray[np.intp] = np.unique(pairs, return_inverse=True)[1]
    return numbers


def _code_rows(table: MappingTable) -> NDArray[np.intp]:
    """Return the mappings of the code of libraries and programs."""
    # The False at the end is for a null, code -1.
    is_code = np.array([*(kind in _CODE for kind in table.kind.names), False], dtype=np.bool_)[table.kind.codes]
    runs = np.array([*("x" in perms for perms in table.perms.names), False], dtype=np.bool_)[table.perms.codes]
    return np.flatnonzero(is_code & runs)


def without_version(name: str) -> str:
    """Return the name of a library without its version; other names as they are."""
    return _VERSION.sub("", name) or name


def drift_sentence(drift: Drift) -> str:
    """Describe one drift: each form, and the hosts that have it."""
    hosts = [fold(hosts) for _, hosts in drift.forms]
    if drift.kind == "builds":
        return f"{drift.of}: {len(drift.forms)} builds by layout, on {', '.join(hosts[:-1])} and on {hosts[-1]}"
    forms = [f"{' and '.join(words)} on {where}" for (words, _), where in zip(drift.forms, hosts, strict=True)]
    return f"{drift.of}: {', '.join(forms)}" if drift.kind == "paths" else ", ".join(forms)


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
