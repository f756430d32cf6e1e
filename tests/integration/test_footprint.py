"""What a conversation costs a host, counted instead of timed: forks, and bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fleetpmap.probe import Request
from service_trees import lay_out_services
from test_probe import Conversation

# In a PID namespace of its own, whose last pid counts every fork: so many processes to list, and one conversation.
COUNTED = """
import os, subprocess, sys
from pathlib import Path
from fleetpmap.probe import Request, render
from fleetpmap.wire import Decoder

processes, wishes, shell = int(sys.argv[1]), filter(None, sys.argv[2].split(",")), sys.argv[3:]
started = [subprocess.Popen(["sleep", "600"]).pid for _ in range(processes)]
script = render(Request(**dict.fromkeys(wishes, True)))
decoder = Decoder(script, host="here")
last_pid = Path("/proc/sys/kernel/ns_last_pid")
before = int(last_pid.read_text())
probe = subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

def answer(line, reply):
    probe.stdin.write(line)
    while reply() is None:
        piece = os.read(probe.stdout.fileno(), 1 << 16)
        decoder.feed(piece) if piece else decoder.eof()
    return reply()

listed = len(answer(script.stdin, lambda: decoder.listing).processes)
read = answer(script.read_line([started[:4]]), lambda: decoder.reading).unpack()
once = int(last_pid.read_text())
decoder.begin_again()
decoder.expect_both()
again = answer(script.list_line([started[:4]]), lambda: decoder.reading).unpack()
probe.stdin.write(script.quit_line())
probe.wait(20)
for each in read, again:
    assert listed >= processes and [one.status for one in each.processes] == ["read"] * 4
print(once - before, int(last_pid.read_text()) - once)
"""
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")
FORKS = {"": 13, "words": 14, "cgroups": 15, "owners": 16}
"""Of GNU's tools and dash, the shell itself included; for fewer than 100 processes each list of files saves one."""


AGAIN = 5
"""What a later round of a watch takes less: the shell, its choice of tools, and one packing and one watcher."""


def _forks(processes: int, wish: str, *shell: str, path: str = os.environ["PATH"]) -> tuple[int, int]:
    """Of a conversation, and of a later round in it."""
    argv = [*NAMESPACE, sys.executable, "-c", COUNTED, str(processes), wish, *shell]
    done = subprocess.run(
        argv, capture_output=True, text=True, env=os.environ | {"PATH": path}, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    once, again = map(int, done.stdout.split())
    return once, again


@pytest.fixture
def namespace() -> None:
    """PID namespaces can be made here, and tell their last pid."""
    told = ("cat", "/proc/sys/kernel/ns_last_pid")
    if not shutil.which("unshare") or subprocess.run([*NAMESPACE, *told], capture_output=True, check=False).returncode:
        pytest.skip(reason="forks are counted in a PID namespace of one's own, which tells its last pid: none here")


@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("processes", [200, 800])
@pytest.mark.parametrize("wish", FORKS)
def test_forks_of_a_conversation(wish: str, processes: int) -> None:
    """List, and read four: as many for ten times as many processes; and the same once more, as a watch does."""
    if not shutil.which("dash"):
        pytest.skip(reason="no dash on this machine, whose forks these numbers are")
    once, again = _forks(processes, wish, "dash", "-s")
    assert once <= FORKS[wish]
    assert again <= FORKS[wish] - AGAIN


@pytest.mark.usefixtures("namespace")
def test_forks_with_busybox(tmp_path: Path) -> None:
    """Its shell and its tools: the same for two hundred processes and for eight hundred."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip(reason="no busybox on this machine, whose forks are to be counted")
    for applet in ("sh", "grep", "awk", "tail", "gzip", "readlink"):
        (tmp_path / applet).symlink_to(busybox)
    path = f"{tmp_path}:{os.environ['PATH']}"
    few, many = (_forks(processes, "", "sh", "-s", path=path) for processes in (200, 800))
    assert few == many
    assert few[0] <= 20  # grep's options are tried, which takes a pipeline


# The same over a recorded tree, of which all processes are read.
COUNTED_TREE = """
import os, subprocess, sys
from pathlib import Path
from fleetpmap.probe import Request, render
from fleetpmap.wire import Decoder

root, shell = Path(sys.argv[1]), sys.argv[2:]
pids = sorted(int(path.parent.name) for path in root.glob("[0-9]*/stat"))
script = render(Request(proc_root=str(root)))
decoder = Decoder(script, host="here")
last_pid = Path("/proc/sys/kernel/ns_last_pid")
before = int(last_pid.read_text())
probe = subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
probe.stdin.write(script.stdin)
while decoder.listing is None:
    decoder.feed(os.read(probe.stdout.fileno(), 1 << 16))
listed = int(last_pid.read_text())
probe.stdin.write(script.read_line([pids]))
while decoder.reading is None:
    decoder.feed(os.read(probe.stdout.fileno(), 1 << 16))
reading = decoder.reading.unpack()
assert {one.status for one in reading.processes} == {"read"}
probe.stdin.write(script.quit_line())
probe.wait(20)
print(listed - before, int(last_pid.read_text()) - listed, len(reading.cgroups), len(reading.names))
"""


def _forks_of_tree(root: Path) -> tuple[int, int, int, int]:
    """Of the list phase, of the read phase; and how many cgroups and names came."""
    argv = [*NAMESPACE, sys.executable, "-c", COUNTED_TREE, str(root), "dash", "-s"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    listed, read, groups, names = map(int, done.stdout.split())
    return listed, read, groups, names


@pytest.mark.usefixtures("namespace")
def test_forks_for_cgroups_and_names(tmp_path: Path) -> None:
    """The files of cgroups take none, in either phase; the names of containers take one."""
    if not shutil.which("dash"):
        pytest.skip(reason="no dash on this machine, whose forks these numbers are")
    lay_out_services(tmp_path)
    root = tmp_path / "v2"
    listed, read, groups, names = _forks_of_tree(root)
    shutil.rmtree(root / "var")
    assert (groups, names) == (9, 2)
    assert _forks_of_tree(root) == (listed, read - 1, 9, 0)
    shutil.rmtree(root / "sys/fs")
    assert _forks_of_tree(root) == (listed, read - 1, 0, 0)


@pytest.mark.usefixtures("namespace")
def test_forks_for_a_crowd_of_cgroups(tmp_path: Path) -> None:
    """Of 400 processes, each in a cgroup of its own: one to find them, and one for each 40 of their cgroups at most."""
    if not shutil.which("dash"):
        pytest.skip(reason="no dash on this machine, whose forks these numbers are")
    lay_out_services(tmp_path)
    crowd = tmp_path / "crowd"
    for pid in range(1000, 1400):
        shutil.copytree(tmp_path / "v2" / "101", crowd / str(pid))
        stat = (crowd / str(pid) / "stat").read_text()
        (crowd / str(pid) / "stat").write_text(stat.replace("101 ", f"{pid} ", 1))
        (crowd / str(pid) / "cgroup").write_text(f"0::/web.slice/nginx@{pid}.service\n")
        group = crowd / f"sys/fs/cgroup/web.slice/nginx@{pid}.service"
        shutil.copytree(tmp_path / "v2/sys/fs/cgroup/web.slice/nginx.service", group)
    listed, read, groups, _ = _forks_of_tree(crowd)
    shutil.rmtree(crowd / "sys")
    assert groups == 400
    without = _forks_of_tree(crowd)
    assert without == (listed, without[1], 0, 0)
    assert read - without[1] <= 10


def test_bytes_of_a_thousand_names(tmp_path: Path) -> None:
    """Phase one for a match on names: at most 32 bytes on the wire for each process of a recorded tree."""
    root = tmp_path / "proc"
    recorded = (Path(__file__).parents[1] / "fake_proc/web-01/1843/stat").read_text().rpartition(")")[2]
    for pid in range(1000, 2000):
        (root / str(pid)).mkdir(parents=True)
        (root / str(pid) / "stat").write_text(f"{pid} (worker-{pid % 7}){recorded}")
        (root / str(pid) / "cmdline").write_bytes(b"/usr/bin/worker\0" + b"--flag\0" * 40)
    with Conversation(["sh", "-s"], Request(proc_root=str(root))) as probe:
        assert len(probe.listing().processes) == 1000
        assert probe.decoder._output_size < 32_000
