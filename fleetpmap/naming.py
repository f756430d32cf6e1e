"""What a mapping is called, and what it is.   smaps ─► [naming] ─► table

The kernel prints a path; a person who compares hosts wants one name for the same thing everywhere: a library or a
program is its basename, another file its full path, never with ` (deleted)`; the kernel's own names stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps import Coded, SmapsColumns

Kind = Literal[
    "heap",
    "stack",
    "thread-stack",
    "anon",
    "named-anon",
    "library",
    "executable",
    "file",
    "shm",
    "hugetlb",
    "device",
    "special",
]

ANON = "[anon]"
DELETED = " (deleted)"

# `.so` as a part of the name (libc.so.6, libc-2.31.so), not as its letters (web.sock, index.sorted).
_SHARED_OBJECT = re.compile(r"\.so(?![A-Za-z0-9_])")
_THREAD_STACK = re.compile(r"\[stack:\d+\]")
_SHARED_MEMORY = ("/SYSV", "/dev/shm/", "/memfd:", "/dev/zero", "[anon_shmem:")  # noqa: S108 - a name to recognise, not a file to open
_HUGETLB = ("/anon_hugepage", "/dev/hugepages/")
_SPECIAL_KINDS: dict[str, Kind] = {
    ANON: "anon",
    "[heap]": "heap",
    "[stack]": "stack",
    "[stack:thread]": "thread-stack",
}


@dataclass(frozen=True, slots=True)
class Names:
    """Three columns derived from the paths, one slot per mapping."""

    mapping: Coded
    kind: Coded
    deleted: NDArray[np.bool_]
    """The path ends in ` (deleted)`: the kernel's mark of an unlinked file, or a real name that ends so."""


def name_mappings(columns: SmapsColumns) -> Names:
    """The name, kind and deleted mark of every mapping of `columns`."""
    paths = columns.path.names
    executable = _mapped_executable(columns)
    hugetlb = _has_flag(columns.flags, "ht")
    # The answer depends only on the path and two facts, so it is worked out once for each combination that occurs.
    code = columns.path.codes.astype(np.int64) * 4 + executable * 2 + hugetlb
    distinct, inverse = np.unique(code, return_inverse=True)
    plain = [path.removesuffix(DELETED) for path in paths]
    mappings: list[str] = []
    kinds: list[str] = []
    for key in distinct.tolist():
        path = plain[key >> 2]
        name = mapping_name(path, executable=bool(key & 2))
        mappings.append(name)
        kinds.append(_kind(name, path, executable=bool(key & 2), hugetlb=bool(key & 1)))
    deleted = np.array([path.endswith(DELETED) for path in paths], dtype=np.bool_)
    return Names(
        mapping=code_texts(mappings, inverse),
        kind=code_texts(kinds, inverse),
        deleted=deleted[columns.path.codes] if paths else np.zeros(0, np.bool_),
    )


def mapping_name(path: str, *, executable: bool) -> str:
    """The name of a path without its deleted mark; `executable`: the process maps some of that file executable."""
    if not path:
        return ANON
    if path.startswith("["):
        return "[stack:thread]" if _THREAD_STACK.fullmatch(path) else path
    basename = path.rpartition("/")[2]
    if basename and (executable or _SHARED_OBJECT.search(basename)):
        return basename
    return path


def code_texts(texts: list[str], inverse: NDArray[np.intp]) -> Coded:
    """A coded column from texts that may repeat, and each row's slot among them."""
    slots: dict[str, int] = {}
    recoded = np.array([slots.setdefault(text, len(slots)) for text in texts], dtype=np.int32)
    return Coded(recoded[inverse] if texts else np.zeros(0, np.int32), tuple(slots))


def _mapped_executable(columns: SmapsColumns) -> NDArray[np.bool_]:
    """For every mapping: its process maps some part of the same path executable."""
    if not len(columns.path):
        return np.zeros(0, np.bool_)
    file_of_process = columns.process.astype(np.int64) * len(columns.path.names) + columns.path.codes
    is_x = np.array(["x" in perms for perms in columns.perms.names], dtype=np.bool_)[columns.perms.codes]
    return np.isin(file_of_process, np.unique(file_of_process[is_x]))


def _has_flag(flags: Coded, flag: str) -> NDArray[np.bool_]:
    # The last slot answers for code -1, a mapping without VmFlags.
    return np.array([*(flag in text.split() for text in flags.names), False], dtype=np.bool_)[flags.codes]


def _kind(name: str, path: str, *, executable: bool, hugetlb: bool) -> Kind:
    if hugetlb or path.startswith(_HUGETLB):
        return "hugetlb"
    if name in _SPECIAL_KINDS:
        return _SPECIAL_KINDS[name]
    if path.startswith(_SHARED_MEMORY):
        return "shm"
    if path.startswith("[anon:"):
        return "named-anon"
    if path.startswith("["):
        return "special"
    if _SHARED_OBJECT.search(name):
        return "library"
    if executable:
        return "executable"
    return "device" if path.startswith(("/dev/", "anon_inode:")) else "file"
