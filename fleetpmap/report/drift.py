"""Libraries and programs that differ between hosts, or between processes.   evidence ─► [drift] ─► findings, services

    names     one library under several names:   libcrypto.so.1.1 here, libcrypto.so.3 there
    paths     one name in several places:        /usr/lib/libssl.so.3 here, /opt/lib/libssl.so.3 there
    builds    one path with several layouts:     its code has another offset or length, so it is another build

smaps has no package version. An equal layout does not prove an equal build, so it is not reported.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fleetpmap.evidence import Code, CodeFile, Evidence, code_rows, proper_paths
from fleetpmap.inventory.nodesets import fold
from fleetpmap.naming import steady_path
from fleetpmap.report.grouping import coded
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Snapshot, service_of
from fleetpmap.table import IntArray, MappingTable

# The version in libcrypto.so.1.1.1k, libc-2.31.so, libzstd-jni-1.5.5-*.so (see naming),
# libpython3.11.so.1.0 and _ssl.cpython-311-x86_64-linux-gnu.so. It is matched from the end, with the name reversed:
# a search would begin at each digit of a name that a host may have made long, and take the square of its length.
_VERSION = re.compile(
    r"[a-z]?[.\d]*os\.(?:[-\w]*(?:nohtypc|iba)\.|(?:\*-)?[\d.]*\d-?|\*-?)?"
    r"|[\d.]*\d-?"
)

MOST_FORMS = 4
"""Forms of a drift that its sentence names."""
DriftKind = Literal["names", "paths", "builds"]
HostsOf = Mapping[Code, frozenset[str]]
"""The hosts that run each code."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One library or program in several forms."""

    kind: DriftKind
    of: str
    """The subject: a library without its version (names), a name (paths) or a path (builds)."""
    forms: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    """(words, hosts) of each form, at least two, most hosts first; several words if hosts have several side by side."""


def drifts(hosts_of: HostsOf) -> list[Drift]:
    """Return the drifts among the hosts of these codes: names first, then paths, then builds, each by its subject."""
    if len({*hosts_of.values()}) < 2:
        return []  # all hosts run the same, which is the usual case
    hosts: dict[CodeFile, set[str]] = defaultdict(set)
    for code, where in hosts_of.items():
        for file in code.files:
            hosts[file] |= where
    files = {file: frozenset(where) for file, where in hosts.items()}
    names = [(without_version(file.name), file.name, where) for file, where in files.items()]
    paths = [(file.name, file.path, where) for file, where in files.items()]
    layouts = [(file.path, (file.offset, file.size), where) for file, where in files.items()]
    return [*_drifts("names", names), *_drifts("paths", paths), *_drifts("builds", layouts)]


def codes_of(snapshot: Snapshot, evidence: Evidence, peers: Sequence[tuple[str, Collection[str]]]) -> list[HostsOf]:
    """Return, for each of these peers, the codes with those of its hosts that run them.

    `peers`: service and hosts; the service of all processes is empty. A service of several groups has several.
    """
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, (service, _) in enumerate(peers):
        numbers[service].append(number)
    wanted = [frozenset(hosts) for _, hosts in peers]
    found: list[dict[int, set[str]]] = [defaultdict(set) for _ in wanted]
    everyone = numbers.get("", [])
    for process, code in zip(snapshot.processes, evidence.code.tolist(), strict=True):
        for number in numbers.get(service_of(process), everyone):
            if code != NULL and process.host in wanted[number]:
                found[number][code].add(process.host)
    return [{evidence.codes[code]: frozenset(hosts) for code, hosts in codes.items()} for codes in found]


def differing_builds(table: MappingTable, group: IntArray, groups: int) -> NDArray[np.bool_]:
    """Return, for each group of processes, True if two of them map different builds of one path.

    `group`: the group of each process, -1 for none. A build is told by the size of its code in the process.
    """
    rows = code_rows(table)
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
    rows = code_rows(table)
    rows = rows[group[table.process[rows]] >= 0]
    name, process = table.mapping.codes[rows], table.process[rows]
    library = coded(map(without_version, table.mapping.names)).codes
    return _differing(library[name], name, host[process], group[process], groups)


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


def without_version(name: str) -> str:
    """Return the name of a library without its version; other names as they are."""
    version = _VERSION.match(name[::-1])
    return (name[: len(name) - version.end()] if version else name) or name


def drift_sentence(drift: Drift) -> str:
    """Describe one drift: the forms that most hosts have, with these hosts, and the number of further forms."""
    shown = drift.forms[:MOST_FORMS]
    hosts = [fold(hosts) for _, hosts in shown]
    left = len(drift.forms) - len(shown)
    if drift.kind == "builds":
        count = f"{drift.of}: {len(drift.forms)} builds by layout, on"
        if left:
            return f"{count} {', '.join(hosts)} and on {sum(len(hosts) for _, hosts in drift.forms[MOST_FORMS:])} more"
        return f"{count} {', '.join(hosts[:-1])} and on {hosts[-1]}"
    forms = [f"{' and '.join(words)} on {where}" for (words, _), where in zip(shown, hosts, strict=True)]
    if left:
        forms.append(f"{left} more on other hosts")
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
