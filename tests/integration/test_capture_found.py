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


def test_exe_is_not_there_to_select_by():
    """--exe cannot be answered from files."""
    with pytest.raises(UsageError, match=r"--exe: .* does not keep where exe points"):
        load(FAKE_PROC, Selection(exe="python*"))
