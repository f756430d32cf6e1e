"""Six hosts that run two services under limits; one heap on web-03 is 300 MiB larger than the others."""

from __future__ import annotations

from charged import cgroup, of, with_memory
from fleetpmap.snapshot import HostSnapshot, Snapshot
from snapshots import ProcessWithMappings, host, mapping, process, snapshot

MIB, GIB = 1024, 1024 * 1024
LEAKING, LEAK_KIB = "web-03", 300 * MIB


def fleet_with_limits() -> Snapshot:
    """The fleet: gunicorn with two processes and nginx with one, on each host."""
    return snapshot(*(_host(n) for n in range(1, 7)))


def _host(n: int) -> HostSnapshot:
    name = f"web-{n:02}"
    leak = LEAK_KIB if name == LEAKING else 0
    workers = [_process("gunicorn", 800 + n, 60 * MIB + leak), _process("gunicorn", 810 + n, 60 * MIB)]
    return with_memory(
        host(name, *workers, _process("nginx", 820 + n, 8 * MIB)),
        cgroup("/gunicorn.service", current=300 * MIB + leak, limit=700 * MIB),
        cgroup("/nginx.service", current=40 * MIB, unlimited=True),
        total=8 * GIB,
        available=(7 - n) * GIB,
    )


def _process(name: str, pid: int, heap_kib: int) -> ProcessWithMappings:
    held = {"[heap]": heap_kib, "": 20 * MIB, "/usr/lib/libc.so.6": 1200, "/usr/lib/libssl.so.3": 500}
    mappings = [
        mapping(path, perms="r-xp" if path.startswith("/") else "rw-p", start=0x1000000 * slot, Rss=kib, Pss=kib)
        for slot, (path, kib) in enumerate(held.items(), 1)
    ]
    return of(f"{name}.service", process(pid, name, *mappings), cgroup=f"/{name}.service")
