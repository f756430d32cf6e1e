"""Twelve hosts with two services, limits and memory of their own; one worker of gunicorn on web-07 leaks heap.

Sizes differ as they do between equal hosts, and libraries are shared among the workers of a host.
"""

from __future__ import annotations

from datetime import UTC, datetime

from charged import cgroup, of, with_memory
from fleetpmap.snapshot import HostSnapshot, Snapshot
from snapshots import Mapping, ProcessWithMappings, host, mapping, process, snapshot

LEAK_KIB = 389 * 1024
GUNICORN, NGINX = "/system.slice/gunicorn.service", "/system.slice/nginx.service"
_STARTED = datetime(2026, 3, 9, 6, 30, tzinfo=UTC).timestamp()
_LIBRARIES = ("libc.so.6", "libssl.so.3", "libcrypto.so.3", "libpython3.11.so.1.0", "libz.so.1", "libm.so.6")


def twelve_hosts(leak_kib: int = LEAK_KIB) -> Snapshot:
    """The fleet."""
    return snapshot(*(_host(n, leak_kib if n == 7 else 0) for n in range(1, 13)))


def _host(n: int, leak_kib: int) -> HostSnapshot:
    workers = [_worker(n, worker, leak_kib if worker == 3 else 0) for worker in range(4)]
    servers = [_server(n, worker) for worker in range(2)]
    charged = sum(part.fields["Pss"] for one in workers for part in one.mappings) + 9_000
    return with_memory(
        host(f"web-{n:02}", *workers, *servers),
        cgroup(GUNICORN, current=charged, peak=charged + 5_000, limit=900 * 1024, oom_kills=0),
        cgroup(NGINX, current=24_000 + 31 * n, peak=25_000 + 31 * n, unlimited=True, oom_kills=0),
        total=8_036_412 + n,
        available=5_100_000 - 17 * n - leak_kib,
    )


def _worker(n: int, worker: int, leak_kib: int) -> ProcessWithMappings:
    noise = (n * 7919 + worker * 104_729) % 1300
    return of(
        "gunicorn.service",
        process(
            8951 + 3 * worker,
            "gunicorn",
            _private("[heap]", 31_000 + noise + leak_kib, 0x2000000),
            _private("", 17_000 + 2 * noise, 0x7F0000000000),
            _private("[stack]", 132, 0x7FFE00000000),
            *(
                _library(f"/usr/lib/x86_64-linux-gnu/{name}", 900 + 430 * slot, slot)
                for slot, name in enumerate(_LIBRARIES)
            ),
            arguments=("/usr/bin/gunicorn", "--workers", "4", "shop.wsgi"),
        ),
        cgroup=GUNICORN,
        started=_STARTED + 60 * n,
    )


def _server(n: int, worker: int) -> ProcessWithMappings:
    return of(
        "nginx.service",
        process(
            612 + worker,
            "nginx",
            _private("[heap]", 2_100 + 7 * n + worker, 0x5000000),
            _private("", 4_300 + 11 * n, 0x7F0000000000),
            *(
                _library(f"/usr/lib/x86_64-linux-gnu/{name}", 700 + 90 * slot, slot)
                for slot, name in enumerate(_LIBRARIES[:3])
            ),
            arguments=("nginx:", "worker", "process"),
        ),
        cgroup=NGINX,
        started=_STARTED - 86_400,
    )


def _private(path: str, kib: int, start: int) -> Mapping:
    fields = {"Rss": kib, "Pss": kib, "Private_Dirty": kib, "Private_Clean": 0, "Shared_Clean": 0, "Shared_Dirty": 0}
    return mapping(path, start=start, size=kib + 400, **fields, Swap=0, SwapPss=0, Shared_Hugetlb=0, Private_Hugetlb=0)


def _library(path: str, kib: int, slot: int) -> Mapping:
    fields = {
        "Rss": kib,
        "Pss": kib // 4,
        "Shared_Clean": kib,
        "Private_Clean": 0,
        "Private_Dirty": 0,
        "Shared_Dirty": 0,
    }
    start = 0x7F1000000000 + (slot << 28)
    return mapping(
        path, start=start, size=kib + 50, perms="r-xp", **fields, Swap=0, SwapPss=0, Shared_Hugetlb=0, Private_Hugetlb=0
    )
