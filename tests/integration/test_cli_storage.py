"""--save, and the names by which a saved run is found again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fleetpmap.cli.storage import save_to, saved_run
from fleetpmap.errors import UsageError
from fleetpmap.snapshot_file import load_snapshot
from program import fleetpmap
from snapshots import small_fleet

pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
OURSELVES = ("-H", "local", "--pid", str(os.getpid()))


def _save(text: str) -> None:
    save = save_to(text)
    assert save is not None
    save(small_fleet())


def _file(text: str) -> Path:
    run = saved_run(text)
    return run if isinstance(run, Path) else run.path


def test_a_file(tmp_path: Path):
    """A name that ends in .parquet is one snapshot, and the next one takes its place."""
    path = tmp_path / "now.parquet"
    path.write_text("old")
    _save(str(path))
    assert load_snapshot(_file(str(path))).processes == small_fleet().processes
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory(tmp_path: Path):
    """A name that ends in a slash, or is one's already, is a dataset."""
    _save(f"{tmp_path}/data/")
    _save(f"{tmp_path}/data")
    assert len(list((tmp_path / "data").iterdir())) == 2
    for name in ("", "@first", "@last", "@2026-03-14T16:00Z"):
        assert load_snapshot(_file(f"{tmp_path}/data{name}")).run == small_fleet().run


def test_an_at_in_the_name(tmp_path: Path):
    """A path that exists as typed is not split at its @."""
    path = tmp_path / "me@home.parquet"
    _save(str(path))
    assert load_snapshot(_file(str(path))).run == small_fleet().run


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("x.csv", "is neither a parquet file nor a directory"),
        ("x", "is neither a parquet file nor a directory"),
        ("gone/x.parquet", "there is no directory"),
        ("gone/deep/", "there is no directory"),
        ("file/", "file/: is a file"),
        (f"{'x' * 256}.parquet", "File name too long"),
    ],
)
def test_no_place(tmp_path: Path, name: str, why: str):
    """The mistake is found before any host is asked."""
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=why):
        save_to(f"{tmp_path}/{name}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_is_closed_to_us(tmp_path: Path):
    """It is called what the user called it."""
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match=f"--save {tmp_path}/: Permission denied"):
        save_to(f"{tmp_path}/")


def test_a_moment_is_for_a_directory(tmp_path: Path):
    """@WHEN behind a file is not passed over: the user means another run than this."""
    path = tmp_path / "x.parquet"
    _save(str(path))
    done = fleetpmap("show", f"{path}@first")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{path}@first: {path} is a single run\nhint: leave out @first, which is for a directory\n"


def test_a_pipe_is_not_waited_for(tmp_path: Path):
    """Nothing that is kept is a pipe, and its writer may never come."""
    os.mkfifo(tmp_path / "pipe")
    done = fleetpmap("show", str(tmp_path / "pipe"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "pipe: neither a directory nor a file" in done.stderr


def test_what_is_shown_is_what_was_seen(tmp_path: Path):
    """A run and what it saved give the same json, byte for byte."""
    kept = str(tmp_path / "x.parquet")
    seen = fleetpmap("run", *OURSELVES, "--format", "json", "--view", "mappings", "--save", kept)
    assert seen.returncode == 0, seen.stderr
    shown = fleetpmap("show", kept, "--format", "json", "--view", "mappings")
    assert (shown.stdout, shown.stderr, shown.returncode) == (seen.stdout, seen.stderr, 0)


def test_a_report_goes_out_all_the_same(tmp_path: Path):
    """A snapshot that cannot be saved in the end is an error on stderr and exit status 2."""
    kept = tmp_path / "x.parquet"
    kept.symlink_to("/dev/full")
    done = fleetpmap("run", *OURSELVES, "--save", str(kept), "--view", "hosts", "--format", "csv")
    assert done.returncode == 2
    assert done.stdout.startswith("host,status")
    assert f"--save {kept}: No space left on device\nhint: make room there, or choose another place\n" in done.stderr


def test_diff_of_files_and_a_dataset(tmp_path: Path):
    """Exit status 3: a host of them failed; the table goes to stdout, the sentences to stderr."""
    _save(f"{tmp_path}/a.parquet")
    _save(f"{tmp_path}/data/")
    done = fleetpmap("diff", f"{tmp_path}/a.parquet", f"{tmp_path}/data", "--by", "host", "--metric", "rss")
    assert done.returncode == 3
    assert [line.split()[-2:] for line in done.stdout.splitlines()[1:4]] == [
        ["unknown", "web-03"],
        ["unknown", "web-04"],
        ["unknown", "web-05"],
    ]
    assert "nothing changed in 3 rows, 3 processes on 3 hosts" in done.stderr
    assert "web-[03-05]: no answer, so it is unknown whether anything grew there" in done.stderr


def test_diff_of_a_directory_alone(tmp_path: Path):
    """Its last two runs, and the hosts of the first of three take no part. A run alone is told what else it takes."""
    first, *last_two = (["-H", "local,web-03"], ["-H", "local"], ["-H", "local,web-04"])
    data = f"{tmp_path}/data/"
    one = ("run", *OURSELVES[-2:], "--view", "hosts", "--save", data, "--connect-timeout", "5")
    fleetpmap(*one, *first)
    alone = fleetpmap("diff", data)
    assert (alone.returncode, alone.stdout) == (2, "")
    assert (
        alone.stderr
        == f"{tmp_path}/data: has one run, and diff compares two\nhint: add one with --save {tmp_path}/data/\n"
    )
    for words in last_two:
        fleetpmap(*one, *words)
    done = fleetpmap("diff", data, "--by", "host", "--all-changes")
    assert "web-04" in done.stderr
    assert "web-03" not in done.stderr
    assert fleetpmap("diff", f"{data}@first").stderr == (
        f"diff {data}@first: compares two runs\nhint: name the later one too: `fleetpmap diff {data}@first NEW`\n"
    )


def test_diff_of_two_selections(tmp_path: Path):
    """The report notes that the runs selected other processes, by the stored command lines."""
    for name, words in (("a", OURSELVES), ("b", (*OURSELVES, "--newest"))):
        assert fleetpmap("run", *words, "--save", f"{tmp_path}/{name}.parquet").returncode == 0
    done = fleetpmap("diff", f"{tmp_path}/a.parquet", f"{tmp_path}/b.parquet", "--format", "json")
    assert json.loads(done.stdout)["notes"][0] == (
        f"the old run looked for --pid {os.getpid()}, the new one for --pid {os.getpid()} --newest: "
        "processes that only one of them looked for are listed as new or gone, even if nothing changed"
    )


def test_diff_by_several_keys(tmp_path: Path):
    """The keys of run, and no others; the changes within the noise floor on request."""
    _save(f"{tmp_path}/a.parquet")
    two = (f"{tmp_path}/a.parquet", f"{tmp_path}/a.parquet")
    done = fleetpmap("diff", *two, "--by", "host,service,kind", "--all-changes", "--format", "csv")
    assert done.stdout == (
        "hosts,processes,old_processes,restarted,old_kib,new_kib,growth_kib,growth_each_kib,growth_kib_per_hour,"
        "host,service,kind,status\n"
    )
    done = fleetpmap("diff", *two, "--by", "pids")
    assert done.returncode == 2
    assert '--by: there is no key "pids"' in done.stderr
    assert "the keys are host, service" in done.stderr


@pytest.mark.parametrize(
    ("old", "why"),
    [
        ("gone.parquet", "No such file or directory"),
        ("data@noon", '"noon" is not a time'),
        ("x.parquet", "is torn"),
        ("x" * 256, "File name too long"),
    ],
)
def test_diff_of_what_is_not_there(tmp_path: Path, old: str, why: str):
    """A sentence and exit status 2."""
    _save(f"{tmp_path}/data/")
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    done = fleetpmap("diff", f"{tmp_path}/{old}", f"{tmp_path}/data")
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra(tmp_path: Path):
    """One sentence names what to install, before any host is asked."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['polars'] = None\n")  # as if it were not there
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    for words in (("run", *OURSELVES, "--save", f"{tmp_path}/y.parquet"), ("show", f"{tmp_path}/x.parquet")):
        done = fleetpmap(*words, PYTHONPATH=str(tmp_path))
        assert done.returncode == 2
        assert "needs polars, not installed here\nhint: run `" in done.stderr
        assert done.stderr.endswith("install 'fleetpmap[parquet]'`\n")
