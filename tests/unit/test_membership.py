"""membership: what the cgroup paths of a process tell, in every spelling that systemd and the runtimes use."""

from __future__ import annotations

import tracemalloc

import pytest

from fleetpmap.membership import Container, Labels, Membership, labels, membership
from fleetpmap.wire import ContainerName

ID = "4f9a1c2b3d4e" + "0" * 52
OTHER = "77ab" + "1" * 60
UID = "2c48d1a0-1111-4222-8333-0123456789ab"
IN_SLICE = UID.replace("-", "_")


def of(*paths: str) -> Membership:
    return membership(paths)


@pytest.mark.parametrize(
    ("path", "unit", "slice_"),
    [
        ("/system.slice/nginx.service", "nginx.service", "system.slice"),
        ("/system.slice/nginx.service/worker-3", "nginx.service", "system.slice"),
        ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", "system-getty.slice"),
        (
            "/system.slice/system-postgresql.slice/postgresql@15-main.service",
            "postgresql@15-main.service",
            "system-postgresql.slice",
        ),
        ("/system.slice/_cgroup.procs.service", "cgroup.procs.service", "system.slice"),
        ("/system.slice/run-r1f.scope", "run-r1f.scope", "system.slice"),
        ("/init.scope", "init.scope", None),
        ("/user.slice/user-1000.slice/session-3.scope", None, "user-1000.slice"),
        ("/user.slice/user-1000.slice/session-c1.scope", None, "user-1000.slice"),
        ("/user.slice/user-1000.slice/user@1000.service", "user@1000.service", "user-1000.slice"),
        ("/user.slice/user-1000.slice/user@1000.service/init.scope", "user@1000.service", "user-1000.slice"),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service",
            "user@1000/foo.service",
            "app.slice",
        ),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1.scope",
            "user@1000/vte-spawn-1.scope",
            "app-org.gnome.Terminal.slice",
        ),
        ("/user.slice/user-1000.slice/user@1000.service/foo.service/sub", "user@1000/foo.service", "user-1000.slice"),
        ("/", None, None),
        ("", None, None),
        ("/batch/nightly", None, None),
        ("/../../system.slice/nginx.service", "nginx.service", "system.slice"),
    ],
)
def test_unit_and_slice(path: str, unit: str | None, slice_: str | None):
    """The innermost of each; a login session is none, and neither is the scope of the manager below another."""
    found = of(path)
    assert (found.unit, found.slice, found.container) == (unit, slice_, None)


@pytest.mark.parametrize(
    ("path", "runtime"),
    [
        (f"/system.slice/docker-{ID}.scope", "docker"),
        (f"/docker/{ID}", "docker"),
        (f"/docker/{ID}/init", "docker"),
        (f"/machine.slice/libpod-{ID}.scope", "podman"),
        (f"/machine.slice/libpod-{ID}.scope/container", "podman"),
        (f"/libpod_parent/libpod-{ID}", "podman"),
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope", "podman"),
        (f"/system.slice/nerdctl-{ID}.scope", "containerd"),
        (f"/system.slice/containerd.service/kubepods:cri-containerd:{ID}", "containerd"),
        (f"/kubepods.slice/cri-containerd-{ID}.scope", "containerd"),
        (f"/default/{ID}", ""),
        (f"/kubepods/{ID}", ""),
        (f"/system.slice/crio-{ID}.scope", "cri-o"),
        (f"/crio/crio-{ID}", "cri-o"),
        (f"/ecs/0123456789abcdef0123456789abcdef/{ID}", ""),
    ],
)
def test_container_by_its_id(path: str, runtime: str):
    """In both cgroup drivers' spellings. The id alone does not tell the runtime."""
    found = of(path)
    assert found.container == Container(runtime, ID)
    assert found.unit is None


@pytest.mark.parametrize(
    ("path", "container"),
    [
        ("/lxc.payload.web", Container("lxc", "web")),
        ("/lxc.payload/web", Container("lxc", "web")),
        ("/lxc/web", Container("lxc", "web")),
        ("/lxc.payload.web-2.prod/init", Container("lxc", "web-2.prod")),
        ("/machine.slice/machine-web.scope", Container("nspawn", "web")),
        (r"/machine.slice/machine-web\x2d01.scope", Container("nspawn", "web-01")),
        ("/machine.slice/systemd-nspawn@web.service", Container("nspawn", "web")),
        ("/machine.slice/systemd-nspawn@web.service/payload", Container("nspawn", "web")),
    ],
)
def test_container_by_its_name(path: str, container: Container):
    """lxc and nspawn have no ids, but names; systemd escapes a dash in one."""
    assert of(path).container == container


@pytest.mark.parametrize(
    "path",
    [
        f"/machine.slice/libpod-conmon-{ID}.scope",
        f"/system.slice/crio-conmon-{ID}.scope",
        r"/machine.slice/machine-qemu\x2d1\x2dweb.scope/libvirt/emulator",
        r"/machine.slice/qemu\x2d1.scope",
        f"/system.slice/docker-{ID[:-1]}.scope",
        f"/system.slice/docker-{ID}0.scope",
        f"/docker/{ID.upper()}",
        "/system.slice/docker.service",
        "/system.slice/containerd.service",
        f"/docker/buildx/{ID[:12]}",
    ],
)
def test_what_is_no_container(path: str):
    """A container's monitor, the daemon, a virtual machine, an id that is not whole."""
    assert of(path).container is None


@pytest.mark.parametrize(
    ("path", "uid"),
    [
        (
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{IN_SLICE}.slice/cri-containerd-{ID}.scope",
            UID,
        ),
        (f"/kubepods.slice/kubepods-pod{IN_SLICE}.slice/crio-{ID}.scope", UID),
        (f"/kubepods/besteffort/pod{UID}/{ID}", UID),
        (f"/kubepods/pod{UID}/{ID}", UID),
        (f"/kubepods.slice/kubepods-pod{IN_SLICE}.slice:cri-containerd:{ID}", UID),
        (f"/kubelet.slice/kubelet-kubepods.slice/kubepods-besteffort-pod{IN_SLICE}.slice/docker-{ID}.scope", UID),
        ("/kubepods/burstable/pod0123456789abcdef0123456789abcdef/" + ID, "0123456789abcdef0123456789abcdef"),
        (f"/machine.slice/machine-libpod_pod_{OTHER}.slice/libpod-{ID}.scope", OTHER[:12]),
        (f"/user.slice/user-libpod_pod_{OTHER}.slice/libpod-{ID}.scope", OTHER[:12]),
        (f"/machine.slice/libpod-{ID}.scope", None),
        ("/system.slice/podman.service", None),
        ("/kubepods.slice/kubepods-burstable.slice", None),
    ],
)
def test_pod(path: str, uid: str | None):
    """The uid with its dashes, which systemd's spelling cannot hold; a static pod's is a digest."""
    assert of(path).pod == uid


def test_systemd_in_a_container():
    """The unit is that in the container, and the container is still known."""
    inside = of(f"/system.slice/docker-{ID}.scope/system.slice/nginx.service")
    assert inside == Membership("nginx.service", "system.slice", Container("docker", ID))
    assert of("/lxc.payload.web/system.slice/nginx.service").unit == "nginx.service"
    assert of("/machine.slice/machine-web.scope/payload/system.slice/nginx.service").unit == "nginx.service"


def test_manager_of_a_container_is_no_unit():
    """`init.scope` of a systemd that runs in a container is that manager itself."""
    assert of(f"/docker/{ID}/init.scope").unit is None


def test_nspawn_as_a_service_is_also_a_unit():
    """`machinectl start web` starts the unit systemd-nspawn@web.service, which holds the container."""
    assert of("/machine.slice/systemd-nspawn@web.service/payload").unit == "systemd-nspawn@web.service"
    assert of("/machine.slice/systemd-nspawn@web.service/payload/system.slice/a.service").unit == "a.service"


def test_rootless_podman_container_has_no_unit_of_its_manager():
    """The user's manager holds the container; what runs inside is no unit of that manager."""
    path = (
        f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container/system.slice/a.service"
    )
    assert of(path).unit == "a.service"


def test_container_in_a_container():
    """The innermost counts."""
    assert of(f"/docker/{OTHER}/docker/{ID}").container == Container("docker", ID)
    assert of(f"/lxc.payload.ci/system.slice/docker-{ID}.scope").container == Container("docker", ID)


def test_hierarchies_that_disagree():
    """The one that knows a container counts, wherever it stands; else the deepest; of equals the first."""
    assert of("/", f"/docker/{ID}", "/system.slice/containerd.service").container == Container("docker", ID)
    assert of("/system.slice/docker.service/a/b", f"/docker/{ID}").container == Container("docker", ID)
    assert of("/system.slice", "/system.slice/cron.service").unit == "cron.service"
    assert of("/system.slice/cron.service", "/user.slice/session-3.scope").unit == "cron.service"
    assert of(f"/docker/{OTHER}", f"/docker/{ID}/system.slice/a.service").container == Container("docker", ID)


def test_hybrid_hierarchies_of_one_container():
    """cgroup v1 controllers and the named hierarchy of systemd, as a host with docker has them."""
    paths = (f"/docker/{ID}", "/", f"/system.slice/docker-{ID}.scope")
    assert membership(paths) == Membership(None, None, Container("docker", ID))


def test_no_path():
    """Nothing is known of a process without cgroups."""
    assert of() == Membership()


@pytest.mark.parametrize(
    "path",
    [
        "/" + "a" * 1_000_000,
        "/a.service" * 100_000,
        "/docker/" * 100_000 + ID,
        "/" + ":" * 1_000_000,
        "/machine-" + r"\x2d" * 250_000 + ".scope",
        "/kubepods-" * 100_000 + f"pod{IN_SLICE}.slice",
    ],
    ids=["one part", "many units", "many containers", "colons", "escapes", "pods"],
)
def test_a_path_longer_than_the_kernel_has(path: str):
    """No cgroup has it, and the process keeps what its other paths tell."""
    assert of(path) == Membership()
    assert of(path, "/system.slice/a.service").unit == "a.service"


def test_hostile_paths_are_not_kept():
    """Thousands of paths for a process, and others for the next: what is remembered stays small."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(4):
        assert membership(tuple(f"/{number}/{place}" for place in range(5_000))).unit is None
        membership((f"/{number}" + "a" * 1_000_000,))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1 << 20


NAMES = {ID: ContainerName("shop-db"), OTHER: ContainerName("api", "api-7d9f-x2x4", "shop")}


@pytest.mark.parametrize(
    ("belongs", "names", "expected"),
    [
        (Membership(), {}, Labels(None, None, None, None, "postgres")),
        (Membership("a.service", "system.slice"), {}, Labels("a.service", "system.slice", None, None, "a.service")),
        (
            Membership(container=Container("docker", ID)),
            {},
            Labels(None, None, "docker:4f9a1c2b3d4e", None, "docker:4f9a1c2b3d4e"),
        ),
        (Membership(container=Container("docker", ID)), NAMES, Labels(None, None, "docker:shop-db", None, "shop-db")),
        (Membership(container=Container("", ID)), {}, Labels(None, None, "4f9a1c2b3d4e", None, "4f9a1c2b3d4e")),
        (Membership(container=Container("lxc", "web")), {}, Labels(None, None, "lxc:web", None, "lxc:web")),
        (
            Membership(container=Container("containerd", OTHER), pod=UID),
            NAMES,
            Labels(None, None, "containerd:api", "shop/api-7d9f-x2x4", "shop/api"),
        ),
        (
            Membership(container=Container("containerd", OTHER), pod=UID),
            {},
            Labels(None, None, "containerd:77ab11111111", UID, "containerd:77ab11111111"),
        ),
        (
            Membership(container=Container("containerd", OTHER), pod=UID),
            {OTHER: ContainerName("", "api-7d9f-x2x4", "shop")},
            Labels(None, None, "containerd:77ab11111111", "shop/api-7d9f-x2x4", "containerd:77ab11111111"),
        ),
        (
            Membership("a.service", None, Container("docker", ID)),
            NAMES,
            Labels("a.service", None, "docker:shop-db", None, "a.service"),
        ),
    ],
)
def test_labels(belongs: Membership, names: dict[str, ContainerName], expected: Labels):
    """The names that the host knows, else the short ids; the service is the unit, the container or the program."""
    assert labels(belongs, names, "postgres") == expected
