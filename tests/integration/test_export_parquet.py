"""parquet: read by polars and duckdb."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fleetpmap.escape import escape
from fleetpmap.export import EXPORTERS
from fleetpmap.report import Shape, compare, hosts, mappings, merged, processes, stale, summary
from program import BARE, fleetpmap
from snapshots import failed, host, mapping, process, sizes, small_fleet, snapshot
from terminal import Terminal

pl = pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
duckdb = pytest.importorskip("duckdb", reason="duckdb is in the dev group: pip install --group dev")
OURSELVES = ("-H", "local", "--pid", str(os.getpid()))


def _written(report):
    file = io.BytesIO()
    EXPORTERS["parquet"].write(report, file)
    file.seek(0)
    return file


def _read(report):
    return pl.read_parquet(_written(report))


def _about(source):
    metadata = pl.read_parquet_metadata(source)
    return metadata["fleetpmap_kind"], json.loads(metadata["fleetpmap_report"])


@pytest.mark.parametrize("view", [merged, hosts, processes, mappings, stale, summary], ids=lambda view: view.__name__)
def test_every_cell_of_the_first_table(view):
    """polars reads the names in order and the cells as they are; addresses are numbers."""
    table = view(small_fleet()).tables[0]
    frame = _read(view(small_fleet()))
    names = [column.name for column in table.columns]
    assert frame.columns == names + (["unlimited"] if "limit_kib" in names else [])
    for column in table.columns:
        cells = [int(cell, 16) if column.unit == "address" else cell for cell in column.cells()]
        assert frame[column.name].to_list() == cells


def test_each_column_has_its_type():
    """Sizes and pids int64, inodes and addresses uint64, flags boolean, texts from a dictionary."""
    schema = _read(mappings(small_fleet())).schema
    types = {name: schema[name] for name in ("pid", "rss_kib", "inode", "start", "deleted", "mapping")}
    assert types == {
        **dict.fromkeys(("pid", "rss_kib"), pl.Int64),
        **dict.fromkeys(("inode", "start"), pl.UInt64),
        "deleted": pl.Boolean,
        "mapping": pl.Categorical,
    }


def test_rows_chosen_have_the_same_types():
    """Neither --sort and --top nor the row (N more) change what a column is."""
    whole, chosen = _read(mappings(small_fleet())), _read(mappings(small_fleet(), Shape(sort="pss", top=2)))
    assert whole.schema == chosen.schema
    assert chosen["host"].to_list() == ["web-01", "web-02", "(3 more)"]
    assert chosen["start"].to_list() == [0x55D0A0000000, 0x7F2000000000, None]


def test_the_highest_address_and_inode():
    """64 bits without a sign: vsyscall lies above 2^63."""
    one = mapping("[vsyscall]", start=0xFFFFFFFFFF600000, inode=2**64 - 1)
    row = _read(mappings(snapshot(host("a", process(1, "x", one))))).row(0, named=True)
    assert (row["start"], row["inode"]) == (0xFFFFFFFFFF600000, 2**64 - 1)


def test_unknown_is_null():
    """A host that failed and a field that the kernel lacks; what is zero is 0."""
    frame = _read(hosts(small_fleet()))
    assert dict(zip(frame["host"].to_list(), frame["swap_kib"].to_list(), strict=True)) == {
        **{"web-01": 72, "web-02": 54, "old-01": None, "db-01": 0},
        **{"web-03": None, "web-04": None, "web-05": None},
    }


def test_a_report_without_rows():
    """The columns and their types are there."""
    frame = _read(processes(snapshot()))
    assert (frame.height, frame.schema["host"], frame.schema["pss_kib"]) == (0, pl.Categorical, pl.Int64)


def test_the_file_says_what_it_is():
    """Its metadata: a report (not a saved snapshot), its run, and the coverage."""
    kind, about = _about(_written(hosts(small_fleet())))
    assert kind == "report"
    assert about["view"] == "hosts"
    assert about["fleetpmap"]["format"] == 1
    assert about["run"]["command"] == "fleetpmap run --match nginx"
    assert about["coverage"]["hosts"]["asked"] == 7
    assert [failure["host"] for failure in about["failures"]] == ["web-03", "web-04", "web-05"]
    assert about["total"]["pss_kib"] == 2812
    assert "rows" not in about


def test_duckdb_reads_it(tmp_path: Path):
    """Sums, nulls and the metadata, in SQL."""
    file = tmp_path / "hosts.parquet"
    file.write_bytes(_written(hosts(small_fleet())).getvalue())
    sums = duckdb.sql(f"SELECT sum(pss_kib), count(pss_kib), count(*) FROM '{file}' WHERE host LIKE 'web%'").fetchall()
    assert sums == [(2812, 2, 5)]
    types = duckdb.sql(f"SELECT column_name, column_type FROM (DESCRIBE SELECT host, rss_kib FROM '{file}')").fetchall()
    assert types == [("host", "VARCHAR"), ("rss_kib", "BIGINT")]
    (about,) = duckdb.sql(
        f"SELECT decode(value) FROM parquet_kv_metadata('{file}') WHERE decode(key) = 'fleetpmap_report'"
    ).fetchall()
    assert json.loads(about[0])["coverage"]["hosts"]["timeout"] == 2


def test_compare_tells_not_mapped_from_zero_and_unknown():
    """A cell is a number: what is not mapped is 0, and the row names the hosts that it stands for; unknown is null."""
    fleet = snapshot(
        host("a", process(1, "x", mapping("/x.so", **sizes(8, 7, 6, 5, 4, 3, 2, 1, 0, 0)))),
        host("b", process(2, "x", mapping("/x.so", **sizes(16, 0, 0, 0, 0, 0, 0, 0, 0, 0)))),
        host("c", process(3, "x", mapping("/y.so", **sizes(32, 31, 30, 29, 28, 27, 26, 25, 0, 0)))),
        failed("d", "timeout", "d: no answer"),
    )
    frame = _read(compare(fleet))
    assert frame.schema["a"] == pl.Int64
    assert frame.select("mapping", "a", "b", "c", "d", "not_mapped").rows() == [
        ("processes", 1, 1, 1, None, []),
        ("y.so", 0, 0, 30, None, ["a", "b"]),
        ("x.so", 6, 0, 0, None, ["c"]),
    ]
    assert _read(compare(fleet, baseline="a")).select("b", "c").rows()[1:] == [(0, 30), (-6, -6)]
    assert _read(compare(fleet, shape=Shape(columns=("mapping",))))["not_mapped"].to_list() == [[], [], []]


@pytest.mark.parametrize("name", ["\x1b[2J\u202e", "\udcff", "a\nb", "\0", "=1+1", "", "é", '"'])
def test_a_name_is_only_a_text(name):
    """As in every format, and the same to both readers."""
    file = _written(processes(snapshot(host("a", process(1, name, mapping())))))
    assert pl.read_parquet(file)["name"].to_list() == [escape(name)]


def test_to_a_pipe(tmp_path: Path):
    """A pipe, which cannot seek, is no obstacle."""
    file = tmp_path / "x.parquet"
    words = [sys.executable, "-m", "fleetpmap", "run", *OURSELVES, "--view", "hosts", "--format", "parquet"]
    command = f"{shlex.join(words)} | cat > {shlex.quote(str(file))}"
    subprocess.run(["sh", "-c", command], env=BARE, check=True, capture_output=True, timeout=120)
    assert pl.read_parquet(file)["host"].to_list() == ["local"]


def test_not_to_a_terminal():
    """Binary output to a terminal is refused; no host is queried."""
    words = [sys.executable, "-m", "fleetpmap", "run", *OURSELVES, "--format", "parquet"]
    with Terminal(words, BARE) as terminal:
        assert terminal.status() == 2
        assert "--format: parquet is not for a terminal\nhint: add -o FILE.parquet" in terminal.shown


def test_without_the_extra(tmp_path: Path):
    """One sentence names the package to install, before any host is queried; other formats need none."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['polars'] = None\n")  # as if it were not there
    words = ("run", "-H", "127.0.0.1:1", "--all", "--export")
    done = fleetpmap(*words, f"hosts={tmp_path / 'x.parquet'}", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    sentence, hint = done.stderr.splitlines()
    assert sentence == f"--export hosts={tmp_path / 'x.parquet'}: parquet needs polars, not installed here"
    assert hint.startswith("hint: run `")
    assert hint.endswith("install 'fleetpmap[parquet]'`")
    assert fleetpmap("run", *OURSELVES, "--format", "csv", PYTHONPATH=str(tmp_path)).returncode == 0
