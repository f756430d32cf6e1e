"""A capture from a hostile source: each fault is refused with its reason, and nothing is written."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetpmap.capture import CaptureWriter, load
from fleetpmap.collection.collector import Question, collect
from fleetpmap.demo import demo_inventory
from fleetpmap.errors import UsageError
from fleetpmap.processes import Selection, compile_match
from fleetpmap.wire.accounting import CGROUPS_LIMIT
from program import fleetpmap


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of two hosts in a directory, and beside it the same as .tar."""
    path = tmp_path_factory.mktemp("good") / "cap"
    question = Question(Selection(match=compile_match("gunicorn")))
    with demo_inventory() as inventory, CaptureWriter(path) as writer:
        snapshot = collect(tuple(inventory.hosts.values())[:2], question, keep=writer.keep)
        writer.finish(snapshot, rollups=False, machines_once=False)
    with tarfile.open(path.with_suffix(".tar"), "w") as archive:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                archive.add(file, file.relative_to(path).as_posix())
    return path


@pytest.fixture
def cap(good: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(good, tmp_path / "cap")


def _manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def spoil(cap: Path) -> None:
        document = json.loads((cap / "manifest.json").read_text())
        change(document)
        (cap / "manifest.json").write_text(json.dumps(document))

    return spoil


def _linked(cap: Path) -> None:
    smaps = cap / "web-01/1843/smaps"
    smaps.rename(cap.parent / "elsewhere")
    smaps.symlink_to(cap.parent / "elsewhere")


def _linked_directory(cap: Path) -> None:
    (cap / "web-01/1843").rename(cap.parent / "elsewhere")
    (cap / "web-01/1843").symlink_to(cap.parent / "elsewhere")


def _with_directory(cap: Path) -> None:
    (cap / "web-01/1843/stat").unlink()
    (cap / "web-01/1843/stat").mkdir()


def _with_pipe(cap: Path) -> None:
    (cap / "web-01/1843/stat").unlink()
    os.mkfifo(cap / "web-01/1843/stat")


def _with_file(cap: Path) -> None:
    shutil.rmtree(cap / "web-01/1843")
    (cap / "web-01/1843").write_text("x")


def _renamed(path: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["hosts"][0]["files"].update({path: "0" * 64})


FAILURE = {"host": "web-01", "status": "fine", "stage": "tcp", "message": "", "hint": "", "said": ""}

DIRECTORIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "wrong checksum": (
        lambda cap: (cap / "web-01/1843/smaps").write_bytes(b""),
        "web-01/1843/smaps has a wrong checksum: it is not what was written",
    ),
    "missing file": (lambda cap: (cap / "web-01/1843/smaps").unlink(), "web-01/1843/smaps is missing"),
    "missing host": (lambda cap: shutil.rmtree(cap / "web-02"), "web-02 is missing, with 27 files"),
    "link": (_linked, "web-01/1843/smaps is a link, where a file should be"),
    "link to a directory": (
        _linked_directory,
        "web-01/1843/stat cannot be: 1843 is a link, where a directory should be",
    ),
    "directory for a file": (_with_directory, "web-01/1843/stat is a directory, where a file should be"),
    "file for a directory": (_with_file, "web-01/1843/stat cannot be: 1843 is a file, where a directory should be"),
    "pipe": (_with_pipe, "web-01/1843/stat is a device, a pipe or a socket, where a file should be"),
    "empty manifest": (lambda cap: (cap / "manifest.json").write_text(""), "the manifest is not JSON"),
    "manifest of nothing": (lambda cap: (cap / "manifest.json").write_text("[]"), "the manifest is not an object"),
    "deep manifest": (lambda cap: (cap / "manifest.json").write_text("[" * 100_000), "the manifest is not JSON"),
    "unknown version": (
        _manifest(lambda document: document["fleetpmap"].update(capture=2)),
        "a capture of version 2, and this program knows only version 1",
    ),
    "way out in the manifest": (
        _manifest(_renamed("../../etc/passwd")),
        'web-01: "../../etc/passwd" is not the path of a file of a capture',
    ),
    "way out of the cgroups": (
        _manifest(_renamed("sys/fs/cgroup/../../memory.max")),
        'web-01: "sys/fs/cgroup/../../memory.max" is not the path of a file of a capture',
    ),
    "unknown file of a cgroup": (
        _manifest(_renamed("sys/fs/cgroup/system.slice/cgroup.kill")),
        'web-01: "sys/fs/cgroup/system.slice/cgroup.kill" is not the path of a file of a capture',
    ),
    "no text of a cgroup": (
        _manifest(lambda document: document["hosts"][0]["processes"][0]["reading"].update(memory_cgroup="/a")),
        'web-01: this version does not know "memory_cgroup" of process 1843',
    ),
    "absolute path in the manifest": (
        _manifest(_renamed("/etc/passwd")),
        'web-01: "/etc/passwd" is not the path of a file of a capture',
    ),
    "another directory": (
        _manifest(lambda document: document["hosts"][0].update(directory="../web-01")),
        'web-01: its directory cannot be "../web-01"',
    ),
    "host twice": (
        _manifest(lambda document: document["hosts"].append(document["hosts"][0])),
        "the manifest names a host twice",
    ),
    "process twice": (
        _manifest(lambda document: document["hosts"][0]["processes"].append(document["hosts"][0]["processes"][0])),
        "web-01: a process is there twice",
    ),
    "key missing": (_manifest(lambda document: document["hosts"][0].pop("sudo")), 'web-01: "sudo" is missing'),
    "key of tomorrow": (
        _manifest(lambda document: document["hosts"][0]["capabilities"].update(ebpf=1)),
        'web-01: this version does not know "ebpf"',
    ),
    "wrong type": (
        _manifest(lambda document: document["hosts"][0]["processes"][0].update(pid="1843")),
        "web-01: pid is not what it should be",
    ),
    "huge number": (
        _manifest(lambda document: document["hosts"][0]["processes"][0].update(uid=1 << 80)),
        "web-01: uid is out of range",
    ),
    "page of nothing": (
        _manifest(lambda document: document["hosts"][0]["capabilities"].update(page_size=0)),
        "web-01: a page size of 0",
    ),
    "failure of another": (
        _manifest(lambda document: document["hosts"][0].update(capabilities=None, failure=FAILURE)),
        "web-01: its failure is another host's, or of no known status",
    ),
    "unknown status": (
        _manifest(lambda document: document["hosts"][0]["processes"][0].update(status="fine")),
        'web-01: process 1843 has no status "fine"',
    ),
    "status without its file": (
        _manifest(lambda document: document["hosts"][0]["files"].pop("1843/smaps")),
        "web-01: process 1843 is there without its smaps",
    ),
    "no time": (_manifest(lambda document: document["run"].update(started="noon")), "the run's started is no time"),
}


@pytest.mark.parametrize("case", DIRECTORIES)
def test_a_spoilt_directory_is_refused(cap: Path, case: str):
    """One sentence with the reason; and nothing in the directory or beside it has changed."""
    spoil, reason = DIRECTORIES[case]
    spoil(cap)
    before = sorted(cap.parent.rglob("*"))
    with pytest.raises(UsageError, match=re.escape(reason)) as refusal:
        load(cap, Selection())
    assert refusal.value.message.startswith(f"{cap}: ")
    assert sorted(cap.parent.rglob("*")) == before


def _member(name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", target: str = "") -> Callable[[Path], None]:
    """Puts one more member at the end of an archive."""

    def spoil(path: Path) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.size, member.linkname = kind, len(content), target
        with tarfile.open(path, "a") as archive:
            archive.addfile(member, io.BytesIO(content))

    return spoil


def _in_pieces(path: Path) -> None:
    """Moves a file of the first host behind those of the second."""
    members = _read(path)
    first = next(place for place, (member, _) in enumerate(members) if member.name.startswith("web-01/"))
    with tarfile.open(path, "w") as archive:
        for member, content in [*members[:first], *members[first + 1 :], members[first]]:
            archive.addfile(member, io.BytesIO(content))


def _read(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as archive:
        return [(member, archive.extractfile(member).read()) for member in archive if member.isreg()]  # type: ignore[union-attr]  # it is a file


def _huge(path: Path) -> None:
    header = tarfile.TarInfo("web-01/1843/smaps")
    header.size = 1 << 40
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT))


def _long_header(path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT))


def _bomb(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=9) as file:
        for pid in (1, 2):
            header = tarfile.TarInfo(f"web-01/{pid}/smaps")
            header.size = 200 << 20
            file.write(header.tobuf())
            for _ in range(200):
                file.write(bytes(1 << 20))


def _cut_between_hosts(path: Path) -> None:
    with tarfile.open(path) as archive:
        header = archive.getmember("web-02/1702/stat").offset
    path.write_bytes(path.read_bytes()[:header])


def _bad_header(path: Path) -> None:
    with tarfile.open(path) as archive:
        header = archive.getmember("web-02/1702/stat").offset
    content = bytearray(path.read_bytes())
    content[header] ^= 1
    path.write_bytes(content)


def _bad_gzip_checksum(path: Path) -> None:
    content = bytearray(gzip.compress(path.read_bytes()))
    content[-5] ^= 1
    path.write_bytes(content)


ARCHIVES: dict[str, tuple[Callable[[Path], object], str]] = {
    "way out": (_member("../outside", content=b"x"), '"../outside" leads out of the archive'),
    "way out in the middle": (_member("web-01/../../outside"), '"web-01/../../outside" leads out of the archive'),
    "absolute": (_member("/etc/cron.d/x"), '"/etc/cron.d/x" leads out of the archive'),
    "symlink": (_member("web-03", tarfile.SYMTYPE, target="/etc"), '"web-03" is a link'),
    "hardlink": (_member("web-03", tarfile.LNKTYPE, target="/etc/shadow"), '"web-03" is a link'),
    "device": (_member("web-03", tarfile.CHRTYPE), '"web-03" is neither a file nor a directory'),
    "pipe": (_member("web-03", tarfile.FIFOTYPE), '"web-03" is neither a file nor a directory'),
    "file twice": (_member("web-02/1702/stat"), "web-02/1702/stat is there twice"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:100_000]), "the archive is cut or damaged|tar can read"),
    "cut between two hosts": (_cut_between_hosts, "the archive is cut or damaged (its end is missing)"),
    "two in one": (lambda path: path.write_bytes(path.read_bytes() * 2), "(something follows on its end)"),
    "a bad header in the middle": (_bad_header, "not an archive that tar can read (bad checksum)"),
    "a bad checksum of gzip's": (_bad_gzip_checksum, "the archive is cut or damaged (CRC check failed"),
    "not a tar": (lambda path: path.write_bytes(b"hello\n" * 1000), "neither a saved run nor a capture"),
    "empty": (lambda path: path.write_bytes(b""), "neither a saved run nor a capture"),
    "half a gzip": (
        lambda path: path.write_bytes(gzip.compress(path.read_bytes())[:5000]),
        "the archive is cut or damaged",
    ),
    "no gzip at all": (lambda path: path.write_bytes(b"\x1f\x8bhello"), "the archive is cut or damaged"),
    "no zstd at all": (lambda path: path.write_bytes(b"\x28\xb5\x2f\xfdhello"), "the archive is cut|zstandard"),
    "huge file": (_huge, "unpacks to more than 268,435,456 bytes"),
    "huge header": (_long_header, "a header of 1,099,511,627,776 bytes"),
    "bomb": (_bomb, "unpacks to more than 500 times its size: a bomb"),
    "hosts in pieces": (_in_pieces, "the files of web-01 do not lie together"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_a_spoilt_archive_is_refused(good: Path, tmp_path: Path, case: str):
    """One sentence with the reason; and nothing is there but the archive itself."""
    spoil, reason = ARCHIVES[case]
    path = shutil.copy(good.with_suffix(".tar"), tmp_path / "cap.tar")
    spoil(path)
    pattern = reason if "|" in reason else re.escape(reason)
    with pytest.raises(UsageError, match=pattern) as refusal:
        load(path, Selection())
    assert refusal.value.message.startswith(f"{path}: ") or "zstandard" in refusal.value.message
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", [-1, -100])
def test_a_damaged_zst_is_refused(good: Path, tmp_path: Path, place: int):
    """In its text or in its checksum, wherever that is noticed."""
    zstandard = pytest.importorskip("zstandard", reason="the extra [capture] is not installed")
    packed = zstandard.ZstdCompressor(write_checksum=True).compress(good.with_suffix(".tar").read_bytes())
    content = bytearray(packed)
    content[place] ^= 1
    path = tmp_path / "cap.tar.zst"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"the archive is cut or damaged|not an archive that tar can read"):
        load(path, Selection())


def test_a_report_is_told_from_a_run(tmp_path: Path):
    """Taking it anew would not help: the file was never a run."""
    report = tmp_path / "report.json"
    report.write_text('{"fleetpmap": {"version": "0.1.0", "format": 1}, "rows": []}')
    with pytest.raises(UsageError) as refusal:
        load(report, Selection())
    assert refusal.value.message == f"{report}: neither a saved run nor a capture"
    assert refusal.value.hint.startswith("name what --save or --capture wrote; a report, such as csv, json")


def test_the_archive_itself_is_good(good: Path):
    """The capture that the table damages can be read when it is whole."""
    assert load(good.with_suffix(".tar"), Selection()).coverage.processes == {"read": 4}


def test_what_the_command_says(cap: Path, tmp_path: Path):
    """Exit status 2, two lines on stderr, nothing on stdout and no file of --export."""
    (cap / "web-01/1843/smaps").unlink()
    done = fleetpmap("show", str(cap), "--export", f"hosts={tmp_path / 'hosts.csv'}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"{cap}: web-01/1843/smaps is missing\nhint: take the capture anew, or fetch it again\n")
    assert [path.name for path in tmp_path.iterdir()] == ["cap"]


def test_nothing_there():
    """A path that does not exist is said as such."""
    done = fleetpmap("show", "no-such-capture")
    assert done.returncode == 2
    assert done.stderr.startswith("no-such-capture: No such file or directory\n")


def test_a_file_that_the_manifest_does_not_list_is_not_read(good: Path, cap: Path):
    """A file added to a cgroup has no checksum: nothing is taken from it."""
    (cap / "web-01/sys/fs/cgroup/memory/system.slice").mkdir(parents=True)
    (cap / "web-01/sys/fs/cgroup/memory/system.slice/memory.usage_in_bytes").write_text("4096\n")
    (cap / "web-01/container-names").write_text(f'/{"ab" * 32}/config.v2.json:"Name":"/x"\n')
    shown, whole = load(cap, Selection()), load(good, Selection())
    assert (shown.processes, shown.hosts) == (whole.processes, whole.hosts)


def test_what_is_no_cgroup_is_not_looked_at(good: Path, cap: Path):
    """Links, a circle of them, directories that no cgroup can have, too deep ones, and devices."""
    root = cap / "web-01/sys/fs/cgroup"
    (root / "up").symlink_to("..")
    (root / "system.slice/memory.high").symlink_to("/etc/passwd")
    (root / "a b").mkdir()
    (root / "a b/memory.max").symlink_to("/etc/passwd")
    (root / "memory.peak").mkdir()
    (root / "memory.peak/memory.max").write_text("1\n")
    deep = root.joinpath(*["x"] * 100)
    deep.mkdir(parents=True)
    (deep / "memory.max").write_text("1\n")
    os.mkfifo(root / "cpu.max")
    with pytest.raises(UsageError, match=r"system.slice/memory.high is a link, where a file should be"):
        load(cap, Selection())
    (root / "system.slice/memory.high").unlink()
    assert load(cap, Selection()).hosts == load(good, Selection()).hosts


def test_a_crowd_of_cgroups_is_refused(cap: Path):
    """More directories than a host may have."""
    for number in range(CGROUPS_LIMIT + 1):
        (cap / f"web-01/sys/fs/cgroup/{number}").mkdir()
    with pytest.raises(UsageError, match="more than 16,384 cgroups"):
        load(cap, Selection())


def test_other_files_in_a_directory_are_left_alone(cap: Path):
    """A link or a device that the layout does not know is not even looked at."""
    (cap / "notes").symlink_to("/etc/passwd")
    (cap / "web-01/1843/cwd").symlink_to("/")
    os.mkfifo(cap / "web-01/1843/pipe")
    assert load(cap, Selection()).coverage.processes == {"read": 4}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("closed", ["web-01", "web-01/1843/smaps"])
def test_what_may_not_be_read_is_named(cap: Path, closed: str):
    """Which directory or file of the capture is closed to this user, since a part of it could be somebody else's."""
    (cap / closed).chmod(0)
    with pytest.raises(UsageError, match=re.escape(f"{cap / closed}: Permission denied")) as refused:
        load(cap, Selection())
    (cap / closed).chmod(0o700)
    assert refused.value.hint == "show it as the user who owns it"
