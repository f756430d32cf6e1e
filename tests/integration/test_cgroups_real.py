"""One host with real processes in real cgroups: page cache under a limit, a kill for memory, containers' cgroups."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from fleetpmap.processes import Selection
from fleetpmap.wire import CgroupMemory
from real_hosts import Fleet, need_hosts, running, wait_until
from sshd import Sshd

MIB = 1 << 20
PYTHON = ("-I", "-S", "-c")

KEEPS_AND_READS = """
import sys, time
kept = bytearray(int(sys.argv[1]))
with open(sys.argv[2], "rb", buffering=0) as file:
    while file.read(1 << 20):
        pass
open(sys.argv[3], "w").close()
time.sleep(1000)
"""
GROWS = """
open("/proc/self/oom_score_adj", "w").write("1000")
kept = []
while True:
    kept.append(b"x" * (1 << 20))
"""


@pytest.fixture
def box(sshd: Sshd) -> Iterator[Fleet]:
    """A fleet of one host, on which nothing runs yet."""
    need_hosts("sshd", "python3")
    with running({"box": "127.0.3.20"}, sshd) as fleet:
        yield fleet


def cgroup(box: Fleet, path: str) -> CgroupMemory:
    """Read a cgroup with fleetpmap."""
    [found] = [each for each in box.collect().hosts[0].cgroups if each.path == path]
    return found


def file_on_disk(path: Path, size: int) -> Path:
    """Make a file that is on a disk, and not in the page cache."""
    filesystem = subprocess.run(["stat", "-fc", "%T", path.parent], capture_output=True, text=True, check=True).stdout
    if filesystem.strip() in ("tmpfs", "ramfs"):
        pytest.skip(reason=f"a file below {path.parent} is always in memory: it is on {filesystem.strip()}")
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(b"x" * MIB)
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


def test_page_cache_under_a_limit(box: Fleet):
    """A cgroup filled by reading a file: its figures are memory.stat's within 5 %, and an ancestor's limit is named.

    A sentence beside the services says the same.
    """
    [host] = box.hosts
    path = "/shop.slice/shop.service"
    file, done = file_on_disk(host.directory / "200M", 200 * MIB), host.directory / "done"
    host.limit("/shop.slice", 400 * MIB)
    host.limit(path, 600 * MIB)
    host.start(path, "python3", *PYTHON, KEEPS_AND_READS, str(64 * MIB), str(file), str(done))
    wait_until(done.exists, "the file is read")
    found = cgroup(box, path)
    stat = dict(line.split() for line in (host.memory(path) / "memory.stat").read_text().splitlines())
    cache_kib, anon_kib = int(stat["total_cache"]) / 1024, int(stat["total_rss"]) / 1024
    assert cache_kib > 195 * 1024
    assert anon_kib > 64 * 1024
    assert found.file_kib == pytest.approx(cache_kib, rel=0.05)
    assert found.anon_kib == pytest.approx(anon_kib, rel=0.05)
    assert found.current_kib == pytest.approx(cache_kib + anon_kib, rel=0.05)
    assert (found.limit_kib, found.limit_path) == (400 * 1024, "/shop.slice")
    [note] = json.loads(box.run("--all", "--view", "services", "--format", "json"))["notes"]
    sentence = re.fullmatch(
        r"shop\.service on box: (\S+)M charged, (\S+)M in its process; (\S+)M page cache.*; "
        r"limit 400\.0M \((\S+)%\), of shop\.slice",
        note,
    )
    assert sentence, note
    charged_mib, mapped_mib, cache_mib, share = map(float, sentence.groups())
    assert charged_mib == pytest.approx((cache_kib + anon_kib) / 1024, rel=0.05)
    assert mapped_mib == pytest.approx(anon_kib / 1024, rel=0.05)
    assert cache_mib == pytest.approx(cache_kib / 1024, rel=0.05)
    assert share == pytest.approx(100 * (cache_kib + anon_kib) / (400 * 1024), rel=0.05)


def test_a_kill_for_memory_is_counted(box: Fleet):
    """A process that grows over a limit of 32 MiB is killed by the kernel; the cgroup of the one that stays says so."""
    [host] = box.hosts
    path = "/system.slice/greedy.service"
    host.limit(path, 32 * MIB)
    host.start(path, "sleep", "infinity")
    assert cgroup(box, path).oom_kills == 0
    host.start(path, "python3", *PYTHON, GROWS)
    wait_until(lambda: "oom_kill 1" in (host.memory(path) / "memory.oom_control").read_text(), "the kernel kills it")
    found = cgroup(box, path)
    assert (found.oom_kills, found.limit_kib, found.limit_path) == (1, 32 * 1024, path)
    assert found.peak_kib == pytest.approx(32 * 1024, rel=0.05)


def id_of(what: str) -> str:
    """Make an id as container runtimes do."""
    return hashlib.sha256(what.encode()).hexdigest()


def short(what: str) -> str:
    """Make the id that `docker ps` prints."""
    return id_of(what)[:12]


def pod(what: str) -> str:
    """Make the uid of a pod."""
    return str(uuid.UUID(id_of(what)[:32]))


def slice_of(what: str) -> str:
    """Make the slice of a pod, as the kubelet names it for systemd."""
    return f"kubepods-burstable-pod{pod(what).replace('-', '_')}.slice"


OF_USER = "/user.slice/user-1000.slice/user@1000.service/user.slice"
BURSTABLE = "/kubepods.slice/kubepods-burstable.slice"
SPELLINGS = {
    f"/system.slice/docker-{id_of('shop')}.scope": ("docker:shop", None),
    f"/docker/{id_of('docker')}": (f"docker:{short('docker')}", None),
    f"/machine.slice/libpod-{id_of('web')}.scope/container": ("podman:web", None),
    f"{OF_USER}/libpod-{id_of('user')}.scope/container": (f"podman:{short('user')}", None),
    f"/libpod_parent/libpod-{id_of('podman')}": (f"podman:{short('podman')}", None),
    f"{BURSTABLE}/{slice_of('1')}/cri-containerd-{id_of('cart')}.scope": ("containerd:cart", "prod/cart-7d9f"),
    f"/kubepods/burstable/pod{pod('2')}/{id_of('containerd')}": (short("containerd"), pod("2")),
    f"/system.slice/{slice_of('3')}:cri-containerd:{id_of('colons')}": (f"containerd:{short('colons')}", pod("3")),
    f"/system.slice/nerdctl-{id_of('nerdctl')}.scope": (f"containerd:{short('nerdctl')}", None),
    f"{BURSTABLE}/{slice_of('4')}/crio-{id_of('pay')}.scope": ("cri-o:pay", "prod/pay-5b6c"),
    f"/kubepods/besteffort/pod{pod('5')}/crio-{id_of('crio')}": (f"cri-o:{short('crio')}", pod("5")),
    "/lxc.payload.mail/system.slice/postfix.service": ("lxc:mail", None),
    "/machine.slice/systemd-nspawn@old.service/payload/system.slice/cron.service": ("nspawn:old", None),
    "/system.slice/dbus-:1.2-org.example.Clock@0.service": (None, None),
}
"""Container and pod of the processes in a cgroup, by its path."""

CONTAINERS = "var/lib/containers/storage/overlay-containers"
NAME_FILES: Mapping[str, object] = {
    f"var/lib/docker/containers/{id_of('shop')}/config.v2.json": {"ID": id_of("shop"), "Name": "/shop"},
    f"{CONTAINERS}/containers.json": [{"id": id_of("web"), "names": ["web"], "image": id_of("image")}],
    f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{id_of('cart')}/config.json": {
        "ociVersion": "1.1.0",
        "annotations": {
            "io.kubernetes.cri.container-name": "cart",
            "io.kubernetes.cri.sandbox-name": "cart-7d9f",
            "io.kubernetes.cri.sandbox-namespace": "prod",
        },
    },
    f"{CONTAINERS}/{id_of('pay')}/userdata/config.json": {
        "ociVersion": "1.1.0",
        "annotations": {
            "io.kubernetes.container.name": "pay",
            "io.kubernetes.pod.name": "pay-5b6c",
            "io.kubernetes.pod.namespace": "prod",
        },
    },
}
"""The files in which runtimes keep the names of their containers, as JSON."""


@pytest.fixture
def runtimes(box: Fleet) -> dict[str, set[int]]:
    """Two processes in a cgroup of each spelling, and the runtimes' files: the pids by the path of the cgroup."""
    [host] = box.hosts
    for path, content in NAME_FILES.items():
        file = host.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, separators=(",", ":")))
    return {path: {host.start(path, "sleep", "infinity") for _ in range(2)} for path in SPELLINGS}


def test_containers_and_pods_of_every_runtime(box: Fleet, runtimes: dict[str, set[int]]):
    """Each process has the container and the pod that its cgroup tells, by name where the runtime's files have one."""
    rows = json.loads(box.run("--match", "^sleep$", "--view", "processes", "--format", "json"))["rows"]
    found = {row["pid"]: (row["container"], row["pod"]) for row in rows}
    assert found == {pid: SPELLINGS[path] for path, pids in runtimes.items() for pid in pids}


def test_the_charge_of_every_runtimes_cgroup(box: Fleet, runtimes: dict[str, set[int]]):
    """The cgroup of each spelling is read: two processes, and memory."""
    found = {each.path: each for each in box.collect().hosts[0].cgroups}
    for path in runtimes:
        assert found[path].processes == 2, path
        assert found[path].current_kib > 0


def selected(box: Fleet, **words: str) -> set[int]:
    """Return the pids that a selection chooses."""
    return {process.pid for process in box.collect(Selection(**words)).processes}


def test_an_id_or_a_name_selects_one_container(box: Fleet, runtimes: dict[str, set[int]]):
    """The id that `docker ps` prints, and the name of a container, select its processes and no others."""
    for path, pids in runtimes.items():
        label, _ = SPELLINGS[path]
        names = {label.rpartition(":")[2]} if label else set()
        for word in names | {match[:12] for match in re.findall("[0-9a-f]{64}", path)}:
            assert selected(box, container=word) == pids, (path, word)


def test_a_uid_or_a_name_selects_one_pod(box: Fleet, runtimes: dict[str, set[int]]):
    """The name of a pod, with its namespace, or the beginning of its uid selects its processes and no others."""
    for path, pids in runtimes.items():
        _, of_pod = SPELLINGS[path]
        if of_pod:
            assert selected(box, pod=of_pod if "/" in of_pod else of_pod[:8]) == pids, path


def test_an_id_that_begins_two_is_refused(box: Fleet, runtimes: dict[str, set[int]]):
    """The first digits of two containers' ids select neither: both are named."""
    twin = id_of("docker")[:8] + id_of("twin")[8:]
    box.hosts[0].start(f"/docker/{twin}", "sleep", "infinity")
    [host] = box.collect(Selection(container=twin[:8])).hosts
    assert host.failure is not None
    assert short("docker") in host.failure.message
    assert twin[:12] in host.failure.message
    assert selected(box, container=short("docker")) == runtimes[f"/docker/{id_of('docker')}"]
