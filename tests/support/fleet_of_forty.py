"""Forty hosts of four services by hand, ten of each: nginx, gunicorn, PostgreSQL and redis, beside some of every host.

The noise is what such services have: workers that differ by some percent, connections and data that differ from host
to host, names with numbers that no other host has.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from fleetpmap.snapshot import HostSnapshot, Snapshot
from snapshots import Mapping, ProcessWithMappings, host, mapping, process, snapshot

LEAKING = "web-07"
_EXE = "r-xp"


def forty_hosts(seed: int, leak_kib: int = 0) -> Snapshot:
    """The fleet; a gunicorn process of LEAKING holds so much more than the others."""
    return fleet_of(10, seed, LEAKING, leak_kib)


def fleet_of(each: int, seed: int, leaking: str = "", leak_kib: int = 0) -> Snapshot:
    """The same with another number of hosts for each service."""
    noise = Random(seed)
    hosts: list[HostSnapshot] = []
    for n in range(1, each + 1):
        hosts += [
            host(f"lb-{n:02}", *_base(noise), *_nginx(noise)),
            host(f"web-{n:02}", *_base(noise), *_gunicorn(noise, leak_kib if f"web-{n:02}" == leaking else 0)),
            host(f"db-{n:02}", *_base(noise), *_postgres(noise)),
            host(f"cache-{n:02}", *_base(noise), *_redis(noise)),
        ]
    return snapshot(*sorted(hosts, key=lambda one: one.name))


def _base(noise: Random) -> list[ProcessWithMappings]:
    journal = f"/var/log/journal/{noise.randbytes(16).hex()}/system.journal"
    return [
        _of("systemd-journald.service", 210, "systemd-journal", _memory("[heap]", noise.gauss(3_000, 300)),
            _memory(journal, noise.uniform(4_000, 40_000), shared=1.0)),
        _of("ssh.service", 640, "sshd", _memory("[heap]", noise.gauss(1_500, 50)), *_libraries()),
        _of("cron.service", 655, "cron", _memory("[heap]", noise.gauss(500, 20)), *_libraries()),
    ]  # fmt: skip


def _nginx(noise: Random) -> list[ProcessWithMappings]:
    workers = [
        _of("nginx.service", 900 + n, "nginx", _memory("[heap]", noise.gauss(6_000, 600)), *_libraries(),
            _memory(f"/dev/shm/nginx-{noise.randrange(10**6, 10**7)}", 10_000, shared=0.8))
        for n in range(noise.choice((4, 4, 4, 8)))
    ]  # fmt: skip
    return [_of("nginx.service", 899, "nginx", _memory("[heap]", 1_200), *_libraries()), *workers]


def _gunicorn(noise: Random, leak_kib: int) -> list[ProcessWithMappings]:
    count = noise.choice((4, 4, 4, 4, 3, 5))
    workers = [
        _of(
            "gunicorn.service",
            8960 + n,
            "gunicorn",
            _memory("[heap]", noise.gauss(21_000, 900)),
            _memory("", noise.gauss(40_000, 2_500) + (leak_kib if n == 1 else 0)),
            _memory(f"/memfd:arena-{noise.randrange(10**5, 10**9)}", noise.uniform(500, 900)),
            _memory(f"/tmp/perf-{8960 + n}.map", noise.uniform(100, 300)),
            *_libraries("/usr/lib/libpython3.11.so.1.0", "/usr/lib/libssl.so.3"),
        )
        for n in range(count)
    ]
    return [_of("gunicorn.service", 8959, "gunicorn", _memory("[heap]", 15_000), *_libraries()), *workers]


def _postgres(noise: Random) -> list[ProcessWithMappings]:
    """Shared buffers as full as the data is large, and as many backends as there are connections."""
    key, data = noise.randrange(10**9, 4 * 10**9), noise.lognormvariate(13.0, 0.5)
    backends = noise.randint(6, 30)
    return [
        _of(
            "postgresql.service",
            1_500 + n,
            "postgres",
            _memory("[heap]", noise.lognormvariate(8.0, 0.4)),
            _memory("/dev/zero", data / backends, shared=0.9),
            _memory(f"/dev/shm/PostgreSQL.{key}", 1_000 / backends, shared=0.9),
            _memory(f"/SYSV{key % 2**32:08x}", 4, shared=0.5),
            *_libraries("/usr/lib/libpq.so.5"),
        )
        for n in range(backends)
    ]


def _redis(noise: Random) -> list[ProcessWithMappings]:
    return [
        _of("redis.service", 700, "redis-server", _memory("[heap]", 900), *_libraries(),
            _memory("", noise.lognormvariate(12.5, 0.6))),
    ]  # fmt: skip


def _libraries(*more: str) -> list[Mapping]:
    names = ("/usr/lib/libc.so.6", "/usr/lib/ld-linux-x86-64.so.2", *more)
    return [_memory(name, 1_600, shared=0.9, perms=_EXE, at=at) for at, name in enumerate(names, 100)]


def _memory(path: str, kib: float, *, shared: float = 0.0, perms: str = "rw-p", at: int = 0) -> Mapping:
    """A mapping of so much PSS, of which a part is shared."""
    pss = int(max(kib, 4))
    own = int(pss * (1 - shared))
    fields = {"Rss": pss, "Pss": pss, "Shared_Clean": pss - own, "Shared_Dirty": 0, "Private_Clean": 0}
    start = (at or hash_of(path)) << 24
    size = 4_000 if perms == _EXE else pss + 100
    return mapping(path, start=start, size=size, perms=perms, **fields, Private_Dirty=own, Swap=0)


def hash_of(path: str) -> int:
    """A small number of a path, so that the mappings of a process lie apart."""
    return 1 + sum(map(ord, path)) % 90


def _of(unit: str, pid: int, name: str, *mappings: Mapping) -> ProcessWithMappings:
    one = process(pid, name, *mappings)
    return replace(one, process=replace(one.process, unit=unit, service=unit))
