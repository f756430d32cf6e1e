"""pmap: the text that pmap itself prints."""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetpmap.report import pmap
from fleetpmap.smaps.parse import parse
from fleetpmap.snapshot import HostSnapshot, Process, Snapshot
from fleetpmap.table import from_columns
from snapshots import RUN, expected, host, mapping, process, snapshot


def _names(*mappings):
    return pmap(snapshot(host("a", process(1, "x", *mappings)))).tables[0].columns[-1].cells()


def _line(**how):
    return pmap(snapshot(host("a", process(1, "bash", **how)))).text.splitlines()[0]


def _bash():
    return process(
        4242,
        "bash",
        mapping("/usr/bin/bash", start=0x400000, size=904, perms="r-xp", Rss=851, Shared_Dirty=0, Private_Dirty=0),
        mapping("[heap]", start=0x1F7C000, size=1420, Rss=1397, Shared_Dirty=13, Private_Dirty=1359),
        mapping("[stack]", start=0x7FFD5D5C4000, size=132, Rss=28, Shared_Dirty=0, Private_Dirty=27),
        arguments=("bash", "--login"),
    )


def test_plain():
    """One block as pmap PID prints it."""
    text = pmap(snapshot(host("local", _bash()))).text
    assert text == expected("pmap.txt", text)


def test_extended():
    """One block as pmap -x PID prints it."""
    text = pmap(snapshot(host("local", _bash())), extended=True).text
    assert text == expected("pmap_x.txt", text)


def test_several_hosts_are_told_apart():
    """Before each block stands its host, also when only one host has a block."""
    text = pmap(snapshot(host("web-01", _bash()), host("web-02"))).text
    assert text.startswith("==> web-01 <==\n4242:   bash --login\n0000000000400000 ")


def test_unread_process_is_its_first_line():
    """As pmap does when the maps cannot be read."""
    assert pmap(snapshot(host("a", process(7, "x", status="denied")))).text == "7:   x\n"


def test_kernel_thread_and_zombie_have_empty_maps():
    """pmap can open them: they hold nothing, and the total says so."""
    thread = process(2, "kthreadd", arguments=(), status="kernel")
    zombie = process(9, "sh", arguments=(), status="zombie")
    assert pmap(snapshot(host("a", thread, zombie))).text == (
        "2:   [kthreadd]\n total                0K\n9:   [sh] <defunct>\n total                0K\n"
    )


def test_unknown_number_is_a_question_mark():
    """A kernel that gives no Private_Dirty has no Dirty: not 0."""
    text = pmap(snapshot(host("a", process(1, "x", mapping("/f", size=8, Rss=5)))), extended=True).text
    assert "      8       5       ? rw--- f\n" in text
    assert text.endswith("total kB               8       5       ?\n")


def test_name_is_what_follows_the_last_slash():
    """Deleted or not; a path that ends in a slash is a slash."""
    assert _names(mapping("/usr/lib/a.so (deleted)"), mapping("/odd/")) == ["a.so (deleted)", "/"]


def test_name_without_a_slash_is_anon():
    """Only the stack has a name of its own."""
    assert _names(mapping("[heap]"), mapping(""), mapping("[stack]")) == ["  [ anon ]", "  [ anon ]", "  [ stack ]"]


def test_system_v_segment_is_its_shmid():
    """The inode of a segment is its shmid, in hex."""
    first = mapping("/SYSV00000000 (deleted)", inode=32769)
    second = mapping("/SYSV00000000 (deleted)", inode=32770)
    assert _names(first, second) == ["  [ shmid=0x8001 ]", "  [ shmid=0x8002 ]"]


def test_name_shows_a_question_mark_for_each_byte_outside_ascii():
    """Two for é, one for a byte that is not UTF-8, one for a control character."""
    assert _names(mapping("/srv/é\udcff\x1b.so")) == ["????.so"]


def test_mode_has_five_characters():
    """A private mapping shows a dash where a shared one shows s."""
    report = pmap(snapshot(host("a", process(1, "x", mapping(perms="rw-s"), mapping(perms="r-xp")))))
    assert report.tables[0].columns[-2].cells() == ["rw-s-", "r-x--"]


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("a\x1b[2Jb\x7f", "a?[2Jb?"),
        ("two\nlines", "two lines"),
        ("café €", "café €"),
        ("\x9b", "??"),
        ("a\udcffb", "a?b"),
    ],
)
def test_command_line_is_escaped(argument, shown):
    """UTF-8 stays, a control character is a question mark, a newline a space."""
    assert _line(arguments=("x", argument)) == f"1:   x {shown}"


def test_rows_are_the_columns_of_the_text():
    """The table has pmap's columns, with the host and the pid before them."""
    names = [column.name for column in pmap(snapshot(host("a", _bash())), extended=True).tables[0].columns]
    assert names == ["host", "pid", "address", "size_kib", "rss_kib", "dirty_kib", "mode", "mapping"]


_MAPS_AWKWARD_FILES = """
import mmap, os, sys
kept = []
for path in os.listdir(os.fsencode(sys.argv[1])):
    path = os.path.join(os.fsencode(sys.argv[1]), path)
    with open(path, "r+b") as file:
        kept.append(mmap.mmap(file.fileno(), 8192))
    if path.endswith(b"deleted"):
        os.unlink(path)
kept.append(mmap.mmap(-1, 65536))  # shared anonymous: /dev/zero (deleted)
kept[-1][:] = b"x" * 65536
print("ready", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Stopped:
    """A process that does not move while two programs look at it."""

    pid: int
    snapshot: Snapshot


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Stopped]:
    """A stopped process with awkward mappings, and the snapshot of its smaps."""
    if shutil.which("pmap") is None:
        pytest.skip("no pmap on this machine to compare with")
    if "procps-ng 4.0.2" not in subprocess.run(["pmap", "--version"], capture_output=True, text=True).stdout:
        pytest.skip("another pmap than procps-ng 4.0.2, whose text the view reproduces")
    for name in (
        b"plain.bin",
        "caf\xe9 \u20ac".encode(),
        b"not\xffutf8",
        b"bell\x07",
        b"two\nlines",
        b"sp  ace ",
        b"deleted",
    ):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"\0" * 2 * mmap.PAGESIZE)
    arguments = [sys.executable, "-c", _MAPS_AWKWARD_FILES, str(tmp_path), "caf\xe9\x1b"]
    child = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        yield Stopped(child.pid, _snapshot_of(child.pid))
    finally:
        child.kill()
        child.communicate()


def _snapshot_of(pid: int) -> Snapshot:
    proc = Path("/proc") / str(pid)
    words = (proc / "cmdline").read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
    one = Process("local", pid, "python", tuple(words), 0, "root", 1, 0, "read")
    table = from_columns(parse((proc / "smaps").read_bytes()))
    return Snapshot.assemble([HostSnapshot("local", "ok", (one,), table, None)], RUN)


@pytest.mark.parametrize("extended", [False, True], ids=["pmap", "pmap -x"])
def test_byte_for_byte_what_pmap_prints(stopped, extended):
    """For a real process with odd file names our text is pmap's."""
    command = ["pmap", *(["-x"] if extended else []), str(stopped.pid)]
    printed = subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout
    assert pmap(stopped.snapshot, extended).text.encode() == printed
