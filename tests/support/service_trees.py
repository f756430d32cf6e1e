"""Recorded trees of hosts with every way to group processes.   [service_trees] ─► a directory per host

    v2          systemd: units, a user manager, a session, a limit on a slice; docker, podman, lxc, nspawn, and systemd
                in docker
    kubernetes  v2: containerd and cri-o by both cgroup drivers, with the names that Kubernetes gave
    v1          one hierarchy per controller, docker by the driver cgroupfs, lxc
    hybrid      v1 beside v2, where v2 has the memory
    inside      a container that sees only its own cgroups

Each process has the first mappings of a real one, so each differs from the others. What the paths look like is from the
runtimes' sources (see membership).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgroup_files import (
    Charge,
    ancestors,
    meminfo_text,
    pressure_text,
    v1_files,
    v2_files,
    write_files,
    write_limits,
)
from smaps_blocks import parse_blocks

_RECORDED = Path(__file__).parents[1] / "fake_proc" / "web-01" / "1843"
_MIB = 1024


def _id(digits: str) -> str:
    """Return 64 hexadecimal digits that begin with these."""
    return (digits * 64)[:64]


WEB, CACHE, QUEUE, INIT, SHOP, PAUSE, CART, PAY = map(
    _id, ("4f9a1c", "c0ffee12", "9b8e7d", "ba5eba11", "77ab01", "00d1e5", "5ca1ab1e", "f00dcafe")
)
POD, OTHER_POD = "2c48913b-76d6-4a5c-a0b3-1f6a90e8c4d2", "8a1e0f5522334455667788990011aabb"
_POD_SLICE = f"kubepods-burstable-pod{POD.replace('-', '_')}.slice"
_USER = "/user.slice/user-1000.slice"


_ORDINARY = Charge(4 * _MIB, 2 * _MIB)


@dataclass(frozen=True)
class Member:
    """A process, and what the program has to find out about it."""

    pid: int
    name: str
    path: str
    """Of its cgroup."""
    unit: str | None = None
    slice: str | None = None
    container: str | None = None
    pod: str | None = None
    service: str | None = None
    """None: its unit, else its container, else its name."""
    charge: Charge = _ORDINARY
    tightest: tuple[int, str] | None = None
    """The limit that counts, in KiB, and the path that has it."""


def _in_pod(path: str, **expected: Any) -> dict[str, Any]:
    above = f"/kubepods.slice/kubepods-burstable.slice/{_POD_SLICE}"
    return {"path": f"{above}/{path}", "slice": _POD_SLICE, "tightest": (512 * _MIB, above), **expected}


HOSTS: dict[str, tuple[Member, ...]] = {
    "v2": (
        Member(
            *(101, "nginx", "/web.slice/nginx.service"),
            unit="nginx.service",
            slice="web.slice",
            charge=Charge(5 * _MIB, 3 * _MIB, 1 * _MIB, 300, 32, 90, limit=256 * _MIB, oom=1, oom_kills=1),
            tightest=(64 * _MIB, "/web.slice"),
        ),
        Member(
            *(102, "php-fpm", "/web.slice/php-fpm.service"),
            unit="php-fpm.service",
            slice="web.slice",
            charge=Charge(6 * _MIB, 1 * _MIB, limit=32 * _MIB, high=24 * _MIB),
            tightest=(32 * _MIB, "/web.slice/php-fpm.service"),
        ),
        Member(103, "bash", f"{_USER}/session-3.scope", slice="user-1000.slice"),
        Member(
            *(104, "syncthing", f"{_USER}/user@1000.service/app.slice/sync\\x2dall.service"),
            unit="user@1000/sync\\x2dall.service",
            slice="app.slice",
        ),
        Member(
            *(105, "gunicorn", f"/system.slice/docker-{WEB}.scope"),
            slice="system.slice",
            container="docker:shop-web",
            service="shop-web",
            charge=Charge(9 * _MIB, 1 * _MIB, limit=16 * _MIB),
            tightest=(16 * _MIB, f"/system.slice/docker-{WEB}.scope"),
        ),
        Member(
            *(106, "redis-server", f"/machine.slice/libpod-{CACHE}.scope/container"),
            slice="machine.slice",
            container="podman:cache",
            service="cache",
        ),
        Member(
            *(107, "nginx", "/lxc.payload.web/system.slice/nginx.service"),
            unit="nginx.service",
            slice="system.slice",
            container="lxc:web",
        ),
        Member(
            *(108, "postgres", "/machine.slice/machine-db\\x2d1.scope/payload/system.slice/postgresql@15-main.service"),
            unit="postgresql@15-main.service",
            slice="system.slice",
            container="nspawn:db-1",
        ),
        Member(
            *(109, "cron", f"/system.slice/docker-{INIT}.scope/system.slice/cron.service"),
            unit="cron.service",
            slice="system.slice",
            container="docker:ba5eba11ba5e",
        ),
    ),
    "kubernetes": (
        Member(
            *(201, "java"),
            **_in_pod(
                f"cri-containerd-{SHOP}.scope",
                container="containerd:shop",
                pod="prod/shop-6d4f8-x2x9q",
                service="prod/shop",
            ),
        ),
        Member(
            *(202, "pause"),
            **_in_pod(
                f"cri-containerd-{PAUSE}.scope", container="containerd:00d1e500d1e5", pod="prod/shop-6d4f8-x2x9q"
            ),
        ),
        Member(*(203, "node", f"/kubepods/besteffort/pod{OTHER_POD}/{QUEUE}"), container="9b8e7d9b8e7d", pod=OTHER_POD),
        Member(
            *(204, "envoy", f"/system.slice/containerd.service/{_POD_SLICE}:cri-containerd:{CART}"),
            slice="system.slice",
            container="containerd:5ca1ab1e5ca1",
            pod=POD,
        ),
        Member(
            *(205, "pay"),
            **_in_pod(f"crio-{PAY}.scope", container="cri-o:pay", pod="prod/pay-0", service="prod/pay"),
        ),
    ),
    "v1": (
        Member(
            *(301, "gunicorn", f"/docker/{WEB}"),
            container="docker:shop-web",
            service="shop-web",
            charge=Charge(7 * _MIB, 5 * _MIB, 2 * _MIB, 100, 16, 60, limit=48 * _MIB, oom_kills=2),
            tightest=(48 * _MIB, f"/docker/{WEB}"),
        ),
        Member(
            *(302, "sshd", "/system.slice/ssh.service"),
            unit="ssh.service",
            slice="system.slice",
            tightest=(96 * _MIB, "/system.slice"),
        ),
        Member(303, "mariadbd", "/lxc/101", container="lxc:101"),
    ),
    "hybrid": (
        Member(
            *(401, "nginx", "/system.slice/nginx.service"),
            unit="nginx.service",
            slice="system.slice",
            charge=Charge(2 * _MIB, 3 * _MIB, limit=24 * _MIB),
            tightest=(24 * _MIB, "/system.slice/nginx.service"),
        ),
    ),
    "inside": (
        Member(501, "app", "/", charge=Charge(3 * _MIB, 1 * _MIB)),
        Member(
            *(502, "worker", "/worker"),
            charge=Charge(2 * _MIB, 1 * _MIB, limit=8 * _MIB),
            tightest=(8 * _MIB, "/worker"),
        ),
        Member(503, "beside", "/../beside"),
    ),
}
_SLICES = {
    "v2": {"/web.slice": 64 * _MIB},
    "kubernetes": {
        f"/kubepods.slice/kubepods-burstable.slice/{_POD_SLICE}": 512 * _MIB,
        "/kubepods.slice": 2048 * _MIB,
    },
    "v1": {"/system.slice": 96 * _MIB},
}
"""Limits of ancestors."""


def lay_out_services(directory: Path) -> tuple[str, ...]:
    """Write the trees, and return the names of the hosts."""
    for name, members in HOSTS.items():
        _host(directory / name, name, members)
    _names(directory)
    return tuple(HOSTS)


def _host(root: Path, host: str, members: tuple[Member, ...]) -> None:
    write_files(root / "sys/kernel", {"osrelease": "6.1.0-27-amd64\n", "random/boot_id": f"{host}\n"})
    memory = {"meminfo": meminfo_text(8 << 20, 1 << 20, 5 << 20, 1 << 20, 1 << 20)}
    write_files(root, memory if host == "v1" else memory | {"pressure/memory": pressure_text(1.5, 0.25)})
    hierarchy = root / "sys/fs/cgroup" / {"v1": "memory", "hybrid": "unified"}.get(host, "")
    for place, member in enumerate(members):
        _process(root, host, member, mappings=4 + place)
        if "/../" not in member.path:
            above = _SLICES.get(host, {}).get(member.path.rpartition("/")[0])
            files = v1_files(member.charge, hierarchical_kib=above) if host == "v1" else v2_files(member.charge)
            write_files(hierarchy / member.path.lstrip("/"), {**files, "cgroup.procs": f"{member.pid}\n"})
    slices = {path: _SLICES.get(host, {}).get(path) for path in ancestors(m.path for m in members) if ".." not in path}
    if host == "v1":
        write_limits(hierarchy, {"/": None, **slices}, "memory.limit_in_bytes")
        write_files(hierarchy, {"memory.usage_in_bytes": "1\n", "release_agent": "\n"})
    else:
        write_limits(hierarchy, slices)


def _process(root: Path, host: str, member: Member, mappings: int) -> None:
    files = {name: (_RECORDED / name).read_text() for name in ("stat", "status", "smaps")}
    blocks = parse_blocks(files["smaps"])[:mappings]
    _, _, rest = files["stat"].rpartition(") ")
    v1 = f"11:cpu,cpuacct:{member.path}\n4:memory:{member.path}\n1:name=systemd:{member.path}\n"
    systemd = f"12:pids:{member.path}\n1:name=systemd:{member.path}\n"
    write_files(
        root / str(member.pid),
        {
            "stat": f"{member.pid} ({member.name}) {rest}",
            "status": files["status"].replace("gunicorn", member.name, 1),
            "cmdline": f"/usr/bin/{member.name}\0",
            "smaps": "".join(block.render() for block in blocks),
            "cgroup": {"v1": v1, "hybrid": systemd}.get(host, "") + ("" if host == "v1" else f"0::{member.path}\n"),
            "oom_score_adj": f"{-member.pid}\n",
        },
    )


def _names(directory: Path) -> None:
    """Write what the runtimes keep on disk, each in its own layout."""
    storage = directory / "v2/var/lib/containers/storage/overlay-containers"
    listed = [{"id": CACHE, "names": ["cache"], "image": "0" * 64, "metadata": '{"name":"other","names":["x"]}'}]
    write_files(storage, {"containers.json": json.dumps(listed, separators=(",", ":"))})
    for host in ("v2", "v1"):
        # A label comes before the container's own name, and a mount's name after it.
        labels, mounts = {"Labels": {"Name": "/imposter"}}, {"/data": {"Name": "data"}}
        docker = {"ID": WEB, "Config": labels, "Name": "/shop-web", "MountPoints": mounts}
        text = json.dumps(docker, separators=(",", ":"))
        write_files(directory / host / "var/lib/docker/containers" / WEB, {"config.v2.json": text})
    cri = {"sandbox-name": "shop-6d4f8-x2x9q", "sandbox-namespace": "prod"}
    containerd = directory / "kubernetes/run/containerd/io.containerd.runtime.v2.task/k8s.io"
    for id_, more in ((SHOP, {"container-name": "shop"}), (PAUSE, {})):
        _annotated(containerd / id_, {f"io.kubernetes.cri.{key}": value for key, value in (cri | more).items()})
    crio = {"container.name": "pay", "pod.name": "pay-0", "pod.namespace": "prod"}
    userdata = directory / f"kubernetes/var/lib/containers/storage/overlay-containers/{PAY}/userdata"
    _annotated(userdata, {f"io.kubernetes.{key}": value for key, value in crio.items()})


def _annotated(directory: Path, annotations: dict[str, str]) -> None:
    """Write an OCI configuration; a variable of the environment looks like an annotation, and is none."""
    environment = ['X="io.kubernetes.pod.name": "imposter"', '"Name":"/imposter"']
    config = {"ociVersion": "1.1.0", "process": {"env": environment}, "annotations": annotations}
    write_files(directory, {"config.json": json.dumps(config, indent=2)})
