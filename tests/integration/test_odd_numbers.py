"""Processes and kernels whose numbers mean something else than they seem to."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpmap.collection.collector import Question, collect
from fleetpmap.collection.interpret import host_snapshot
from fleetpmap.collection.reply import HostReply
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection, choose
from fleetpmap.snapshot import Snapshot
from fleetpmap.wire import ProcessReading, Reading
from program import fleetpmap
from tapped import tapped
from test_probe import Conversation, Tree

_FIELDS = ("Rss", "Pss", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty")
_CHILDREN = """
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
static int rest(void *unused) { (void)!write(1, "\\n", 1); for (;;) pause(); }
int main(int count, char **words) {
    char *memory = mmap(0, 20 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 1, 20 << 20);
    char *stack = malloc(1 << 16);
    if (!strcmp(words[1], "clone")) clone(rest, stack + (1 << 16), CLONE_VM | SIGCHLD, 0);
    if (!strcmp(words[1], "vfork") && !vfork()) rest(0);
    if (!strcmp(words[1], "fork") && !fork()) { memset(memory, 2, 20 << 20); rest(0); }
    for (;;) pause();
}
"""


def _smaps(*mappings: tuple[str, str, int, tuple[int, ...]]) -> str:
    """Blocks of (perms, path, KiB, sizes by _FIELDS) one behind the other."""
    text, at = "", 0x400000
    for perms, path, kib, sizes in mappings:
        text += f"{at:08x}-{at + kib * 1024:08x} {perms} 00000000 fe:00 7 {path}\n"
        text += "".join(f"{key}: {size} kB\n" for key, size in zip(_FIELDS, sizes, strict=True))
        at += kib * 1024
    return text


def _looked(tree: Tree, pattern: str = "app", *, rollup_only: bool = False) -> Snapshot:
    host = Host("box", transport="local", proc_root=str(tree.root))
    return collect([host], Question(Selection(match=re.compile(pattern)), rollup_only=rollup_only))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A process of 20 MiB with a child of the kind that its first word names."""
    if shutil.which("gcc") is None:
        pytest.skip(reason="no gcc on this machine, and Python has no clone(2)")
    directory = tmp_path_factory.mktemp("two")
    (directory / "two.c").write_text(_CHILDREN)
    subprocess.run(["gcc", "-w", "-o", directory / "twofold", directory / "two.c"], check=True)
    return directory / "twofold"


@pytest.fixture
def pair(program: Path, request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """Parent and child."""
    parent = subprocess.Popen([program, request.param], stdout=subprocess.PIPE, start_new_session=True)
    assert parent.stdout is not None
    parent.stdout.readline()
    [child] = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    yield parent.pid, int(child)
    os.killpg(parent.pid, signal.SIGKILL)
    parent.communicate()


@pytest.mark.parametrize("pair", ["clone", "vfork"], indirect=True)
def test_an_address_space_of_two_processes_is_noted(pair: tuple[int, int]) -> None:
    """Each is read whole, so what they have is in the totals twice; the note names both."""
    done = fleetpmap("run", "-H", "local", "--pid", ",".join(map(str, pair)), "--view", "processes", "--format", "json")
    rows = json.loads(done.stdout)["rows"]
    assert [row["pid"] for row in rows] == [*pair]
    assert rows[0]["uss_kib"] == rows[1]["uss_kib"] > 20480
    said = f"processes {pair[0]} and {pair[1]} have one address space (vfork, or clone with CLONE_VM)"
    assert said in done.stderr + done.stdout


@pytest.mark.parametrize("pair", ["fork"], indirect=True)
def test_a_forked_child_has_its_own(pair: tuple[int, int]) -> None:
    """Its mappings are at the same addresses, and it has written to most of them."""
    done = fleetpmap("run", "-H", "local", "--pid", ",".join(map(str, pair)), "--view", "processes", "--format", "json")
    assert [row["pid"] for row in json.loads(done.stdout)["rows"]] == [*pair]
    assert "address space" not in done.stderr + done.stdout


_VDSO = ("r-xp", "[vdso]", 8)


@pytest.mark.parametrize(
    ("vdso", "library", "noted"),
    [
        ((8, 8, 0, 0, 8, 0), (96, 96, 0, 0, 96, 0), True),
        ((8, 0, 8, 0, 0, 0), (96, 96, 0, 0, 96, 0), False),
        ((8, 8, 0, 0, 8, 0), (96, 48, 96, 0, 0, 0), False),
    ],
    ids=["gVisor", "the only one that maps it", "shared"],
)
def test_a_kernel_that_does_not_divide(
    tmp_path: Path, vdso: tuple[int, ...], library: tuple[int, ...], noted: bool
) -> None:
    """Every process has the vdso, so on Linux its PSS is 0; in gVisor it is the RSS, as of all else."""
    tree = Tree(tmp_path)
    for pid in (41, 42):
        tree.add(pid, smaps=_smaps(("r-xp", "/usr/lib/libc.so.6", 128, library), (*_VDSO, vdso)))
    notes = _looked(tree).hosts[0].notes
    assert ("does not divide what processes share (gVisor)" in " ".join(notes)) == noted


def test_this_kernel_divides() -> None:
    """No such note of a real process."""
    pid = str(os.getpid())
    assert "gVisor" not in fleetpmap("run", "-H", "local", "--pid", pid, "--view", "hosts", "--format", "json").stdout


@pytest.mark.parametrize("end", ["7ffd0000f000", "ffffffffff601000"], ids=["stack", "vsyscall"])
def test_sums_that_end_with_the_vsyscall(tmp_path: Path, end: str) -> None:
    """As before Linux 4.20: no mapping could be as large, and it is not one."""
    tree = Tree(tmp_path)
    for pid in (41, 42):
        tree.add(pid, smaps="")
        (tree.root / f"{pid}/smaps_rollup").write_text(
            f"55d0c0a00000-{end} ---p 00000000 00:00 0                          [rollup]\nRss: {pid} kB\nPss: 7 kB\n"
        )
    snapshot = _looked(tree, rollup_only=True)
    assert [one.status for one in snapshot.processes] == ["read", "read"]
    assert snapshot.table.fields["Rss"].tolist() == [41, 42]
    assert {one.checks.verdicts["mappings_apart"] for one in snapshot.processes if one.checks} == {"held"}


def test_more_mappings_than_are_taken(tmp_path: Path) -> None:
    """The reason says what helps, and it does: sums are as long for 520,000 mappings as for one."""
    tree = Tree(tmp_path)
    tree.add(42, smaps="")
    (tree.root / "42/smaps_rollup").write_text("00400000-7ffd0000 ---p 00000000 00:00 0 [rollup]\nRss: 42 kB\n")
    with Conversation(["sh", "-s"], tree.request()) as probe:
        listing = probe.listing()
    choice = choose(listing, Selection())
    reading = Reading(b"", (ProcessReading(42, "cut", 0, 0, 0),), {})
    snapshot = host_snapshot(HostReply(Host("box"), listing, choice, reading=reading), rollups=False)
    assert snapshot.status == "partial"
    assert snapshot.processes[0].reason == "its smaps is longer than 128 MiB; --rollup reads its sums alone"
    assert _looked(tree, rollup_only=True).table.fields["Rss"].tolist() == [42]


@pytest.mark.parametrize(
    ("name", "status"), [("other", "reused"), ("app-2", "read")], ids=["not what was asked for", "still matches"]
)
def test_another_program_by_the_time_it_is_read(tmp_path: Path, name: str, status: str) -> None:
    """After exec it has the same pid and start time. It is not counted under a name that it no longer has."""
    tree = Tree(tmp_path)
    for pid in (41, 42, 43):
        tree.add(pid, smaps=_smaps(("rw-p", "", pid * 4, (pid, pid, 0, 0, 0, pid))))

    def change(data: bytes) -> None:
        if data.startswith(b"read "):
            tree.add(42, name, smaps=_smaps(("rw-p", "", 400, (100, 100, 0, 0, 0, 100))))

    host = Host("box", transport="local", proc_root=str(tree.root))
    snapshot = collect([host], Question(Selection(match=re.compile("^app"))), transport_for=tapped("box", change))
    first, second, third = snapshot.processes
    assert (first.status, second.status, third.status) == ("read", status, "read")
    if status == "read":
        assert (second.name, second.arguments[0]) == (name, name)
        assert snapshot.table.fields["Rss"].tolist() == [41, 100, 43]
    else:
        assert (second.name, second.reason) == ("app", "was another program by the time it was read: other")
        assert snapshot.table.fields["Rss"].tolist() == [41, 43]
