"""The rows of a run that keeps sums are put aside, and are in its file as if the run had kept them."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from fleetpmap import report
from fleetpmap.catalogue import sums_for
from fleetpmap.collection.collector import Question, collect
from fleetpmap.collection.parts import Parts
from fleetpmap.collection.rows import Rows
from fleetpmap.export import EXPORTERS
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection
from fleetpmap.render import plain
from fleetpmap.report import VIEWS, ViewOptions
from fleetpmap.report.standing_out import standing_out
from fleetpmap.snapshot import HostSnapshot, Snapshot
from fleetpmap.snapshot_file import load_snapshot, write_snapshot
from fleetpmap.table import concatenate
from gateways import asked, recorded_fleet, run_of
from same_reports import assert_same
from snapshots import RUN, host, mapping, process

pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
SUMMED = ("merged", "hosts", "services", "processes")
"""Views that need no row for each mapping."""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[Host]:
    """24 recorded hosts, of different kernels; three of them fail."""
    return recorded_fleet(tmp_path_factory.mktemp("trees"))


@pytest.fixture(scope="module")
def replies(trees: Sequence[Host]) -> list[HostSnapshot]:
    """Every process of them, with a row for each mapping."""
    return asked(trees)


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    """Rows that are put aside in `tmp_path`."""
    with closing(Rows(tmp_path)) as rows:
        yield rows


def _loaded(snapshot: Snapshot, rows: Rows | None, path: Path) -> Snapshot:
    with path.open("wb") as file:
        write_snapshot(snapshot, file, rows)
    return load_snapshot(path)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_parts_in_any_order_give_the_file_of_a_run_with_rows(
    order: Sequence[int], replies: Sequence[HostSnapshot], rows: Rows, tmp_path: Path
):
    """Every view in every format, byte for byte; the run holds sums alone."""
    parts = Parts(sums_for(SUMMED), rows.add)
    for number in order:
        parts.add(number, run_of(replies[6 * number : 6 * number + 6]))
    whole = run_of(replies)
    snapshot = parts.joined(whole.run)
    assert len(snapshot.table) < len(whole.table)
    assert_same(_loaded(whole, None, tmp_path / "whole"), _loaded(snapshot, rows, tmp_path / "put aside"))


def test_reports_of_the_run_are_those_of_a_run_that_saves_nothing(trees: Sequence[Host], rows: Rows, tmp_path: Path):
    """Its sums and the inputs of its findings are made of the rows that were put aside."""
    sums = sums_for(SUMMED)
    unsaved = collect(trees, Question(Selection()), sums=sums)
    saved = replace(collect(trees, Question(Selection()), sums=sums, on_rows=rows.add), run=unsaved.run)
    assert standing_out(saved) == standing_out(unsaved) != ()
    for view in SUMMED:
        for export in ("json", "csv"):
            assert _written(view, export, saved) == _written(view, export, unsaved)


def _written(view: str, export: str, snapshot: Snapshot) -> bytes:
    file = BytesIO()
    EXPORTERS[export].write(VIEWS[view](snapshot, ViewOptions()), file)
    return file.getvalue()


def test_a_part_of_many_rows(rows: Rows, tmp_path: Path):
    """A part is cut into pieces for the file, and its mappings stay with their processes."""
    one = host("web-01", process(7, "db", *(mapping(f"/data/{n}", Rss=n + 1) for n in range(2000))))
    table = concatenate([(one.table, number) for number in range(100)])
    processes = tuple(replace(one.processes[0], pid=pid) for pid in range(100))
    part = Snapshot.assemble([replace(one, processes=processes, table=table)], RUN)
    parts = Parts(frozenset(), rows.add)
    parts.add(0, part)
    again = _loaded(parts.joined(RUN), rows, tmp_path / "saved")
    assert len(again.table) == 200_000
    assert np.array_equal(again.table.process, table.process)
    assert np.array_equal(again.table.fields["Rss"], table.fields["Rss"])


def test_the_rows_have_no_name(replies: Sequence[HostSnapshot], rows: Rows, tmp_path: Path):
    """So nothing of them is left, also of a run that is killed."""
    rows.add(0, run_of(replies))
    assert [*tmp_path.iterdir()] == []


def test_a_disk_that_is_full_while_hosts_are_asked(replies: Sequence[HostSnapshot], rows: Rows, tmp_path: Path):
    """The run goes on, and its report is whole; the snapshot cannot be saved."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    parts = Parts(sums_for(SUMMED), rows.add)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))  # Python ignores the signal
        for number in range(4):
            parts.add(number, run_of(replies[6 * number : 6 * number + 6]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    snapshot = parts.joined(RUN)
    assert plain(report.hosts(snapshot)) == plain(report.hosts(run_of(replies)))
    with (tmp_path / "saved").open("wb") as file, pytest.raises(OSError, match="File too large"):
        write_snapshot(snapshot, file, rows)
