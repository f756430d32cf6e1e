"""The real script in real shells, on this machine's /proc and on small trees made here, over pipes."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Self

import pytest

from bounded import wait_until
from fleetpmap.collection.interpret import host_snapshot
from fleetpmap.collection.reply import HostReply
from fleetpmap.errors import ProtocolError, RemoteError
from fleetpmap.inventory import Host
from fleetpmap.probe import Request, render
from fleetpmap.processes import Selection, choose
from fleetpmap.wire import Decoder, Listing, Reading
from program import waiting

PROBE = files("fleetpmap.probe").joinpath("probe.sh")
SHELLS = {"dash": ["dash"], "bash": ["bash"], "busybox": ["busybox", "sh"], "mksh": ["mksh"]}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
HANG_S = 30


class Conversation:
    """A probe in a session of its own, and what it answered."""

    def __init__(self, argv: list[str], request: Request, **popen: object) -> None:
        self.script = render(request)
        self.decoder = Decoder(self.script, host="here")
        self.process = subprocess.Popen(  # type: ignore[call-overload]  # keyword arguments of any kind
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            **popen,
        )
        self.send(self.script.stdin)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(HANG_S)

    def send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(data)

    def listing(self) -> Listing:
        while self.decoder.listing is None:
            assert self._take(), self.process.stderr.read()
        return self.decoder.listing

    def read(self, *pids: int) -> Reading:
        """The listing, then the reading of these."""
        self.listing()
        self.send(self.script.read_line([pids]))
        return self.replied()

    def replied(self) -> Reading:
        """The reading that was asked for."""
        while self.decoder.reading is None:
            assert self._take() or self.decoder.eof(), self.process.stderr.read()
        return self.decoder.reading.unpack()

    def rest(self) -> None:
        """All that still comes."""
        while self._take():
            pass
        self.decoder.eof()

    def left(self) -> list[str]:
        """stat of every process that still runs of what the probe started, itself included.

        Zombies are left out: an orphan waits for init, which on some machines collects only every two seconds.
        """
        fields = [(stat, stat.rpartition(")")[2].split()) for stat in _stats()]
        return [
            stat for stat, (state, _, _, session, *_) in fields if session == str(self.process.pid) and state != "Z"
        ]

    def _take(self) -> bool:
        ready, _, _ = select.select([self.process.stdout], [], [], HANG_S)
        assert ready, "the probe hangs"
        piece = os.read(self.process.stdout.fileno(), 1 << 16)
        self.decoder.feed(piece)
        return bool(piece)


def mappings(smaps: bytes) -> list[bytes]:
    """The lines that do not change while a process waits (its Pss does, whenever another one maps the same library)."""
    return re.findall(rb"(?m)^[0-9a-f]+-.*$", smaps)


def _stats() -> Iterator[str]:
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            yield entry.read_text(errors="replace")


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    """Each shell that /bin/sh may be, as the command of a Script."""
    argv = SHELLS[request.param]
    if shutil.which(argv[0]) is None:
        pytest.skip(reason=f"{argv[0]} is not installed here")
    return [*argv, "-s"]


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a process of ours, of any argv, that prints a line and waits; all are gone after the test."""
    children: list[subprocess.Popen[bytes]] = []

    def start(*argv: bytes | str, **popen: object) -> subprocess.Popen[bytes]:
        argv = argv or ("sh", "-c", "echo; read line")
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **popen)  # type: ignore[call-overload]  # any keyword
        children.append(process)
        process.stdout.readline()  # it runs its own code now, no longer ours after fork
        return process

    yield start
    for process in children:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


class Tree:
    """A recorded /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root / "proc"
        kernel = self.root / "sys/kernel"
        kernel.mkdir(parents=True)
        (kernel / "osrelease").write_text("5.10.0-8-amd64\n")

    def add(
        self, pid: int, name: str = "app", *, smaps: str | None = None, start: int = 4711, flags: int = 4194304
    ) -> None:
        """A process; without `smaps` it has no such file."""
        directory = self.root / str(pid)
        directory.mkdir(exist_ok=True)
        stat = f"{pid} ({name}) S 1 {pid} {pid} 0 -1 {flags} 9 8 7 6 5 4 3 2 20 0 1 0 {start} 8192000 33 184\n"
        (directory / "stat").write_text(stat)
        (directory / "status").write_text(f"Name:\t{name}\nUid:\t1000\t{pid}\t1000\t1000\n")
        (directory / "cmdline").write_bytes(f"{name}\0--pid\0{pid}\0".encode())
        if smaps is not None:
            (directory / "smaps").write_text(smaps)

    def request(self, **options: bool) -> Request:
        return Request(proc_root=str(self.root), **options)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """An empty recorded /proc."""
    return Tree(tmp_path)


def test_the_command_is_plain_words() -> None:
    """Any login shell takes them, a restricted one too; sudo never asks."""
    assert render(Request()).command == "sh -s"
    assert render(Request(sudo=True)).command == "sudo -n sh -s"


def test_every_script_has_a_nonce_of_its_own_and_ends_its_last_line() -> None:
    """A nonce seen once is worth nothing; an unfinished line would never run."""
    one, two = render(Request()), render(Request())
    assert re.fullmatch("[0-9a-f]{32}", one.nonce)
    assert one.nonce != two.nonce
    assert one.stdin.endswith(b"\nmain\n")


def test_lines_for_stdin() -> None:
    """The words that the script understands."""
    script = render(Request())
    assert script.read_line([(12, 7)]) == b"read 12 7\n"
    assert script.read_line([(12, 7), (5,), (6,)]) == b"read 12 7 / 5 / 6\n"
    assert (script.list_line(), script.list_line([(7, 8), (9,)])) == (b"list\n", b"list 7 8 / 9\n")
    assert script.quit_line() == b"quit\n"


def test_the_script_writes_nowhere() -> None:
    """Output goes to stdout, to another descriptor or to /dev/null, and no here-document makes a temporary file."""
    code = re.sub(r'(?m)#.*$|".*"', "", PROBE.read_text())
    assert set(re.findall(r">+ *([^ ;)\n]+)", code)) == {"/dev/null", "&1", "&4"}
    assert "<<" not in code


@pytest.mark.parametrize("compress", [True, False], ids=["gzip", "plain"])
def test_a_whole_conversation(shell: list[str], compress: bool, child: Callable[..., subprocess.Popen[bytes]]) -> None:
    """List, read ourselves and a child, quit: exit status 0, nothing on stderr, nothing left."""
    other = child()
    with Conversation(shell, Request(compress=compress)) as probe:
        listing = probe.listing()
        reading = probe.read(other.pid, os.getpid())
        probe.send(probe.script.quit_line())
        probe.rest()
        assert probe.process.wait(HANG_S) == 0
        assert probe.process.stderr.read() == b""
        assert probe.left() == []
    assert {os.getpid(), other.pid} <= {process.pid for process in listing.processes}
    first, second = reading.processes
    assert (first.pid, first.status, first.uid) == (other.pid, "read", os.geteuid())
    assert (second.pid, second.status) == (os.getpid(), "read")
    assert mappings(reading.smaps[: first.stop]) == mappings(Path(f"/proc/{other.pid}/smaps").read_bytes())
    assert len(mappings(reading.smaps[second.start :])) > 50
    assert listing.capabilities.compression == ("gzip" if compress else "none")


def test_capabilities_of_this_machine(shell: list[str]) -> None:
    """The same facts that the system calls give, and the script's own pid."""
    with Conversation(shell, Request()) as probe:
        said = probe.listing().capabilities
        assert said.probe_pid == probe.process.pid
    assert (said.uid, said.kernel) == (os.geteuid(), os.uname().release)
    assert said.page_size == resource.getpagesize()
    assert said.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert f"pid:[{said.pid_namespace}]" == str(Path("/proc/self/ns/pid").readlink())


def test_a_kernel_whose_fdinfo_has_no_inode(shell: list[str], tree: Tree) -> None:
    """Before Linux 5.14 readlink tells the pid namespace."""
    tree.add(41)
    namespaces = tree.root / "self/ns"
    namespaces.mkdir(parents=True)
    (namespaces / "pid:[4026531836]").touch()
    (namespaces / "pid").symlink_to("pid:[4026531836]")
    with Conversation(shell, tree.request()) as probe:
        assert probe.listing().capabilities.pid_namespace == "4026531836"


def test_odd_arguments_and_names_come_whole(shell: list[str], child: Callable[..., subprocess.Popen[bytes]]) -> None:
    """Newlines, empty arguments, bytes that are not UTF-8, and a name that looks like another process's line."""
    code = "import ctypes, time; ctypes.CDLL(None).prctl(15, b'a)\\n1 (b) S\\\\'); print(flush=True); time.sleep(600)"
    odd = child(sys.executable, "-c", code, b"a\nb", b"", b"\xff\xfe", b"==> 1/smaps <==", b"")
    with Conversation(shell, Request(words=True, owners=True)) as probe:
        (process,) = [one for one in probe.listing().processes if one.pid == odd.pid]
    assert process.name == "a)\n1 (b) S\\"
    assert process.arguments == (sys.executable, "-c", code, "a\nb", "", "\udcff\udcfe", "==> 1/smaps <==", "")
    assert (process.ppid, process.uid, process.kernel_thread) == (os.getpid(), os.geteuid(), False)


def test_an_ended_process_is_gone_or_a_zombie(shell: list[str], child: Callable[..., subprocess.Popen[bytes]]) -> None:
    """Between the phases one process ends and is waited for, another is not."""
    waited_for, zombie, alive = child(), child(), child()
    with Conversation(shell, Request()) as probe:
        probe.listing()
        for process in (waited_for, zombie):
            process.kill()
        waited_for.wait()
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        reading = probe.read(waited_for.pid, zombie.pid, alive.pid)
    assert [process.status for process in reading.processes] == ["gone", "zombie", "read"]
    assert [process.uid for process in reading.processes] == [None, os.geteuid(), os.geteuid()]
    assert mappings(reading.smaps) == mappings(Path(f"/proc/{alive.pid}/smaps").read_bytes())


@AS_ROOT
def test_another_users_process_is_denied(shell: list[str], child: Callable[..., subprocess.Popen[bytes]]) -> None:
    """It is listed with its arguments, and open() refuses its smaps."""
    other, own = child(), child(user=65534, group=65534, extra_groups=[])
    with Conversation(shell, Request(), user=65534, group=65534, extra_groups=[], cwd="/") as probe:
        reading = probe.read(other.pid, own.pid)
        assert probe.listing().capabilities.uid == 65534
    assert [(process.status, process.uid) for process in reading.processes] == [("denied", 0), ("read", 65534)]
    assert reading.users[0] == "root"


def test_the_list_is_the_same_without_a_good_awk(
    shell: list[str], tree: Tree, tools: Callable[[str, str], dict[str, str]]
) -> None:
    """Its end of each stat is cut, or it is whole, and the names that the kernel cut are found either way."""
    tree.add(41, "a) (b\n")
    tree.add(42, "fifteen-bytes-1")
    listings = []
    for env in (None, tools("awk", "echo awk: syntax error >&2; exit 2")):
        with Conversation(shell, tree.request(), env=env) as probe:
            listings.append(probe.listing())
    assert listings[0] == listings[1]
    assert [(one.pid, one.name, one.arguments) for one in listings[0].processes] == [
        (41, "a) (b\n", ()),
        (42, "fifteen-bytes-1", ("fifteen-bytes-1", "--pid", "42")),
    ]


@pytest.mark.parametrize("awk", ["mawk", "gawk", "original-awk", "busybox awk"])
def test_a_stat_that_cannot_be_read_to_its_end_leaves_the_others(
    tree: Tree, tools: Callable[[str, str], dict[str, str]], awk: str
) -> None:
    """As of a process that exits once its stat has been opened: for mawk that is the end. A directory does the same."""
    command, *words = awk.split()
    path = shutil.which(command)
    if path is None:
        pytest.skip(reason=f"no {command} on this machine")
    for pid in (41, 43, 44):
        tree.add(pid, f"fifteen-bytes{pid}")
    (tree.root / "42/stat").mkdir(parents=True)
    env = tools("awk", " ".join(["exec", path, *words, '"$@"']))
    with Conversation(["sh", "-s"], tree.request(), env=env) as probe:
        listing = probe.listing()
    assert [(one.pid, one.name, one.arguments[:1]) for one in listing.processes] == [
        (pid, f"fifteen-bytes{pid}", (f"fifteen-bytes{pid}",)) for pid in (41, 43, 44)
    ]
    assert listing.raw["stat"].count(b"\n") == 3


@AS_ROOT
@pytest.mark.parametrize(
    ("uid", "getent", "name"),
    [(0, "exit 127", "root"), (54321, "echo $1.$2:x:$2:$2::/:/bin/sh", "passwd.54321")],
    ids=["in the file", "elsewhere"],
)
def test_only_for_users_that_are_not_in_the_file_others_are_asked(
    shell: list[str],
    child: Callable[..., subprocess.Popen[bytes]],
    tools: Callable[[str, str], dict[str, str]],
    uid: int,
    getent: str,
    name: str,
) -> None:
    """A directory service can be slow or down: uids in /etc/passwd are looked up there."""
    process = child(user=uid, group=uid, extra_groups=[])
    with Conversation(shell, Request(), env=tools("getent", getent)) as probe:
        assert probe.read(process.pid).users == {uid: name}


def test_a_recorded_tree_brings_its_own_kernel_and_names(shell: list[str], tree: Tree) -> None:
    """Nothing of this machine gets in: names come from etc/passwd beside the tree."""
    tree.add(41, "web", smaps="text of 41\n")
    tree.add(7, "kthreadd", smaps="", flags=2129984)
    tree.add(9, "idle", smaps="")
    tree.add(8, "old")
    (tree.root.parent / "etc").mkdir()
    (tree.root.parent / "etc/passwd").write_text(
        "seven:x:7:7::/:/bin/sh\nforty-one:x:41:41::/:/bin/sh\nnobody:x:5:5::/:\n"
    )
    with Conversation(shell, tree.request(words=True, owners=True)) as probe:
        listing = probe.listing()
        reading = probe.read(41, 9, 7, 8)
    said = listing.capabilities
    assert (said.kernel, said.boot_id, said.pid_namespace, said.probe_pid) == ("5.10.0-8-amd64", "", "", None)
    assert [(p.pid, p.name, p.uid, p.kernel_thread, p.arguments) for p in listing.processes] == [
        (7, "kthreadd", 7, True, ("kthreadd", "--pid", "7")),
        (8, "old", 8, False, ("old", "--pid", "8")),
        (9, "idle", 9, False, ("idle", "--pid", "9")),
        (41, "web", 41, False, ("web", "--pid", "41")),
    ]
    assert listing.users == {7: "seven", 41: "forty-one"}
    assert [(p.pid, p.status) for p in reading.processes] == [
        (41, "read"),
        (9, "empty"),
        (7, "kernel"),
        (8, "unsupported"),
    ]
    assert reading.smaps == b"text of 41\n"


def test_owners_are_listed_only_on_request(tree: Tree) -> None:
    """Reading every status costs the host as much as reading every stat."""
    tree.add(41)
    with Conversation(["sh", "-s"], tree.request()) as probe:
        listing = probe.listing()
    assert (listing.processes[0].uid, listing.users) == (None, {})


@pytest.mark.parametrize("without", ["", "grep"], ids=["tools", "shell"])
def test_names_that_may_be_cut_come_with_their_command_line(
    shell: list[str], without: str, tree: Tree, tools: Callable[[str, str], dict[str, str]]
) -> None:
    """Fifteen bytes of any kind; no other command line is read unless requested."""
    names = {1: "fourteen-bytes", 2: "exactly-fifteen", 3: "a) b (c) d (e f", 4: "sixteen-bytes-on"}
    for pid, name in names.items():
        tree.add(pid, name)
    with Conversation(shell, tree.request(), env=tools(without, "exit 2") if without else None) as probe:
        listed = {one.pid: one.arguments for one in probe.listing().processes}
    if without == "grep" and shell[0] == "dash":  # its read cannot stop at a NUL
        assert set(listed.values()) == {()}
    else:
        assert [pid for pid, arguments in listed.items() if arguments] == [2, 3]
        assert listed[2] == ("exactly-fifteen", "--pid", "2")


def test_what_is_above_the_probe_comes_with_its_command_line(shell: list[str]) -> None:
    """By it the client tells this connection's sshd from the listener."""
    with Conversation(shell, Request()) as probe:
        listed = probe.listing().processes
        ours, parent = listed.get(probe.process.pid), listed.get(os.getpid())
    assert ours is not None
    assert parent is not None
    assert ours.arguments == tuple(shell)
    assert parent.arguments[0] == Path("/proc/self/cmdline").read_text().partition("\0")[0]


def test_each_group_has_its_time(shell: list[str], child: Callable[..., subprocess.Popen[bytes]]) -> None:
    """A process in its own group has a time of its own; the order is that of the line."""
    others = [child() for _ in range(4)]
    one, two, three, four = (process.pid for process in others)
    with Conversation(shell, Request()) as probe:
        probe.listing()
        probe.send(probe.script.read_line([(one, two), (three,), (four,)]))
        while probe.decoder.reading is None:
            assert probe._take()
        reading = probe.decoder.reading.unpack()
    assert [(process.pid, process.status) for process in reading.processes] == [
        (pid, "read") for pid in (one, two, three, four)
    ]
    assert [process.seconds is None for process in reading.processes] == [True, True, False, False]
    assert reading.seconds is not None
    assert reading.seconds >= sum(process.seconds or 0 for process in reading.processes)


@pytest.mark.parametrize("compress", [True, False])
def test_a_list_with_pids_brings_both_phases(
    shell: list[str], compress: bool, child: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """A line `list PID` gives the current list and, in the same body, the output of `read`."""
    first = child()
    with Conversation(shell, Request(compress=compress)) as probe:
        before = probe.read(first.pid)
        second = child()
        probe.decoder.begin_again()
        probe.decoder.expect_both()
        probe.send(probe.script.list_line([(first.pid,), (second.pid,)]))
        assert probe.listing().processes.get(second.pid) is not None
        assert probe.decoder.reading is not None
        again = probe.decoder.reading.unpack()
    assert [(one.pid, one.status) for one in again.processes] == [(first.pid, "read"), (second.pid, "read")]
    assert mappings(again.smaps)[: len(mappings(before.smaps))] == mappings(before.smaps)


@pytest.mark.parametrize("state", ["S", "T"])
def test_rollups_are_read_only_on_request(shell: list[str], tree: Tree, state: str) -> None:
    """Each key to its KiB, None where a kernel has no such file; `stopped` is what both stats say."""
    rollup = "00400000-7ffd0000 ---p 00000000 00:00 0    [rollup]\nRss:   1736 kB\nPss:    191 kB\n"
    for pid in (7, 8):
        tree.add(pid, smaps="00400000-00401000 rw-p 00000000 00:00 0\nRss:  4 kB\n")
    (tree.root / "7/smaps_rollup").write_text(rollup)
    stat = tree.root / "7/stat"
    stat.write_text(stat.read_text().replace(" S ", f" {state} ", 1))
    with Conversation(shell, tree.request(rollups=True)) as probe:
        seven, eight = probe.read(7, 8).processes
    assert (seven.rollup, eight.rollup) == ({"Rss": 1736, "Pss": 191}, None)
    assert (seven.stopped, eight.stopped) == (state == "T", False)
    with Conversation(shell, tree.request()) as probe:
        assert [one.rollup for one in probe.read(7, 8).processes] == [None, None]


def test_a_text_without_its_last_newline_stays_as_it_is(shell: list[str], tree: Tree) -> None:
    """tail's headers are told from the text to the byte."""
    for pid, text in ((1, "torn"), (2, ""), (3, "whole\n"), (4, "\n")):
        tree.add(pid, smaps=text)
    with Conversation(shell, tree.request()) as probe:
        reading = probe.read(1, 2, 3, 4)
    assert [reading.smaps[process.start : process.stop] for process in reading.processes] == [
        b"torn",
        b"",
        b"whole\n",
        b"\n",
    ]


def test_a_reused_pid_is_not_read(shell: list[str], tree: Tree) -> None:
    """The start time tells: another process has the number now, and its text is dropped."""
    tree.add(41, smaps="text of 41\n")
    tree.add(42, smaps="text of 42\n")
    with Conversation(shell, tree.request()) as probe:
        probe.listing()
        tree.add(41, smaps="text of another\n", start=9999)
        reading = probe.read(41, 42)
    assert [process.status for process in reading.processes] == ["reused", "read"]
    assert reading.smaps == b"text of 42\n"


READERS = pytest.mark.parametrize("grep", [None, "exit 2"], ids=["tools", "shell alone"])


@READERS
def test_a_pid_that_another_process_gets_while_its_facts_are_read(
    shell: list[str], tree: Tree, tools: Callable[[str, str], dict[str, str]], grep: str | None
) -> None:
    """The start time is read last. So it shows that what was read before it is of another process."""
    for pid in (41, 42):
        tree.add(pid, smaps=f"text of {pid}\n")
    score = tree.root / "41/oom_score_adj"
    os.mkfifo(score)
    with Conversation(shell, tree.request(), env=tools("grep", grep) if grep else None) as probe:
        probe.listing()
        probe.send(probe.script.read_line([(41, 42)]))
        with score.open("w") as fifo:  # the probe has come to this file, and waits
            tree.add(41, "other", start=9999)
            fifo.write("7\n")
        first, second = probe.replied().processes
    assert (first.status, first.uid, first.name, first.arguments, first.oom_score_adj) == ("reused", *[None] * 4)
    assert (second.status, second.name) == ("read", "app")


@READERS
def test_a_process_that_exits_before_its_facts_are_read_costs_no_other(
    shell: list[str], tree: Tree, tools: Callable[[str, str], dict[str, str]], grep: str | None
) -> None:
    """Its files can be opened, and not be read. A directory does the same."""
    for pid in (41, 42):
        tree.add(pid, smaps=f"text of {pid}\n")
    with Conversation(shell, tree.request(), env=tools("grep", grep) if grep else None) as probe:
        probe.listing()
        for name in ("stat", "status", "cmdline", "smaps"):
            (tree.root / "41" / name).unlink()
            (tree.root / "41" / name).mkdir()
        reading = probe.read(41, 42)
    assert [process.status for process in reading.processes] == ["gone", "read"]
    assert reading.smaps == b"text of 42\n"


def test_a_process_that_calls_exec_while_its_mappings_are_read(child: Callable[..., subprocess.Popen[bytes]]) -> None:
    """The kernel ends its text there, without an error, and it lives on: the part that came is no result."""
    code = (
        "import mmap, os, time\n"
        "maps = [mmap.mmap(-1, 4096, prot=number % 2 + 1) for number in range(600)]\n"
        "print(flush=True); input(); os.execlp('sh', 'sh', '-c', 'echo; read line')"
    )
    execs, other = child(sys.executable, "-c", code), child()
    with Conversation(["sh", "-s"], Request(compress=False)) as probe:
        probe.listing()
        probe.send(probe.script.read_line([(execs.pid, other.pid)]))
        # The pipe holds 64 KiB and nobody reads it. This text is longer, so tail waits within it.
        wait_until(lambda: waiting(probe.process.stdout) > 60_000)
        execs.stdin.write(b"\n")
        execs.stdin.flush()
        execs.stdout.readline()  # it runs sh now
        reading = probe.replied()
    choice = choose(probe.listing(), Selection(pids=(execs.pid, other.pid)))
    snapshot = host_snapshot(HostReply(Host("here"), probe.listing(), choice, reading=reading), rollups=False)
    of_text = f"(byte {reading.processes[0].stop} of its smaps)"
    assert {process.pid: (process.status, process.reason) for process in snapshot.processes} == {
        execs.pid: ("cut", f"no mapping holds its stack: it called exec while it was read {of_text}"),
        other.pid: ("read", ""),
    }
    assert snapshot.table.mappings.sum() == len(mappings(Path(f"/proc/{other.pid}/smaps").read_bytes()))


@READERS
def test_a_process_that_changes_all_the_time_keeps_its_owner(
    tools: Callable[[str, str], dict[str, str]], child: Callable[..., subprocess.Popen[bytes]], grep: str | None
) -> None:
    """Bash reads a file of /proc line by line from texts of different lengths; it lost every tenth owner or so."""
    if shutil.which("bash") is None:
        pytest.skip(reason="bash is not installed here")
    code = (
        "import ctypes, time; rename = ctypes.CDLL(None).prctl; print(flush=True)\n"
        "while True:\n"
        "  for name in (b'a', b'abcdef\\nghij'): rename(15, name); time.sleep(1e-5); sum(range(500))"
    )
    changes = child(sys.executable, "-c", code)
    with Conversation(["bash", "-s"], Request(owners=True), env=tools("grep", grep) if grep else None) as probe:
        for _ in range(30):
            [process] = probe.read(changes.pid).processes
            listed = probe.listing().processes.get(changes.pid)
            assert listed is not None
            assert (process.uid, listed.uid) == (os.geteuid(), os.geteuid())
            assert {process.name, listed.name} <= {"a", "abcdef\nghij"}
            probe.decoder.begin_again()
            probe.send(probe.script.list_line())


def test_more_processes_than_an_argument_list_holds(tree: Tree) -> None:
    """6,000 pids of seven digits, where the kernel allows 128 KiB of arguments; the list keeps the numbers' order."""
    tree.add(1, smaps="text of 1\n")
    for pid in range(1000000, 1006000):
        (tree.root / str(pid)).mkdir()
        (tree.root / str(pid) / "stat").hardlink_to(tree.root / "1/stat")
    with Conversation(["sh", "-c", "ulimit -s 512; exec sh -s"], tree.request()) as probe:
        listing = probe.listing()
        reading = probe.read(*(process.pid for process in reversed(listing.processes)))
    pids = [process.pid for process in listing.processes]
    assert pids == [1, *range(1000000, 1006000)]
    assert [process.pid for process in reading.processes] == pids[::-1]
    assert [process.status for process in reading.processes[-2:]] == ["unsupported", "read"]


@pytest.mark.parametrize("compress", [True, False], ids=["gzip", "plain"])
@pytest.mark.parametrize("blocked", ["stat", "cmdline", "status", "smaps"])
def test_nothing_is_left_when_the_connection_is_cut(shell: list[str], tree: Tree, blocked: str, compress: bool) -> None:
    """Even a reader that waits for ever ends with the connection, and so does all that stands around it."""
    tree.add(41, smaps="text of 41\n")
    tree.add(42, smaps="text of 42\n")
    (tree.root / "42" / blocked).unlink()
    os.mkfifo(tree.root / "42" / blocked)
    with Conversation(shell, tree.request(words=True, owners=True, compress=compress)) as probe:
        if blocked == "smaps":
            probe.listing()
            probe.send(probe.script.read_line([(41, 42)]))
        wait_until(lambda: any(re.search(r" \((grep|awk|tail)\) ", stat) for stat in probe.left()))
        probe.process.stdin.close()
        probe.process.stdout.close()
        wait_until(lambda: probe.left() == [])


def test_nothing_is_left_when_the_connection_is_cut_before_a_command(shell: list[str]) -> None:
    """Between the phases the shell waits alone, and goes quietly."""
    with Conversation(shell, Request()) as probe:
        probe.listing()
        probe.process.stdin.close()
        assert probe.process.wait(HANG_S) == 0
        wait_until(lambda: probe.left() == [])


def test_nothing_is_left_under_sudo(tree: Tree) -> None:
    """The probe ends itself there, where the login could not kill it."""
    if not shutil.which("sudo") or subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip(reason="needs a sudo that asks for no password")
    tree.add(42, smaps="")
    (tree.root / "42/smaps").unlink()
    os.mkfifo(tree.root / "42/smaps")
    with Conversation(render(Request(sudo=True)).command.split(), tree.request()) as probe:
        assert probe.listing().capabilities.uid == 0
        probe.send(probe.script.read_line([(42,)]))
        wait_until(lambda: any(" (tail) " in stat for stat in probe.left()))
        probe.process.stdin.close()
        probe.process.stdout.close()
        wait_until(lambda: probe.left() == [])


@pytest.fixture
def tools(tmp_path: Path) -> Callable[[str, str], dict[str, str]]:
    """Puts a script in front of a tool's name in PATH; the environment in which it is found first."""
    directory = tmp_path / "bin"
    directory.mkdir()

    def put(name: str, text: str) -> dict[str, str]:
        (directory / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / name).chmod(0o755)
        return {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}

    return put


EVERY_BYTE = bytes(byte for byte in range(1, 256) if byte != ord("\n"))


def test_without_grep_the_shell_reads_alone(
    shell: list[str], tree: Tree, tools: Callable[[str, str], dict[str, str]]
) -> None:
    """It is asked by what it does, not by its version; the answer is the same, to the byte."""
    tree.add(41, "a)\\n\n\\c %s", smaps="torn")
    tree.add(42, smaps="")
    tree.add(43)
    tree.add(44)
    tree.add(45)
    (tree.root / "45/smaps").mkdir()  # opened, but not read, like that of a process that has just exited
    (tree.root / "44/smaps").write_bytes(b"-n\n \t" + EVERY_BYTE + b"\n\n==> 41/smaps <==\\n%s\n")
    (tree.root / "44/cmdline").write_bytes(b"app\0\0-n\0" + EVERY_BYTE + b"\na\\0b\0")
    (tree.root / "44/cgroup").write_text("0::/a\\x2db\n")
    (tree.root.parent / "etc").mkdir()
    (tree.root.parent / "etc/passwd").write_text("forty-one:x:41:41::/:/bin/sh\n")
    request = tree.request(words=True, owners=True, cgroups=True)
    answers = []
    for env in (None, tools("grep", "exit 2")):
        with Conversation(shell, request, env=env) as probe:
            reading = probe.read(44, 45, 41, 42, 43)
            answers.append((probe.listing(), reading))
    (by_tools, read_by_tools), (by_shell, read_by_shell) = answers
    assert (by_tools.capabilities.reader, by_shell.capabilities.reader) == ("gnu", "sh")
    assert by_shell.users == by_tools.users == {41: "forty-one"}
    if shell[0] == "dash":  # its read cannot stop at a NUL
        read_by_tools = _without_arguments(read_by_tools)
        assert {process.arguments for process in by_shell.processes} == {()}
    else:
        assert by_shell.processes[3].arguments[2:] == ("-n", os.fsdecode(EVERY_BYTE + b"\na\\0b"))
    assert read_by_shell == read_by_tools
    known = [[one._replace(arguments=()) for one in listing.processes] for listing in (by_shell, by_tools)]
    assert known[0] == known[1]


def test_a_process_that_exits_while_the_shell_reads_it(
    shell: list[str],
    tree: Tree,
    tools: Callable[[str, str], dict[str, str]],
    child: Callable[..., subprocess.Popen[bytes]],
) -> None:
    """Its words end there, and what comes after it is read: bash and mksh keep the last word when a read fails."""
    if shell[0] == "dash":
        pytest.skip(reason="its read cannot stop at a NUL, so it reads no command lines")
    exits = child("sh", "-c", "echo; read line", *(f"a-word-of-many-{number:05}" for number in range(10_000)))
    for pid in (41, 42, 43):
        tree.add(pid)
    (tree.root / "42/cmdline").unlink()
    (tree.root / "42/cmdline").symlink_to(f"/proc/{exits.pid}/cmdline")
    request = tree.request(words=True, compress=False)
    with Conversation(shell, request, env=tools("grep", "exit 2")) as probe:
        # The pipe holds 64 KiB and nobody reads it. These words are longer, so the shell waits within them.
        wait_until(lambda: waiting(probe.process.stdout) > 60_000)
        exits.kill()
        exits.wait()
        before, cut, after = probe.listing().processes
    assert before.arguments == ("app", "--pid", "41")
    assert 1 < len(cut.arguments) < 10_000
    assert len(set(cut.arguments)) == len(cut.arguments)
    assert after.arguments == ("app", "--pid", "43")


def test_a_tail_that_does_nothing_is_an_error(tree: Tree, tools: Callable[[str, str], dict[str, str]]) -> None:
    """It never passes for processes without memory."""
    tree.add(41, smaps="text of 41\n")
    with (
        Conversation(["sh", "-s"], tree.request(), env=tools("tail", "exit 2")) as probe,
        pytest.raises(ProtocolError, match="without tail's first header"),
    ):
        probe.read(41)


@pytest.mark.parametrize("tail", ["tail", "busybox tail", "toybox tail"])
def test_processes_that_are_all_gone_are_no_failure(
    tree: Tree, tools: Callable[[str, str], dict[str, str]], tail: str
) -> None:
    """tail prints no header where it has a single file, and BusyBox does not count those that it cannot open."""
    command, *words = tail.split()
    path = shutil.which(command)
    if path is None:
        pytest.skip(reason=f"no {command} on this machine")
    tree.add(41, smaps="text of 41\n")
    tree.add(42)
    with Conversation(["sh", "-s"], tree.request(), env=tools("tail", " ".join([path, *words, '"$@"']))) as probe:
        probe.listing()
        shutil.rmtree(tree.root / "41")
        assert [process.status for process in probe.read(41).processes] == ["gone"]


REAL_TAIL = shutil.which("tail")
_LOOP = """
    shift 2
    for file; do
        [ -e "$file" ] || { echo "tail: cannot open '$file' for reading: No such file or directory" >&2; continue; }
        echo "$before==> $file <=="
        before='
'
        cat "$file" 2>/dev/null || { echo "tail: FAILURE" >&2; THEN; }
    done"""
TAILS = {
    "GNU": f'exec {REAL_TAIL} "$@"',
    "before 2012": f"""{{ {REAL_TAIL} "$@" 2>&1 >&3 | sed "s/reading '/reading \\`/" >&2; }} 3>&1; exit 1""",
    "uutils": _LOOP.replace("FAILURE", "No such process").replace("THEN", "exit 1"),
    "one that goes on": _LOOP.replace("FAILURE", "error reading '$file': No such process").replace("THEN", "continue"),
}


@pytest.mark.parametrize("tail", TAILS)
def test_a_text_that_cannot_be_read_to_its_end_costs_no_other(
    tree: Tree, tools: Callable[[str, str], dict[str, str]], tail: str
) -> None:
    """Some stop there and name the file, between quotation marks that were others once; uutils' tail names nothing."""
    for pid in (41, 43, 44):
        tree.add(pid, smaps=f"text of {pid}\n")
    tree.add(42)
    (tree.root / "42/smaps").symlink_to("/proc/self/mem")  # opens, and gives an error at the first byte
    with Conversation(["sh", "-s"], tree.request(), env=tools("tail", TAILS[tail])) as probe:
        reading = probe.read(41, 42, 43, 44)
    assert [process.status for process in reading.processes] == ["read", "empty", "read", "read"]
    assert reading.smaps.split() == b"text of 41 text of 43 text of 44".split()


def test_a_tool_that_is_killed_is_an_error(tree: Tree, tools: Callable[[str, str], dict[str, str]]) -> None:
    """mksh has no printf of its own. A host where this one cannot run must not pass for one without processes."""
    if shutil.which("mksh") is None:
        pytest.skip(reason="mksh is not installed here")
    for pid in range(1, 120):
        tree.add(pid)
    with (
        Conversation(["mksh", "-s"], tree.request(), env=tools("printf", "kill -KILL $$")) as probe,
        pytest.raises(ProtocolError, match="stopped in the middle of listing processes"),
    ):
        probe.listing()


def _without_arguments(reading: Reading) -> Reading:
    return replace(reading, processes=tuple(replace(one, arguments=None) for one in reading.processes))


def test_a_bare_shell_knows_its_uid_and_page_size(tools: Callable[[str, str], dict[str, str]]) -> None:
    """The values of id and getconf are found in /proc too."""
    for tool in ("grep", "id"):
        tools(tool, "exit 127")
    with Conversation(["sh", "-s"], Request(), env=tools("getconf", "exit 127")) as probe:
        said = probe.listing().capabilities
    assert (said.reader, said.uid, said.page_size) == ("sh", os.getuid(), resource.getpagesize())


def test_cgroups_and_exes_are_listed_only_on_request(shell: list[str], tmp_path: Path) -> None:
    """A long path that holds newlines comes whole, and passes for no other; of a program that is gone it says so."""
    directory = tmp_path / "1\n1" / "exe -> " / ("long" * 40)
    directory.mkdir(parents=True)
    program = shutil.copy("/bin/sleep", directory / "sl\neep")
    other = subprocess.Popen([program, "600"])
    try:
        Path(program).unlink()
        with Conversation(shell, Request()) as probe:
            plain = {process.pid: process for process in probe.listing().processes}
        with Conversation(shell, Request(cgroups=True, exes=True)) as probe:
            asked = {process.pid: process for process in probe.listing().processes}
    finally:
        other.kill()
        other.wait()
    assert (plain[other.pid].exe, plain[other.pid].cgroups) == (None, None)
    assert asked[other.pid].exe == f"{program} (deleted)"
    assert asked[os.getpid()].exe == str(Path("/proc/self/exe").readlink())
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    assert asked[os.getpid()].cgroups == tuple(dict.fromkeys(line.split(":", 2)[2] for line in lines))


def test_a_host_without_tar_says_so_when_exe_is_asked(tools: Callable[[str, str], dict[str, str]]) -> None:
    """Nothing else needs it."""
    broken = tools("tar", "exit 127")
    with Conversation(["sh", "-s"], Request(), env=broken) as probe:
        assert probe.listing().processes
    with (
        Conversation(["sh", "-s"], Request(exes=True), env=broken) as probe,
        pytest.raises(RemoteError, match="needs tar there"),
    ):
        probe.listing()


@AS_ROOT
def test_another_users_exe_is_unknown(child: Callable[..., subprocess.Popen[bytes]]) -> None:
    """It cannot be read, and is left out without a word of tar's."""
    other, own = child(), child(user=65534, group=65534, extra_groups=[])
    with Conversation(["sh", "-s"], Request(exes=True), user=65534, group=65534, extra_groups=[], cwd="/") as probe:
        exes = {process.pid: process.exe for process in probe.listing().processes}
        probe.process.stdin.close()
        assert probe.process.stderr.read() == b""
    assert exes[other.pid] is None
    assert exes[own.pid] == os.path.realpath("/bin/sh")


@pytest.mark.parametrize("compress", [True, False], ids=["gzip", "plain"])
def test_a_killed_reader_is_an_error(
    shell: list[str], compress: bool, tree: Tree, tools: Callable[[str, str], dict[str, str]]
) -> None:
    """A host short of memory kills tail: what came until then never passes for all there is."""
    tree.add(41, smaps="text of 41\n")
    deadly = tools(
        "tail", 'case $* in *smaps*) echo "==> /dev/null <=="; kill -KILL $$ ;; esac; exec /usr/bin/tail "$@"'
    )
    with Conversation(shell, tree.request(compress=compress), env=deadly) as probe:
        probe.listing()
        with pytest.raises(ProtocolError, match=r"reading smaps, after [0-9,]+ bytes"):
            probe.read(41)


def test_no_process_there_carries_the_nonce(
    shell: list[str], tree: Tree, tmp_path: Path, tools: Callable[[str, str], dict[str, str]]
) -> None:
    """Arguments and environments can be read by others; not even a login that exports our names hands it on."""
    tree.add(41, smaps="text of 41\n")
    spy = f'for of in cmdline environ; do tr "\\0" "\\n" <"/proc/$$/$of" >>{tmp_path}/seen; done; exec /bin/{{}} "$@"'
    tools("grep", spy.format("grep"))
    tools("gzip", spy.format("gzip"))
    environment = tools("tail", spy.replace("/bin/{}", "/usr/bin/tail")) | {
        "nonce": "exported",
        "proc_root": "exported",
    }
    with Conversation(shell, tree.request(owners=True), env=environment) as probe:
        probe.read(41)
    seen = (tmp_path / "seen").read_text()
    assert "41/smaps" in seen
    assert "41/cmdline" in seen
    assert probe.script.nonce not in seen


def test_busybox_tools_give_the_same(tree: Tree, tmp_path: Path) -> None:
    """Its grep and tail print as GNU's do; the reader is named after it."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip(reason="busybox is not installed here")
    (tmp_path / "applets").mkdir()
    for applet in ("sh", "grep", "tail", "gzip", "id", "uname", "readlink", "cut", "sort", "tar"):
        (tmp_path / "applets" / applet).symlink_to(busybox)
    tree.add(41, "a) S", smaps="text of 41\n")
    tree.add(42, smaps="")
    (tree.root / "41/exe").symlink_to("/srv/" + "a\n1/exe" * 20)
    answers = []
    for path in (os.environ["PATH"], str(tmp_path / "applets")):
        with Conversation(["sh", "-s"], tree.request(owners=True, exes=True), env={"PATH": path}) as probe:
            reading = probe.read(41, 42)
            answers.append((probe.listing().capabilities.reader, probe.listing().processes, reading))
    assert answers[1][0] == "busybox"
    assert answers[0][1:] == answers[1][1:]
    assert [process.exe for process in answers[1][1]] == ["/srv/" + "a\n1/exe" * 20, None]


@pytest.mark.parametrize("root", ["nowhere", "empty", "with 'quotes' and\nnewline"])
def test_a_proc_root_without_processes_says_so(shell: list[str], tmp_path: Path, root: str) -> None:
    """Any name works; an odd one is only a name to the shell."""
    if root != "nowhere":
        (tmp_path / root).mkdir()
    with (
        Conversation(shell, Request(proc_root=str(tmp_path / root))) as probe,
        pytest.raises(RemoteError, match="no processes in "),
    ):
        probe.listing()


def test_what_the_login_prints_is_noise(tree: Tree) -> None:
    """A banner before the probe is kept and harms nothing."""
    tree.add(41, smaps="text of 41\n")
    with Conversation(["sh", "-c", "echo Welcome; exec sh -s"], tree.request()) as probe:
        probe.read(41)
    assert probe.decoder.noise == b"Welcome\n"


@pytest.mark.parametrize("line", [b"read 1; reboot\n", b"read 1 x\n", b"dance\n", b"quit now\n"])
def test_a_line_that_is_no_request_ends_the_probe(shell: list[str], tree: Tree, line: bytes) -> None:
    """Words for stdin are never code."""
    tree.add(1, smaps="")
    with Conversation(shell, tree.request()) as probe:
        probe.listing()
        probe.send(line)
        with pytest.raises(RemoteError, match="refused: request"):
            probe.rest()
