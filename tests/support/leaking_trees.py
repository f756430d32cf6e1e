"""Recorded trees of eight hosts; a worker of gunicorn on web-07 leaks heap.   tests/fake_proc ─► [leaking_trees]

Each is a copy of the recorded web-01 with heaps of its own, the memory of the cgroup and of the host that these need,
and neither swap nor huge pages.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "fake_proc" / "web-01"
WORKERS = (1843, 1851)
LEAKS = ("web-07", 1851)
LEAK_KIB = 389 * 1024
_CGROUP = Path("sys/fs/cgroup/system.slice/gunicorn.service")
_GROWS = ("Size", "Rss", "Pss", "Pss_Dirty", "Private_Dirty", "Referenced", "Anonymous")


def lay_out_leaking(directory: Path) -> None:
    """Write the trees of web-01 to web-08 below `directory`."""
    for number in range(1, 9):
        _lay_out(directory / f"web-{number:02}", number)


def _lay_out(tree: Path, number: int) -> None:
    shutil.copytree(RECORDED, tree)
    boot_id = tree / "sys/kernel/random/boot_id"
    boot_id.write_text(f"{number}{boot_id.read_text()[1:]}")  # else it is one machine under eight names
    added_kib = 0
    for worker, pid in enumerate(WORKERS):
        more_kib = 96_000 + (number * 7919 + worker * 104_729) % 1300 * 4
        more_kib += LEAK_KIB if (tree.name, pid) == LEAKS else 0
        smaps = tree / str(pid) / "smaps"
        smaps.write_text(_with_heap(smaps.read_text(), more_kib))
        added_kib += more_kib
    _add(tree / _CGROUP / "memory.current", r"\d+", 1024 * added_kib)
    _add(tree / _CGROUP / "memory.peak", r"\d+", 1024 * added_kib)
    _add(tree / _CGROUP / "memory.stat", r"(?<=anon )\d+", 1024 * added_kib)
    (tree / _CGROUP / "memory.max").write_text(f"{900 << 20}\n")
    (tree / _CGROUP / "memory.high").write_text("max\n")
    _add(tree / "meminfo", r"(?<=MemTotal:        )\d+", 6 << 20)
    _add(tree / "meminfo", r"(?<=MemAvailable:    )\d+", (6 << 20) - added_kib)


def _with_heap(smaps: str, more_kib: int) -> str:
    """The text with a larger last block of [heap]."""
    smaps = re.sub(r"^((?:Swap|SwapPss|Shared_Hugetlb|Private_Hugetlb):)\s+\d+", r"\1 0", smaps, flags=re.M)
    start = [found.start() for found in re.finditer(r"^.*\[heap\]$", smaps, re.M)][-1]
    end = smaps.index("VmFlags", start)
    block = smaps[start:end]
    block = re.sub(r"(?<=-)[0-9a-f]+", lambda found: f"{int(found[0], 16) + 1024 * more_kib:x}", block, count=1)
    for field in _GROWS:
        block = re.sub(rf"(?<=^{field}:)\s+\d+", lambda found: f" {int(found[0]) + more_kib}", block, flags=re.M)
    return smaps[:start] + block + smaps[end:]


def _add(file: Path, number: str, more: int) -> None:
    file.write_text(re.sub(number, lambda found: str(int(found[0]) + more), file.read_text(), count=1))
