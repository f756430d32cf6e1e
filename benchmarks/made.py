"""Snapshots of large fleets, made of columns.   [made] ─► limits.py

No host is asked and no smaps is parsed: only what begins behind them is measured. A host has three processes of two
services, each with eight mappings and the fields of a usual kernel; every hundredth host has one mapping that is far
larger, and every fiftieth did not answer.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from fleetpmap.check import ALWAYS_CHECKED, Checks
from fleetpmap.smaps import Coded, SmapsColumns
from fleetpmap.snapshot import HostFailure, HostResult, Process, Run, Snapshot
from fleetpmap.table import from_columns
from fleetpmap.wire import Capabilities, CgroupMemory, HostMemory, Resident

PATHS = (
    *("/usr/bin/python3.11", "[heap]", "", "/usr/lib/x86_64-linux-gnu/libc.so.6"),
    *("/usr/lib/x86_64-linux-gnu/libssl.so.3", "/opt/shop/core.so", "[stack]", "/usr/lib/locale/locale-archive"),
)
NAMES = (("gunicorn", "shop.service"), ("gunicorn", "shop.service"), ("nginx", "nginx.service"))
KEYS = (
    *("Size", "KernelPageSize", "Rss", "Pss", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty"),
    *("Referenced", "Anonymous", "AnonHugePages", "Swap", "SwapPss", "Locked"),
)
SILENT_EVERY, LARGE_EVERY = 50, 100
RUN = Run(datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC), 2.5, "fleetpmap run --match nginx")


def names(hosts: int) -> list[str]:
    """The hosts' names."""
    return [f"box-{number:06}" for number in range(hosts)]


def fleet(hosts: int, first: int = 0, *, grown: float = 1.0) -> Snapshot:
    """The fleet, from the host with this number on; sizes as many times as large."""
    numbers = range(first, first + hosts)
    processes = [process for number in numbers if number % SILENT_EVERY for process in _processes(number)]
    table = from_columns(_columns(np.array([int(process.host[4:]) for process in processes]), grown))
    return Snapshot(tuple(map(_host, numbers)), tuple(processes), table, RUN)


def _host(number: int) -> HostResult:
    name = f"box-{number:06}"
    if not number % SILENT_EVERY:
        failure = HostFailure(name, "timeout", "tcp", f"{name}: no answer from 10.0.0.1 in 10 s", f"is {name} up?")
        return HostResult(name, "timeout", failure, None, ())
    can = Capabilities(0, "6.1.0-18-amd64", 4096, f"boot-{number}", f"pid:[{number}]", "gnu", "gzip", 99, 1.7e9, "root")
    memory = HostMemory(16_000_000 + number, 9_000_000, 0, 0)
    cgroups = tuple(
        CgroupMemory(
            f"/system.slice/{unit}",
            *(300_000 + number % 977, 400_000, 2_000_000, False, f"/system.slice/{unit}"),
            anon_kib=90_000,
            file_kib=180_000,
            shmem_kib=0,
            kernel_kib=9_000,
            oom_kills=0,
            processes=2,
        )
        for unit in dict.fromkeys(unit for _, unit in NAMES)
    )
    note = ("a banner was printed before the login",)
    return HostResult(name, "ok", None, can, note, read_s=0.01, memory=memory, cgroups=cgroups, keys=KEYS)


def _processes(number: int) -> list[Process]:
    checks = Checks(dict.fromkeys(ALWAYS_CHECKED, "held"))
    return [
        Process(
            *(f"box-{number:06}", 1000 + 7 * place + number % 5000, name, (f"/usr/bin/{name}", "-w"), 33, "www"),
            *(100 + number, 60_000, "read"),
            checks=checks,
            read_s=0.001 * (number % 17),
            unit=unit,
            slice="system.slice",
            service=unit,
            cgroup=f"/system.slice/{unit}",
            started=1.77e9 + number % 3600,
            resident=Resident(60_000, 20_000, 40_000, 0, 0, 70_000),
        )
        for place, (name, unit) in enumerate(NAMES)
    ]


def _columns(host: np.ndarray, grown: float) -> SmapsColumns:
    """The mappings of one process for each item, which is the number of its host."""
    mappings = len(PATHS)
    rows, number = len(host) * mappings, np.repeat(host, mappings)
    kind = np.tile(np.arange(mappings, dtype=np.int32), len(host))
    size = 400 + 512 * kind.astype(np.int64) + number % 53
    is_heap = kind == 1
    private = np.where(is_heap, size * grown, size // 9).astype(np.int64)
    private[is_heap & (number % LARGE_EVERY == 1)] *= 40
    shared = np.where(is_heap, 0, size - size // 9)
    zero = np.zeros(rows, np.int64)
    start = np.uint64(0x7F0000000000) + kind.astype(np.uint64) * np.uint64(1 << 30)
    fields = dict.fromkeys(KEYS, zero) | {
        "Size": private + shared,
        "KernelPageSize": zero + 4,
        "Rss": private + shared,
        "Pss": private + shared // 3,
        "Shared_Clean": shared,
        "Private_Dirty": private,
        "Referenced": private + shared,
        "Anonymous": np.where(is_heap, private, 0),
    }
    one = np.zeros(rows, np.int32)
    return SmapsColumns(
        process=np.repeat(np.arange(len(host), dtype=np.int32), mappings),
        start=start,
        end=start + (private + shared).astype(np.uint64) * np.uint64(1024),
        perms=Coded((kind % 2).astype(np.int32), ("r-xp", "rw-p")),
        offset=np.zeros(rows, np.uint64),
        device=Coded(one, ("fd:01",)),
        inode=(kind * 131).astype(np.uint64),
        path=Coded(kind, PATHS),
        fields=fields,
        flags=Coded(one, ("rd wr mr mw me ac",)),
    )
