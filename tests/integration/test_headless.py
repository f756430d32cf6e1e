"""Processes whose main thread has ended while others run: their memory is there, and only a thread's files tell."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetpmap.collection.collector import Question, collect
from fleetpmap.probe import Request
from fleetpmap.processes import Selection
from fleetpmap.watch import Rounds
from program import fleetpmap
from sshd import Sshd
from test_probe import AS_ROOT, SHELLS, Conversation

_MEMORY_KIB = 20480
_PROGRAM = f"""
import ctypes, mmap, platform, threading, time
memory = mmap.mmap(-1, {_MEMORY_KIB} << 10, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)
for _ in range(2):
    threading.Thread(target=time.sleep, args=(600,)).start()
print(flush=True)
ctypes.CDLL(None).syscall(60 if platform.machine() == "x86_64" else 93, 0)  # exit(2), which ends this thread alone
"""
_NAME = "headless-worker-of-ours"


def _start(directory: Path, **popen: object) -> subprocess.Popen[bytes]:
    """A process without a main thread, called `headless-worker` and, by its command line, _NAME."""
    program = directory / _NAME
    program.symlink_to(sys.executable)
    process = subprocess.Popen([program, "-S", "-c", _PROGRAM], stdout=subprocess.PIPE, **popen)  # type: ignore[call-overload]  # any keyword
    assert process.stdout is not None
    process.stdout.readline()
    while _state(process.pid) != "Z":
        pass
    return process


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def _private_dirty_kib(pid: int) -> int:
    """By the files of its threads."""
    thread = next(one for one in Path(f"/proc/{pid}/task").iterdir() if one.name != str(pid))
    return sum(map(int, re.findall(r"(?m)^Private_Dirty: +(\d+)", (thread / "smaps").read_text())))


@pytest.fixture(scope="module")
def headless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Its pid; 20 MiB of it are private."""
    process = _start(tmp_path_factory.mktemp("headless"))
    yield process.pid
    process.kill()
    process.communicate()


def test_its_memory_is_counted(headless: int, sshd: Sshd) -> None:
    """Here and over SSH alike: 20 MiB and what the interpreter has, all of it private; and its whole name."""
    question = Question(Selection(match=re.compile(f"^{_NAME}$")), ssh=sshd.options)
    snapshot = collect([sshd.host()], question)
    [one] = snapshot.processes
    assert (one.pid, one.name, one.status, one.arguments[1:3]) == (headless, _NAME, "read", ("-S", "-c"))
    assert int(snapshot.table.fields["Private_Dirty"].sum()) == _private_dirty_kib(headless) > _MEMORY_KIB
    assert one.rss_kib > _MEMORY_KIB
    assert snapshot.hosts[0].status == "ok"
    done = fleetpmap("run", "-H", "local", "--match", f"^{_NAME}$", "--view", "hosts", "--format", "json")
    assert json.loads(done.stdout)["total"]["dirty_kib"] == _private_dirty_kib(headless)


@pytest.mark.parametrize("words", [("--full", "--match", f"{_NAME} -S -c"), ("--exe", "python3*"), ("--match", _NAME)])
def test_it_is_found_by_what_its_threads_tell(headless: int, words: tuple[str, ...]) -> None:
    """Its own cmdline is empty, and its own exe leads nowhere."""
    if words[0] == "--exe":
        words = ("--exe", os.path.realpath(sys.executable), "--pid", str(headless))
    done = fleetpmap("run", "-H", "local", *words, "--view", "processes", "--format", "json")
    assert [(row["pid"], row["status"]) for row in json.loads(done.stdout)["rows"]] == [(headless, "read")]
    assert done.returncode == 0


def test_the_guard_goes_by_its_threads(headless: int) -> None:
    """Its own stat has an RSS of 0."""
    done = fleetpmap("run", "-H", "local", "--pid", str(headless), "--max-rss", "10M", "--view", "processes")
    assert done.returncode == 3
    assert "is over --max-rss 10.0M" in done.stderr


@pytest.mark.parametrize("words", [("--rollup",), ("-vv",)])
def test_smaps_rollup_is_that_of_a_thread_too(headless: int, words: tuple[str, ...]) -> None:
    """In the place of smaps, and beside it for the self-check."""
    done = fleetpmap("run", "-H", "local", "--pid", str(headless), "--view", "processes", "--format", "json", *words)
    [row] = json.loads(done.stdout)["rows"]
    assert (row["status"], row["dirty_kib"]) == ("read", _private_dirty_kib(headless))
    assert "failed" not in done.stderr


def test_every_round_of_a_watch_has_it(headless: int, sshd: Sshd) -> None:
    """The later ones too, in which both phases come as one."""
    with Rounds([sshd.host()], Question(Selection(pids=(headless,)), ssh=sshd.options)) as rounds:
        looks = [rounds.look() for _ in range(3)]
    sums = [int(one.table.fields["Private_Dirty"].sum()) for one in looks]
    assert sums == [_private_dirty_kib(headless)] * 3


def test_a_capture_shows_the_same(headless: int, tmp_path: Path) -> None:
    """Numbers, name and RSS, from the files alone."""
    words = ("--view", "processes", "--format", "json")
    run = fleetpmap("run", "-H", "local", "--match", _NAME, "--capture", str(tmp_path / "kept"), *words)
    show = fleetpmap("show", str(tmp_path / "kept"), "--match", _NAME, *words)
    assert json.loads(show.stdout)["rows"] == json.loads(run.stdout)["rows"] != []


def test_a_copy_of_proc_without_its_threads(tmp_path: Path) -> None:
    """Its own smaps is empty, so its memory is missing there, and not none."""
    (tmp_path / "41").mkdir()
    stat = "41 (app) Z 1 41 41 0 -1 4227084 9 8 7 6 5 4 3 2 20 0 2 0 4711 0 0 18446744073709551615 0 0 0\n"
    (tmp_path / "41/stat").write_text(stat)
    (tmp_path / "41/smaps").write_text("")
    done = fleetpmap("show", str(tmp_path), "--view", "processes", "--format", "json")
    assert [row["status"] for row in json.loads(done.stdout)["rows"]] == ["denied"]
    assert "its main thread had ended, and the smaps of the others are not in the copy" in done.stderr
    assert done.returncode == 3


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("grep", ["works", "fails"])
def test_each_shell_reads_it(headless: int, tmp_path: Path, shell: str, grep: str) -> None:
    """With GNU's tools, and alone."""
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(reason=f"{shell} is not installed here")
    if grep == "fails":
        (tmp_path / "grep").write_text("#!/bin/sh\nexit 2\n")
        (tmp_path / "grep").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with Conversation([*SHELLS[shell], "-s"], Request(), env=environment) as probe:
        [one] = probe.read(headless).processes
        listed = probe.listing().processes.get(headless)
    assert listed
    assert (one.status, listed.threads) == ("read", 3)
    assert listed.rss_kib > _MEMORY_KIB


def test_busybox_reads_it(headless: int, tmp_path: Path) -> None:
    """Its awk, grep and tail."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip(reason="busybox is not installed here")
    for applet in ("sh", "grep", "awk", "tail", "gzip"):
        (tmp_path / applet).symlink_to(busybox)
    with Conversation(["sh", "-s"], Request(), env={"PATH": str(tmp_path)}) as probe:
        [one] = probe.read(headless).processes
        listed = probe.listing().processes.get(headless)
        assert probe.listing().capabilities.reader == "busybox"
    assert listed
    assert (one.status, listed.arguments[1:3]) == ("read", ("-S", "-c"))


@AS_ROOT
def test_another_users_is_denied(headless: int, account: Callable[..., str], sshd: Sshd) -> None:
    """Its own smaps could be opened by anybody, and is empty: that would pass for no memory at all."""
    user = account("headless")
    sshd.authorize(user, sshd.identity_file)
    snapshot = collect([sshd.host(user=user)], Question(Selection(pids=(headless,)), ssh=sshd.options))
    assert [one.status for one in snapshot.processes] == ["denied"]
    assert snapshot.hosts[0].status == "partial"


def test_a_main_thread_that_ends_between_the_phases(tmp_path: Path) -> None:
    """It was sleeping when it was listed."""
    program = tmp_path / "late"
    program.symlink_to(sys.executable)
    code = _PROGRAM.replace("ctypes.CDLL(None)", "input(); ctypes.CDLL(None)")
    process = subprocess.Popen([program, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    with Conversation(["sh", "-s"], Request()) as probe:
        listed = probe.listing().processes.get(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        while _state(process.pid) != "Z":
            pass
        reading = probe.read(process.pid, os.getpid())
    process.kill()
    process.communicate()
    assert listed
    assert listed.state != "Z"
    assert [one.status for one in reading.processes] == ["read", "read"]
    assert reading.smaps[: reading.processes[0].stop].count(b"late\n") == 0
    assert b"Private_Dirty:     20480 kB" in reading.smaps[: reading.processes[0].stop]


def test_a_process_that_has_ended_is_a_zombie() -> None:
    """All of its threads have: nothing is left to read, and nothing is missing."""
    process = subprocess.Popen(["sleep", "0"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    done = fleetpmap("run", "-H", "local", "--pid", str(process.pid), "--view", "processes", "--format", "json")
    process.wait()
    assert [row["status"] for row in json.loads(done.stdout)["rows"]] == ["zombie"]
    assert done.returncode == 0
