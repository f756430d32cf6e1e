"""--save DIR/: a file for each run, whole even if writers are killed, and looked up by time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleetpmap.errors import UsageError
from fleetpmap.snapshot import Run
from fleetpmap.snapshot_file import entries, entries_between, entry_at, load_snapshot, save_in
from program import BARE
from snapshots import small_fleet

pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
KILLS = 100

# polars starts its threads when it is first used, which no process here does before it forks.
_WRITERS = """
import os, random, signal, sys, time
from pathlib import Path
import polars
from fleetpmap.snapshot_file import save_in
from snapshots import small_fleet

def writer(directory, fleet):
    pid = os.fork()
    if pid == 0:
        while True:
            save_in(directory, fleet)
    return pid

def kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

directory, fleet = Path(sys.argv[1]), small_fleet()
other = writer(directory, fleet)
for seed in range(int(sys.argv[2])):
    pid = writer(directory, fleet)
    time.sleep(random.Random(seed).uniform(0.01, 0.08))
    kill(pid)
kill(other)
"""


def _at(hour: int, minute: int = 0) -> Run:
    return Run(datetime(2026, 11, 23, hour, minute, tzinfo=UTC), 1.5, "fleetpmap run --match app")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A dataset of three runs, the last one saved first."""
    for hour in (7, 5, 6):
        save_in(tmp_path, replace(small_fleet(), run=_at(hour)))
    return tmp_path


def test_a_file_for_each_run(runs: Path):
    """Called after when the run started, so that their order is that of time."""
    found = entries(runs)
    assert [run.started.hour for run in found] == [5, 6, 7]
    assert found[0].path.name.startswith("20261123T050000.000000Z-")
    assert sorted(path.name for path in runs.iterdir()) == [run.path.name for run in found]


def test_the_directory_is_made(tmp_path: Path):
    """The first run makes it; two runs that started in the same moment are two files."""
    for _ in range(2):
        save_in(tmp_path / "new", small_fleet())
    assert len(entries(tmp_path / "new")) == 2


@pytest.mark.parametrize(
    ("when", "hour"),
    [
        ("first", 5),
        ("last", 7),
        ("2026-11-23T06:59:59Z", 6),
        ("2026-11-23T07:00Z", 7),
        ("2026-11-23T08:30+02:00", 6),
        ("2030-01-01", 7),
    ],
)
def test_by_time(runs: Path, when: str, hour: int):
    """The last run that had started by then."""
    assert entry_at(runs, when).started.hour == hour


def test_by_age(tmp_path: Path):
    """`24h` is the run of a day ago, `7d` of a week ago: no shell has to compute the time."""
    for hours in (50, 26, 1):
        run = Run(datetime.now(UTC) - timedelta(hours=hours), 1.5, "fleetpmap run --match app")
        save_in(tmp_path, replace(small_fleet(), run=run))
    oldest, middle, newest = entries(tmp_path)
    assert [entry_at(tmp_path, when) for when in ("2d", "24h", "90m", "0m")] == [oldest, middle, middle, newest]
    assert entries_between(tmp_path, since="1d") == [newest]
    with pytest.raises(UsageError, match="has no run by 1w ago"):
        entry_at(tmp_path, "1w")


@pytest.mark.parametrize(
    ("when", "why"),
    [("yesterday", '"yesterday" is not a time'), ("2026-11-23T04:00Z", "has no run by 2026-11-23T04:00Z")],
)
def test_no_such_time(runs: Path, when: str, why: str):
    """It says so."""
    with pytest.raises(UsageError, match=why):
        entry_at(runs, when)


def test_no_runs(tmp_path: Path):
    """A directory of something else has none."""
    (tmp_path / "notes.txt").touch()
    (tmp_path / "hosts.parquet").touch()
    with pytest.raises(UsageError, match="has no snapshots"):
        entry_at(tmp_path, "last")


def test_what_a_killed_writer_left_is_swept(runs: Path):
    """After a day, and nothing else: another writer's file of this moment stays, as does what is not ours."""
    stem = entries(runs)[0].path.stem
    left, busy, other = (runs / f".{name}.part" for name in (stem, stem.replace("T05", "T08"), "notes"))
    for path in (left, busy, other):
        path.touch()
    for path in (left, other):
        os.utime(path, (time.time() - 90_000,) * 2)
    save_in(runs, small_fleet())
    assert [path.exists() for path in (left, busy, other)] == [False, True, True]


def test_a_failure_leaves_nothing(tmp_path: Path):
    """A failed write leaves no file."""
    with pytest.raises(AttributeError):
        save_in(tmp_path, replace(small_fleet(), table=None))
    assert list(tmp_path.iterdir()) == []


def test_killed_a_hundred_times(tmp_path: Path):
    """Beside another writer, at any moment: every file that the dataset lists reads whole, and some kills hit."""
    environment = BARE | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-c", _WRITERS, tmp_path, str(KILLS)], check=True, env=environment, timeout=300)
    hit = list(tmp_path.glob(".*.part"))
    assert len(hit) > KILLS // 10
    found = entries(tmp_path)
    assert len(found) > KILLS // 10
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (*hit, *(run.path for run in found))}
    fleet = small_fleet()
    for run in found:
        again = load_snapshot(run.path)
        assert (again.hosts, again.processes, len(again.table)) == (fleet.hosts, fleet.processes, len(fleet.table))
