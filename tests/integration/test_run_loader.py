"""The runs of a directory, read by a child process: what comes back, and what becomes of a child that ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleetpmap.cli.run_loader import RunLoader
from fleetpmap.errors import UsageError
from fleetpmap.snapshot_file import Entry, entries, load_snapshot
from kept_runs import Service, keep


@pytest.fixture
def runs(tmp_path: Path) -> list[Entry]:
    """Three runs, the second of them damaged."""
    keep(tmp_path, [Service("web-01", "api", {"[heap]": [4000, 4012, 4030]})])
    found = entries(tmp_path)
    found[1].path.write_bytes(b"PAR1, and nothing else")
    return found


@pytest.fixture
def loader() -> Iterator[RunLoader]:
    """A loader whose child ends with the test."""
    with closing(RunLoader()) as one:
        yield one


def test_a_run_comes_back_whole(loader: RunLoader, runs: list[Entry]):
    """As the file itself has it."""
    here, there = load_snapshot(runs[2].path), loader.load(runs[2])
    assert (there.run, there.hosts, there.processes) == (here.run, here.hosts, here.processes)
    assert there.table.metrics["pss_kib"].tolist() == [4030]


def test_a_damaged_run_is_an_error_and_the_next_one_comes(loader: RunLoader, runs: list[Entry]):
    """The error names the file and has a hint."""
    with pytest.raises(UsageError, match="is torn, or not parquet") as error:
        loader.load(runs[1])
    assert str(runs[1].path) in error.value.message
    assert error.value.hint
    assert loader.load(runs[0]).hosts[0].name == "web-01"


def test_a_file_that_ends_its_reader_is_an_error_and_the_next_one_comes(loader: RunLoader, runs: list[Entry]):
    """Another child reads it."""
    loader.load(runs[0])
    assert loader._child is not None
    loader._child.kill()
    with pytest.raises(UsageError, match="is damaged or hostile: the reader died of it"):
        loader.load(runs[2])
    assert loader.load(runs[2]).hosts[0].name == "web-01"


def test_nothing_is_started_where_no_run_is_asked_for():
    """The last run, which most readers of a directory want, is read in this process; no other one is started for it."""
    with closing(RunLoader()) as loader:
        assert loader._child is None
