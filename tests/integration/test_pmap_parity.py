"""Real processes, and every mode of the view pmap beside the installed pmap, byte for byte.

Even in a stopped process some of what -X shows moves as other processes come and go that map the same files: PSS, and
whether a page counts as shared or private. There each pair of numbers has to be possible, and all else is exact.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pmap_subjects import COMMANDS, HUGETLB, NAMES, python, subjects
from program import BARE, command
from sshd import Sshd

_MOVING = frozenset({b"Pss", b"Pss_Dirty", b"SwapPss", b"Shared_Clean", b"Private_Clean"})
"""Columns of -X and -XX that other processes can change."""

Numbers = list[dict[bytes, int]]
"""Key to number of each line that has numbers."""


@pytest.fixture(scope="module")
def pids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The pids of the subjects, under what they are."""
    if shutil.which("pmap") is None:
        pytest.skip(reason="no pmap on this machine to compare with")
    if "procps-ng 4.0.2" not in subprocess.run(["pmap", "--version"], capture_output=True, text=True).stdout:
        pytest.skip(reason="another pmap than procps-ng 4.0.2, whose text the view reproduces")
    with subjects(tmp_path_factory.mktemp("subjects")) as started:
        yield started


def _pmap(letters: str, *pids: int, locale: str = "C.UTF-8") -> bytes:
    argv = ["pmap", *letters.split(), *map(str, pids)]
    return subprocess.run(argv, capture_output=True, env=BARE | {"LC_ALL": locale}, check=False).stdout


def _fleetpmap(letters: str, *pids: int, locale: str = "C.UTF-8", hosts: Sequence[str] = ("-H", "local")) -> bytes:
    wanted = ["--pid", ",".join(map(str, pids)), "--view", "pmap", "--quiet", *letters.split()]
    argv = command("run", *hosts, *wanted, **({} if locale == BARE["LC_ALL"] else {"LC_ALL": locale}))
    done = subprocess.run(argv, capture_output=True, env=BARE | {"LC_ALL": locale}, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def _both(letters: str, *pids: int, locale: str = "C.UTF-8") -> tuple[bytes, bytes]:
    """Ours and pmap's, asked again if they differ: even of a stopped process the kernel takes pages, and gives them."""
    for _ in range(4):
        ours, theirs = _fleetpmap(letters, *pids, locale=locale), _pmap(letters, *pids, locale=locale)
        if ours == theirs:
            break
    return ours, theirs


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
@pytest.mark.parametrize("format_", ["", "-x", "-d"])
def test_formats(pids: dict[str, int], format_: str, locale: str):
    """All subjects in one command, in both locales."""
    everyone = sorted(pids.values())
    ours, theirs = _both(format_, *everyone, locale=locale)
    assert ours == theirs


def test_without_a_locale(pids: dict[str, int]):
    """No variable at all is the C locale to pmap, and to Python the reason to set one."""
    odd = sorted(pid for what, pid in pids.items() if what.startswith("arguments"))
    ours, theirs = _both("", *odd, locale="")
    assert ours == theirs


@pytest.mark.parametrize("letters", ["-q", "-p", "-q -p", "-x -q", "-x -p", "-dqp"])
def test_combinations(pids: dict[str, int], letters: str):
    """-q and -p with each format, bundled or not."""
    everyone = sorted(pids.values())
    ours, theirs = _both(letters, *everyone)
    assert ours == theirs


@pytest.mark.parametrize(
    "letters",
    [
        "-A 7f0000000000,",
        "-A ,7f0000000000",
        "-A 0x500000000000,600000000000 -p",
        "-A 7f0000000000,10",
        "-A , -q",
        "-d -A 500000000000,600000000000",
    ],
)
def test_ranges(pids: dict[str, int], letters: str):
    """-A with either end left open, the wrong way round, and with -d."""
    everyone = sorted(pids.values())
    ours, theirs = _both(letters, *everyone)
    assert ours == theirs


@pytest.mark.parametrize("distance", [-1, 0, 4095, 4096])
def test_one_address(pids: dict[str, int], distance: int):
    """-A LOW is the mapping that holds it: from its first byte to its last."""
    begin = int(_pmap("-q", pids["bash"]).splitlines()[3].split()[0], 16)
    letters = f"-A {begin + distance:x}"
    ours, theirs = _both(letters, pids["bash"])
    assert ours == theirs


@pytest.mark.parametrize("letters", ["-x -A 0,600000000000", "-x -A 7f0000000000,"])
def test_a_range_of_x_has_its_own_totals(pids: dict[str, int], letters: str):
    """All but the last line is pmap's, whose totals count what lies below the range; ours is the sum of the rows."""
    for _ in range(4):  # as _both asks
        *ours, total = _fleetpmap(letters, pids["bash"]).splitlines()
        theirs = _pmap(letters, pids["bash"]).splitlines()[:-1]
        if ours == theirs:
            break
    assert ours == theirs
    sizes = [[int(word) for word in row.split()[1:4]] for row in ours[2:-1]]
    assert sizes
    assert total.split()[2:] == [b"%d" % sum(column) for column in zip(*sizes, strict=True)]


@pytest.mark.parametrize(
    ("letters", "locale"),
    [("-X", "C.UTF-8"), ("-X -p", "C"), ("-X -X", "C"), ("-XX -q -p", "C.UTF-8")],
)
def test_every_field(pids: dict[str, int], letters: str, locale: str):
    """-X and -XX, whose totals and widths are each process's own: pmap is asked for one at a time."""
    for _ in range(4):  # pages that the kernel takes or gives meanwhile
        keys = [_keys(letters, pid) for pid in sorted(pids.values())]
        ours = _fleetpmap(letters, *sorted(pids.values()), locale=locale)
        theirs = [_pmap(letters, pid, locale=locale) for pid in sorted(pids.values())]
        if _still(ours, keys, theirs) == _still(b"".join(theirs), keys, theirs):
            break
    assert _still(ours, keys, theirs) == _still(b"".join(theirs), keys, theirs)
    pairs = list(zip(_numbers(ours, keys, theirs), _numbers(b"".join(theirs), keys, theirs), strict=True))
    assert len(pairs) > 5000
    assert [pair for pair in pairs if not _possible(*pair)] == []


def _keys(letters: str, pid: int) -> list[bytes]:
    """The kernel's fields that these letters show, in order."""
    header = _pmap(letters.replace("-q", "").strip(), pid).splitlines()[1].split()
    return [word for word in header[5:-1] if word != b"VmFlags"]


def _lines(text: bytes, keys: list[list[bytes]], theirs: list[bytes]) -> Iterator[tuple[bytes, list[bytes]]]:
    """Each line of several blocks with its block's keys; the blocks are as long as pmap's."""
    of_line = [block_keys for block_keys, block in zip(keys, theirs, strict=True) for _ in block.splitlines()]
    yield from zip(text.split(b"\n")[:-1], of_line, strict=True)


def _places(line: bytes, keys: list[bytes]) -> dict[bytes, tuple[int, int]]:
    """Where each key's cell stands, blanks before it included, in a header, a row, a rule or a line of totals."""
    words = list(re.finditer(rb" *\S+", line))
    if re.match(rb" *(Address Perm|[0-9a-f]{8,16} [r-][w-][x-][sp]) ", line):
        words = words[5:]
    elif not line.endswith((b"KB ", b"= ")):
        return {}
    return {key: word.span() for key, word in zip(keys, words[: len(keys)], strict=True)}


def _still(text: bytes, keys: list[list[bytes]], theirs: list[bytes]) -> list[bytes]:
    """The lines, with a cross for each column of numbers that move, and with them its width."""
    still = []
    for line, line_keys in _lines(text, keys, theirs):
        for key, (start, stop) in reversed(_places(line, line_keys).items()):
            if key in _MOVING:
                line = line[:start] + b"x" + line[stop:]
        still.append(line)
    return still


def _numbers(text: bytes, keys: list[list[bytes]], theirs: list[bytes]) -> Numbers:
    lines = [(line, line_keys) for line, line_keys in _lines(text, keys, theirs) if re.search(rb"\d", line)]
    rows = [(line, _places(line, line_keys)) for line, line_keys in lines]
    return [{key: int(line[slice(*place)]) for key, place in places.items()} for line, places in rows if places]


def _possible(ours: dict[bytes, int], theirs: dict[bytes, int]) -> bool:
    """The numbers that move can be those of the same pages, seen a moment later."""
    clean = [row.get(b"Shared_Clean", 0) + row.get(b"Private_Clean", 0) for row in (ours, theirs)]
    return clean[0] == clean[1] and all(row[b"Pss_Dirty"] <= row[b"Pss"] <= row[b"Rss"] for row in (ours, theirs))


def test_the_subjects_have_what_they_are_to_have(pids: dict[str, int]):
    """Every kind of mapping is there to be named, and the texts that are hard to print."""
    plain = {what: _pmap("-p", pid) for what, pid in pids.items()}
    assert plain["5,000 mappings"].count(b"\n") > 5000
    shared = plain["threads and shared memory"]
    for name in (b"  [ shmid=0x", b" /dev/shm/fleetpmap-", b" /memfd:two words (deleted)", b" /dev/zero (deleted)"):
        assert name in shared
    assert b"  [ stack ]\n" in plain["bash"]
    assert b"/libgone.so (deleted)\n" in plain["a deleted library"]
    odd = plain["odd file names"]
    for name in (
        b"/caf?? ???\n",
        b"/two\\012lines\n",
        b"/sp  ace \n",
        b"/gone (deleted)\n",
        b"/not?utf8\n",
        b"/tab?here\n",
    ):
        assert name in odd
    assert len(NAMES) == 12
    assert len(plain) == 5 + len(COMMANDS)


def test_huge_pages(pids: dict[str, int]):
    """Where the kernel has huge pages to give, their mapping too."""
    if not re.search(r"^HugePages_Free: +[2-9]", Path("/proc/meminfo").read_text(), re.MULTILINE):
        pytest.skip(reason="this machine sets no huge pages aside (vm.nr_hugepages)")
    with python(HUGETLB) as pid:
        for letters in ("", "-x", "-d"):
            ours, theirs = _both(letters, pid)
            assert ours == theirs


def test_kernel_names(pids: dict[str, int]):
    """-k, which 4.0.2 has not: the same but for the kernel's names."""
    ours, theirs = (text.splitlines() for text in (_fleetpmap("-k", pids["bash"]), _pmap("", pids["bash"])))
    changed = [(one.split(b" ", 6)[-1], other) for one, other in zip(ours, theirs, strict=True) if one != other]
    names = {name.split()[-1] for name, _ in changed}
    assert {b"[heap]", b"[stack]"} <= names
    assert all(other.endswith((b"  [ anon ]", b"  [ stack ]")) for _, other in changed)


def test_threads_of_the_kernel_and_the_dead(pids: dict[str, int]):
    """They have a line and no mappings: pmap's headers and zeros, and of -X nothing."""
    if not Path("/proc/2/comm").exists() or Path("/proc/2/comm").read_text() != "kthreadd\n":
        pytest.skip(reason="no kernel thread to be seen here, as in a container")
    with subprocess.Popen(["true"]) as dead:
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
        for letters in ("", "-x", "-d", "-X"):
            ours, theirs = _both(letters, 2, dead.pid)
            assert ours == theirs


@pytest.mark.parametrize("letters", ["-x", "-X"])
def test_several_hosts_over_ssh(pids: dict[str, int], sshd: Sshd, tmp_path: Path, letters: str):
    """Each block is pmap's, under the name of its host."""
    inventory = tmp_path / "inventory.toml"
    inventory.write_text(
        f'[defaults]\naddress = "{sshd.addresses[0]}"\nport = {sshd.port}\nuser = "{sshd.user}"\n'
        f'identity_file = "{sshd.identity_file}"\n[groups.both]\nhosts = "here,there"\n'
    )
    hosts = ["-i", str(inventory), "--known-hosts", sshd.known_hosts, "--ssh-config", sshd.ssh_config]
    asked = sorted((pids["bash"], pids["threads and shared memory"]))
    for _ in range(4):
        ours = _fleetpmap(letters, *asked, hosts=hosts)
        blocks = [b"==> %b <==\n%b" % (host, _pmap(letters, pid)) for host in (b"here", b"there") for pid in asked]
        keys = [_keys(letters, pid) if letters == "-X" else [] for pid in (*asked, *asked)]
        if _still(ours, keys, blocks) == _still(b"".join(blocks), keys, blocks):
            break
    assert _still(ours, keys, blocks) == _still(b"".join(blocks), keys, blocks)
