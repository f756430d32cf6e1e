"""Parse the memory of a host, a cgroup and a process beside smaps.   section_readers ─► [accounting] ─► replies

    MemTotal: 24684084                                          the section memory: meminfo, pressure/memory
    412/status:VmHWM:   4288 kB …                               facts: a file of a process, closed by a NUL
    ../sys/fs/cgroup/system.slice/a.service/memory.max:max      facts: a file of a cgroup, the same

A host may lack any file or line: what it lacks is None. Sources: Documentation/admin-guide/cgroup-v2.rst and
cgroup-v1/memory.rst, Documentation/accounting/psi.rst, Documentation/filesystems/proc.rst table 1-2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from fleetpmap.units import KIB
from fleetpmap.wire.reply_types import CgroupMemory, ContainerName, HostMemory, Pressure, Resident
from fleetpmap.wire.section_readers import MalformedError, lines_of, text_of

CGROUPS_LIMIT = 1 << 12
"""Cgroups accepted from one host."""
_NAMES_LIMIT = 1 << 16
"""Lines of container names accepted from one host."""
_PATH_LIMIT = 4096
"""Bytes of a cgroup's path at most (PATH_MAX)."""

_NUMBER = rb"\d{1,20}"
_STATUS_LINE = re.compile(rb"^(VmHWM|VmRSS|RssAnon|RssFile|RssShmem|VmSwap):\s{0,64}(\d{1,18}) kB$", re.MULTILINE)
_KEY_AND_NUMBER = re.compile(rb"^([a-z_]{1,64}) (%b)$" % _NUMBER, re.MULTILINE)
_PRESSURE = re.compile(
    rb"^(some|full) avg10=(\d{1,3}\.\d\d) avg60=(\d{1,3}\.\d\d) avg300=(\d{1,3}\.\d\d)", re.MULTILINE
)
_MEMINFO = re.compile(rb"^(MemTotal|MemAvailable|SwapTotal|SwapFree): (\d{1,18})$", re.MULTILINE)
_CGROUP_FILE = re.compile(rb"(?:\.\./)?sys/fs/cgroup(/unified)?(/[^:]{0,4096})?/((?:memory|cgroup)\.[a-z_.]{1,40})")
"""Path of a file of a cgroup; without a path between, it is the file of the hierarchy's root."""
_V1_MARKS = frozenset({b"memory.usage_in_bytes", b"memory.limit_in_bytes"})
_UNLIMITED_V1 = 1 << 62
"""From here on a limit of cgroup v1 means none: it is the largest number of pages, PAGE_COUNTER_MAX."""
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_NAME_LINE = re.compile(r'(?P<file>/[^:]{1,4096}|[^:]{1,4096}):"(?P<key>[\w./-]{1,64})": *"(?P<value>[^"]{1,253})"')
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

CgroupFiles = dict[bytes, dict[bytes, bytes]]
"""Text by the directory of a cgroup, as the host printed it, and the file's name."""


def parse_host_memory(section: bytes) -> HostMemory | None:
    """Parse the section memory; None if the host has neither file."""
    found = {text_of(key): int(value) for key, value in _MEMINFO.findall(section[:_PATH_LIMIT])}
    pressure = parse_pressure(section[:_PATH_LIMIT])
    if not found and pressure is None:
        return None
    return HostMemory(
        total_kib=found.get("MemTotal"),
        available_kib=found.get("MemAvailable"),
        swap_total_kib=found.get("SwapTotal"),
        swap_free_kib=found.get("SwapFree"),
        pressure=pressure,
    )


def parse_pressure(text: bytes) -> Pressure | None:
    """Parse a file of pressure stall information; None if it has not its two lines."""
    lines = {kind: tuple(map(float, averages)) for kind, *averages in _PRESSURE.findall(text)}
    if lines.keys() != {b"some", b"full"}:
        return None
    return Pressure(*lines[b"some"], *lines[b"full"])


def parse_resident(status: bytes) -> Resident | None:
    """Parse the sizes in a status; None if it has none, as that of a kernel thread and of a zombie."""
    found = {text_of(key): int(value) for key, value in _STATUS_LINE.findall(status)}
    if "VmRSS" not in found:
        return None
    return Resident(
        rss_kib=found["VmRSS"],
        rss_anon_kib=found.get("RssAnon"),
        rss_file_kib=found.get("RssFile"),
        rss_shmem_kib=found.get("RssShmem"),
        swap_kib=found.get("VmSwap"),
        hwm_kib=found.get("VmHWM"),
    )


def add_cgroup_file(files: CgroupFiles, path: bytes, text: bytes) -> bool:
    """Add the record of a cgroup's file; False if the path is not one."""
    match = _CGROUP_FILE.fullmatch(path)
    if match is None:
        return False
    directory, _, name = path.rpartition(b"/")
    files.setdefault(directory, {})[name] = text
    if len(files) > CGROUPS_LIMIT:
        raise MalformedError(f"the files of more than {CGROUPS_LIMIT:,} cgroups")
    return True


def cgroups_of(files: CgroupFiles) -> tuple[CgroupMemory, ...]:
    """Return each cgroup of which more than the limit was read.

    Its limit is the tightest of its own and its ancestors' limits.
    """
    is_v1 = any(_V1_MARKS & own.keys() for own in files.values())
    root = _root_of(files, is_v1=is_v1)
    by_path = {directory.removeprefix(root): own for directory, own in files.items()}
    make = _of_v1 if is_v1 else _of_v2
    limit_file = b"memory.limit_in_bytes" if is_v1 else b"memory.max"
    return tuple(
        make(text_of(path) or "/", own, *_tightest(path, by_path, limit_file))
        for path, own in by_path.items()
        if own.keys() - {limit_file}
    )


def _root_of(files: CgroupFiles, *, is_v1: bool) -> bytes:
    directory = next(iter(files), b"")
    root = directory[: directory.find(b"sys/fs/cgroup") + len(b"sys/fs/cgroup")]
    if is_v1:
        return root + b"/memory"
    unified = root + b"/unified"
    return unified if all(each == unified or each.startswith(unified + b"/") for each in files) else root


def _tightest(path: bytes, by_path: Mapping[bytes, Mapping[bytes, bytes]], name: bytes) -> tuple[int | None, bool, str]:
    """Return the tightest limit in KiB on the way to the root, True if there is none, and the path that has it.

    The limit is None where there is none, and where none is known.
    """
    limit: int | None = None
    holder = ""
    known = False
    while True:
        text = by_path.get(path, {}).get(name)
        own = _limit(text)
        known = known or text is not None
        if own is not None and (limit is None or own < limit):
            limit, holder = own, text_of(path) or "/"
        if not path:
            return limit, known and limit is None, holder
        path = path.rpartition(b"/")[0]


def _of_v2(path: str, own: Mapping[bytes, bytes], limit: int | None, is_unlimited: bool, holder: str) -> CgroupMemory:
    stat, events = _numbers(own.get(b"memory.stat")), _numbers(own.get(b"memory.events"))
    kernel = stat.get("kernel")  # since 5.18; before, of its parts
    if kernel is None:
        parts = [stat.get(key) for key in ("kernel_stack", "pagetables", "percpu", "slab")]
        kernel = sum(part for part in parts if part is not None) if any(part is not None for part in parts) else None
    return CgroupMemory(
        path=path,
        current_kib=_size(own.get(b"memory.current")),
        peak_kib=_size(own.get(b"memory.peak")),
        limit_kib=limit,
        is_unlimited=is_unlimited,
        limit_path=holder,
        high_kib=_limit(own.get(b"memory.high")),
        swap_kib=_size(own.get(b"memory.swap.current")),
        swap_limit_kib=_limit(own.get(b"memory.swap.max")),
        anon_kib=_kib(stat.get("anon")),
        file_kib=_kib(stat.get("file")),
        shmem_kib=_kib(stat.get("shmem")),
        kernel_kib=_kib(kernel),
        slab_kib=_kib(stat.get("slab")),
        oom=events.get("oom"),
        oom_kills=events.get("oom_kill"),
        pressure=parse_pressure(own.get(b"memory.pressure", b"")),
        processes=_processes(own.get(b"cgroup.procs")),
    )


def _of_v1(path: str, own: Mapping[bytes, bytes], limit: int | None, is_unlimited: bool, holder: str) -> CgroupMemory:
    stat, control = _numbers(own.get(b"memory.stat")), _numbers(own.get(b"memory.oom_control"))
    usage, with_swap = _size(own.get(b"memory.usage_in_bytes")), _size(own.get(b"memory.memsw.usage_in_bytes"))
    return CgroupMemory(
        path=path,
        current_kib=usage,
        peak_kib=_size(own.get(b"memory.max_usage_in_bytes")),
        limit_kib=limit,
        is_unlimited=is_unlimited,
        limit_path=holder,
        high_kib=None,
        swap_kib=_kib(stat.get("total_swap")) if "total_swap" in stat else _difference(with_swap, usage),
        swap_limit_kib=None,
        anon_kib=_kib(stat.get("total_rss", stat.get("rss"))),
        file_kib=_kib(stat.get("total_cache", stat.get("cache"))),
        shmem_kib=_kib(stat.get("total_shmem", stat.get("shmem"))),
        kernel_kib=_size(own.get(b"memory.kmem.usage_in_bytes")),
        slab_kib=None,
        oom=None,
        oom_kills=control.get("oom_kill"),
        pressure=None,
        processes=_processes(own.get(b"cgroup.procs")),
    )


def _numbers(text: bytes | None) -> dict[str, int]:
    return {text_of(key): int(value) for key, value in _KEY_AND_NUMBER.findall(text or b"")}


def _size(text: bytes | None) -> int | None:
    """Return a file's one number of bytes in KiB; None if it is not there, or holds no number."""
    word = (text or b"").strip()
    return int(word) // KIB if word.isdigit() and len(word) <= 20 else None


def _limit(text: bytes | None) -> int | None:
    """Return a limit in KiB; None for `max`, for v1's largest number, and for a file that is not there."""
    size = _size(text)
    return None if size is None or size >= _UNLIMITED_V1 // KIB else size


def _kib(size: int | None) -> int | None:
    return None if size is None else size // KIB


def _difference(whole: int | None, part: int | None) -> int | None:
    return None if whole is None or part is None else max(0, whole - part)


def _processes(text: bytes | None) -> int | None:
    return None if text is None else len(text.split())


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
            found.setdefault(listed["id"], {}).setdefault("name", listed["name"])
            continue
        match = _NAME_LINE.fullmatch(line)
        if match is None or (id_ := _ID.search(match["file"])) is None:
            continue
        key, value = _NAME_KEYS.get(match["key"]), match["value"]
        if match["key"] == "Name" and value.startswith("/"):  # docker's own; other objects there have Names, too
            found.setdefault(id_[0], {}).setdefault("name", value[1:])
        elif key is not None:
            found.setdefault(id_[0], {})[key] = value  # Kubernetes' name says more than the one that docker made
    return {
        id_: ContainerName(names.get("name", ""), names.get("pod", ""), names.get("namespace", ""))
        for id_, names in found.items()
    }
