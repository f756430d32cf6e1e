"""--container, --pod and --unit: which processes a name or an id means, in each runtime's spelling of a cgroup."""

from __future__ import annotations

import re

import pytest

from fleetpmap.errors import AmbiguousError
from fleetpmap.membership import membership
from fleetpmap.processes import Choice, Selection, choose
from fleetpmap.wire import Capabilities, ContainerName, ListedProcess, Listing, Processes


def id_of(beginning: str) -> str:
    """A whole id of that beginning, whose other digits tell the beginning apart, too."""
    return (beginning + beginning[::-1] * 64)[:64]


def listed(pid: int, *cgroups: str, name: str = "app") -> ListedProcess:
    return ListedProcess(pid, name, "S", 1, pid, pid * 10, 1000, (), kernel_thread=False, cgroups=cgroups)


def listing(*processes: ListedProcess, names: dict[str, ContainerName] | None = None, uid: int = 0) -> Listing:
    can = Capabilities(uid, "6.1.0", 4096, "boot", "4026531836", "gnu", "gzip", None)
    return Listing(can, Processes.of(processes), {}, names=names or {})


def pids(choice: Choice) -> list[int]:
    return [process.pid for process in choice.read]


UID = "2c48d1a0-1111-4222-8333-0123456789ab"
OTHER_UID = "9e07d1a0-1111-4222-8333-0123456789ab"
IN_SLICE, OTHER_IN_SLICE = UID.replace("-", "_"), OTHER_UID.replace("-", "_")
PODS = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod"

SPELLINGS = {
    "docker, systemd": f"/system.slice/docker-{id_of('0a')}.scope",
    "docker, cgroupfs": f"/docker/{id_of('1b')}",
    "docker, systemd within": f"/docker/{id_of('2c')}/system.slice/nginx.service",
    "podman, systemd": f"/machine.slice/libpod-{id_of('3d')}.scope/container",
    "podman, cgroupfs": f"/libpod_parent/libpod-{id_of('4e')}",
    "podman, rootless": f"/user.slice/user@1000.service/user.slice/libpod-{id_of('5f')}.scope/container",
    "containerd, systemd": f"{PODS}{IN_SLICE}.slice/cri-containerd-{id_of('60')}.scope",
    "containerd, cgroupfs": f"/kubepods/burstable/pod{UID}/{id_of('71')}",
    "containerd, cgroupfs told a slice": f"{PODS}{IN_SLICE}.slice:cri-containerd:{id_of('82')}",
    "cri-o, systemd": f"{PODS}{OTHER_IN_SLICE}.slice/crio-{id_of('93')}.scope",
    "cri-o, cgroupfs": f"/kubepods/besteffort/pod{OTHER_UID}/crio-{id_of('a4')}",
    "nerdctl": f"/system.slice/nerdctl-{id_of('b5')}.scope",
    "docker in docker": f"/docker/{id_of('c6')}/docker/{id_of('d7')}",
    "docker in lxc": f"/lxc.payload.ci/system.slice/docker-{id_of('e8')}.scope",
    "lxc": "/lxc.payload.web/system.slice/nginx.service",
    "lxc, old": "/lxc/db",
    "nspawn": r"/machine.slice/machine-build\x2d01.scope/payload",
    "nspawn, service": "/machine.slice/systemd-nspawn@test.service/payload",
}
MONITORS = [f"/machine.slice/libpod-conmon-{id_of('3d')}.scope", f"/system.slice/crio-conmon-{id_of('93')}.scope"]
ALL = [*SPELLINGS.values(), *MONITORS, "/system.slice/docker.service", "/"]
EVERYWHERE = listing(*(listed(pid, path) for pid, path in enumerate(ALL, start=10)))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_short_id_selects_exactly_its_processes(spelling: str):
    """In each runtime's spelling: the 12 digits of `docker ps`, with the runtime as the column has it, the whole id."""
    container = membership((SPELLINGS[spelling],)).container
    assert container is not None
    pid = 10 + list(SPELLINGS).index(spelling)
    for text in (container.short_id, container.label(), container.id):
        assert pids(choose(EVERYWHERE, Selection(container=text))) == [pid]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0a", [10]),
        ("docker:0a", [10]),
        ("podman:0a", []),
        ("containerd:60", [16]),
        (":0a", []),
        ("containerd:71", []),
        ("71", [17]),
        ("c6", []),
        ("we", []),
        ("lxc:web", [24]),
        ("nspawn:web", []),
        ("build-01", [26]),
        ("0A", []),
        ("0a0a0a0a0a0a0a0a0b", []),
        ("*", []),
        ("0a" + "0" * 1_000_000, []),
    ],
)
def test_a_beginning_of_an_id(text: str, found: list[int]):
    """Any that fits one, of any length. The names of lxc and nspawn are names: no part of one suffices."""
    assert pids(choose(EVERYWHERE, Selection(container=text))) == found


@pytest.mark.parametrize("text", ["", "docker:"])
def test_nothing_is_the_beginning_of_all_ids(text: str):
    """The command line refuses an empty text; for a library it is as ambiguous as one digit that all share."""
    with pytest.raises(AmbiguousError, match=f"--container {text} fits"):
        choose(EVERYWHERE, Selection(container=text))


DB, WEB, THIRD = "4f9a1c2b3d4e" + "0" * 52, "4f9a77" + "1" * 58, "abcd" + "2" * 60
NAMES = {DB: ContainerName("shop-db"), WEB: ContainerName("shop-web")}
THREE = (
    listed(5, f"/system.slice/docker-{DB}.scope"),
    listed(6, f"/system.slice/docker-{WEB}.scope"),
    listed(7, f"/docker/{THIRD}"),
    listed(8, f"/docker/{DB}"),
)


def test_a_beginning_that_fits_two_is_refused_with_both_named():
    """One host's failure: its containers, with their names, and the remedy."""
    with pytest.raises(AmbiguousError) as caught:
        choose(listing(*THREE, names=NAMES), Selection(container="4f9a"), host="web-07")
    error = caught.value
    assert error.message == (
        "--container 4f9a fits 2 containers: docker:4f9a1c2b3d4e (shop-db) and docker:4f9a77111111 (shop-web)"
    )
    assert (error.host, error.status, error.hint) == ("web-07", "remote-error", "give more digits, or the whole name")


def test_one_container_under_two_paths_is_one():
    """The processes of a container may be in cgroups of both drivers, as after a change of the driver."""
    assert pids(choose(listing(*THREE), Selection(container="4f9a1"))) == [5, 8]


def test_containers_beyond_twelve_digits():
    """Where the short ids are the same, the whole ids are printed."""
    twin = DB[:-1] + "1"
    with pytest.raises(AmbiguousError, match=f"docker:{DB} .shop-db. and docker:{twin}"):
        choose(
            listing(*THREE, listed(9, f"/docker/{twin}"), names=NAMES),
            Selection(container=DB[:20]),
        )


def test_of_many_that_fit_some_are_named():
    """A hostile host may have any number."""
    many = [listed(pid, f"/docker/4f{pid:062x}") for pid in range(100, 1100)]
    with pytest.raises(AmbiguousError) as caught:
        choose(listing(*many), Selection(container="4f"))
    assert caught.value.message.startswith("--container 4f fits 1000 containers: docker:4f")
    assert caught.value.message.endswith(" and 995 more")


def test_an_exact_name_wins_over_ids():
    """As in docker: a container that is called `4f9a` is meant, though ids begin so."""
    names = NAMES | {THIRD: ContainerName("4f9a")}
    assert pids(choose(listing(*THREE, names=names), Selection(container="4f9a"))) == [7]
    assert pids(choose(listing(*THREE, names=names), Selection(container="docker:4f9a"))) == [7]


@pytest.mark.parametrize(
    ("text", "found"),
    [("shop-db", [5, 8]), ("docker:shop-db", [5, 8]), ("podman:shop-db", []), ("shop", []), ("SHOP-DB", [])],
)
def test_a_name_is_exact(text: str, found: list[int]):
    """Not a part of it."""
    assert pids(choose(listing(*THREE, names=NAMES), Selection(container=text))) == found


API_1, API_2, PAUSE, SIDE = (id_of(beginning) for beginning in ("a1", "a2", "b1", "c1"))
IN_PODS = listing(
    listed(20, f"{PODS}{IN_SLICE}.slice/cri-containerd-{API_1}.scope"),
    listed(21, f"{PODS}{IN_SLICE}.slice/cri-containerd-{PAUSE}.scope"),
    listed(22, f"{PODS}{IN_SLICE}.slice/cri-containerd-{SIDE}.scope"),
    listed(23, f"{PODS}{OTHER_IN_SLICE}.slice/cri-containerd-{API_2}.scope"),
    listed(24, f"/machine.slice/machine-libpod_pod_{DB}.slice/libpod-{THIRD}.scope"),
    listed(25, "/system.slice/kubelet.service"),
    names={
        API_1: ContainerName("api", "api-7d9", "shop"),
        PAUSE: ContainerName("", "api-7d9", "shop"),
        API_2: ContainerName("api", "api-7d9", "test"),
    },
)


def test_one_name_of_many_containers():
    """Kubernetes gives the containers of all replicas one name: all are meant."""
    assert pids(choose(IN_PODS, Selection(container="api"))) == [20, 23]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("shop/api-7d9", [20, 21, 22]),
        ("test/api-7d9", [23]),
        ("api-7d9", [20, 21, 22, 23]),
        ("shop/", []),
        ("api", []),
        (UID, [20, 21, 22]),
        ("2c48", [20, 21, 22]),
        ("2c48d1a0-1", [20, 21, 22]),
        ("9", [23]),
        (DB[:12], [24]),
        (DB[:5], [24]),
        (DB, [24]),
        ("docker:2c48", []),
    ],
)
def test_pod(text: str, found: list[int]):
    """Its name, with or without the namespace, or the beginning of its uid. A container without a name is in it too."""
    assert pids(choose(IN_PODS, Selection(pod=text))) == found


def test_pods_that_fit_are_named():
    """Two uids may begin alike."""
    twin = listed(30, f"{PODS}{IN_SLICE[:-1]}c.slice/cri-containerd-{WEB}.scope")
    with pytest.raises(AmbiguousError) as caught:
        choose(listing(*IN_PODS.processes, twin, names=dict(IN_PODS.names)), Selection(pod="2c"), host="node-1")
    assert caught.value.message == f"--pod 2c fits 2 pods: {UID} (shop/api-7d9) and {UID[:-1]}c"


def test_container_of_a_pod():
    """Both options together are one container of one pod."""
    assert pids(choose(IN_PODS, Selection(container="api", pod="shop/api-7d9"))) == [20]
    assert pids(choose(IN_PODS, Selection(container="api", pod="9e07"))) == [23]


def test_several_containers_or_pods():
    """One of them is enough; of two options both have to hold."""
    fleet = listing(listed(5, f"/docker/{DB}"), listed(6, f"/docker/{'7' * 64}"), listed(7, f"/docker/{'8' * 64}"))
    assert pids(choose(fleet, Selection(container="4f9a,777"))) == [5, 6]
    assert pids(choose(IN_PODS, Selection(pod="shop/api-7d9,9e07"))) == [20, 21, 22, 23]
    assert pids(choose(IN_PODS, Selection(container="api", pod="shop/api-7d9,9e07"))) == [20, 23]


def test_container_beside_other_options():
    """All options have to hold."""
    fleet = listing(listed(5, f"/docker/{DB}", name="postgres"), listed(6, f"/docker/{DB}", name="sh"), listed(7, "/"))
    assert pids(choose(fleet, Selection(container="4f9a", match=re.compile("^s")))) == [6]
    assert pids(choose(fleet, Selection(container="4f9a", pids=(7,)))) == []
    assert pids(choose(fleet, Selection(container="4f9a", unit="nginx"))) == []
    assert pids(choose(fleet, Selection(container="4f9a", newest=True))) == [6]


def test_container_is_looked_for_in_every_hierarchy():
    """cgroup v1, or a hybrid: systemd's hierarchy may not know the container."""
    fleet = listing(
        listed(5, "/", f"/docker/{DB}", "/system.slice/containerd.service"), listed(6, "/", "/system.slice")
    )
    assert pids(choose(fleet, Selection(container="4f9a"))) == [5]


ONLY_ROOT = ("only root can read the names of its containers and pods: select by id, or with --sudo",)


@pytest.mark.parametrize("selection", [Selection(container="shop-db"), Selection(pod="shop/api-7d9")])
def test_a_login_that_is_not_root_cannot_find_a_name(selection: Selection):
    """And the note says so, where nothing matched and there are containers that could have the name."""
    assert choose(listing(*THREE, uid=1000), selection).notes == ONLY_ROOT
    assert choose(listing(*THREE, uid=0), selection).notes == ()
    assert choose(listing(listed(1, "/init.scope"), uid=1000), selection).notes == ()
    assert choose(listing(listed(1, "/lxc.payload.web"), uid=1000), selection).notes == ()


def test_no_note_where_the_id_was_found():
    """Ids work as they are."""
    assert choose(listing(*THREE, uid=1000), Selection(container="abcd")).notes == ()


# --unit

UNITS = listing(
    listed(5, "/system.slice/system-postgresql.slice/postgresql@15-main.service"),
    listed(6, "/system.slice/postgresql.service"),
    listed(7, "/system.slice/postgresql-exporter.service"),
    listed(8, "/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service"),
    listed(9, "/user.slice/user-33.slice/user@33.service/app.slice/foo.service"),
    listed(10, "/system.slice/nginx.service/worker-3/deep"),
    listed(11, "/system.slice/foo@a.service"),
    listed(12, f"/system.slice/docker-{DB}.scope"),
    listed(13, "/system.slice/foo.socket"),
    listed(14, "/user.slice/user-1000.slice/user@1000.service/init.scope"),
)
OF_POSTGRESQL = ("--unit postgresql: also its instance postgresql@15-main.service",)


@pytest.mark.parametrize(
    ("unit", "found", "notes"),
    [
        ("postgresql", [5, 6], OF_POSTGRESQL),
        ("postgresql.service", [5, 6], ("--unit postgresql.service: also its instance postgresql@15-main.service",)),
        ("postgresql@15-main", [5], ()),
        ("postgresql@15-main.service", [5], ()),
        ("postgresql@", [5], ()),
        ("postgresql@*", [5], ()),
        ("postgresql*", [5, 6, 7], ()),
        ("postgres", [], ()),
        ("nginx", [10], ()),
        ("foo", [8, 9, 11], ("--unit foo: also its instance foo@a.service",)),
        ("foo.socket", [13], ()),
        ("user@1000/foo", [8], ()),
        ("user@1000.service/foo.service", [8], ()),
        ("user@*/foo", [8, 9], ()),
        ("user@1000/f*", [8], ()),
        ("user@1000/init.scope", [14], ()),
        ("user@1000/user@1000", [], ()),
        ("user@7/foo", [], ()),
        ("foo/user@1000", [], ()),
        ("user@1000/", [], ()),
        ("user@1000", [8, 14], ()),
        (f"docker-{DB}.scope", [12], ()),
        ("docker-*.scope", [12], ()),
    ],
)
def test_unit_with_what_it_contains(unit: str, found: list[int], notes: tuple[str, ...]):
    """Cgroups below it, its instances (and a note, since these have other names), user units with their manager."""
    choice = choose(UNITS, Selection(unit=unit))
    assert (pids(choice), choice.notes) == (found, notes)


def test_instances_are_named_up_to_five():
    """Of many the rest is counted."""
    seven = (listed(pid, f"/system.slice/worker@{pid}.service") for pid in range(11, 18))
    notes = choose(listing(*seven), Selection(unit="worker")).notes
    named = ", ".join(f"worker@{number}.service" for number in range(11, 16))
    assert notes == (f"--unit worker: also its instances {named} and 2 more",)


def test_note_on_instances_is_about_what_matched():
    """An instance that another option rules out is not in the result."""
    assert choose(UNITS, Selection(unit="postgresql", pids=(6,))).notes == ()


@pytest.mark.parametrize(
    "path",
    ["/" + "a" * 1_000_000, "/a.service" * 100_000, "/docker/" * 125_000 + DB, "/" + "@" * 1_000_000 + ".service"],
    ids=["one part", "many units", "many containers", "many instances"],
)
@pytest.mark.parametrize(
    "selection",
    [
        Selection(unit="a"),
        Selection(unit="*a*b*c*"),
        Selection(unit="user@1/a"),
        Selection(container="4f9a"),
        Selection(pod="2c48"),
        Selection(cgroup="*a*b*c*"),
    ],
    ids=["unit", "glob", "user unit", "container", "pod", "cgroup"],
)
def test_a_hostile_path_matches_nothing(path: str, selection: Selection):
    """No kernel has a path of a megabyte, so nothing is searched in one."""
    assert pids(choose(listing(listed(5, path)), selection)) == []
