"""earlier: the runs of a directory before the one that is shown."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from fleetpmap.cli.earlier import earlier_in
from fleetpmap.snapshot import Run, Snapshot
from fleetpmap.snapshot_file import entries, load_snapshot, save_in
from gateways import NOON, save_shards
from snapshots import host, mapping, process, sizes


def _hosts():
    heap = mapping("[heap]", **sizes(90, 80, 70, 0, 0, 60, 0, 0, 0, 0))
    return [host(name, process(7, "app", heap)) for name in ("web-01", "web-02")]


def test_a_run_that_lacks_a_shard_is_drawn(tmp_path: Path):
    """It is neither a run that could not be read, nor one of other processes; both of these are counted."""
    for hour in range(4):
        save_shards(tmp_path, _hosts(), 2, started=NOON + timedelta(hours=hour))
    save_in(tmp_path, Snapshot.assemble(_hosts(), Run(NOON + timedelta(hours=0.5), 1.5, "fleetpmap run --match db")))
    runs = [run for run in entries(tmp_path) if run.shards]
    for damaged in (runs[1].paths[1], *runs[2].paths):
        damaged.write_bytes(b"PAR1")
    last = load_snapshot(runs[3].paths[0])
    timeline = earlier_in(str(tmp_path), last).timeline
    assert timeline is not None
    assert [note for note in timeline.notes if "are not drawn" in note] == [
        "Runs that could not be read, and are not drawn: 1.",
        "Runs that looked for other processes, and are not drawn: 1.",
    ]
