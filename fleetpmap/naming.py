"""Names and kinds of mappings.   smaps ─► [naming] ─► table

The kernel prints a path; a comparison of hosts needs one name for the same thing everywhere. The name of a library or
a program is its basename, that of another file its full path, always without ` (deleted)`; the kernel's own names stay.

Two rules keep one thing from having many names:

    proper_path   A package manager renames a file before it deletes it, and appends something to the name. This is
                  removed: libcrypto.so.1.0.2k;5a384735 is libcrypto.so.1.0.2k.
    steady_path   A program that unpacks a library, or creates a temporary file, generates a part of its name. `*`
                  replaces that part: /tmp/libzstd-jni-1.5.5-51234567890.so is /tmp/libzstd-jni-1.5.5-*.so.

These parts count as generated behind a temporary folder (_TEMPORARY): a UUID; 8 or more hex digits with a digit among
them; 5 or more digits, such as a pid or a random number; the 6 to 16 random letters and digits that mktemp and its kin
put at the end of a name. Elsewhere only parts that nothing but a program generates: names that the kernel, NFS and apk
give a file without one (_NAMELESS) and, in the name of a library or program, a UUID or 16 digits.

A name may still differ on every host: a segment of a log, a release folder, a key of shared memory. To judge hosts by
each other, and for nothing else, `alike` merges these by _OF_ONE_HOST.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
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
MOST_KEPT = 256
"""Length of the longest path that is kept in a cache: a hostile host may send thousands of long ones."""

# `.so` as a part of the name (libc.so.6, libc-2.31.so), not as its letters (web.sock, index.sorted).
_SHARED_OBJECT = re.compile(r"\.so(?![A-Za-z0-9_])")
# Linux 3.4 to 4.4; bionic; glibc 2.39 with the tunable decorate_maps.
_THREAD_STACK = re.compile(r"\A\[(stack:|anon:stack_and_tls:|anon: glibc: pthread (?:user )?stack: )\d+\]\Z")
# Names that the kernel gives to memory without a file on disk.
_KERNEL_MEMORY = re.compile(r"/SYSV[0-9a-f]{8}\Z|/memfd:|/(?:dev/zero|secretmem|anon_hugepage)\Z")
_SHARED_MEMORY = re.compile(_KERNEL_MEMORY.pattern + r"|/(?:dev|run)/shm/|/dev/ashmem(?:/|\Z)")
_HUGETLB = re.compile(r"/anon_hugepage\Z|/dev/hugepages/")
# A file's path begins with a slash; `anon_inode:…` and `socket:…` do not.
_DEVICE = re.compile(r"/dev/|(?!/)|/dmabuf:|/(?:drm mm object|i915)\Z")
# rpm, dpkg, rpm's and pacman's copies of files that an administrator changed, prelink.
_MOVED_ASIDE = re.compile(
    r"(?:;[0-9a-f]{8}|\.dpkg-(?:new|tmp|old|dist|bak)|\.(?:rpm|pac)(?:new|save|orig)|\.#prelink#(?:\.\w{1,16})?)\Z"
)
# Suffixes that install, cp, patch and administrators append to the name of a shared object.
_COPIED_ASIDE = re.compile(r"(\.so(?:\.\w{1,8}){0,4}?)(?:\.(?:te?mp|old|bak|orig|new|save)|~)\Z")

_TEMPORARY = re.compile(r"/\.?te?mp/|\A/(?:dev/shm|run/shm|run/user/\d+)/|\A/memfd:")
# O_TMPFILE (d_tmpfile() calls it by its inode); a file that an NFS client keeps for its last user; apk of Alpine.
_NAMELESS = re.compile(r"\A(#|\.nfs|\.apk\.)(?:\d+|[0-9a-f]{16,})\Z")
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_NEVER_CHOSEN = re.compile(rf"{_UUID}|\d{{16,}}")
_GENERATED = re.compile(rf"{_UUID}|(?<![0-9A-Za-z])(?=[a-fA-F]*\d)[0-9a-fA-F]{{8,}}(?![0-9A-Za-z])|\d{{5,}}|\A\d+\Z")
# Prefixes that PyInstaller, libffi, orc, Mesa, Python, R, pip and Chromium put before six or more random characters.
_BEFORE_RANDOM = re.compile(
    r"\A(_MEI|ffi|orcexec\.|\.gl|tmp|Rtmp|pip-[a-z-]{1,40}-|\.org\.chromium\.\w{1,20}\.)\w{6,10}(?!\w)"
)
# Names with a pid in them, of any length: perf's maps of compiled code, Java, .NET.
_BEFORE_PID = re.compile(r"\A(perf-|jit(?:ted)?-|\.java_pid|(?:dotnet-diagnostic|clr-debug-pipe)-)\d+(?!\w)")
_OF_ONE_HOST = (
    re.compile(_UUID),
    re.compile(r"(?<=\A/SYSV)[0-9a-f]{8}\Z"),  # the key of shared memory
    re.compile(r"(?<![0-9A-Za-z])(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}(?![0-9A-Za-z])"),  # a hash, an id of a container
    re.compile(r"\d{4,}"),  # a date, a pid, the number of a segment
    re.compile(r"(?<=/)\d+(?=/|\Z)"),  # a folder or file that is a number
    re.compile(r"(?<=/)~[^/]+"),  # the folder that pip gives an old package to delete it later
)
"""Parts of names that may differ on every host; the first pattern is applied first."""
_LAST_WORD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{6,16}\Z")
_RUN_OF_ONE_SORT = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_KERNEL_KINDS: dict[str, Kind] = {"[heap]": "heap", "[stack]": "stack"}


def _kept(rewrite: Callable[[str], str]) -> Callable[[str], str]:
    """Cache a function of a path, unless it is long: the hosts of a fleet map much the same files."""
    cached = lru_cache(1 << 14)(rewrite)

    @wraps(rewrite)
    def rewritten(path: str) -> str:
        return cached(path) if len(path) <= MOST_KEPT else rewrite(path)

    return rewritten


@dataclass(frozen=True, slots=True)
class Names:
    """Three columns derived from the paths, one slot per mapping."""

    mapping: Coded
    kind: Coded
    deleted: NDArray[np.bool_]
    """True if the path ends in ` (deleted)`: the kernel's mark of an unlinked file, or a real name that ends so."""


class _Facts(NamedTuple):
    """Facts beside the path that the kind of a mapping depends on."""

    executable: bool
    """True if the process maps some part of the same path executable."""
    shared: bool
    hugetlb: bool
    page_frames: bool
    """True for raw memory of a device, which the kernel does not manage as pages."""
    grows_down: bool


def name_mappings(columns: SmapsColumns) -> Names:
    """Return the name, kind and deleted mark of every mapping."""
    paths = columns.path.names
    # Name and kind depend only on the path and the facts, so they are found once for each combination that occurs.
    # `code` packs both: the path's code, then one bit for each fact, the last fact lowest.
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
    """Return _named(), cached: the hosts of a fleet map much the same files. Impossibly long paths are not kept."""
    return _named_once(path, bits) if len(path) <= _PATH_MAX else _named(path, bits)


def _named(path: str, bits: int) -> tuple[str, Kind]:
    """Return the name and kind of a path as the kernel prints it. `bits` are the facts, the last one lowest."""
    facts = _Facts(*(bool(bits >> bit & 1) for bit in reversed(range(len(_Facts._fields)))))
    proper = proper_path(path)
    return mapping_name(proper, executable=facts.executable), _kind(proper, facts)


_named_once = lru_cache(1 << 14)(_named)


def mapping_name(path: str, *, executable: bool) -> str:
    """Return the name of a proper path. `executable`: the process maps some part of that file executable."""
    if not path:
        return ANON
    if path.startswith("["):
        return _THREAD_STACK.sub(r"[\1thread]", path)
    basename = path.rpartition("/")[2]
    if basename and not _KERNEL_MEMORY.match(path) and (executable or _SHARED_OBJECT.search(basename)):
        return steady_path(path, code=True).rpartition("/")[2]
    return steady_path(path, code=False)


@_kept
def proper_path(path: str) -> str:
    """Return a path as it was before the file was replaced: without ` (deleted)` and a package manager's suffix."""
    plain = path.removesuffix(DELETED)
    return _COPIED_ASIDE.sub(r"\1", _MOVED_ASIDE.sub("", plain))


def is_replaced(path: str) -> bool:
    """Return True if a path, as the kernel prints it, is that of a file that was deleted or moved aside for another."""
    return proper_path(path) != path


def steady_path(path: str, *, code: bool) -> str:
    """Replace each generated part of a proper path by `*`. `code`: the file is a library or a program."""
    if not path.startswith("/") or len(path) > _PATH_MAX:  # no kernel prints such a path
        return path
    folder, slash, name = path.rpartition("/")
    if nameless := _NAMELESS.match(name):
        name = f"{nameless[1]}*"
    if temporary := _TEMPORARY.search(path):
        head, parts = path[: temporary.end()], f"{folder}{slash}{name}"[temporary.end() :].split("/")
        return head + "/".join(map(_steady_part, parts))
    return f"{folder}{slash}{_NEVER_CHOSEN.sub('*', name) if code else name}"


@_kept
def alike(name: str) -> str:
    """Replace by `*` each part of a mapping's name that may differ on every host: a number, a pid, a hash, a UUID."""
    if len(name) > _PATH_MAX:
        return name
    for pattern in _OF_ONE_HOST:
        name = pattern.sub("*", name)
    return name


def is_temporary(path: str) -> bool:
    """Return True if a proper path is that of a file that a program creates for itself, anew at each start."""
    return _TEMPORARY.search(path) is not None or steady_path(path, code=True) != path


def _steady_part(part: str) -> str:
    """Replace the generated parts of one name of a path behind a temporary folder."""
    known = _BEFORE_PID.match(part) or _BEFORE_RANDOM.match(part)
    if known:
        return f"{known[1]}*{part[known.end() :]}"
    last = None if _SHARED_OBJECT.search(part) else _LAST_WORD.search(part)
    if last and _looks_random(last[0]):
        part = f"{part[: last.start()]}*"
    return _GENERATED.sub("*", part)


def _looks_random(word: str) -> bool:
    """Return True if a word looks random, by its changes between letters and digits: Ab3d9Z, k3jx9z2a.

    Names such as aarch64 and Qt5Core do not.
    """
    runs = len(_RUN_OF_ONE_SORT.findall(word))
    return runs > 3 or (runs == 3 and len(word) == 6)


def code_texts(texts: list[str], inverse: NDArray[np.intp]) -> Coded:
    """Build a coded column from texts, which may repeat, and each row's index among them."""
    slots: dict[str, int] = {}
    recoded = np.array([slots.setdefault(text, len(slots)) for text in texts], dtype=np.int32)
    return Coded(recoded[inverse] if texts else np.zeros(0, np.int32), tuple(slots))


def _facts(columns: SmapsColumns) -> tuple[NDArray[np.bool_], ...]:
    """Return the facts of every mapping, in the order of _Facts."""
    flags = columns.flags
    return (
        _mapped_executable(columns),
        _holds(columns.perms, lambda perms: perms.endswith("s")),
        _has_flag(flags, "ht") | _has_huge_pages(columns),
        _has_flag(flags, "pf") | _has_flag(flags, "io"),
        _has_flag(flags, "gd"),
    )


def _mapped_executable(columns: SmapsColumns) -> NDArray[np.bool_]:
    """Return a mask of the mappings of paths that the same process maps executable, here or elsewhere."""
    # One number for each pair of process and path.
    file_of_process = columns.process.astype(np.int64) * len(columns.path.names) + columns.path.codes
    executable = np.sort(file_of_process[_holds(columns.perms, lambda perms: "x" in perms)])
    if not len(executable):
        return np.zeros(len(columns.path), np.bool_)
    nearest = np.minimum(np.searchsorted(executable, file_of_process), len(executable) - 1)
    mapped: NDArray[np.bool_] = executable[nearest] == file_of_process
    return mapped


def _has_huge_pages(columns: SmapsColumns) -> NDArray[np.bool_]:
    """Return a mask of hugetlb mappings on kernels without VmFlags (2.6.29 to 3.7).

    There, pages larger than the host's smallest are hugetlb's.
    """
    page_size = columns.fields.get("KernelPageSize")
    if page_size is None or not (page_size > 0).any():
        return np.zeros(len(columns.path), np.bool_)
    larger: NDArray[np.bool_] = (page_size > page_size[page_size > 0].min()) & (columns.flags.codes == NULL)
    return larger


def _has_flag(flags: Coded, flag: str) -> NDArray[np.bool_]:
    return _holds(flags, lambda text: flag in text.split())


def _holds(column: Coded, test: Callable[[str], bool]) -> NDArray[np.bool_]:
    """Return a mask of the rows with a text that passes the test; a null does not."""
    # Code -1 indexes the last item, the False.
    return np.array([*map(test, column.names), False], dtype=np.bool_)[column.codes]


def _kind(path: str, facts: _Facts) -> Kind:
    """Return the kind of a mapping, from its path without the deleted mark; see docs/concepts/kinds.md."""
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
