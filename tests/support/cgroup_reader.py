"""Reads cgroups and their processes without fleetpmap.   python -I -S cgroup_reader.py DIRECTORY...

Goes down from directories of the v1 memory hierarchy that are each the root of a host, and prints JSON: for each of
them, for each cgroup with processes, by its path on that host, what the kernel charges to it and what its processes
map, in KiB. Processes are found by cgroup.procs, and have the pids that they have on their host.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

NO_LIMIT = 2**62
"""The kernel prints about 2**63 where no limit is set."""
HEADER = re.compile(r"([0-9a-f]+)-([0-9a-f]+) [-rwxsp]{4} ")


def smaps_sums(pid: int) -> dict[str, int]:
    """Add up the sizes of a process line by line."""
    sums: dict[str, int] = {"Size": 0}
    for line in Path(f"/proc/{pid}/smaps").read_text(errors="surrogateescape").splitlines():
        if header := HEADER.match(line):
            sums["Size"] += (int(header[2], 16) - int(header[1], 16)) // 1024
        elif line.endswith(" kB") and not line.startswith("Size:"):
            key, value, _ = line.split()
            sums[key[:-1]] = sums.get(key[:-1], 0) + int(value)
    return {
        "size_kib": sums["Size"],
        "rss_kib": sums["Rss"],
        "pss_kib": sums["Pss"],
        "uss_kib": sums["Private_Clean"] + sums["Private_Dirty"],
        "dirty_kib": sums["Private_Dirty"] + sums["Shared_Dirty"],
        "swap_kib": sums["Swap"],
        "swap_pss_kib": sums["SwapPss"],
    }


def started(pid: int) -> float:
    """Compute when a process started, in seconds since 1970, from the time of boot in /proc/stat."""
    [boot] = [line.split()[1] for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime ")]
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19]
    return int(boot) + int(ticks) / 100


def pid_on_host(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^NSpid:.*\s(\d+)$", status, re.MULTILINE)[1])


def numbers(path: Path) -> dict[str, int]:
    return {key: int(value) for key, value in map(str.split, path.read_text().splitlines())}


def charged(directory: Path, root: Path) -> dict[str, object]:
    """Read the charge of a cgroup, and the tightest limit between it and the root."""
    above = [each for each in (directory, *directory.parents) if each.is_relative_to(root)]
    limits = [(int((each / "memory.limit_in_bytes").read_text()), each) for each in above]
    limit, holder = min(limits, key=lambda pair: pair[0])
    stat = numbers(directory / "memory.stat")
    return {
        "current_kib": int((directory / "memory.usage_in_bytes").read_text()) // 1024,
        "peak_kib": int((directory / "memory.max_usage_in_bytes").read_text()) // 1024,
        "limit_kib": limit // 1024 if limit < NO_LIMIT else None,
        "limit_path": path_on_host(holder, root) if limit < NO_LIMIT else "",
        "anon_kib": stat["total_rss"] // 1024,
        "file_kib": stat["total_cache"] // 1024,
        "shmem_kib": stat["total_shmem"] // 1024,
        "kernel_kib": int((directory / "memory.kmem.usage_in_bytes").read_text()) // 1024,
        "oom_kills": numbers(directory / "memory.oom_control")["oom_kill"],
    }


def path_on_host(directory: Path, root: Path) -> str:
    return f"/{directory.relative_to(root)}".rstrip(".")


def usages(root: Path) -> dict[str, dict[str, object]]:
    """Read the cgroups of one host, by their paths there."""
    found = {}
    for procs in sorted(root.rglob("cgroup.procs")):
        directory = procs.parent
        pids = [int(line) for line in procs.read_text().split()]
        if not pids or directory == root:  # in the root is only what made the host
            continue
        sums = [smaps_sums(pid) for pid in pids]
        found[path_on_host(directory, root)] = {
            "pids": sorted(map(pid_on_host, pids)),
            "started": min(map(started, pids)),
            "newest": max(map(started, pids)),
            **{key: sum(each[key] for each in sums) for key in sums[0]},
            **charged(directory, root),
        }
    return found


if __name__ == "__main__":
    print(json.dumps([usages(Path(word)) for word in sys.argv[1:]]))
