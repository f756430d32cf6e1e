"""The memory of hosts, cgroups and processes as the wire has it: whole, in part, in both versions, and hostile."""

from __future__ import annotations

import pytest

from cgroup_files import NO_LIMIT_V1, Charge, meminfo_text, pressure_text, v1_files, v2_files
from fleetpmap.wire import CgroupMemory, ContainerName, HostMemory, Pressure, Resident
from fleetpmap.wire.accounting import (
    CGROUP_FILE,
    CGROUPS_LIMIT,
    CgroupFiles,
    accounted,
    cgroups_of,
    memory_cgroup,
    memory_files,
    parse_cgroup_files,
    parse_host_memory,
    parse_names,
    parse_resident,
)
from fleetpmap.wire.section_readers import MalformedError

STATUS = b"""\
Name:\tnginx
VmPeak:\t   12000 kB
VmHWM:\t    5000 kB
VmRSS:\t    4800 kB
RssAnon:\t    1200 kB
RssFile:\t    3400 kB
RssShmem:\t     200 kB
VmSwap:\t      64 kB
Threads:\t1
"""
DOCKER, CRI = "ab" * 32, "cd" * 32
HUGE = b"99999999999999999999"


def files(groups: dict[str, dict[str, str]], prefix: str = "../sys/fs/cgroup") -> CgroupFiles:
    """What the probe sends of these cgroups."""
    records = [f"{prefix}{path}/{name}:{text}" for path, own in groups.items() for name, text in own.items()]
    return parse_cgroup_files(record.encode() for record in records)


def only(groups: dict[str, dict[str, str]], path: str) -> CgroupMemory:
    """The cgroup of this path."""
    [group] = cgroups_of(files(groups), {path})
    return group


def limited(groups: dict[str, dict[str, str]], path: str) -> tuple[int | None, str, bool]:
    """Its limit, what has it, and whether it has none."""
    group = only(groups, path)
    return group.limit_kib, group.limit_path, group.is_unlimited


def test_a_whole_host() -> None:
    """Four sizes of meminfo as the probe prints them, or as the file has them, and six averages."""
    section = b"MemTotal: 2017104\nMemAvailable: 1402208\nSwapTotal: 1048572\nSwapFree: 1047932\n"
    memory = HostMemory(2017104, 1402208, 1048572, 1047932, Pressure(2.5, 1.25, 0.31, 0.5, 0.25, 0.06))
    assert parse_host_memory(section + pressure_text(2.5, 0.5).encode()) == memory
    whole = meminfo_text(2017104, 99, 1402208, 1048572, 1047932) + "\n" + pressure_text(2.5, 0.5)
    assert parse_host_memory(whole.encode()) == memory


@pytest.mark.parametrize(
    ("section", "memory"),
    [
        (b"", None),
        (b"MemTotal: 5\n", HostMemory(5, None, None, None)),
        (b"MemTotal: 5\nsome avg10=1.00 avg60=1.00 avg300=1.00 total=0\n", HostMemory(5, None, None, None)),
        (b"MemTotal: -5\nMemTotal: 0x5\nMemTotal:5\nMemFree: 7\n", None),
        (b"MemTotal: %b\nSwapTotal: 999999999999999999\nSwapFree: 0\n" % HUGE, HostMemory(None, None, None, 0)),
        (b"some avg10=nan avg60=inf avg300=1e9\nfull avg10=1 avg60=1 avg300=1\n", None),
        (b"x" * 100_000 + b"\nMemTotal: 5\n", None),
    ],
)
def test_what_a_host_lacks_is_unknown(section: bytes, memory: HostMemory | None) -> None:
    """No line is taken for 0, and no impossible number for a size."""
    assert parse_host_memory(section) == memory


def test_the_section_as_files() -> None:
    """Each line goes to its file; a file without lines is not there."""
    text = b"MemTotal: 5\nSwapFree: 1\n" + pressure_text().encode() + b"noise\n"
    assert memory_files(text) == {"meminfo": b"MemTotal: 5\nSwapFree: 1\n", "pressure/memory": pressure_text().encode()}
    assert memory_files(b"") == {}


def test_sizes_by_status() -> None:
    """Six lines in KiB; a kernel before 4.5 has no parts; a kernel thread has none at all."""
    assert parse_resident(STATUS) == Resident(4800, 1200, 3400, 200, 64, 5000)
    old = b"VmHWM:\t    5000 kB\nVmRSS:\t    4800 kB\n"
    assert parse_resident(old) == Resident(4800, None, None, None, None, 5000)
    assert parse_resident(b"Name:\tkthreadd\n") is None
    assert parse_resident(b"VmRSS:\t%b kB\n" % HUGE[:18]) is None
    assert parse_resident(b"XVmRSS:\t 5 kB\nVmRSS: 5 MB\nVmRSS: -5 kB\n") is None


def test_what_a_process_is_accounted() -> None:
    """Its own files; where the main thread has ended, the sizes and the cgroup of a living one."""
    own = accounted(7, [STATUS], [b"4:memory:/a\n0::/b\n"], b"-1000\n")
    assert own == {
        "cgroups": ("/a", "/b"),
        "memory_cgroup": "/a",
        "oom_score_adj": -1000,
        "resident": Resident(4800, 1200, 3400, 200, 64, 5000),
    }
    ended = accounted(7, [b"State:\tZ (zombie)\n", STATUS], [b"0::/\n", b"0::/c\n"], b"")
    assert (ended["memory_cgroup"], ended["resident"], ended["oom_score_adj"]) == ("/c", own["resident"], None)
    assert set(accounted(7, [], [], b"").values()) == {None}


@pytest.mark.parametrize(("text", "score"), [(b"1000", 1000), (b"1001", None), (b"-9999", None), (b"x", None)])
def test_a_score_is_within_the_kernels_bounds(text: bytes, score: int | None) -> None:
    """Another number is unknown."""
    assert accounted(7, [], [], text)["oom_score_adj"] == score


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ([b"0::/a.service"], "/a.service"),
        ([b"9:cpu,memory:/v1", b"0::/v2"], "/v1"),
        ([b"0::/v2", b"9:memory:/v1"], "/v1"),
        ([b"1:name=systemd:/s", b"0::/v2"], "/v2"),
        ([b"1:name=memory:/s", b"2:cpu:/c"], None),
        ([b"0::/a:b:c"], "/a:b:c"),
        ([b"0::/../x"], "/../x"),
        ([b"0::/"], "/"),
        ([], None),
    ],
)
def test_the_cgroup_that_memory_is_charged_to(lines: list[bytes], path: str | None) -> None:
    """That of v1's controller memory; else that of v2."""
    assert memory_cgroup(lines) == path


def test_a_cgroup_of_v2() -> None:
    """Every file of it, in KiB."""
    charge = Charge(
        5000, 3000, 100, 300, 32, 92, swap=44, peak=9000, limit=16384, high=12288, oom=3, oom_kills=2, pids=(7, 8)
    )
    group = only({"/a.slice/b.service": v2_files(charge, pressure=pressure_text(3.0, 1.0))}, "/a.slice/b.service")
    assert group == CgroupMemory(
        path="/a.slice/b.service",
        current_kib=8424,
        peak_kib=9000,
        limit_kib=16384,
        is_unlimited=False,
        limit_path="/a.slice/b.service",
        high_kib=12288,
        swap_kib=44,
        swap_limit_kib=None,
        anon_kib=5000,
        file_kib=3000,
        shmem_kib=100,
        kernel_kib=424,
        slab_kib=300,
        oom=3,
        oom_kills=2,
        pressure=Pressure(3.0, 1.5, 0.38, 1.0, 0.5, 0.12),
        processes=2,
        limit_used_kib=8424,
    )


def test_a_cgroup_of_v1() -> None:
    """Its totals are those of all below it; swap is the difference where the kernel does not print it."""
    charge = Charge(5000, 3000, 100, 300, 32, 92, peak=9000, limit=16384, oom_kills=2, pids=(7, 8))
    own = v1_files(charge) | {"memory.memsw.usage_in_bytes": f"{8500 << 10}\n"}
    group = only({"/memory/docker/x": own}, "/docker/x")
    assert (group.current_kib, group.peak_kib, group.anon_kib, group.file_kib) == (8424, 9000, 5000, 3000)
    assert (group.shmem_kib, group.kernel_kib, group.swap_kib, group.processes) == (100, 424, 76, 2)
    assert (group.limit_kib, group.limit_path, group.oom_kills, group.oom) == (16384, "/docker/x", 2, None)


def test_before_5_18_the_kernels_memory_is_the_sum_of_its_parts() -> None:
    """memory.stat had no line for it."""
    stat = "anon 4096\nkernel_stack 16384\nslab 1048576\n"
    group = only({"/a": {"memory.current": "0\n", "memory.stat": stat}}, "/a")
    assert (group.anon_kib, group.kernel_kib, group.slab_kib, group.file_kib) == (4, 1040, 1024, None)


def test_files_that_are_missing_leave_unknowns() -> None:
    """Only memory.current is there."""
    group = only({"/a": {"memory.current": "8192\n"}}, "/a")
    assert group == CgroupMemory("/a", 8, None, None, is_unlimited=False, limit_path="")


LIMITS = {"memory.current": "4096\n"}


@pytest.mark.parametrize(
    ("own", "above", "limit"),
    [
        ("max", ("max", "max"), (None, "", True)),
        ("8192", ("max", "max"), (8, "/a/b/c", False)),
        ("8192", ("4096", "max"), (4, "/a", False)),
        ("8192", ("max", "2048"), (2, "/a/b", False)),
        ("8192", ("8192", "8192"), (8, "/a", False)),
        ("max", (None, "max"), (None, "", False)),
        ("max", ("max", None), (None, "", False)),
        (None, ("max", "max"), (None, "", False)),
        (None, ("4096", "max"), (4, "/a", False)),
        ("9223372036854771712", ("max", "max"), (None, "", True)),
        ("junk", ("max", "max"), (None, "", False)),
        ("0", ("max", "max"), (0, "/a/b/c", False)),
    ],
)
def test_the_tightest_limit_of_a_cgroup_and_its_ancestors(
    own: str | None, above: tuple[str | None, str | None], limit: tuple[int | None, str, bool]
) -> None:
    """With the path that has it. `No limit` is said only where all limits are known."""
    texts = {"/a": above[0], "/a/b": above[1], "/a/b/c": own}
    groups = {path: {"memory.max": f"{text}\n"} for path, text in texts.items() if text is not None}
    groups["/a/b/c"] = groups.get("/a/b/c", {}) | LIMITS
    assert limited(groups, "/a/b/c") == limit


def test_an_ancestor_with_the_tightest_limit_tells_what_it_is_charged() -> None:
    """All that is below it counts, while only its limit and its charge were read."""
    groups = {
        "/a": {"memory.max": "8192\n", "memory.current": "6144\n"},
        "/a/b": {"memory.max": "max\n", "memory.current": "2048\n", "memory.stat": "anon 1024\n"},
    }
    group = only(groups, "/a/b")
    assert (group.current_kib, group.limit_kib, group.limit_path, group.limit_used_kib) == (2, 8, "/a", 6)


def test_a_neighbour_with_a_similar_name_is_no_ancestor() -> None:
    """`/a-b` and `/a.slice` sort between `/a` and `/a/b`."""
    groups = {"/a": "max", "/a-b": "1024", "/a.slice": "2048", "/a/b": "max"}
    made = {path: {"memory.max": text} | LIMITS for path, text in groups.items()}
    assert [limited(made, path)[0] for path in groups] == [None, 1, 2, None]


def test_inside_a_cgroup_namespace_a_limit_above_is_unknown() -> None:
    """The root there has a memory.max, as no real root has; so what is above it is not known."""
    groups = {"": {"memory.max": "max"} | LIMITS, "/x": {"memory.max": "max"} | LIMITS}
    assert limited(groups, "/") == limited(groups, "/x") == (None, "", False)
    groups[""]["memory.max"] = "4096"
    assert limited(groups, "/") == limited(groups, "/x") == (4, "/", False)


@pytest.mark.parametrize(
    ("hierarchical", "own", "limit"),
    [
        (f"{4096 << 10}", f"{8192 << 10}", (4096, "/a", False)),
        (f"{2048 << 10}", f"{8192 << 10}", (2048, "", False)),
        (f"{NO_LIMIT_V1}", f"{NO_LIMIT_V1}", (None, "", True)),
        (f"{8192 << 10}", f"{8192 << 10}", (8192, "", False)),
    ],
)
def test_v1_says_itself_what_limit_counts(hierarchical: str, own: str, limit: tuple[int | None, str, bool]) -> None:
    """The kernel knows whether ancestors count, and those that a namespace hides. /a has 4 MiB."""
    above = None if own == str(NO_LIMIT_V1) else 4096
    groups = {
        "/memory": {"memory.limit_in_bytes": f"{NO_LIMIT_V1}\n"},
        "/memory/a": {"memory.limit_in_bytes": f"{NO_LIMIT_V1 if above is None else above << 10}\n"},
        "/memory/a/b": {
            "memory.limit_in_bytes": f"{own}\n",
            "memory.usage_in_bytes": "0\n",
            "memory.stat": f"cache 0\nhierarchical_memory_limit {hierarchical}\n",
        },
    }
    assert limited(groups, "/a/b") == limit


def test_beside_v1_only_its_own_hierarchy_counts() -> None:
    """A copy of the whole directory has cgroup.procs of each controller, and v2 without its memory."""
    groups = {f"/{name}/a": {"cgroup.procs": "1\n"} for name in ("cpu", "unified", "systemd")}
    v1 = groups | {"/memory/a": {"memory.usage_in_bytes": "4096\n"}}
    assert [(group.path, group.current_kib) for group in cgroups_of(files(v1), {"/a"})] == [("/a", 4)]
    hybrid = groups | {"/unified/a": {"memory.current": "8192\n"}}
    assert [(group.path, group.current_kib) for group in cgroups_of(files(hybrid), {"/a"})] == [("/a", 8)]


def test_only_cgroups_that_were_asked_for() -> None:
    """Of an ancestor there is no more than its limit; another process's cgroup is not this one's."""
    groups = {"/a": LIMITS, "/b": LIMITS, "/c": {"memory.max": "max"}}
    assert [group.path for group in cgroups_of(files(groups), {"/b", "/c", None})] == ["/b"]


def test_a_recorded_tree_has_its_files_below_itself() -> None:
    """The same without the two dots."""
    assert (
        files({"/a": LIMITS}, prefix="sys/fs/cgroup") == files({"/a": LIMITS}) == {"/a": {"memory.current": b"4096\n"}}
    )


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"../sys/fs/cgroup/a/memory.max",
        b"../sys/fs/cgroup/../../etc/memory.max:1",
        b"../sys/fs/cgroup/a/../memory.max:1",
        b"../sys/fs/cgroup/./memory.max:1",
        b"../sys/fs/cgroup//memory.max:1",
        b"../../sys/fs/cgroup/a/memory.max:1",
        b"/sys/fs/cgroup/a/memory.max:1",
        b"../sys/fs/cgroup/a/memory.max/memory.max:1",
        b"../sys/fs/cgroup/a/cgroup.kill:1",
        b"../sys/fs/cgroup/a b/memory.max:1",
        b"../sys/fs/cgroup/a\0b/memory.max:1",
        b"../sys/fs/cgroup/\xff/memory.max:1",
        b"../sys/fs/cgroup/a\n/memory.max:1",
        b"../sys/fs/cgroup/" + b"a" * 256 + b"/memory.max:1",
        b"../sys/fs/cgroup" + b"/a" * 40 + b"/memory.max:1",
        b"../sys/fs/cgroup" + (b"/" + b"a" * 250) * 5 + b"/memory.max:1",
        b"../sys/fs/cgroup/a/MEMORY.MAX:1",
    ],
)
def test_a_path_that_the_probe_cannot_have_sent(record: bytes) -> None:
    """Nothing outside of the hierarchies, no other file, and no path that a capture could not hold."""
    with pytest.raises(MalformedError, match="no fact"):
        parse_cgroup_files([record])


def test_a_path_may_hold_colons() -> None:
    """The text begins at the last colon of the first line."""
    path = f"/system.slice:cri-containerd:{CRI}"
    assert only({path: LIMITS | {"memory.stat": "anon 4096\nfile 8192\n"}}, path).file_kib == 8


def test_too_many_cgroups_are_an_error() -> None:
    """They would fill the memory."""
    with pytest.raises(MalformedError, match="16,384 cgroups"):
        files({f"/{n}": LIMITS for n in range(CGROUPS_LIMIT + 1)})


def test_impossible_numbers_are_unknown() -> None:
    """None of them goes into a sum."""
    own = {
        "memory.current": HUGE.decode(),
        "memory.peak": "-1\n",
        "memory.swap.current": "1e3\n",
        "memory.high": "4096 4096\n",
        "memory.max": HUGE.decode() + "0",
        "memory.stat": f"anon {HUGE.decode()}\nfile -5\nshmem 0x10\nslab 99999999999999999999999\n",
        "memory.events": f"oom {HUGE.decode()}\noom_kill 5\n",
        "memory.pressure": "some avg10=1000.00 avg60=0.00 avg300=0.00\n",
        "cgroup.procs": "",
    }
    assert only({"/a": own}, "/a") == CgroupMemory(
        "/a", None, None, None, is_unlimited=True, limit_path="", oom_kills=5, processes=0
    )


def test_names_of_each_runtime() -> None:
    """What grep finds in the files of docker, podman, containerd and cri-o."""
    podman, crio, pause = "12" * 32, "34" * 32, "56" * 32
    storage = "../var/lib/containers/storage/overlay-containers"
    task = "../run/containerd/io.containerd.runtime.v2.task/k8s.io"
    section = f"""\
../var/lib/docker/containers/{DOCKER}/config.v2.json:"Name":"/imposter"
../var/lib/docker/containers/{DOCKER}/config.v2.json:"Name":"/shop-web"
../var/lib/docker/containers/{DOCKER}/config.v2.json:"Name":"volume"
{storage}/containers.json:"id":"{podman}","names":["cache"
{task}/{CRI}/config.json:"io.kubernetes.cri.container-name": "shop"
{task}/{CRI}/config.json:"io.kubernetes.cri.sandbox-name": "shop-6d4f8"
{task}/{CRI}/config.json:"io.kubernetes.cri.sandbox-namespace": "prod"
{task}/{pause}/config.json:"io.kubernetes.cri.sandbox-name": "shop-6d4f8"
{storage}/{crio}/userdata/config.json:"io.kubernetes.container.name":"pay"
{storage}/{crio}/userdata/config.json:"io.kubernetes.pod.name":"pay-0"
{storage}/{crio}/userdata/config.json:"io.kubernetes.pod.namespace":"prod"
"""
    assert parse_names(section.encode()) == {
        DOCKER: ContainerName("shop-web"),
        podman: ContainerName("cache"),
        CRI: ContainerName("shop", "shop-6d4f8", "prod"),
        pause: ContainerName("", "shop-6d4f8"),
        crio: ContainerName("pay", "pay-0", "prod"),
    }


def test_what_kubernetes_calls_a_container_of_docker() -> None:
    """Its label says more than the name that docker made of it."""
    place = f"../var/lib/docker/containers/{DOCKER}/config.v2.json"
    section = f'{place}:"io.kubernetes.container.name":"shop"\n{place}:"Name":"/k8s_shop_shop-6d4f8_prod_2c48_0"\n'
    assert parse_names(section.encode()) == {DOCKER: ContainerName("shop")}


@pytest.mark.parametrize(
    "line",
    [
        b'no-id/config.json:"Name":"/x"',
        b'%b0/config.json:"Name":"/x"' % DOCKER.encode(),
        b'%b:"Name":"x"' % DOCKER.encode(),
        b'%b:"Other":"/x"' % DOCKER.encode(),
        b'%b:"Name":"/%b"' % (DOCKER.encode(), b"x" * 300),
        b'%b "Name":"/x"' % DOCKER.encode(),
        b"\xff\0:",
        b"a" * 100_000,
    ],
)
def test_lines_that_name_no_container(line: bytes) -> None:
    """They are left out."""
    assert parse_names(line + b"\n") == {}


def test_too_many_names_are_an_error() -> None:
    """A host has some hundred containers."""
    with pytest.raises(MalformedError, match="names of containers"):
        parse_names(b"x\n" * ((1 << 16) + 1))


def test_the_known_files_are_those_of_both_versions() -> None:
    """What a capture may hold."""
    known = {*v2_files(Charge(0, 0)), *v1_files(Charge(0, 0))}
    assert all(CGROUP_FILE.fullmatch(f"sys/fs/cgroup/a/{name}") for name in known)
