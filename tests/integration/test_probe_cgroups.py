"""What a process belongs to and what its cgroup is charged, read by the real script from many kinds of host."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cgroup_files import Charge, v2_files, write_files, write_limits
from fleetpmap.membership import Labels, labels, membership
from fleetpmap.probe import Request
from fleetpmap.wire import CgroupMemory, ContainerName, HostMemory, Pressure, Reading
from service_trees import HOSTS, Member, lay_out_services
from test_probe import SHELLS, Conversation, Tree, shell, tools, tree  # noqa: F401  # fixtures

ALL_SHELLS = {**SHELLS, "zsh": ["zsh"]}
READ = [(host, shell_) for host in HOSTS for shell_ in ALL_SHELLS]


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the trees of `service_trees`."""
    directory = tmp_path_factory.mktemp("trees")
    lay_out_services(directory)
    return directory


def read(root: Path, shell_: str, *pids: int, **popen: object) -> Reading:
    """Read these processes of a tree with this shell."""
    argv = ALL_SHELLS[shell_]
    if shutil.which(argv[0]) is None:
        pytest.skip(reason=f"{argv[0]} is not installed here")
    with Conversation([str(shutil.which(argv[0])), *argv[1:], "-s"], Request(proc_root=str(root)), **popen) as probe:
        return probe.read(*pids)


def expected(member: Member) -> Labels:
    """What the columns of this process have to say."""
    service = member.service or member.unit or member.container or member.name
    return Labels(member.unit, member.slice, member.container, member.pod, service)


def found(reading: Reading, member: Member) -> Labels:
    """What they say."""
    process = next(process for process in reading.processes if process.pid == member.pid)
    return labels(membership(process.cgroups or ()), reading.names, member.name)


@pytest.mark.parametrize(("host", "shell_"), READ)
def test_what_processes_belong_to_and_what_that_is_charged(trees: Path, host: str, shell_: str) -> None:
    """Each shell reads from each host the cgroups, names, sizes and limits that are there, and prints no error."""
    members = HOSTS[host]
    reading = read(trees / host, shell_, *(member.pid for member in members))
    assert {member.pid: found(reading, member) for member in members} == {m.pid: expected(m) for m in members}
    assert [process.status for process in reading.processes] == ["read"] * len(members)
    assert [process.oom_score_adj for process in reading.processes] == [-member.pid for member in members]
    assert all(process.resident and process.resident.hwm_kib for process in reading.processes)
    groups = {group.path: group for group in reading.cgroups}
    shown = [member for member in members if "/../" not in member.path]
    assert list(groups) == sorted(member.path for member in shown)
    for member in shown:
        group, charge = groups[member.path], member.charge
        assert (group.current_kib, group.anon_kib, group.file_kib) == (charge.current, charge.anon, charge.file)
        assert (group.shmem_kib, group.kernel_kib, group.oom_kills) == (charge.shmem, charge.kernel, charge.oom_kills)
        assert (group.limit_kib, group.limit_path) == (member.tightest or (None, ""))
        # A container cannot see whether the cgroups above its own have limits.
        assert group.is_unlimited == (member.tightest is None and host != "inside")
        assert group.processes == 1


def test_only_what_the_hierarchy_has_is_known(trees: Path) -> None:
    """v2 has oom, high and pressure; v1 counts only kills, and has the kernel's memory in a file of its own."""
    [first] = read(trees / "v2", "dash", 101).cgroups
    assert (first.oom, first.slab_kib, first.high_kib, first.pressure) == (1, 300, None, Pressure(0, 0, 0, 0, 0, 0))
    [second] = read(trees / "v2", "dash", 102).cgroups
    assert second.high_kib == 24 * 1024
    [old] = read(trees / "v1", "dash", 301).cgroups
    assert (old.oom, old.slab_kib, old.high_kib, old.pressure, old.kernel_kib) == (None, None, None, None, 176)


@pytest.mark.parametrize("shell_", ALL_SHELLS)
def test_the_hosts_memory_comes_with_the_list(trees: Path, shell_: str) -> None:
    """Total, available and swap, and the pressure of a host that has it."""
    argv = ALL_SHELLS[shell_]
    if shutil.which(argv[0]) is None:
        pytest.skip(reason=f"{argv[0]} is not installed here")
    memories = []
    for host in ("v2", "v1"):
        with Conversation([*argv, "-s"], Request(proc_root=str(trees / host))) as probe:
            memories.append(probe.listing().memory)
    pressure = Pressure(1.5, 0.75, 0.19, 0.25, 0.12, 0.03)
    assert memories == [HostMemory(8 << 20, 5 << 20, 1 << 20, 1 << 20, each) for each in (pressure, None)]


@pytest.mark.parametrize("shell_", ALL_SHELLS)
def test_names_come_with_the_list_only_on_request(trees: Path, shell_: str) -> None:
    """A selection by container needs them before the choice; a container without a name is not there."""
    argv = ALL_SHELLS[shell_]
    if shutil.which(argv[0]) is None:
        pytest.skip(reason=f"{argv[0]} is not installed here")
    listed = []
    for wish in (True, False):
        request = Request(proc_root=str(trees / "kubernetes"), cgroups=True, names=wish)
        with Conversation([*argv, "-s"], request) as probe:
            listed.append(sorted(map(str, probe.listing().names.values())))
    named = (("shop", "shop-6d4f8-x2x9q"), ("", "shop-6d4f8-x2x9q"), ("pay", "pay-0"))
    assert listed == [sorted(str(ContainerName(name, pod, "prod")) for name, pod in named), []]


def test_busybox_and_toybox_find_the_same(trees: Path, tmp_path: Path) -> None:
    """The tools of small hosts read the same cgroups and names."""
    members = [(host, member.pid) for host in ("v2", "kubernetes") for member in HOSTS[host]]
    plain = {host: read(trees / host, "dash", *(pid for name, pid in members if name == host)) for host, _ in members}
    checked = 0
    for box in ("busybox", "toybox"):
        if shutil.which(box) is None:
            continue
        directory = tmp_path / box
        directory.mkdir()
        for applet in ("grep", "tail", "readlink", "uname", "sleep"):
            (directory / applet).symlink_to(shutil.which(box))
        for host, reading in plain.items():
            pids = [pid for name, pid in members if name == host]
            other = read(trees / host, "dash", *pids, env=os.environ | {"PATH": str(directory)})
            assert (other.cgroups, other.names, other.processes) == (
                *(reading.cgroups, reading.names, reading.processes),
            )
            checked += 1
    if not checked:
        pytest.skip(reason="neither busybox nor toybox is installed here")


@pytest.mark.parametrize("shell_", ALL_SHELLS)
def test_a_shell_without_tools_reads_cgroups_and_no_names(
    trees: Path,
    shell_: str,
    tools: Callable[[str, str], dict[str, str]],  # noqa: F811
) -> None:
    """It needs no grep for them; for names it would have to search whole files byte by byte."""
    env = tools("grep", "exit 127")
    members = HOSTS["v2"]
    reading = read(trees / "v2", shell_, *(member.pid for member in members), env=env)
    assert [process.memory_cgroup for process in reading.processes] == [member.path for member in members]
    assert [group.current_kib for group in reading.cgroups] == [
        m.charge.current for m in sorted(members, key=lambda m: m.path)
    ]
    assert reading.names == {}


def _crowd(tree_: Tree, processes: int, length: int = 20) -> None:
    """Fill the tree with processes, each in a cgroup of its own with a name this long, below one slice."""
    root = tree_.root / "sys/fs/cgroup"
    for pid in range(1000, 1000 + processes):
        tree_.add(pid, smaps="00400000-00401000 r-xp 00000000 08:01 9  /bin/app\nRss:  4 kB\n")
        path = f"/crowd.slice/{'s' * (length - 12)}-{pid}.service"
        write_files(tree_.root / str(pid), {"cgroup": f"0::{path}\n", "oom_score_adj": "0\n"})
        write_files(root / path[1:], v2_files(Charge(pid, 0)))
    write_limits(root, {"/crowd.slice": 1 << 20})


@pytest.fixture(scope="module", params=[20, 250])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A tree of 1,100 processes, each in a cgroup of its own, whose name is short or as long as a name can be."""
    filled = Tree(tmp_path_factory.mktemp("crowd"))
    _crowd(filled, 1100, request.param)
    return filled


def test_more_cgroups_than_an_argument_list_holds(shell: list[str], crowd: Tree) -> None:  # noqa: F811
    """All 1,100 processes are read, and each cgroup once."""
    pids = range(1000, 2100)
    with Conversation(shell, crowd.request()) as probe:
        reading = probe.read(*pids)
    assert [process.status for process in reading.processes] == ["read"] * 1100
    assert sorted(group.anon_kib or 0 for group in reading.cgroups) == list(pids)
    assert {(group.limit_kib, group.limit_path) for group in reading.cgroups} == {(1 << 20, "/crowd.slice")}


def test_a_cgroup_with_a_hundred_thousand_processes(tree: Tree) -> None:  # noqa: F811
    """They are counted."""
    _crowd(tree, 1)
    [directory] = (tree.root / "sys/fs/cgroup/crowd.slice").glob("*.service")
    (directory / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in range(100_000)))
    with Conversation(["sh", "-s"], tree.request()) as probe:
        [group] = probe.read(1000).cgroups
    assert group.processes == 100_000


DEEP = "/x" * 40
LONG = "/" + "/".join(["y" * 250] * 4)
ODD = ("/a b", "/a*", "/$HOME", "/..", "/../up", "/a/../b", "/./a", "//a", "/a/", "x", "/`id`", "/é", DEEP, LONG, "")


@pytest.mark.parametrize("path", ODD, ids=range(len(ODD)))
def test_a_path_that_is_not_followed(shell: list[str], tree: Tree, path: str) -> None:  # noqa: F811
    """Its process is read, and a neighbour's cgroup too; only what this cgroup is charged stays unknown."""
    tree.add(7, smaps="00400000-00401000 r-xp 00000000 08:01 9  /bin/app\nRss:  4 kB\n")
    tree.add(8, smaps="00400000-00401000 r-xp 00000000 08:01 9  /bin/app\nRss:  8 kB\n")
    root = tree.root / "sys/fs/cgroup"
    write_files(tree.root / "7", {"cgroup": f"0::{path}\n"})
    write_files(tree.root / "8", {"cgroup": "0::/good.service\n"})
    write_files(root / "good.service", v2_files(Charge(88, 0)))
    if ".." not in path and path not in ("", "x"):
        write_files(Path(f"{root}/{path}"), v2_files(Charge(77, 0)))
    with Conversation(shell, tree.request()) as probe:
        reading = probe.read(7, 8)
    assert [process.status for process in reading.processes] == ["read", "read"]
    assert reading.processes[0].memory_cgroup == path
    assert [(group.path, group.anon_kib) for group in reading.cgroups] == [("/good.service", 88)]


def test_a_path_that_looks_like_a_pattern_is_taken_as_it_is(shell: list[str], tree: Tree) -> None:  # noqa: F811
    """A backslash, a colon, and what systemd and the runtimes use besides."""
    paths = ["/system-a\\x2db.slice/c@1:2.service", "/system-ax2db.slice/c@1:2.service", "/a+b=c,d~e_f.scope"]
    for pid, path in enumerate(paths, 100):
        tree.add(pid, smaps="00400000-00401000 r-xp 00000000 08:01 9  /bin/app\nRss:  4 kB\n")
        write_files(tree.root / str(pid), {"cgroup": f"3:memory:{path}\n0::/\n"})
        files = {"memory.usage_in_bytes": f"{pid << 10}\n", "memory.stat": "total_rss 4096\n"}
        write_files(tree.root / "sys/fs/cgroup/memory" / path[1:], files)
    with Conversation(shell, tree.request()) as probe:
        groups = probe.read(100, 101, 102).cgroups
    assert {group.path: group.current_kib for group in groups} == dict(zip(paths, (100, 101, 102), strict=True))
    assert isinstance(groups[0], CgroupMemory)
    assert groups[0].is_unlimited is False
