"""Parse the memory of a host, a cgroup and a process beside smaps.   section_readers ─► [accounting] ─► replies

    MemTotal: 24684084                                          the section memory: meminfo, pressure/memory
    412/status:VmHWM:   4288 kB …                               facts: a file of a process, closed by a NUL
    ../sys/fs/cgroup/system.slice/a.service/memory.max:max      facts: a file of a cgroup, the same

A host may lack any file or line: what it lacks is None. Sources: Documentation/admin-guide/cgroup-v2.rst and
cgroup-v1/memory.rst, Documentation/accounting/psi.rst, Documentation/filesystems/proc.rst table 1-2.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from fleetpmap.units import KIB
from fleetpmap.wire.reply_types import CgroupMemory, ContainerName, HostMemory, Pressure, Resident
from fleetpmap.wire.section_readers import MalformedError, cgroup_paths, lines_of, text_of

CGROUPS_LIMIT = 1 << 14
"""Cgroups accepted from one host, with their ancestors."""
SIZE_LIMIT = 1 << 57
"""Bytes above which a size is none: more than the widest address space has. v1's number for no limit is larger, too."""
CGROUP_PATH_LIMIT = 1000
"""Bytes of a cgroup's path at most, and the limit of the next line; the probe leaves out longer and deeper ones."""
CGROUP_DEPTH_LIMIT = 32
OOM_SCORES = range(-1000, 1001)
"""Values of oom_score_adj."""
_NAMES_LIMIT = 1 << 16
"""Lines of container names accepted from one host."""
_SECTION_LIMIT = 1 << 14
"""Bytes of the section memory at most; meminfo has some 1,500."""

_V2_FILES = (
    *("memory.current", "memory.peak", "memory.max", "memory.high", "memory.swap.current", "memory.swap.max"),
    *("memory.stat", "memory.events", "memory.pressure"),
)
_V2_OF_ANCESTOR = ("memory.max", "memory.current")
"""The files that are read of an ancestor too: its limit, and what it is charged."""
_V1_OF_ANCESTOR = ("memory.limit_in_bytes", "memory.usage_in_bytes")
_V1_FILES = (
    *("memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes", "memory.memsw.usage_in_bytes"),
    *("memory.kmem.usage_in_bytes", "memory.oom_control"),
)
STATUS_KEYS = ("VmHWM", "VmRSS", "RssAnon", "RssFile", "RssShmem", "VmSwap")
"""Keys of sizes in a status that are used here."""
STAT_KEYS = (
    *("anon", "file", "kernel", "kernel_stack", "pagetables", "percpu", "slab", "shmem", "oom", "oom_kill"),
    *("cache", "rss", "total_cache", "total_rss", "total_shmem", "total_swap", "hierarchical_memory_limit"),
)
"""Keys of numbers in memory.stat, memory.events and memory.oom_control that are used here."""
CGROUP_FILES = frozenset({*_V2_FILES, *_V1_FILES, "cgroup.procs"})
"""Names of a cgroup's files that the probe reads; memory.stat is of both versions."""
_FILE = "|".join(map(re.escape, sorted(CGROUP_FILES)))
# The name of a file is never a cgroup's, and no name is `.` or `..`. The bounds make a failing match stop early. The
# probe sends no `*`, but a capture may have one in the place of a secret.
_PART = rf"(?!(?:\.|\.\.|{_FILE})/)[A-Za-z0-9._@:\\+=,~*-]{{1,255}}"
CGROUP_FILE = re.compile(rf"sys/fs/cgroup((?:/{_PART}){{0,{CGROUP_DEPTH_LIMIT + 2}}})/({_FILE})")
"""A cgroup's file below the root of a host: its directory below sys/fs/cgroup, and its name."""

_PATH_BYTES = CGROUP_PATH_LIMIT + 128
"""Bytes of the path of a cgroup's file at most, with what stands before and after the cgroup's own path."""
_SHARED_BYTES = 2048
"""Bytes of a cgroup file up to which its paths are kept for the next process with the same text."""
_DIGITS = 20
"""Most digits of a number of 64 bits."""
_STATUS_LINE = re.compile(rb"^(%b):\s{0,64}(\d{1,18}) kB$" % "|".join(STATUS_KEYS).encode(), re.MULTILINE)
_KEY_AND_NUMBER = re.compile(rb"^(%b) (\d{1,%d})$" % ("|".join(STAT_KEYS).encode(), _DIGITS), re.MULTILINE)
_PRESSURE = re.compile(
    rb"^(some|full) avg10=(\d{1,3}\.\d\d) avg60=(\d{1,3}\.\d\d) avg300=(\d{1,3}\.\d\d)", re.MULTILINE
)
_MEMINFO = re.compile(rb"^(MemTotal|MemAvailable|SwapTotal|SwapFree): {1,64}(\d{1,18})(?: kB)?$", re.MULTILINE)
_SCORE = re.compile(rb"-?\d{1,4}")
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_NAME_LINE = re.compile(r'(?P<file>[^:]{1,4096}):"(?P<key>[\w./-]{1,64})": *"(?P<value>[^"]{1,253})"')
_LISTED_NAME = re.compile(
    r'[^:]{1,4096}/containers\.json:"id": *"(?P<id>[0-9a-f]{64})", *"names": *\["(?P<name>[^"]{1,253})"'
)
_NAME_KEYS = {
    "io.kubernetes.container.name": "name",
    "io.kubernetes.cri.container-name": "name",
    "nerdctl/name": "name",
    "io.kubernetes.pod.name": "pod",
    "io.kubernetes.cri.sandbox-name": "pod",
    "io.kubernetes.pod.namespace": "namespace",
    "io.kubernetes.cri.sandbox-namespace": "namespace",
}

CgroupFiles = dict[str, dict[str, bytes]]
"""Text by the directory of a cgroup below sys/fs/cgroup (`/memory/a`; empty for the root) and the file's name."""


def parse_host_memory(section: bytes) -> HostMemory | None:
    """Parse the section memory; None if the host has neither file."""
    section = section[:_SECTION_LIMIT]
    found = {text_of(key): _possible(int(value)) for key, value in _MEMINFO.findall(section)}
    pressure = parse_pressure(section)
    if not found and pressure is None:
        return None
    return HostMemory(
        total_kib=found.get("MemTotal"),
        available_kib=found.get("MemAvailable"),
        swap_total_kib=found.get("SwapTotal"),
        swap_free_kib=found.get("SwapFree"),
        pressure=pressure,
    )


def memory_files(section: bytes) -> dict[str, bytes]:
    """Return the lines of the section memory by the file that they come from, for those that have any."""
    lines = section[:_SECTION_LIMIT].splitlines(keepends=True)
    files = {
        "meminfo": b"".join(line for line in lines if _MEMINFO.match(line)),
        "pressure/memory": b"".join(line for line in lines if _PRESSURE.match(line)),
    }
    return {path: text for path, text in files.items() if text}


def parse_pressure(text: bytes) -> Pressure | None:
    """Parse a file of pressure stall information; None if it has not its two lines."""
    lines = {kind: tuple(map(float, averages)) for kind, *averages in _PRESSURE.findall(text)}
    if lines.keys() != {b"some", b"full"}:
        return None
    return _pressure(*lines[b"some"], *lines[b"full"])


_pressure = lru_cache(256)(Pressure)  # on most hosts of a fleet nothing waits, and these share one object


def parse_resident(status: bytes) -> Resident | None:
    """Parse the sizes in a status; None if it has none, as that of a kernel thread and of a zombie."""
    found = {text_of(key): _possible(int(value)) for key, value in _STATUS_LINE.findall(status)}
    rss_kib = found.get("VmRSS")
    if rss_kib is None:
        return None
    return Resident(
        rss_kib=rss_kib,
        rss_anon_kib=found.get("RssAnon"),
        rss_file_kib=found.get("RssFile"),
        rss_shmem_kib=found.get("RssShmem"),
        swap_kib=found.get("VmSwap"),
        hwm_kib=found.get("VmHWM"),
    )


def accounted(pid: int, statuses: Iterable[bytes], cgroups: Sequence[bytes], score: bytes) -> dict[str, Any]:
    """Return the fields of a ProcessReading that come from the texts of its status, cgroup and oom_score_adj.

    If its main thread has ended, the texts of a living thread follow its own. Raises MalformedError.
    """
    text = cgroups[-1] if cgroups else None
    paths_of = _paths_of if text is None or len(text) <= _SHARED_BYTES else _paths_of.__wrapped__
    paths, memory = (None, None) if text is None else paths_of(pid, text)
    number = int(score) if _SCORE.fullmatch(score.strip()) else None
    return {
        "cgroups": paths,
        "memory_cgroup": memory,
        "oom_score_adj": number if number in OOM_SCORES else None,
        "resident": next(filter(None, map(parse_resident, statuses)), None),
    }


@lru_cache(1 << 12)  # a process of a watch has the same ones in every round
def _paths_of(pid: int, text: bytes) -> tuple[tuple[str, ...], str | None]:
    """Return the paths in a cgroup file, and the one that memory is charged to. Raises MalformedError."""
    lines = text.splitlines()
    return cgroup_paths(pid, lines), memory_cgroup(lines)


def parse_cgroup_files(records: Iterable[bytes]) -> CgroupFiles:
    """Parse records `../sys/fs/cgroup/PATH/NAME:TEXT`; a recorded tree has no `../`. Raises MalformedError.

    A path may hold colons, but the first line of none of these files does.
    """
    files: CgroupFiles = {}
    for record in records:
        end = record.find(b"\n")
        colon = record.rfind(b":", 0, end if end >= 0 else len(record))
        place = _place_of(record[: max(0, colon)]) if colon <= _PATH_BYTES else None
        if place is None:
            raise MalformedError(f"{record[:40]!r} is no fact that was asked for")
        directory, name = place
        files.setdefault(directory, {})[name] = record[colon + 1 :]
        if len(files) > CGROUPS_LIMIT:
            raise MalformedError(f"the files of more than {CGROUPS_LIMIT:,} cgroups")
    return files


@lru_cache(1 << 12)  # the hosts of a fleet have the same cgroups, round after round
def _place_of(path: bytes) -> tuple[str, str] | None:
    """Split the path of a cgroup's file into its directory below sys/fs/cgroup and its name; None if it is no such."""
    match = CGROUP_FILE.fullmatch(text_of(path.removeprefix(b"../")))
    if match is None or len(match[1]) > CGROUP_PATH_LIMIT + len("/unified"):
        return None
    return match[1], match[2]


def cgroups_of(files: CgroupFiles, paths: Collection[str | None]) -> tuple[CgroupMemory, ...]:
    """Return the cgroups with these paths of which more than a limit was read, in the order of their paths."""
    is_v1 = any("memory.usage_in_bytes" in own for own in files.values())
    root = "/memory" if is_v1 else "/unified" if any(map(_is_unified, files)) else ""
    by_path = {
        directory.removeprefix(root): own
        for directory, own in files.items()
        if directory == root or directory.startswith(f"{root}/")
    }
    make, of_ancestor = (_of_v1, _V1_OF_ANCESTOR) if is_v1 else (_of_v2, _V2_OF_ANCESTOR)
    limits = _limits(by_path, *of_ancestor, has_real_root=is_v1 or of_ancestor[0] not in by_path.get("", {}))
    return tuple(
        make(path or "/", by_path[path], limit)
        for path, limit in limits.items()
        if by_path[path].keys() - {of_ancestor[0]} and (path or "/") in paths
    )


def _is_unified(directory: str) -> bool:
    return directory == "/unified" or directory.startswith("/unified/")


class _Limit(NamedTuple):
    """The tightest limit of a cgroup and its ancestors, as far as they are known."""

    kib: int | None
    holder: str
    used_kib: int | None
    """What the holder is charged."""
    depth: int
    whole: bool
    """True if the limits of all ancestors are known."""


def _limits(
    by_path: Mapping[str, Mapping[str, bytes]], name: str, usage: str, *, has_real_root: bool
) -> dict[str, _Limit]:
    """Return the limit of each path.

    Without the hierarchy's real root, which has no limit, the directory on top is the root of a cgroup namespace: the
    cgroups above it may have limits that are not shown.
    """
    limits: dict[str, _Limit] = {}
    above: list[str] = []
    # A path comes after its ancestors, and nothing else lies between them: with the slash, /a-b does not.
    for path in sorted(by_path, key=lambda path: f"{path}/"):
        while above and not path.startswith(f"{above[-1]}/"):
            above.pop()
        parent = limits[above[-1]] if above else _Limit(None, "", None, 0, has_real_root)
        text, depth = by_path[path].get(name), path.count("/")
        own = _size(text)
        says_none = text is not None and own is None and (text.strip() == b"max" or text.strip().isdigit())
        whole = parent.whole and depth - parent.depth <= 1 and (own is not None or says_none or not path)
        if own is not None and (parent.kib is None or own < parent.kib):
            limits[path] = _Limit(own, path or "/", _size(by_path[path].get(usage)), depth, whole)
        else:
            limits[path] = parent._replace(depth=depth, whole=whole)
        above.append(path)
    return limits


def _of_v2(path: str, own: Mapping[str, bytes], limit: _Limit) -> CgroupMemory:
    stat, events = _numbers(own.get("memory.stat")), _numbers(own.get("memory.events"))
    kernel = stat.get("kernel")  # since 5.18; before, of its parts
    if kernel is None:
        parts = [stat.get(key) for key in ("kernel_stack", "pagetables", "percpu", "slab")]
        kernel = sum(part for part in parts if part is not None) if any(part is not None for part in parts) else None
    return CgroupMemory(
        path=path,
        current_kib=_size(own.get("memory.current")),
        peak_kib=_size(own.get("memory.peak")),
        limit_kib=limit.kib,
        is_unlimited=limit.kib is None and limit.whole,
        limit_path=limit.holder,
        limit_used_kib=limit.used_kib,
        high_kib=_size(own.get("memory.high")),
        swap_kib=_size(own.get("memory.swap.current")),
        swap_limit_kib=_size(own.get("memory.swap.max")),
        anon_kib=_kib(stat.get("anon")),
        file_kib=_kib(stat.get("file")),
        shmem_kib=_kib(stat.get("shmem")),
        kernel_kib=_kib(kernel),
        slab_kib=_kib(stat.get("slab")),
        oom=_count(events.get("oom")),
        oom_kills=_count(events.get("oom_kill")),
        pressure=parse_pressure(own.get("memory.pressure", b"")),
        processes=_processes(own.get("cgroup.procs")),
    )


def _of_v1(path: str, own: Mapping[str, bytes], limit: _Limit) -> CgroupMemory:
    stat, control = _numbers(own.get("memory.stat")), _numbers(own.get("memory.oom_control"))
    usage, with_swap = _size(own.get("memory.usage_in_bytes")), _size(own.get("memory.memsw.usage_in_bytes"))
    # The kernel's own word: without use_hierarchy, the limits of ancestors do not count, and a cgroup namespace hides
    # some of them.
    is_told = "hierarchical_memory_limit" in stat
    tightest = _kib(stat["hierarchical_memory_limit"]) if is_told else limit.kib
    return CgroupMemory(
        path=path,
        current_kib=usage,
        peak_kib=_size(own.get("memory.max_usage_in_bytes")),
        limit_kib=tightest,
        is_unlimited=tightest is None and (is_told or limit.whole),
        limit_path=limit.holder if tightest == limit.kib else "",
        limit_used_kib=limit.used_kib if tightest == limit.kib else None,
        high_kib=None,
        swap_kib=_kib(stat.get("total_swap")) if "total_swap" in stat else _difference(with_swap, usage),
        swap_limit_kib=None,
        anon_kib=_kib(stat.get("total_rss", stat.get("rss"))),
        file_kib=_kib(stat.get("total_cache", stat.get("cache"))),
        shmem_kib=_kib(stat.get("total_shmem", stat.get("shmem"))),
        kernel_kib=_size(own.get("memory.kmem.usage_in_bytes")),
        slab_kib=None,
        oom=None,
        oom_kills=_count(control.get("oom_kill")),
        pressure=None,
        processes=_processes(own.get("cgroup.procs")),
    )


def _numbers(text: bytes | None) -> dict[str, int]:
    """Return the numbers of lines `KEY NUMBER`."""
    return {text_of(key): int(value) for key, value in _KEY_AND_NUMBER.findall(text or b"")}


def _size(text: bytes | None) -> int | None:
    """Return a file's one number of bytes in KiB; None if it is not there, or holds no number (`max`)."""
    word = (text or b"").strip()
    return _kib(int(word)) if word.isdigit() and len(word) <= _DIGITS else None


def _kib(size: int | None) -> int | None:
    return None if size is None else _possible(size // KIB)


def _possible(kib: int) -> int | None:
    """Return a size in KiB; None if no memory is as large."""
    return kib if kib <= SIZE_LIMIT // KIB else None


def _count(number: int | None) -> int | None:
    return number if number is not None and number < SIZE_LIMIT else None


def _difference(whole: int | None, part: int | None) -> int | None:
    return None if whole is None or part is None else max(0, whole - part)


def _processes(text: bytes | None) -> int | None:
    """Return the number of lines of a cgroup.procs, which may have 100,000."""
    if text is None or not text.strip():
        return None if text is None else 0
    return text.strip().count(b"\n") + 1


def memory_cgroup(lines: Iterable[bytes]) -> str | None:
    """Return the path of the cgroup that a process's memory is charged to, from the lines of its cgroup file.

    It is that of v1's controller `memory`, else that of v2; None if it has neither.
    """
    unified = None
    for line in lines:
        _, _, rest = line.partition(b":")
        controllers, _, path = rest.partition(b":")
        if b"memory" in controllers.split(b","):
            return text_of(path)
        if not controllers:
            unified = text_of(path)
    return unified


def parse_names(section: bytes) -> dict[str, ContainerName]:
    """Parse the names of containers and pods, by the container's id, from what grep found in the runtimes' files."""
    found: dict[str, dict[str, str]] = {}
    lines = lines_of(section, "names")
    if len(lines) > _NAMES_LIMIT:
        raise MalformedError(f"more than {_NAMES_LIMIT:,} names of containers")
    for line in map(text_of, lines):
        if listed := _LISTED_NAME.fullmatch(line):
            found.setdefault(listed["id"], {})["own"] = listed["name"]
            continue
        match = _NAME_LINE.fullmatch(line)
        if match is None or (id_ := _ID.search(match["file"])) is None:
            continue
        key, value = _NAME_KEYS.get(match["key"]), match["value"]
        if match["key"] == "Name" and value.startswith("/"):
            # Docker's own: the last one that begins with a slash. Labels stand before it, mounts have no slash.
            found.setdefault(id_[0], {})["own"] = value[1:]
        elif key is not None:
            found.setdefault(id_[0], {})[key] = value
    # Kubernetes' name says more than the one that docker made.
    return {
        id_: ContainerName(names.get("name") or names.get("own", ""), names.get("pod", ""), names.get("namespace", ""))
        for id_, names in found.items()
    }
