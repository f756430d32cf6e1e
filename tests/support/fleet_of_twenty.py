"""Twenty hosts that run one service, by hand: what goes wrong on real fleets, once each.

web-07 leaks heap, web-13 still has the old libcrypto, web-14 maps a deleted one, web-15 has a kernel without PSS, and
web-18 and web-19 did not answer. On the others the figures differ as they do between equal hosts.
"""

from __future__ import annotations

from fleetpmap.snapshot import Snapshot
from snapshots import Mapping, ProcessWithMappings, failed, host, mapping, process, snapshot

WORKERS = 4
LEAK_KIB = 412 * 1024


def twenty_hosts() -> Snapshot:
    """The fleet."""
    return snapshot(
        *(host(f"web-{n:02}", *_workers(n)) for n in range(1, 18)),
        failed("web-18", "refused", "web-18: connection refused by 10.0.0.18 port 22"),
        failed("web-19", "refused", "web-19: connection refused by 10.0.0.19 port 22"),
        host("web-20", *_workers(20)),
    )


def _workers(n: int) -> list[ProcessWithMappings]:
    return [_worker(n, worker) for worker in range(WORKERS)]


def _worker(n: int, worker: int) -> ProcessWithMappings:
    noise = (n * 7919 + worker * 104_729) % 300
    libcrypto = "libcrypto.so.1.1" if n == 13 else "libcrypto.so.3"
    deleted = " (deleted)" if n == 14 else ""
    return process(
        800 + worker,
        "gunicorn",
        _mapping(n, "/usr/bin/python3.11", 4588, perms="r-xp", start=0x400000),
        _mapping(n, "[heap]", 21_500 + noise + (LEAK_KIB // WORKERS if n == 7 else 0), start=0x2000000),
        _mapping(n, "", 40_000 + 3 * noise, start=0x7F0000000000),
        _mapping(n, f"/usr/lib/{libcrypto}{deleted}", 2600, perms="r-xp", start=0x7F1000000000),
        _mapping(n, "/usr/lib/libc.so.6", 1200, perms="r-xp", start=0x7F2000000000),
        arguments=("gunicorn", "--workers", "4"),
    )


def _mapping(n: int, path: str, kib: int, *, start: int, perms: str = "rw-p") -> Mapping:
    fields = {"Rss": kib, "Shared_Clean": 0, "Shared_Dirty": 0, "Private_Clean": 0, "Private_Dirty": kib}
    if n != 15:
        fields |= {"Pss": kib, "Swap": 0, "SwapPss": 0, "Shared_Hugetlb": 0, "Private_Hugetlb": 0}
    return mapping(path, start=start, size=kib + 100, perms=perms, **fields)
