"""Write the memory files of the hosts of tests/fake_proc.   smaps ─► [fake_proc_memory] ─► meminfo, sys/fs/cgroup

    python tests/support/fake_proc_memory.py [DIR]

The processes are recorded; the machine that they are said to run on is made up, and with it its cgroups:

    web-01  v2                   gunicorn.service has a limit of its own
    web-02  v2, short of memory  gunicorn.service was killed twice at its limit
    web-03  hybrid, no pressure  the limit is that of shop.slice; a container of docker's

A cgroup is charged what its processes have in their mappings, in shares, and page cache and kernel memory besides.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from cgroup_files import Charge, ancestors, meminfo_text, pressure_text, v1_files, v2_files, write_files, write_limits
from smaps_blocks import parse_blocks

CONTAINER = "7d1f3a9c5be24068b1d2c7e6f4a39d8051c6e2b7a8f90d3c4e5b6a7182930f4d"
"""Id of the container on web-03."""
_SESSION = "/user.slice/user-{}.slice/session-{}.scope"


@dataclass(frozen=True)
class Machine:
    """A host's memory in KiB and its cgroups."""

    meminfo: tuple[int, int, int, int, int]
    """Total, free, available, total and free swap."""
    groups: dict[str, tuple[int, ...]]
    """The processes of each cgroup."""
    pressure: str
    """Empty for a kernel without it."""
    service: Charge
    """Limits and events of gunicorn.service, and its page cache that nothing maps."""
    is_hybrid: bool = False
    limits: tuple[tuple[str, int], ...] = ()
    """Limits of other cgroups."""


def _groups(gunicorn: tuple[int, ...], sshd: int) -> dict[str, tuple[int, ...]]:
    return {"/init.scope": (1,), "/system.slice/ssh.service": (sshd,), "/system.slice/gunicorn.service": gunicorn}


MACHINES = {
    "web-01": Machine(
        meminfo=(2017104, 212340, 1402208, 1048572, 1047932),
        groups={
            **_groups((1843, 1851), 612),
            "/system.slice/metrics-collector.service": (2411, 2466),
            _SESSION.format(1000, 41): (2290,),
            _SESSION.format(1000, 44): (2307,),
        },
        pressure=pressure_text(0.16, 0.08),
        service=Charge(0, 9216, limit=131072, high=114688, peak=52224),
    ),
    "web-02": Machine(
        meminfo=(1015348, 61212, 142904, 524284, 402112),
        groups={
            **_groups((1702, 1710, 3304), 598),
            _SESSION.format(1000, 37): (3120,),
            _SESSION.format(0, 38): (3177,),
        },
        pressure=pressure_text(8.96, 3.2),
        service=Charge(0, 21504, limit=65536, peak=65536, oom=3, oom_kills=2),
    ),
    "web-03": Machine(
        meminfo=(4041256, 1204760, 2876112, 0, 0),
        groups={
            "/init.scope": (1,),
            "/system.slice/ssh.service": (871,),
            "/shop.slice/gunicorn.service": (20512, 20519),
            _SESSION.format(1000, 212): (21004,),
            f"/system.slice/docker-{CONTAINER}.scope": (21377,),
        },
        pressure="",
        is_hybrid=True,
        service=Charge(0, 12288, peak=49152),
        limits=(("/shop.slice", 98304),),
    ),
}


def write(host: Path, machine: Machine) -> None:
    """Write the files of one recorded host."""
    write_files(host, {"meminfo": meminfo_text(*machine.meminfo)})
    if machine.pressure:
        write_files(host, {"pressure/memory": machine.pressure})
    unit_of = {pid: path for path, pids in machine.groups.items() for pid in pids}
    for process in host.glob("[0-9]*/stat"):
        path = unit_of.get(int(process.parent.name), "/")
        v1 = f"4:memory:{path}\n1:name=systemd:{path}\n" if machine.is_hybrid else ""
        score = -1000 if path.endswith("/ssh.service") else 0
        write_files(process.parent, {"cgroup": f"{v1}0::{path}\n", "oom_score_adj": f"{score}\n"})
    limits = dict(machine.limits)
    for path, pids in machine.groups.items():
        charge = _charge(host, pids, machine.service if "gunicorn" in path else Charge(0, 1024))
        if machine.is_hybrid:
            above = min((kib for other, kib in machine.limits if path.startswith(f"{other}/")), default=None)
            write_files(host / f"sys/fs/cgroup/memory{path}", v1_files(charge, hierarchical_kib=above))
        else:
            write_files(host / f"sys/fs/cgroup{path}", v2_files(charge))
    slices = {path: limits.get(path) for path in ancestors(machine.groups)}
    if machine.is_hybrid:
        write_limits(host / "sys/fs/cgroup/memory", {"/": None, **slices}, "memory.limit_in_bytes")
        names = {
            "ID": CONTAINER,
            "Config": {"Labels": {"Name": "no name"}},
            "Name": "/shop-health",
            "Driver": "overlay2",
        }
        text = json.dumps(names, separators=(",", ":"))
        write_files(host / f"var/lib/docker/containers/{CONTAINER}", {"config.v2.json": text})
    else:
        write_limits(host / "sys/fs/cgroup", slices)


def _charge(host: Path, pids: tuple[int, ...], more: Charge) -> Charge:
    """Return what these processes have in shares, and page cache and kernel memory besides."""
    shares: Counter[str] = Counter()
    for pid in pids:
        smaps = host / str(pid) / "smaps"
        for block in parse_blocks(smaps.read_text()) if smaps.exists() else ():
            is_shared = block.path.startswith("/dev/zero")
            kind = "shmem" if is_shared else "file" if block.path.startswith("/") else "anon"
            shares[kind] += block.fields["Pss"]
            shares["swap"] += block.fields["SwapPss"]
    file = shares["file"] + shares["shmem"] + more.file
    living = len(pids)
    charge = replace(
        more,
        anon=shares["anon"],
        file=file // 4 * 4,
        shmem=shares["shmem"],
        swap=shares["swap"],
        slab=96 * living,
        stack=16 * living,
        page_tables=60 * living,
        pids=pids,
    )
    return replace(charge, peak=max(charge.current + 512, more.peak or 0))


def main() -> None:
    """Write the files into DIR, tests/fake_proc by default."""
    target = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parents[1] / "fake_proc"
    for name, machine in MACHINES.items():
        write(target / name, machine)


if __name__ == "__main__":
    main()
