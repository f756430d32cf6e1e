"""A process whose files do not come back, as one whose mmap_lock nobody gives back: the others are read all the same.

A FIFO stands for such a file: whoever opens it waits for ever.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bounded import wait_until, within
from fleetpmap.collection.collector import Question, collect
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection
from fleetpmap.snapshot import Snapshot
from fleetpmap.watch import Rounds
from program import fleetpmap
from test_probe import SHELLS, Conversation, Tree

_SMAPS = "00400000-00401000 r-xp 00000000 fe:00 7 /srv/app\nRss: {} kB\n"
_PIDS = (41, 42, 43)
_WITHIN_S = 40
"""Of the 8 s that each host has here it takes 4; the rest is for a busy machine."""


def _tree(root: Path, *stuck: str) -> Tree:
    """Three processes, whose RSS in KiB is their pid; the files of these paths are never read to their end."""
    root.mkdir()
    tree = Tree(root)
    for pid in _PIDS:
        tree.add(pid, smaps=_SMAPS.format(pid))
        (tree.root / f"{pid}/smaps_rollup").write_text(
            f"00400000-7ffd0000 ---p 00000000 00:00 0 [rollup]\nRss: {pid} kB\n"
        )
    for path in stuck:
        (tree.root / path).unlink()
        os.mkfifo(tree.root / path)
    return tree


def _host(tree: Tree, name: str, timeout_s: float = 8) -> Host:
    return Host(name, transport="local", proc_root=str(tree.root), timeout_s=timeout_s)


@dataclass
class _Case:
    stuck: tuple[str, ...]
    read: list[int]
    cut: list[int]


CASES = {
    "first": _Case(("41/smaps",), [42, 43], [41]),
    "middle": _Case(("42/smaps",), [41, 43], [42]),
    "last": _Case(("43/smaps",), [41, 42], [43]),
    "two": _Case(("41/smaps", "42/smaps"), [43], [41, 42]),
    "all": _Case(("41/smaps", "42/smaps", "43/smaps"), [], [41, 42, 43]),
    "cmdline": _Case(("42/cmdline",), [41, 43], [42]),
    "both-files": _Case(("42/cmdline", "42/smaps"), [41, 43], [42]),
    "none": _Case((), [41, 42, 43], []),
}


def _by_status(snapshot: Snapshot, host: str, status: str) -> list[int]:
    return [one.pid for one in snapshot.processes if (one.host, one.status) == (host, status)]


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """All the cases, each a host, at once."""
    root = tmp_path_factory.mktemp("stuck")
    hosts = [_host(_tree(root / name, *case.stuck), name) for name, case in CASES.items()]
    with within(_WITHIN_S):
        return collect(hosts, Question(Selection(match=re.compile("app"))))


@pytest.mark.parametrize("name", CASES)
def test_the_others_are_read_and_it_is_named(looked: Snapshot, name: str) -> None:
    """Wherever it stands among them, and however many there are."""
    case = CASES[name]
    assert _by_status(looked, name, "read") == case.read
    assert _by_status(looked, name, "cut") == case.cut
    rss = [
        int(one)
        for one, slot in zip(looked.table.fields["Rss"], looked.table.process, strict=True)
        if looked.processes[slot].host == name
    ]
    assert rss == case.read
    status = {host.name: host.status for host in looked.hosts}[name]
    assert status == ("partial" if case.cut else "ok")


@pytest.mark.parametrize(
    "words", [("--full", "--match", "--pid 4"), ("--rollup", "--match", "app", "--view", "processes")]
)
def test_words_and_rollups_that_do_not_come(tmp_path: Path, words: tuple[str, ...]) -> None:
    """In the first phase, and where smaps_rollup takes the place of smaps."""
    tree = _tree(tmp_path / "box", "42/cmdline", "42/smaps_rollup")
    inventory = tmp_path / "inventory.toml"
    inventory.write_text(f'[hosts.box]\ntransport = "local"\nproc_root = "{tree.root}"\n')
    with within(_WITHIN_S):
        done = fleetpmap("run", "-i", str(inventory), *words, "--timeout", "8")
    if "--full" in words:
        assert (
            "the command line of process 42 did not come back, so only the name could match"
            in done.stderr + done.stdout
        )
        assert "2 of 2 processes read" in done.stderr
    else:
        assert "1 cut process: 42 on box (its files did not come back within 1 s" in done.stderr
        assert done.returncode == 3


@pytest.mark.parametrize("tools", ["gnu", "sh"])
@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gives_the_phase_up(tmp_path: Path, shell: str, tools: str) -> None:
    """Says for whom, ends what it started, and answers again."""
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(reason=f"{shell} is not installed here")
    tree = _tree(tmp_path / "box", "42/smaps")
    if tools == "sh":
        (tmp_path / "grep").write_text("#!/bin/sh\nexit 2\n")
        (tmp_path / "grep").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with Conversation([*SHELLS[shell], "-s"], tree.request(), env=environment) as probe:
        _give_up(probe)
        probe.send(probe.script.skip_line([42]) + probe.script.list_line())
        reading = probe.read(41, 43)
        assert [one.status for one in reading.processes] == ["read", "read"]
        probe.send(probe.script.quit_line())
        probe.rest()
        assert probe.process.wait(60) == 0
        assert probe.left() == []


def _give_up(probe: Conversation) -> None:
    """Have it read until it names 42."""
    probe.listing()
    probe.send(probe.script.read_line([_PIDS]))
    probe.send(probe.script.look_line(1))
    while not probe.decoder.stuck:
        assert probe._take(), probe.process.stderr.read()
    assert probe.decoder.stuck == (42,)
    probe.decoder.begin_again()


def test_what_cannot_be_killed_is_left_behind(tmp_path: Path, tools: Callable[[str, str], dict[str, str]]) -> None:
    """A tail in uninterruptible sleep keeps the pipes open. Here a process that nobody finds by its parent does so."""
    tree = _tree(tmp_path / "box", "42/smaps")
    lasting = tools("tail", 'case $* in *42/smaps*) (sleep 600 &); exec sleep 600 ;; esac; exec /usr/bin/tail "$@"')
    with Conversation(["sh", "-s"], tree.request(), env=lasting) as probe:
        _give_up(probe)
        probe.send(probe.script.skip_line([42]) + probe.script.list_line())
        assert [one.status for one in probe.read(41, 43).processes] == ["read", "read"]
        assert [stat.split()[1] for stat in probe.left() if "(sleep)" in stat] == ["(sleep)"]


def test_a_look_at_a_host_that_is_only_slow(tmp_path: Path, tools: Callable[[str, str], dict[str, str]]) -> None:
    """Every process answers, so the reading goes on; nothing stays behind."""
    tree = _tree(tmp_path / "box")
    slow = tools("tail", 'sleep 2; exec /usr/bin/tail "$@"')
    with Conversation(["sh", "-s"], tree.request(), env=slow) as probe:
        probe.listing()
        probe.send(probe.script.read_line([_PIDS]) + probe.script.look_line(1))
        while probe.decoder.reading is None:
            assert probe._take()
        assert [one.status for one in probe.decoder.reading.unpack().processes] == ["read"] * 3
        wait_until(lambda: len(probe.left()) == 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="a pid namespace of its own takes root")
@pytest.mark.parametrize("shell", SHELLS)
def test_a_look_spares_a_process_that_got_the_pid_of_a_reader(
    tmp_path: Path, tools: Callable[[str, str], dict[str, str]], shell: str
) -> None:
    """A reader that has ended stands for no stuck file, and what has its pid now is not ours to kill."""
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(reason=f"{shell} is not installed here")
    tree = _tree(tmp_path / "box")
    given, started = tmp_path / "given", tmp_path / "started"
    check = f'[ ! -e {given} ] || {{ read -r pid <{given}; kill -0 "$pid"; }} || exit 127'
    tools("tail", f'/bin/sleep 3 & : >{started}; wait; {check}; exec /usr/bin/tail "$@"')
    # The last reader was started right before this; the kernel gives the pid after the one written here.
    reuse = f"/bin/sleep 60 & if [ $! = $(($$ - 1)) ]; then echo $! >{given}; break; fi; kill $!"
    reuse = f"for turn in 1 2 3 4 5; do echo $(($$ - 2)) >/proc/sys/kernel/ns_last_pid; {reuse}; done"
    env = tools("sleep", f"/bin/sleep 1; {reuse}")
    namespace = ["unshare", "--pid", "--fork", "--mount-proc"]
    with Conversation([*namespace, *SHELLS[shell], "-s"], tree.request(), env=env) as probe:
        probe.listing()
        probe.send(probe.script.read_line([_PIDS]))
        wait_until(started.exists)
        probe.send(probe.script.look_line(1))
        while probe.decoder.reading is None:
            assert probe._take()
            assert not probe.decoder.stuck
        assert [one.status for one in probe.decoder.reading.unpack().processes] == ["read"] * 3
    assert given.exists()


def test_a_look_that_comes_too_late(tmp_path: Path) -> None:
    """The phase is over: it is no request."""
    tree = _tree(tmp_path / "box")
    with Conversation(["sh", "-s"], tree.request()) as probe:
        probe.listing()
        probe.send(probe.script.look_line(1))
        assert [one.status for one in probe.read(*_PIDS).processes] == ["read"] * 3


def test_rounds_of_a_watch(tmp_path: Path) -> None:
    """One that stops answering is cut from that round on, and the next rounds do not wait for it again."""
    tree = _tree(tmp_path / "box")
    with Rounds([_host(tree, "box", timeout_s=20)], Question(Selection(match=re.compile("app")))) as rounds:
        looks = [rounds.look() for _ in range(2)]
        (tree.root / "41/smaps").unlink()
        os.mkfifo(tree.root / "41/smaps")
        looks.append(rounds.look())
        with within(4.5):  # of silence a host is given a quarter of its time
            looks.append(rounds.look())
    assert [[one.status for one in look.processes] for look in looks] == [
        ["read", "read", "read"],
        ["read", "read", "read"],
        ["cut", "read", "read"],
        ["cut", "read", "read"],
    ]


@pytest.fixture
def tools(tmp_path: Path) -> Callable[[str, str], dict[str, str]]:
    """Puts a script in front of a tool's name in PATH; the environment in which it is found first."""

    def put(name: str, text: str) -> dict[str, str]:
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
        return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    return put
