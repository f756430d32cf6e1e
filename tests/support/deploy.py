"""A deploy on eight web hosts, by hand: the fleet before it and ten minutes later.

Three gunicorn workers on each host were restarted, and hold 58M in place of 22M. nginx, redis, sshd and cron lived
through it: their memory moved by some pages, and the PSS of their libraries moved because a job that used them ended.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from fleetpmap.snapshot import Snapshot
from snapshots import Mapping, ProcessWithMappings, failed, host, mapping, process, snapshot

HOSTS, WORKERS = 8, 3
MIB = 1024
_LIBRARIES = (
    *("libc.so.6", "libm.so.6", "libssl.so.3", "libcrypto.so.3", "libz.so.1", "libexpat.so.1", "libffi.so.8"),
    *("libsqlite3.so.0", "libuuid.so.1", "libpcre2-8.so.0", "libcap.so.2", "libgcrypt.so.20", "liblzma.so.5"),
)


def before(*, without_first: bool = False) -> Snapshot:
    """The fleet before the deploy; `without_first`: web01 gave no answer."""
    hosts = [host(f"web{n:02}", *_processes(n, deployed=False)) for n in range(1, HOSTS + 1)]
    return snapshot(*([failed("web01", "timeout", "web01: no answer"), *hosts[1:]] if without_first else hosts))


def after() -> Snapshot:
    """The fleet ten minutes later."""
    fleet = snapshot(*(host(f"web{n:02}", *_processes(n, deployed=True)) for n in range(1, HOSTS + 1)))
    return replace(fleet, run=replace(fleet.run, started=fleet.run.started + timedelta(minutes=10)))


def _processes(n: int, *, deployed: bool) -> list[ProcessWithMappings]:
    workers = [_worker(n, worker, deployed=deployed) for worker in range(WORKERS)]
    others = [
        _steady(n, 401, "nginx", 3 * MIB, deployed=deployed),
        _steady(n, 402, "nginx", 5 * MIB, deployed=deployed),
        _steady(n, 511, "redis-server", 300 * MIB, deployed=deployed),
        _steady(n, 77, "sshd", 1 * MIB, deployed=deployed),
        _steady(n, 78, "cron", 600, deployed=deployed),
    ]
    job = [] if deployed else [_of_unit(process(990, "logrotate", own("[heap]", 40)), 500)]
    return [*workers, *others, *job]


def _worker(n: int, worker: int, *, deployed: bool) -> ProcessWithMappings:
    heap = 16 * MIB + (36 * MIB if deployed else 0) + 7 * n + worker
    speedups = [shared("/srv/app/_speedups.so", rss=120, pss=40, start=0x9000000)] if deployed else []
    one = process(
        (2300 if deployed else 800) + worker,
        "gunicorn",
        own("[heap]", heap, start=0x2000000),
        own("", 4600, start=0x3000000),
        *libraries(deployed=deployed),
        *speedups,
        arguments=("gunicorn", "--workers", "3", "app:main"),
    )
    return _of_unit(one, (90_000 if deployed else 700) + worker)


def _steady(n: int, pid: int, name: str, heap: int, *, deployed: bool) -> ProcessWithMappings:
    moved = ((n * 7 + pid) % 15 - 7) * 4 if deployed else 0
    one = process(pid, name, own("[heap]", heap + moved, start=0x2000000), *libraries(deployed=deployed))
    return _of_unit(one, pid)


def _of_unit(one: ProcessWithMappings, ticks: int) -> ProcessWithMappings:
    unit = f"{one.process.name}.service"
    return replace(one, process=replace(one.process, unit=unit, service=unit, start_ticks=ticks))


def libraries(*, deployed: bool) -> list[Mapping]:
    """The libraries that every process maps: when the job ends, each process's share of their pages grows."""
    return [
        shared(f"/usr/lib/{name}", rss=900, pss=_library_pss(deployed=deployed), start=0x10000000 * (slot + 1))
        for slot, name in enumerate(_LIBRARIES)
    ]


def _library_pss(*, deployed: bool) -> int:
    return 112 if deployed else 100


def own(path: str, kib: int, *, start: int = 0x2000000) -> Mapping:
    """A mapping that only its process has."""
    return mapping(path, start=start, size=kib, Rss=kib, Pss=kib, Private_Clean=0, Private_Dirty=kib)


def shared(path: str, *, rss: int, pss: int, start: int) -> Mapping:
    """A file that several processes have mapped."""
    return mapping(path, start=start, size=rss, perms="r-xp", Rss=rss, Pss=pss, Private_Clean=0, Private_Dirty=0)
