"""The memory files of a cgroup and of a host, as a kernel prints them.   [cgroup_files] ─► fake_proc, service_trees"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

NO_LIMIT_V1 = 9223372036854771712
"""The limit of a cgroup of v1 without one: LONG_MAX, rounded down to pages."""
PAGE_KIB = 4


@dataclass(frozen=True)
class Charge:
    """What a cgroup is charged, in KiB, and its limits; None for no limit."""

    anon: int
    file: int
    """Page cache, `shmem` included."""
    shmem: int = 0
    slab: int = 0
    stack: int = 0
    page_tables: int = 0
    swap: int = 0
    peak: int | None = None
    """The most that it was charged; None: as much as now."""
    limit: int | None = None
    high: int | None = None
    oom: int = 0
    oom_kills: int = 0
    pids: tuple[int, ...] = ()
    """Its processes."""

    @property
    def kernel(self) -> int:
        """Memory of the kernel itself."""
        return self.slab + self.stack + self.page_tables

    @property
    def current(self) -> int:
        """All of it."""
        return self.anon + self.file + self.kernel


def v2_files(charge: Charge, *, pressure: str = "") -> dict[str, str]:
    """Return the text of each file of a cgroup v2."""
    stat = {
        "anon": charge.anon,
        "file": charge.file,
        "kernel": charge.kernel,
        "kernel_stack": charge.stack,
        "pagetables": charge.page_tables,
        "percpu": 0,
        "shmem": charge.shmem,
        "slab": charge.slab,
    }
    events = {"low": 0, "high": 0, "max": charge.oom * 4, "oom": charge.oom, "oom_kill": charge.oom_kills}
    return {
        "memory.current": f"{charge.current << 10}\n",
        "memory.peak": f"{(charge.peak or charge.current) << 10}\n",
        "memory.max": _limit(charge.limit),
        "memory.high": _limit(charge.high),
        "memory.swap.current": f"{charge.swap << 10}\n",
        "memory.swap.max": "max\n",
        "memory.stat": "".join(f"{key} {kib << 10}\n" for key, kib in stat.items()),
        "memory.events": "".join(f"{key} {count}\n" for key, count in events.items()),
        "memory.pressure": pressure or pressure_text(),
        "cgroup.procs": "".join(f"{pid}\n" for pid in charge.pids),
    }


def v1_files(charge: Charge, *, hierarchical_kib: int | None = None) -> dict[str, str]:
    """Return the text of each file of a cgroup of v1's controller memory; `hierarchical_kib` is an ancestor's limit."""
    limits = [kib << 10 for kib in (charge.limit, hierarchical_kib) if kib is not None]
    own = {"cache": charge.file, "rss": charge.anon, "shmem": charge.shmem}
    stat = "".join(f"{key} {kib << 10}\n" for key, kib in own.items())
    stat += f"hierarchical_memory_limit {min(limits, default=NO_LIMIT_V1)}\n"
    stat += "".join(f"total_{key} {kib << 10}\n" for key, kib in own.items())
    return {
        "memory.usage_in_bytes": f"{charge.current << 10}\n",
        "memory.max_usage_in_bytes": f"{(charge.peak or charge.current) << 10}\n",
        "memory.limit_in_bytes": f"{NO_LIMIT_V1 if charge.limit is None else charge.limit << 10}\n",
        "memory.kmem.usage_in_bytes": f"{charge.kernel << 10}\n",
        "memory.stat": stat,
        "memory.oom_control": f"oom_kill_disable 0\nunder_oom 0\noom_kill {charge.oom_kills}\n",
        "cgroup.procs": "".join(f"{pid}\n" for pid in charge.pids),
    }


def pressure_text(some: float = 0.0, full: float = 0.0) -> str:
    """Return a file of pressure stall information; these are the averages of ten seconds, in percent."""
    lines = (("some", some), ("full", full))
    return "".join(f"{kind} avg10={at:.2f} avg60={at / 2:.2f} avg300={at / 8:.2f} total=0\n" for kind, at in lines)


def meminfo_text(total: int, free: int, available: int, swap_total: int, swap_free: int) -> str:
    """Return a meminfo with its first lines, and those of swap; sizes in KiB."""
    cached = available - free
    sizes = {
        "MemTotal": total,
        "MemFree": free,
        "MemAvailable": available,
        "Buffers": cached // 16,
        "Cached": cached,
        "SwapCached": 0,
        "SwapTotal": swap_total,
        "SwapFree": swap_free,
        "Dirty": 128,
    }
    return "".join(f"{f'{key}:':<15} {kib:>8} kB\n" for key, kib in sizes.items())


def write_files(directory: Path, files: Mapping[str, str]) -> None:
    """Write these files into a directory, which is made if it is not there."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def write_limits(root: Path, limits: Mapping[str, int | None], name: str = "memory.max") -> None:
    """Write the limit, in KiB, of each of these cgroups below `root`, the directory of the hierarchy."""
    for path, kib in limits.items():
        text = _limit(kib) if name == "memory.max" else f"{NO_LIMIT_V1 if kib is None else kib << 10}\n"
        write_files(root / path.lstrip("/"), {name: text})


def ancestors(paths: Iterable[str]) -> list[str]:
    """Return the paths above these, without the root: `/a` and `/a/b` for `/a/b/c`."""
    found = {
        "/".join(parts[:end]): None for parts in (path.split("/") for path in paths) for end in range(2, len(parts))
    }
    return list(found)


def _limit(kib: int | None) -> str:
    return "max\n" if kib is None else f"{kib << 10}\n"
