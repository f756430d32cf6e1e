"""Runs put together: sizes by key, gaps where a host was away, lives between restarts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fleetpmap.errors import UsageError
from fleetpmap.history import Gathering, History, attributes_for, texts_for
from fleetpmap.snapshot import Run, Snapshot
from fleetpmap.snapshot_file import entries_between, load_part, load_snapshot, save_in, write_snapshot
from fleetpmap.table import METRICS
from snapshots import RUN, failed, host, mapping, process, small_fleet, snapshot
from test_snapshot_file import _forged

pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
BY = ("host", "mapping")


def _app(heap: int, *, pid: int = 10, ticks: int = 1, **more):
    one = process(pid, "app", *([] if more else [mapping("[heap]", Pss=heap)]), **more)
    return replace(one, process=replace(one.process, start_ticks=ticks, service="app.service"))


def _history(tmp_path: Path, *runs: Snapshot, by: tuple[str, ...] = BY, metric: str = "pss_kib") -> History:
    """The runs, an hour apart, as they come from their files."""
    gathering = Gathering(by, metric)
    for hour, run in enumerate(runs):
        path = tmp_path / f"{hour}.parquet"
        with path.open("wb") as file:
            write_snapshot(replace(run, run=Run(RUN.started + timedelta(hours=hour), 1.0, "")), file)
        gathering.add(load_part(path, attributes_for(by), texts_for(by), metric))
    return gathering.history()


def _sizes(past: History) -> dict[tuple[str | None, ...], list[int]]:
    return dict(zip(past.keys, past.sizes.tolist(), strict=True))


def _heaps(*sizes: int) -> list[Snapshot]:
    return [snapshot(host("web-01", _app(size))) for size in sizes]


@pytest.mark.parametrize("metric", METRICS)
def test_a_part_of_a_run_has_the_sizes_of_the_whole(tmp_path: Path, metric: str):
    """For every size, by host: null where a kernel lacks the field, never zero."""
    path = tmp_path / "run.parquet"
    with path.open("wb") as file:
        write_snapshot(small_fleet(), file)
    part = load_part(path, attributes_for(("host",)), ("mapping", "path", "perms", "kind"), metric)
    whole = load_snapshot(path)
    assert part.table.metrics[metric].tolist() == whole.table.metrics[metric].tolist()
    assert part.table.process.tolist() == whole.table.process.tolist()
    for name in ("mapping", "perms", "kind"):
        assert getattr(part.table, name).texts() == getattr(whole.table, name).texts()
    assert part.processes["pid"] == [one.pid for one in whole.processes]
    assert part.hosts == {one.name: one.status for one in whole.hosts}


def test_a_host_that_is_away_is_a_gap(tmp_path: Path):
    """-1 stands for no size; a run in which it was not asked is the same."""
    with_it, without = _heaps(4000, 4010), failed("web-01", "timeout", "web-01: no answer in 10 s")
    past = _history(tmp_path, with_it[0], snapshot(without), snapshot(host("db-01")), with_it[1])
    assert _sizes(past) == {("web-01", "[heap]"): [4000, -1, -1, 4010]}
    assert past.away == {"web-01": 2}
    assert past.answered == (1, 0, 1, 1)
    assert {host: (moment - RUN.started).seconds for host, moment in past.came.items()} == {"db-01": 7200}
    assert [*past.went] == ["db-01"]


def test_over_hosts_a_run_without_one_of_them_has_no_size(tmp_path: Path):
    """The rest would look like a fall."""
    both = [snapshot(host("web-01", _app(size)), host("web-02", _app(3000))) for size in (1000, 1010)]
    one = snapshot(host("web-01", _app(1005)), failed("web-02", "timeout", "web-02: no answer in 10 s"))
    past = _history(tmp_path, both[0], one, both[1], by=("service",))
    assert _sizes(past) == {("app.service",): [4000, -1, 4010]}


def test_a_process_that_one_run_cannot_read_is_a_gap(tmp_path: Path):
    """One that no run can read is counted, and leaves the others as they are."""
    denied = _app(0, pid=11, status="denied")
    never = _app(0, pid=12, status="denied")
    runs = [
        snapshot(host("web-01", _app(1000), other, never)) for other in (_app(500, pid=11), denied, _app(600, pid=11))
    ]
    past = _history(tmp_path, *runs)
    assert _sizes(past) == {("web-01", "[heap]"): [1500, -1, 1600]}
    assert past.never_read == 1


def test_a_kernel_without_the_size_is_named(tmp_path: Path):
    """It has no row that could be taken for zero."""
    no_pss = process(71, "app", mapping("[heap]", Rss=640))
    past = _history(tmp_path, snapshot(host("old-01", no_pss), host("web-01", _app(1000))))
    assert {key: sizes for key, sizes in _sizes(past).items() if sizes != [-1]} == {("web-01", "[heap]"): [1000]}
    assert past.lacking == ("old-01",)


def test_lives(tmp_path: Path):
    """A restart is another start time, even under the same pid; a gap in between changes nothing."""
    runs = [
        snapshot(host("web-01", _app(1000))),
        snapshot(host("web-01", _app(1000))),
        snapshot(failed("web-01", "timeout", "web-01: no answer in 10 s")),
        snapshot(host("web-01", _app(900, ticks=77))),
        snapshot(host("web-01", _app(900, ticks=77))),
    ]
    past = _history(tmp_path, *runs)
    assert past.series(0).lives.tolist() == [0, 0, 1, 1]
    assert past.series(0).days.tolist() == [0, 1 / 24, 3 / 24, 4 / 24]


def test_a_series_restarts_with_half_of_its_processes(tmp_path: Path):
    """One worker of three that comes anew is no restart; two of three are."""
    workers = [(1, 1, 1), (9, 1, 1), (9, 9, 9)]
    runs = [
        snapshot(host("web-01", *(_app(100, pid=pid, ticks=ticks) for pid, ticks in enumerate(start, 10))))
        for start in workers
    ]
    assert _history(tmp_path, *runs).series(0).lives.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        (("mapping", "host"), {("[heap]", "web-01"), ("libc.so.6", "web-01")}),
        (("path",), {("[heap]",), ("/usr/lib/libc.so.6",)}),
        (("user", "process", "kind"), {("www", "app", "heap"), ("www", "app", "library")}),
        (("unit",), {(None,)}),
        (("perms",), {("rw-p",), ("r-xp",)}),
    ],
)
def test_by(tmp_path: Path, by: tuple[str, ...], keys: set[tuple[str, ...]]):
    """Any keys, in their order; None where a process has none."""
    libc = mapping("/usr/lib/libc.so.6 (deleted)", perms="r-xp", start=0x9000000, Pss=107)
    app = process(10, "app", mapping("[heap]", Pss=900), libc)
    past = _history(tmp_path, snapshot(host("web-01", app)), by=by)
    assert {*past.keys} == keys
    assert past.sizes.sum() == 1007


def test_runs_between(tmp_path: Path):
    """Both ends are in; the times are those of DIR@TIME."""
    for hour in range(4):
        save_in(tmp_path, replace(small_fleet(), run=replace(RUN, started=RUN.started + timedelta(hours=hour))))

    def hours(*ends: str) -> list[int]:
        return [run.started.hour for run in entries_between(tmp_path, *ends)]

    assert hours() == [15, 16, 17, 18]
    assert hours("2026-03-14T16:09:26Z", "2026-03-14T18:00+01:00") == [16]
    assert hours("last", "last") == [18]
    with pytest.raises(UsageError, match="has no run from 2026-03-15 to last"):
        hours("2026-03-15")
    with pytest.raises(UsageError, match='"soon" is not a time'):
        hours("first", "soon")


@pytest.mark.parametrize(
    "content",
    [
        _forged(rows=4),
        _forged(lambda about: about.pop("hosts")),
        _forged(lambda about: about.update(format=2, version="9.0")),
        _forged(lambda about: about["hosts"][0].update(status="fine")),
        _forged(lambda about: about["hosts"][0].update(name=7)),
        _forged(lambda about: about["hosts"].append(about["hosts"][0])),
        _forged(lambda about: about["hosts"].append("web-09")),
        _forged(lambda about: about["run"].update(started="2026-03-14T15:09:26")),
        _forged(lambda about: about["run"].update(elapsed_s=-1.0)),
        _forged(lambda about: about["columns"].update(Pss="host")),
        _forged(lambda about: about.update(columns=[])),
        _forged(processes=lambda all_: all_[0]["process"].update(pid="812")),
        _forged(processes=lambda all_: all_[0]["process"].update(service=[])),
        _forged(processes=lambda all_: all_[0]["process"].update(name="\ud800")),
        _forged(processes=lambda all_: all_[0]["process"].update(status="fine")),
        _forged(processes=lambda all_: (all_[0].update(mappings=-1), all_[1].update(mappings=4))),
        _forged(processes=lambda all_: all_.append(3)),
        b"PAR1",
        b"",
    ],
)
def test_a_part_that_cannot_be(tmp_path: Path, content: bytes):
    """Any fault in what is read gives one sentence that begins with the file."""
    path = tmp_path / "run.parquet"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=f"{path}: is "):
        load_part(path, attributes_for(("service",)), texts_for(BY), "pss_kib")
