"""Trees without a manifest: a copy of /proc that a user made, and what smemcap writes."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from fleetpmap.capture import load
from fleetpmap.collection.collector import Question, collect
from fleetpmap.demo import demo_inventory
from fleetpmap.errors import UsageError
from fleetpmap.processes import Selection, compile_match
from fleetpmap.render import plain
from fleetpmap.report import mappings, processes
from program import fleetpmap
from snippets import blocks
from targets import Target

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
GUNICORN = Selection(match=compile_match("gunicorn"))


def test_a_copied_tree_says_what_the_hosts_said():
    """tests/fake_proc as it lies there: the mappings are those that the demo's servers send of it."""
    with demo_inventory() as inventory:
        live = collect(tuple(inventory.hosts.values()), Question(GUNICORN))
    copied = load(FAKE_PROC, GUNICORN)
    assert plain(mappings(copied)) == plain(mappings(live))
    assert plain(processes(copied)) == plain(processes(live))


def test_who_was_not_copied_is_denied():
    """Every process of the three hosts has its status, and a denied one says no more than is known."""
    snapshot = load(FAKE_PROC, Selection())
    assert snapshot.coverage.processes == {"read": 11, "denied": 7, "zombie": 3}
    assert {one.reason for one in snapshot.processes if one.status == "denied"} == {"its smaps is not in the copy"}
    assert [host.name for host in snapshot.hosts] == ["web-01", "web-02", "web-03"]


def test_what_was_not_copied_is_not_known():
    """A copy, or a capture of which the manifest was lost on the way, does not tell whether all of it is there."""
    done = fleetpmap("show", str(FAKE_PROC), "--view", "hosts")
    said = "web-[01-03]: it has no manifest, so files may be missing unnoticed"
    assert said in done.stderr.splitlines()


def test_one_hosts_tree(tmp_path: Path):
    """A directory with processes as entries is one host, with the directory's name."""
    tree = shutil.copytree(FAKE_PROC / "web-02", tmp_path / "box")
    snapshot = load(tree, GUNICORN)
    assert [host.name for host in snapshot.hosts] == ["box"]
    assert [process.pid for process in snapshot.processes] == [1702, 1710]
    assert snapshot.hosts[0].capabilities.kernel == "6.12.12+bpo-amd64"


def test_a_tar_of_a_tree(tmp_path: Path):
    """The same tree in a tar.gz, as tar itself writes it."""
    path = tmp_path / "copy.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(FAKE_PROC, ".")
    snapshot = load(path, GUNICORN)
    assert plain(mappings(snapshot)) == plain(mappings(load(FAKE_PROC, GUNICORN)))
    assert {process.user for process in snapshot.processes} == {"app"}


def test_smemcap(tmp_path: Path):
    """smemcap's tar (meminfo, version, then PID/ with smaps, cmdline and stat) is one host, owners included."""
    path = tmp_path / "box.tar"
    path.write_bytes(_smemcap(FAKE_PROC / "web-01", uid=1000))
    snapshot = load(path, Selection())
    readable = load(FAKE_PROC, GUNICORN)
    assert [host.name for host in snapshot.hosts] == ["box"]
    assert snapshot.hosts[0].capabilities.kernel == "6.1.0-27-amd64"
    gunicorn = [process for process in snapshot.processes if process.name == "gunicorn"]
    assert [(one.pid, one.uid, one.arguments) for one in gunicorn] == [
        (one.pid, 1000, one.arguments) for one in readable.processes if one.host == "web-01"
    ]
    assert snapshot.coverage.processes["read"] == 5


def _smemcap(tree: Path, uid: int) -> bytes:
    """A tar as smemcap writes it: no end-of-archive blocks, the owner in each header, no slash behind a directory."""
    out = io.BytesIO()

    def add(name: str, kind: bytes, content: bytes = b"") -> None:
        member = tarfile.TarInfo(name)
        member.type, member.size, member.uid = kind, len(content), uid if kind == tarfile.REGTYPE else 0
        out.write(member.tobuf(tarfile.GNU_FORMAT).replace(b"\0/", b"\0\0") + content + bytes(-len(content) % 512))

    add("meminfo", tarfile.REGTYPE, b"MemTotal:       16303156 kB\n")
    add("version", tarfile.REGTYPE, b"Linux version 6.1.0-27-amd64 (debian-kernel@lists.debian.org)\n")
    for process in sorted(tree.glob("[0-9]*")):
        add(process.name, tarfile.DIRTYPE)
        for name in ("smaps", "cmdline", "stat"):
            file = process / name
            add(f"{process.name}/{name}", tarfile.REGTYPE, file.read_bytes() if file.exists() else b"")
    return out.getvalue()


def test_the_loop_of_the_guide(tmp_path: Path):
    """The guide's shell lines, typed where /proc is a tree of one live process: its mappings are those of a run."""
    (loop,) = blocks(Path(__file__).parents[2] / "docs" / "guides" / "captures.md", "sh")
    with Target(f"fpl{os.getpid() % 100000}") as target:
        of_one = loop.replace("/proc/[0-9]*", f"/proc/{target.pid}")
        as_table = ("--view", "mappings", "--columns", "pid,name,start,end,path,rss,vm_flags", "--format", "csv")
        subprocess.run(["sh", "-ec", of_one], cwd=tmp_path, check=True)
        live = fleetpmap("run", "-H", "local", "--pid", str(target.pid), *as_table)
    copied = fleetpmap("show", str(tmp_path / "copy"), *as_table)
    assert copied.stdout == live.stdout
    assert "[heap]" in copied.stdout


def test_no_process_at_all(tmp_path: Path):
    """A directory of something else is no capture, and what one looks like is said."""
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match="neither processes nor saved runs are in it"):
        load(tmp_path, Selection())


def test_a_stat_that_is_none(tmp_path: Path):
    """A file that is not what its name says is named."""
    (tmp_path / "box" / "7").mkdir(parents=True)
    (tmp_path / "box" / "7" / "stat").write_text("hello\n")
    with pytest.raises(UsageError, match="box: 7/stat is not a stat line"):
        load(tmp_path, Selection())


def test_units_are_read_where_they_were_copied(tmp_path: Path):
    """--unit selects by the cgroup files of a copy, and says so where there are none."""
    of_unit = Selection(unit="gunicorn")
    assert [process.pid for process in load(FAKE_PROC / "web-01", of_unit).processes] == [1843, 1851]
    tree = shutil.copytree(FAKE_PROC / "web-01", tmp_path / "box", ignore=shutil.ignore_patterns("cgroup"))
    with pytest.raises(UsageError, match="box: the capture does not hold the cgroups"):
        load(tree, of_unit)


def in_docker(tree: Path, **ids: str) -> None:
    """Write the cgroup files of processes that run in containers of these ids."""
    for pid, beginning in ids.items():
        (tree / pid.removeprefix("pid") / "cgroup").write_text(f"0::/system.slice/docker-{beginning:0<64}.scope\n")


def test_containers_are_found_where_cgroups_were_copied(tmp_path: Path):
    """--container and --pod select by the same files; without them that is said."""
    tree = shutil.copytree(FAKE_PROC / "web-01", tmp_path / "box")
    in_docker(tree, pid1843="4f9a1c", pid1851="4f9a1c", pid2290="77ab")
    for text, pids in (("4f9a", [1843, 1851]), ("docker:77", [2290]), ("4f9a1c" + "0" * 58, [1843, 1851]), ("5", [])):
        assert [process.pid for process in load(tree, Selection(container=text)).processes] == pids
    for cgroup in tree.glob("*/cgroup"):
        cgroup.unlink()
    for selection in (Selection(container="4f9a"), Selection(pod="2c48")):
        with pytest.raises(UsageError, match="box: the capture does not hold the cgroups"):
            load(tree, selection)


def test_host_with_two_containers_that_fit_fails_alone(tmp_path: Path):
    """The other hosts of the copy are shown, and the exit status says that one is missing."""
    tree = shutil.copytree(FAKE_PROC, tmp_path / "fleet")
    in_docker(tree / "web-01", pid1843="4f9a", pid1851="4f9b")
    in_docker(tree / "web-02", pid1702="4f9c")
    done = fleetpmap("show", str(tree), "--container", "4f9", "--view", "processes", "--format", "csv")
    assert [line.split(",")[:2] for line in done.stdout.splitlines()[1:]] == [["web-02", "1702"]]
    assert "web-01: --container 4f9 fits 2 containers: docker:4f9a00000000 and docker:4f9b00000000\n" in done.stderr
    assert "  hint: give more digits, or the whole name\n" in done.stderr
    assert "2 of 3 hosts answered, 1 without a match; 1 did not: 1 remote-error; 1 of 1 process read" in done.stderr
    assert done.returncode == 3


def test_instances_of_a_unit_in_a_copy(tmp_path: Path):
    """The note of a run is there, too."""
    tree = shutil.copytree(FAKE_PROC / "web-01", tmp_path / "box")
    (tree / "1843/cgroup").write_text("0::/system.slice/system-shop.slice/shop@a.service\n")
    snapshot = load(tree, Selection(unit="shop"))
    assert [process.pid for process in snapshot.processes] == [1843]
    assert "--unit shop: also its instance shop@a.service" in snapshot.hosts[0].notes


def test_exe_is_not_there_to_select_by():
    """--exe cannot be answered from files."""
    with pytest.raises(UsageError, match=r"--exe: .* does not keep where exe points"):
        load(FAKE_PROC, Selection(exe="python*"))
