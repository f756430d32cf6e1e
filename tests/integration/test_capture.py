"""`show` of a capture equals the run: on twenty real hosts, view by view, byte for byte; and the capture's files."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from fleetpmap.capture import CaptureWriter, load
from fleetpmap.capture.phase_text import listing_of, reading_of
from fleetpmap.capture.tree import directory_of
from fleetpmap.collection.collector import Question, collect
from fleetpmap.collection.interpret import host_snapshot
from fleetpmap.collection.reply import HostReply
from fleetpmap.demo import demo_inventory, lay_out
from fleetpmap.errors import UsageError
from fleetpmap.inventory import Host
from fleetpmap.processes import Choice, Selection, compile_match
from fleetpmap.render import plain
from fleetpmap.report import VIEWS, ViewOptions, mappings, processes
from fleetpmap.report.shape import Shape
from fleetpmap.snapshot import Snapshot
from fleetpmap.wire import Capabilities
from program import fleetpmap
from snapshots import RUN
from sshd import Sshd
from targets import Target

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
TABLES = ("summary", "merged", "hosts", "processes", "mappings", "compare", "stale")
FILES = [
    *(f"{view}.{suffix}" for view in TABLES for suffix in ("csv", "json", "txt", "md", "html")),
    *(f"{view}.jsonl" for view in ("hosts", "processes", "mappings")),
    "hosts.om",
    "pmap.txt",
]
EXPORTS = [word for name in FILES for word in ("--export", f"{name.partition('.')[0]}={name}")]


@pytest.fixture(scope="module")
def kept(sshd_of_fifty: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with `run/` and `show/`: each with the files of all views, stdout, stderr and the exit status.

    Twenty hosts: two with the whole of this machine's /proc, of which they read one stopped process, one that nobody
    answers for, one that knows no such user, and sixteen recorded ones. `cap` is the capture.
    """
    directory = tmp_path_factory.mktemp("kept")
    name = f"fpm{os.getpid() % 100000}"
    with Target(name):
        _inventory(sshd_of_fifty, directory)
        pattern = f"[f]{name[1:]}|[g]unicorn|^-bash$|[h]ealthcheck|[c]url"  # which is not in our own command line
        words = ["run", "-i", "inventory.toml", "--full", "--match", pattern, "-vv"]
        ways = ["--known-hosts", sshd_of_fifty.known_hosts, "--ssh-config", sshd_of_fifty.ssh_config]
        _ran(directory, "run", *words, *ways, "--timeout", "120", "--capture", str(directory / "cap"))
    _ran(directory, "show", "show", str(directory / "cap"), "-vv")
    yield directory
    shutil.rmtree(directory / "trees")


def _inventory(sshd: Sshd, directory: Path) -> None:
    trees = directory / "trees"
    names = lay_out(FAKE_PROC, trees)
    lines = [
        f'[defaults]\nport = {sshd.port}\nuser = "{sshd.user}"\nidentity_file = "{sshd.identity_file}"\n',
        '[hosts.dead]\naddress = "127.0.1.19"\nport = 1\n',
        '[hosts.stranger]\naddress = "127.0.1.20"\nuser = "nobody-here"\n',
        *(f'[hosts.live-{n}]\naddress = "127.0.1.{n}"\n' for n in (1, 2)),
        *(f'[hosts.box-{n:02}]\naddress = "127.0.1.{n}"\nproc_root = "{trees / names[n % 3]}"\n' for n in range(3, 19)),
    ]
    (directory / "inventory.toml").write_text("".join(lines))


def _ran(directory: Path, place: str, *words: str) -> None:
    """Run `fleetpmap` with every export into directory/place, and keep what it said there."""
    out = directory / place
    out.mkdir()
    exports = [word.replace("=", f"={out}/") for word in EXPORTS]
    done = fleetpmap(*(str(directory / word) if word == "inventory.toml" else word for word in words), *exports)
    # The names of the files differ, and are in what is said of those that lack something.
    said = done.stderr.replace(str(out), "")
    for name, text in (("stdout", done.stdout), ("stderr", said), ("status", str(done.returncode))):
        (out / name).write_text(text)


@pytest.mark.parametrize("name", [*FILES, "stdout", "stderr", "status"])
def test_show_equals_run(kept: Path, name: str):
    """Every view in every format, what is said on stderr and the exit status are those of the live run."""
    assert (kept / "show" / name).read_bytes() == (kept / "run" / name).read_bytes()


def test_the_run_that_was_compared_was_no_empty_one(kept: Path):
    """Eighteen hosts answered, and something was read, denied and failed: there was something to compare."""
    said = (kept / "run" / "stderr").read_text()
    assert "18 of 20 hosts answered" in said
    assert " denied" in said
    assert (kept / "run" / "status").read_text() == "3"
    assert len((kept / "run" / "pmap.txt").read_text().splitlines()) > 1000


def test_a_capture_is_closed_to_others(kept: Path):
    """A command line can hold a password: directories are 0700 and files 0600."""
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (kept / "cap").rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (kept / "cap").rglob("*") if path.is_dir()} == {0o700}
    assert stat.S_IMODE((kept / "cap").stat().st_mode) == 0o700


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Snapshot, Path]:
    """A run over the demo's three hosts, and where it was captured, in the three forms."""
    directory = tmp_path_factory.mktemp("demo")
    with demo_inventory() as inventory:
        return _captured(tuple(inventory.hosts.values()), directory / "cap"), directory


def _captured(fleet: tuple[Host, ...], path: Path, question: Question | None = None) -> Snapshot:
    with CaptureWriter(path) as writer:
        snapshot = collect(fleet, question or Question(), keep=writer.keep)
        writer.finish(snapshot, rollups=False, machines_once=False)
    return snapshot


def _views(snapshot: Snapshot) -> list[str]:
    return [plain(view(snapshot, ViewOptions())) for view in VIEWS.values()]


def test_a_capture_is_a_proc_root(demo: tuple[Snapshot, Path]):
    """The real probe reads a host's directory as it read the host: the same mappings, the same sums."""
    selection = Selection(match=compile_match("gunicorn"))
    host = Host("web-01", transport="local", proc_root=str(demo[1] / "cap" / "web-01"))
    copied = collect((host,), Question(selection))
    with demo_inventory() as inventory:
        live = collect((inventory.hosts["web-01"],), Question(selection))
    assert plain(mappings(copied)) == plain(mappings(live))
    assert copied.coverage.processes == {"read": 2}


def test_every_status_comes_back(tmp_path: Path):
    """A torn smaps, one too large for the guard, a zombie, one without an smaps: reasons, checks and statuses."""
    tree = shutil.copytree(FAKE_PROC / "web-01", tmp_path / "web-01")
    smaps = tree / "2290" / "smaps"
    smaps.write_bytes(smaps.read_bytes()[:1000])
    (tree / "2411" / "smaps").unlink()
    host = Host("web-01", transport="local", proc_root=str(tree))
    question = Question(Selection(match=compile_match("gunicorn|bash|metrics|curl"), max_rss_kib=20_000))
    snapshot = _captured((host,), tmp_path / "cap", question)
    shown = load(tmp_path / "cap", Selection())
    assert snapshot.coverage.processes == {"read": 2, "cut": 1, "skipped": 1, "zombie": 1, "unsupported": 1}
    assert shown.processes == snapshot.processes
    assert (shown.hosts, shown.run, shown.coverage) == (snapshot.hosts, snapshot.run, snapshot.coverage)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.zst"])
def test_one_file(tmp_path: Path, suffix: str):
    """An archive says the same as the run, is closed to others, and is all there is."""
    if suffix == ".tar.zst":
        pytest.importorskip("zstandard", reason="the extra [capture] is not installed")
    path = tmp_path / f"cap{suffix}"
    with demo_inventory() as inventory:
        snapshot = _captured(tuple(inventory.hosts.values()), path)
    assert _views(load(path, Selection())) == _views(snapshot)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_without_the_package_zst_is_refused_by_name(tmp_path: Path):
    """A .tar.zst without zstandard: the extra is named, before a host is asked, and nothing is left."""
    (tmp_path / "zstandard.py").write_text("raise ImportError('not here')")
    place = tmp_path / "place"
    place.mkdir()
    done = fleetpmap("demo", "--capture", str(place / "cap.tar.zst"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "fleetpmap[capture]" in done.stderr
    assert "3 SSH servers" not in done.stderr
    assert list(place.iterdir()) == []


def test_exec_between_listing_and_reading(tmp_path: Path):
    """A process is called in the capture what the run called it: as it was listed, not what it has become since."""
    files = {f"7/{name}": (FAKE_PROC / "web-01" / "1843" / name).read_bytes() for name in ("stat", "cmdline", "smaps")}
    files["7/stat"] = files["7/stat"].replace(b"1843 (gunicorn)", b"7 (sh (a) b)")
    later = files | {"7/stat": files["7/stat"].replace(b"sh (a) b", b"gunicorn")}
    listing = listing_of(Capabilities(0, "6.1.0", 4096, "", "", "gnu", "gzip", None), files, [7])
    choice = Choice(tuple(listing.processes), ())
    answer = HostReply(Host("web-01"), listing, choice, reading=reading_of(listing, later, [7], b""))
    seen = host_snapshot(answer, rollups=False)
    with CaptureWriter(tmp_path / "cap") as writer:
        writer.keep(Host("web-01"), answer, seen)
        writer.finish(Snapshot.assemble([seen], RUN), rollups=False, machines_once=False)
    shown = load(tmp_path / "cap", Selection())
    assert (shown.processes, shown.processes[0].name) == (seen.processes, "sh (a) b")


def test_process_options_narrow(demo: tuple[Snapshot, Path]):
    """`show --match bash` of a capture of everything is what `run --match bash` would have shown."""
    snapshot, directory = demo
    selection = Selection(match=compile_match("bash"))
    shown = load(directory / "cap", selection)
    assert {(one.host, one.pid) for one in shown.processes} == {
        (one.host, one.pid) for one in snapshot.processes if "bash" in one.name
    }
    with demo_inventory() as inventory:
        live = collect(tuple(inventory.hosts.values()), Question(selection))
    assert plain(processes(shown)) == plain(processes(live))


def test_users_narrow_by_name(demo: tuple[Snapshot, Path]):
    """--user knows the names that the host gave."""
    shown = load(demo[1] / "cap", Selection(users=("app",)))
    assert {process.user for process in shown.processes} == {"app"}


def test_units_narrow(demo: tuple[Snapshot, Path]):
    """Every capture keeps the cgroups, so that show can select by them."""
    shown = load(demo[1] / "cap", Selection(unit="gunicorn", match=compile_match("gunicorn")))
    assert len(shown.processes) == 6


@pytest.fixture
def older(demo: tuple[Snapshot, Path], tmp_path: Path) -> Path:
    """The demo's capture as the version before cgroups were read wrote it."""
    cap = shutil.copytree(demo[1] / "cap", tmp_path / "older")
    document = json.loads((cap / "manifest.json").read_text())
    for host in document["hosts"]:
        host["capabilities"].pop("booted")
        for path in list(host["files"]):
            file = cap / host["directory"] / path
            if path.endswith("/status"):
                [line] = (line for line in file.read_text().splitlines() if line.startswith("Uid:"))
                file.write_text(f"{line}\n")
                host["files"][path] = sha256(file.read_bytes()).hexdigest()
            elif not path.endswith(("/stat", "/cmdline", "/smaps", "/smaps.denied", "osrelease", "boot_id")):
                file.unlink()
                del host["files"][path]
    (cap / "manifest.json").write_text(json.dumps(document))
    return cap


def test_an_older_capture_says_what_it_always_said(demo: tuple[Snapshot, Path], older: Path):
    """Without cgroups and the host's memory: these are unknown, and all else is as it was."""
    shown, whole = load(older, Selection()), demo[0]
    unknown = {"unit": None, "slice": None, "cgroup": None, "oom_score_adj": None, "resident": None}
    assert shown.processes == tuple(replace(one, service=one.name, **unknown) for one in whole.processes)
    assert [(host.memory, host.cgroups) for host in shown.hosts] == [(None, ())] * 3
    new = {"service", "unit", "container", "pod", "started"}
    known = Shape(columns=tuple(column.name for column in mappings(whole).tables[0].columns if column.name not in new))
    assert plain(mappings(shown, known)) == plain(mappings(whole, known))


@pytest.mark.parametrize("option", ["unit", "cgroup", "container", "pod"])
def test_a_selection_by_cgroup_needs_what_was_read(older: Path, option: str):
    """A capture without cgroups is refused with that reason: no process would match."""
    with pytest.raises(UsageError, match="does not hold the cgroups"):
        load(older, Selection(**{option: "gunicorn"}))


def test_several_captures_are_put_together(demo: tuple[Snapshot, Path], tmp_path: Path):
    """Two captures of other hosts are shown as one fleet, in their order."""
    with demo_inventory() as inventory:
        fleet = tuple(inventory.hosts.values())
        _captured(fleet[:1], tmp_path / "first")
        _captured(fleet[1:], tmp_path / "rest")
    done = fleetpmap("show", str(tmp_path / "rest"), str(tmp_path / "first"), "--view", "processes", "--format", "csv")
    whole = fleetpmap("show", str(demo[1] / "cap"), "--view", "processes", "--format", "csv")
    assert sorted(done.stdout.splitlines()) == sorted(whole.stdout.splitlines())
    assert done.returncode == 3


def test_one_host_in_two_captures_is_refused(demo: tuple[Snapshot, Path]):
    """Its figures would be counted twice."""
    path = str(demo[1] / "cap")
    done = fleetpmap("show", path, path)
    assert done.returncode == 2
    assert done.stderr.startswith("web-01 is in more than one of them\nhint: ")


def test_a_machine_counted_once_stays_counted_once(sshd: Sshd, tmp_path: Path):
    """--once-per-machine is stored in the capture: the second name still refers to the first."""
    with Target(f"fpo{os.getpid() % 100000}") as target, CaptureWriter(tmp_path / "cap") as writer:
        question = Question(Selection(pids=(target.pid,)), ssh=sshd.options)
        fleet = (sshd.host("here"), sshd.host("again"))
        snapshot = collect(fleet, question, machines_once=True, keep=writer.keep)
        writer.finish(snapshot, rollups=False, machines_once=True)
    shown = load(tmp_path / "cap", Selection())
    assert [host.same_as for host in shown.hosts] == ["", "here"]
    assert _views(shown) == _views(snapshot)


def test_a_run_that_does_not_end_leaves_nothing(tmp_path: Path):
    """Without finish() there is no capture, and no litter."""
    with demo_inventory() as inventory, CaptureWriter(tmp_path / "cap") as writer:
        collect(tuple(inventory.hosts.values()), Question(), keep=writer.keep)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path: Path):
    """A capture goes to a new place, and that is said before any host is asked."""
    (tmp_path / "cap").mkdir()
    done = fleetpmap("demo", "--capture", str(tmp_path / "cap"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "is there already" in done.stderr


@pytest.mark.parametrize("name", ["cap.zip", "cap.tar.xz", "cap.gz", "cap.parquet"])
def test_an_archive_that_we_do_not_write(tmp_path: Path, name: str):
    """A directory of that name is not what was meant; --save is as strict."""
    with pytest.raises(UsageError, match=f"{name}: is neither an archive that we write nor a directory"):
        CaptureWriter(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_roundabout_name_of_what_is_there(tmp_path: Path):
    """Found before any host is asked, and not when all is read."""
    (tmp_path / "here").mkdir()
    with pytest.raises(UsageError, match="is there already"):
        CaptureWriter(tmp_path / "here" / "..")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere/cap", "No such file or directory"),
        ("circle/cap", "Too many levels of symbolic links"),
        ("x" * 256, "File name too long"),
    ],
)
def test_a_place_that_cannot_be_written(tmp_path: Path, name: str, why: str):
    """One sentence, before any host is asked."""
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(UsageError, match=f"{why}\nhint: choose a place you may write to"):
        CaptureWriter(tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="a full disk of our own takes root's mount")
def test_a_disk_that_fills_up_ends_the_capture_and_not_the_run(tmp_path: Path):
    """The report comes, the reason is said, the exit status is 2, and nothing is left of the capture."""
    full = tmp_path / "full"
    full.mkdir()
    if os.system(f"mount -t tmpfs -o size=64k tmpfs {full} 2>/dev/null") != 0:
        pytest.skip(reason="mounting a small disk to fill takes root, and not every container allows it")
    try:
        done = fleetpmap("demo", "--capture", str(full / "cap"))
        left = list(full.iterdir())
    finally:
        os.system(f"umount {full}")
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "libcrypto.so.3" in done.stdout
    assert left == []


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("web-01.example.com", "web-01.example.com"),
        ("ops@web:2222", "ops@web%3A2222"),
        ("[::1]:22", "%5B%3A%3A1%5D%3A22"),
        ("../../etc", "%2E.%2F..%2Fetc"),
        (".", "%2E"),
        ("10", "%310"),
        ("etc", "%65tc"),
        ("100%", "100%25"),
    ],
)
def test_a_hosts_directory(name: str, directory: str):
    """A host's name becomes one safe file name, which tells the name again."""
    assert directory_of(name) == directory


def test_every_capture_tells_what_it_is_made_of(demo: tuple[Snapshot, Path]):
    """A matched process has the files that were read; a denied one has a mark."""
    tree = demo[1] / "cap" / "web-01"
    always = ["cgroup", "cmdline", "oom_score_adj", "smaps", "stat", "status"]
    assert sorted(file.name for file in (tree / "1843").iterdir()) == always
    assert sorted(file.name for file in (tree / "612").iterdir()) == sorted({*always, "smaps.denied"} - {"smaps"})
    group = "sys/fs/cgroup/system.slice/gunicorn.service"
    for path in (
        *(f"1843/{name}" for name in always),
        "pressure/memory",
        f"{group}/memory.stat",
        f"{group}/memory.max",
    ):
        assert (tree / path).read_bytes() == (FAKE_PROC / "web-01" / path).read_bytes(), path
    assert (tree / "meminfo").read_text().split() == [
        *("MemTotal:", "2017104", "MemAvailable:", "1402208", "SwapTotal:", "1048572", "SwapFree:", "1047932")
    ]
    assert sorted(path.name for path in (tree / "sys/fs/cgroup/system.slice").iterdir()) == [
        *("gunicorn.service", "memory.max", "metrics-collector.service", "ssh.service")
    ]


def test_an_archive_holds_files_and_nothing_else(tmp_path: Path):
    """No owner, no time, no link: every user writes the same bytes."""
    with demo_inventory() as inventory:
        _captured(tuple(inventory.hosts.values())[:1], tmp_path / "cap.tar")
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "cap.tar").read_bytes())) as archive:
        members = archive.getmembers()
    assert all(member.isreg() and member.mode == 0o600 and member.uid == 0 and member.mtime == 0 for member in members)
    assert members[-1].name == "manifest.json"
