"""Files from others given to `show` and `diff`: each is read, or refused in a sentence within bounds."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetpmap.capture import load
from fleetpmap.capture.tar import BLOCK
from fleetpmap.errors import UsageError
from fleetpmap.processes import Selection
from fleetpmap.snapshot_file import load_snapshot, save_in, write_snapshot
from fuzz_targets.captures import SEEDS
from program import BARE, fleetpmap
from snapshots import small_fleet

pl = pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
duckdb = pytest.importorskip("duckdb", reason="duckdb is in the dev group: pip install --group dev")

_STAT = b"7 (x) S 1 7 7 0 -1 4194560 " + b"0 " * 12 + b"991 4096 3 " + b"0 " * 27 + b"0\n"
_END = bytes(10240)
_MIB = 1 << 20


def _header(name: str, size: int = 0, kind: bytes = b"0") -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def _pax(records: bytes, kind: bytes = b"x") -> bytes:
    return _header("pax", len(records), kind) + records + bytes(-len(records) % BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    length = next(size for size in range(9999) if size == len(b"%d %b=%b\n" % (size, key, value)))
    return b"%d %b=%b\n" % (length, key, value)


_LONG_NAME = _header("././@LongLink", 2, b"L") + b"a\0".ljust(BLOCK, b"\0")
TARS: dict[str, tuple[bytes, str]] = {
    "3,000 long names for one member": (_LONG_NAME * 3000, "two headers for one member"),
    "3,000 pax headers for one member": (_pax(_record(b"path", b"a")) * 3000, "two headers for one member"),
    "a pax length of 5,000 digits": (_pax(b"9" * 5000 + b" path=a\n"), "invalid pax header"),
    "a pax length of 0": (_pax(b"0 path=a\n"), "invalid pax header"),
    "a pax length beyond the header": (_pax(b"99 path=a\n"), "invalid pax header"),
    "a pax record without its newline": (_pax(b"9 path=ab"), "invalid pax header"),
    "a size that is no number": (_pax(_record(b"size", b"abc")), "its size is no number"),
    "a size below zero": (_pax(_record(b"size", b"-5")), "its size is no number"),
    "a size of 5,000 digits": (_pax(_record(b"size", b"9" * 5000)), "its size is no number"),
    "an owner of 5,000 digits": (_pax(_record(b"uid", b"9" * 5000)), "its uid is no number"),
    "a NUL in a name": (_pax(_record(b"path", b"a\0b/1/stat")), "a name with a NUL in it"),
    "a map of holes that is cut": (_pax(_record(b"GNU.sparse.major", b"1")), "is a file with holes"),
    "a map of holes of letters": (_pax(_record(b"GNU.sparse.map", b"a,b,c")), "is a file with holes"),
    "a size with holes of letters": (_pax(_record(b"GNU.sparse.realsize", b"zz")), "is a file with holes"),
    "holes as old GNU tar has them": (_header("web-01/1/smaps", 0, b"S"), "is a file with holes"),
    "a multi-volume member": (_header("web-01/1/smaps", 0, b"M"), "is neither a file nor a directory"),
    "a name for the link of a link": (_header("x", 2, b"K") + bytes(BLOCK) + _header("h/1/stat", 0, b"2"), "is a link"),
    "a way out in a pax header": (_pax(_record(b"path", b"../1/stat")), "leads out of the archive"),
    "members behind the end": (bytes(10240), "something follows on its end"),
}


@pytest.mark.parametrize("case", TARS)
def test_a_hostile_tar_is_refused(tmp_path: Path, case: str):
    """One sentence for what tarfile answers with RecursionError, ValueError or a wrong name."""
    content, why = TARS[case]
    path = tmp_path / "hostile.tar"
    path.write_bytes(content + _header("web-01/1/stat") + _END)
    with pytest.raises(UsageError) as refusal:
        load(path, Selection())
    assert why in refusal.value.message
    assert refusal.value.hint


def test_members_that_lie_apart_are_found_in_linear_time(tmp_path: Path):
    """Twice 10,000 hosts, the second round after all of the first, take well below a second where nothing else runs."""
    path = tmp_path / "apart.tar"
    blocks = [_header(f"h{number}/{pid}/stat") for pid in (1, 2) for number in range(10_000)]
    path.write_bytes(b"".join(blocks) + _END)
    began = time.process_time()
    with pytest.raises(UsageError, match="the files of h0 do not lie together"):
        load(path, Selection())
    assert time.process_time() - began < 8


def test_a_pax_header_names_the_member(tmp_path: Path):
    """A host of a long name with a letter that is not ASCII, an owner and a size that pax says."""
    path = tmp_path / "pax.tar"
    said = (
        _record(b"path", "é".encode() * 90 + b"/7/stat")
        + _record(b"uid", b"3000000")
        + _record(b"size", b"%d" % len(_STAT))
    )
    path.write_bytes(_pax(said) + _header("other") + _STAT.ljust(BLOCK, b"\0") + _END)
    snapshot = load(path, Selection())
    assert [(one.host, one.pid, one.name) for one in snapshot.processes] == [("é" * 90, 7, "x")]


def test_what_follows_on_a_zst_is_refused(tmp_path: Path):
    """As with gzip: nothing may hide behind the end."""
    zstandard = pytest.importorskip("zstandard", reason="the extra [capture] is not installed")
    packed = zstandard.ZstdCompressor().compress(_header("h/1/stat") + _END)
    path = tmp_path / "cap.tar.zst"
    path.write_bytes(packed + b"junk that is no frame")
    with pytest.raises(UsageError, match="the archive is cut or damaged"):
        load(path, Selection())


MANIFESTS: dict[str, tuple[Callable[[dict], object], str]] = {
    "a surrogate for a name": (lambda doc: doc["hosts"][0].update(name="\ud800"), "host 1: name is no text"),
    "a surrogate in a note": (lambda doc: doc["hosts"][0].update(notes=["\ud800"]), "web-01: notes is no text"),
    "a surrogate for a user": (lambda doc: doc["hosts"][0]["processes"][0].update(user="\udfff"), "user is no text"),
    "the calendar's last day": (lambda doc: doc["run"].update(started="9999-12-31T23:59:59+00:00"), "every time zone"),
    "the calendar's first day": (lambda doc: doc["run"].update(started="0001-01-01T00:00:00+14:00"), "every time zone"),
    "a run of ages": (lambda doc: doc["run"].update(elapsed_s=1e18), "every time zone"),
    "no number of seconds": (lambda doc: doc["run"].update(elapsed_s=float("nan")), "elapsed_s is out of range"),
    "a truth for a number": (
        lambda doc: doc["hosts"][0]["processes"][0].update(uid=True),
        "uid is not what it should be",
    ),
    "a key without a name": (lambda doc: doc["hosts"][0]["capabilities"].update({"": 1}), 'does not know ""'),
    "5,000 digits": (lambda doc: doc["run"].update(elapsed_s="DIGITS"), "the manifest is not JSON"),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_hostile_manifest_is_refused(tmp_path: Path, case: str):
    """Each in one line, with the place."""
    spoil, why = MANIFESTS[case]
    document = json.loads(SEEDS[0])
    spoil(document)
    (tmp_path / "manifest.json").write_text(json.dumps(document).replace('"DIGITS"', "9" * 5000))
    with pytest.raises(UsageError) as refusal:
        load(tmp_path, Selection())
    assert why in refusal.value.message
    assert len(refusal.value.message.splitlines()) == 1


def test_a_file_with_holes_is_refused(tmp_path: Path):
    """200 MB that take no room on the disk are not taken into memory."""
    (tmp_path / "h/1").mkdir(parents=True)
    (tmp_path / "h/1/stat").write_text("1 (x) S 1\n")
    with (tmp_path / "h/1/smaps").open("wb") as file:
        file.truncate(200 * _MIB)
    with pytest.raises(UsageError, match="h/1/smaps has holes"):
        load(tmp_path, Selection())


def test_a_copy_of_proc_from_beyond_the_calendar(tmp_path: Path):
    """A directory with a time outside the calendar is shown with the year 1970."""
    (tmp_path / "cap/7").mkdir(parents=True)
    (tmp_path / "cap/7/stat").write_bytes(_STAT)
    with contextlib.suppress(OSError, OverflowError):  # a file system may not have such times either
        os.utime(tmp_path / "cap", (2**41, 2**41))
    assert load(tmp_path / "cap", Selection()).run.started.year >= 1970


def _metadata(processes: bytes | None = None) -> dict[str, str]:
    file = io.BytesIO()
    write_snapshot(small_fleet(), file)
    file.seek(0)
    metadata = {key: text for key, text in pl.read_parquet_metadata(file).items() if key.startswith("fleetpmap")}
    del metadata["fleetpmap_sha256"]
    if processes is not None:
        metadata["fleetpmap_processes"] = b64encode(zlib.compress(processes)).decode()
    return metadata


_OBJECTS = b"[" + b'{"":0},' * (64 * _MIB // 7) + b"0]"
"""64 MiB of json, which take 2 GiB in memory and 65 KB packed."""


def _manifest_of_objects(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=6) as file:
        noise = os.urandom(200_000)  # so that it unpacks to no more than an honest archive
        file.write(_header("h/noise", len(noise)) + noise + bytes(-len(noise) % BLOCK))
        file.write(_header("manifest.json", len(_OBJECTS)) + _OBJECTS + bytes(-len(_OBJECTS) % BLOCK) + _END)


def _document_of_objects(path: Path) -> None:
    pl.DataFrame({"start": [1]}).write_parquet(path, metadata=_metadata(_OBJECTS))


def _rows(path: Path) -> None:
    """Three million rows of 300 bytes, which are packed to almost nothing."""
    columns = ", ".join(
        (
            *(f"1::UBIGINT AS {name}" for name in ("start", '"end"', '"offset"', "inode")),
            *(f"'rw-p' AS {name}" for name in ("perms", "device", "mapping", "path", "kind", "vm_flags")),
            "false AS deleted",
            *(f"1::BIGINT AS {name}" for name in json.loads(_metadata()["fleetpmap_snapshot"])["columns"].values()),
        )
    )
    about = {key: text.replace("'", "''") for key, text in _metadata().items()}
    kept = ", ".join(f"{key}: '{text}'" for key, text in about.items())
    duckdb.sql(f"COPY (SELECT {columns} FROM range(3000000)) TO '{path}' (FORMAT parquet, KV_METADATA {{{kept}}})")


def _show(path: Path, *more: str) -> tuple[subprocess.CompletedProcess[str], int, float]:
    """Return the output of `show`, the peak memory of it or its child in MiB, and its seconds of CPU."""
    script = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(done.returncode, used.ru_maxrss >> 10, used.ru_utime + used.ru_stime)\n"
        "print(done.stdout + done.stderr)\n"
    )
    words = [sys.executable, "-m", "fleetpmap", *(more or ("show",)), str(path)]
    told = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True, env=BARE)
    first, _, said = told.stdout.partition("\n")
    code, memory, cpu_s = first.split()
    return subprocess.CompletedProcess(words, int(code), said), int(memory), float(cpu_s)


@pytest.mark.parametrize(
    ("name", "make"),
    [("cap.tar.gz", _manifest_of_objects), ("doc.parquet", _document_of_objects), ("rows.parquet", _rows)],
)
def test_a_bomb_takes_neither_memory_nor_time(tmp_path: Path, name: str, make: Callable[[Path], None]):
    """A file that unpacks to gigabytes is refused with its name, with less than a gigabyte and in seconds."""
    path = tmp_path / name
    make(path)
    assert path.stat().st_size < _MIB
    done, memory, cpu_s = _show(path)
    said = done.stdout.splitlines()
    assert (done.returncode, len(said)) == (2, 3), done.stdout  # an empty line at the end
    assert said[0].startswith(f"{path}: ")
    assert "memory" in said[0] or "MiB" in said[0]
    assert said[1].startswith("hint: do not trust where it came from")
    assert memory < 1000
    assert cpu_s < 15


def test_diff_says_which_of_the_two_it_was(tmp_path: Path):
    """The second of two files is the one that is named."""
    good, bad = tmp_path / "good.parquet", tmp_path / "bad.parquet"
    good.write_bytes(_written())
    _document_of_objects(bad)
    done = fleetpmap("diff", str(good), str(bad))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{bad}: reading it took more than 5")


def _written() -> bytes:
    file = io.BytesIO()
    write_snapshot(small_fleet(), file)
    return file.getvalue()


def test_a_bad_run_among_good_ones(tmp_path: Path):
    """The run that is shown is named; the hint says that the others are as they were."""
    first = save_in(tmp_path / "runs", small_fleet())
    last = first.with_name("20991231T235959.000000Z-00000000.parquet")
    last.write_bytes(first.read_bytes()[:-100])
    done = fleetpmap("show", str(tmp_path / "runs"))
    assert (done.returncode, done.stdout) == (2, "")
    said, hint = done.stderr.splitlines()
    assert said.startswith(f"{last}: is damaged: its checksum is wrong")
    runs = tmp_path / "runs"
    assert hint == f"hint: the other runs of {runs} are as they were: show one with {runs}@TIME"
    assert fleetpmap("show", f"{runs}@first").returncode == 3


def test_a_pipe_among_the_runs_is_not_waited_for(tmp_path: Path):
    """Nor is a directory or a name of a 13th month taken for a run."""
    first = save_in(tmp_path, small_fleet())
    (tmp_path / "20261323T050000.000000Z-1a2b3c4d.parquet").write_bytes(first.read_bytes())
    os.mkfifo(tmp_path / "20991231T235959.000000Z-00000000.parquet")
    done = fleetpmap("show", f"{tmp_path}@last")
    assert done.returncode == 2
    assert "00000000.parquet: is no file" in done.stderr


ODD_ROWS = {
    "start": pl.lit(2**64 - 1, pl.UInt64),
    "end": pl.lit(2**63, pl.UInt64),
    "perms": pl.lit("r", pl.String),
    "rss_kib": pl.lit(2**63 - 1, pl.Int64),
    "path": pl.lit("\\Uffffffff", pl.String),
    "vm_flags": pl.lit([1], pl.List(pl.Int64)),
}


@pytest.mark.parametrize("column", ODD_ROWS)
def test_rows_that_no_kernel_prints_are_refused(tmp_path: Path, column: str):
    """The values are looked at, not only their types."""
    path = tmp_path / "odd.parquet"
    frame = pl.read_parquet(io.BytesIO(_written())).with_columns(ODD_ROWS[column].alias(column))
    frame.write_parquet(path, metadata=_metadata())
    with pytest.raises(UsageError, match=r"is not a whole snapshot|is torn, or not parquet"):
        load_snapshot(path)


@pytest.mark.parametrize("key", ["pid", "start_ticks", "uid", "start_stack", "read_s"])
def test_a_number_below_zero_is_refused(tmp_path: Path, key: str):
    """The beginning of the stack, for one, is an address."""
    processes = json.loads(zlib.decompress(b64decode(_metadata()["fleetpmap_processes"])))
    processes[0]["process"][key] = -1
    path = tmp_path / "odd.parquet"
    pl.read_parquet(io.BytesIO(_written())).write_parquet(path, metadata=_metadata(json.dumps(processes).encode()))
    with pytest.raises(UsageError, match="a number that no kernel gives"):
        load_snapshot(path)


@pytest.mark.parametrize(
    ("key", "text"),
    [("fleetpmap_snapshot", "[]"), ("fleetpmap_snapshot", '{"columns": []}'), ("fleetpmap_kind", "report")],
)
def test_metadata_of_another_shape_is_refused(tmp_path: Path, key: str, text: str):
    """A list where an object should be, and a report that has no view."""
    path = tmp_path / "odd.parquet"
    frame = pl.read_parquet(io.BytesIO(_written()))
    frame.write_parquet(path, metadata=_metadata() | {"fleetpmap_report": "[]", key: text})
    with pytest.raises(UsageError):
        load_snapshot(path)


def test_the_parquet_reader_on_changed_bytes():
    """100 files with changed bytes, each read in a child with limits: refused, or read."""
    script = Path(__file__).parents[1] / "support" / "fuzz_parquet.py"
    done = subprocess.run([sys.executable, str(script), "100"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_signals_reach_the_child(tmp_path: Path, number: signal.Signals, code: int):
    """`show` that is told to end while it reads ends as it did without a child, and leaves none behind."""
    path = tmp_path / "long.tar"
    path.write_bytes(_header("h/x") * 200_000 + _END)
    show = subprocess.Popen([sys.executable, "-m", "fleetpmap", "show", str(path)], env=BARE, start_new_session=True)
    while not (children := Path(f"/proc/{show.pid}/task/{show.pid}/children").read_text().split()):
        time.sleep(0.02)
    archive = str(path)
    while archive not in _opened_by(children[0]):
        time.sleep(0.02)
    show.send_signal(number)
    assert show.wait(60) == code
    with pytest.raises(ProcessLookupError):
        os.killpg(show.pid, 0)


def _opened_by(pid: str) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(link.readlink()))
    return found


def test_the_limits_are_gone_after_the_reading(tmp_path: Path):
    """An export from a good file may be of any size."""
    code = (
        "import resource, sys\n"
        "from fleetpmap.cli.confined import reader\n"
        "from fleetpmap.cli.storage import snapshot_from\n"
        "from fleetpmap.cli.inputs import selection_from\n"
        "from fleetpmap.cli.options import ProcessOptions\n"
        "before = [resource.getrlimit(kind) for kind in range(10)]\n"
        "snapshot_from([sys.argv[1]], selection_from(ProcessOptions(), required=False), '', reader())\n"
        "print(before == [resource.getrlimit(kind) for kind in range(10)])\n"
    )
    path = tmp_path / "good.parquet"
    path.write_bytes(_written())
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")
