"""What a mapping is called, and what it is.   smaps ─► [naming] ─► table

The kernel prints a path; a person who compares hosts wants one name for the same thing everywhere: a library or a
program is its basename, another file its full path, never with ` (deleted)`; the kernel's own names stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps import NULL, Coded, SmapsColumns

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
_PATH_MAX = 4096

# `.so` as a part of the name (libc.so.6, libc-2.31.so), not as its letters (web.sock, index.sorted).
_SHARED_OBJECT = re.compile(r"\.so(?![A-Za-z0-9_])")
# Linux 3.4 to 4.4; bionic; glibc 2.39 with the tunable decorate_maps.
_THREAD_STACK = re.compile(r"\A\[(stack:|anon:stack_and_tls:|anon: glibc: pthread (?:user )?stack: )\d+\]\Z")
# Names that the kernel makes up for memory that no file on disk stands behind.
_KERNEL_MEMORY = re.compile(r"/SYSV[0-9a-f]{8}\Z|/memfd:|/(?:dev/zero|secretmem|anon_hugepage)\Z")
_SHARED_MEMORY = re.compile(_KERNEL_MEMORY.pattern + r"|/(?:dev|run)/shm/|/dev/ashmem(?:/|\Z)")
_HUGETLB = re.compile(r"/anon_hugepage\Z|/dev/hugepages/")
# A file's path begins with a slash; `anon_inode:…` and `socket:…` do not.
_DEVICE = re.compile(r"/dev/|(?!/)|/dmabuf:|/(?:drm mm object|i915)\Z")
_KERNEL_KINDS: dict[str, Kind] = {"[heap]": "heap", "[stack]": "stack"}


@dataclass(frozen=True, slots=True)
class Names:
    """Three columns derived from the paths, one slot per mapping."""

    mapping: Coded
    kind: Coded
    deleted: NDArray[np.bool_]
    """The path ends in ` (deleted)`: the kernel's mark of an unlinked file, or a real name that ends so."""


class _Facts(NamedTuple):
    """What the kind of a mapping depends on beside its path."""

    executable: bool
    """The process maps some part of the same path executable."""
    shared: bool
    hugetlb: bool
    page_frames: bool
    """Raw memory of a device, not pages that the kernel manages."""
    grows_down: bool


def name_mappings(columns: SmapsColumns) -> Names:
    """The name, kind and deleted mark of every mapping of `columns`."""
    paths = columns.path.names
    # The answer depends only on the path and the facts, so it is worked out once for each combination that occurs.
    code = columns.path.codes.astype(np.int64)
    for fact in _facts(columns):
        code = code * 2 + fact
    distinct, inverse = np.unique(code, return_inverse=True)
    facts_bits = len(_Facts._fields)
    named = [_cached(paths[key >> facts_bits], key & (1 << facts_bits) - 1) for key in distinct.tolist()]
    deleted = np.array([path.endswith(DELETED) for path in paths], dtype=np.bool_)
    return Names(
        mapping=code_texts([mapping for mapping, _ in named], inverse),
        kind=code_texts([kind for _, kind in named], inverse),
        deleted=deleted[columns.path.codes] if paths else np.zeros(0, np.bool_),
    )


def _cached(path: str, bits: int) -> tuple[str, Kind]:
    """As _named. The hosts of a fleet map much the same files; what no kernel prints is not kept."""
    return _of_a_fleet(path, bits) if len(path) <= _PATH_MAX else _named(path, bits)


def _named(path: str, bits: int) -> tuple[str, Kind]:
    """Name and kind of a path as the kernel prints it; `bits`: the facts, the last one lowest."""
    facts = _Facts(*(bool(bits >> bit & 1) for bit in reversed(range(len(_Facts._fields)))))
    plain = path.removesuffix(DELETED)
    return mapping_name(plain, executable=facts.executable), _kind(plain, facts)


_of_a_fleet = lru_cache(1 << 14)(_named)


def mapping_name(path: str, *, executable: bool) -> str:
    """The name of a path without its deleted mark; `executable`: the process maps some of that file executable."""
    if not path:
        return ANON
    if path.startswith("["):
        return _THREAD_STACK.sub(r"[\1thread]", path)
    basename = path.rpartition("/")[2]
    if basename and not _KERNEL_MEMORY.match(path) and (executable or _SHARED_OBJECT.search(basename)):
        return basename
    return path


def code_texts(texts: list[str], inverse: NDArray[np.intp]) -> Coded:
    """A coded column from texts that may repeat, and each row's slot among them."""
    slots: dict[str, int] = {}
    recoded = np.array([slots.setdefault(text, len(slots)) for text in texts], dtype=np.int32)
    return Coded(recoded[inverse] if texts else np.zeros(0, np.int32), tuple(slots))


def _facts(columns: SmapsColumns) -> tuple[NDArray[np.bool_], ...]:
    """The facts of every mapping, in the order of _Facts."""
    flags = columns.flags
    return (
        _mapped_executable(columns),
        _holds(columns.perms, lambda perms: perms.endswith("s")),
        _has_flag(flags, "ht") | _has_huge_pages(columns),
        _has_flag(flags, "pf") | _has_flag(flags, "io"),
        _has_flag(flags, "gd"),
    )


def _mapped_executable(columns: SmapsColumns) -> NDArray[np.bool_]:
    """For every mapping: its process maps some part of the same path executable."""
    file_of_process = columns.process.astype(np.int64) * len(columns.path.names) + columns.path.codes
    executable = np.sort(file_of_process[_holds(columns.perms, lambda perms: "x" in perms)])
    if not len(executable):
        return np.zeros(len(columns.path), np.bool_)
    nearest = np.minimum(np.searchsorted(executable, file_of_process), len(executable) - 1)
    mapped: NDArray[np.bool_] = executable[nearest] == file_of_process
    return mapped


def _has_huge_pages(columns: SmapsColumns) -> NDArray[np.bool_]:
    """Where there are no VmFlags (2.6.29 to 3.7), pages larger than the host's smallest are hugetlb's."""
    page_size = columns.fields.get("KernelPageSize")
    if page_size is None or not (page_size > 0).any():
        return np.zeros(len(columns.path), np.bool_)
    larger: NDArray[np.bool_] = (page_size > page_size[page_size > 0].min()) & (columns.flags.codes == NULL)
    return larger


def _has_flag(flags: Coded, flag: str) -> NDArray[np.bool_]:
    return _holds(flags, lambda text: flag in text.split())


def _holds(column: Coded, test: Callable[[str], bool]) -> NDArray[np.bool_]:
    """For every row whether its text passes the test; a null does not."""
    # The last slot answers for code -1.
    return np.array([*map(test, column.names), False], dtype=np.bool_)[column.codes]


def _kind(path: str, facts: _Facts) -> Kind:
    """The kind of a mapping, from its path without the deleted mark; see docs/concepts/kinds.md."""
    if facts.hugetlb or _HUGETLB.match(path):
        return "hugetlb"
    if not path:
        return "stack" if facts.grows_down else "anon"
    if path == "/dev/zero" and not facts.shared:
        return "anon"
    if path.startswith("["):
        return _kernel_kind(path)
    return "shm" if _SHARED_MEMORY.match(path) else _file_kind(path, facts)


def _kernel_kind(name: str) -> Kind:
    if _THREAD_STACK.match(name):
        return "thread-stack"
    if name.startswith("[anon_shmem:"):
        return "shm"
    if name.startswith("[anon:"):
        return "named-anon"
    return _KERNEL_KINDS.get(name, "special")


def _file_kind(path: str, facts: _Facts) -> Kind:
    if path.startswith("/["):
        return "special"
    if facts.page_frames or _DEVICE.match(path):
        return "device"
    if _SHARED_OBJECT.search(path.rpartition("/")[2]):
        return "library"
    return "executable" if facts.executable else "file"
