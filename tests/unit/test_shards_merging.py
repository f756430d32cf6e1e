"""Shards of one run, saved by their gateways, are the run over the whole fleet."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from fleetpmap.cli.confined import Reader
from fleetpmap.cli.deliver import exit_status
from fleetpmap.cli.storage import load_run
from fleetpmap.errors import UsageError
from fleetpmap.shards.merging import merged, without_shard
from fleetpmap.snapshot import FleetShard, HostSnapshot, Run, Snapshot
from fleetpmap.snapshot_file import entries, entry_at, joined, load_part, load_snapshot, save_in
from fleetpmap.snapshot_file.parquet import FLEET, SHA256, SHARD, SNAPSHOT, _packed
from fleetpmap.version import __version__
from gateways import BROKEN, NAMES, NOON, asked, recorded_fleet, run_of, save_shards
from same_reports import assert_same
from snapshots import failed, host, mapping, process

pl = pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> list[HostSnapshot]:
    """Every process of 24 recorded hosts, three of which fail."""
    return asked(recorded_fleet(tmp_path_factory.mktemp("trees")))


def _loaded(directory: Path, when: str = "last") -> Snapshot:
    return load_run(entry_at(directory, when), Reader(None), quiet=True)


@pytest.mark.parametrize("of", [10, 30])
def test_every_report_is_that_of_one_run(of: int, replies: Sequence[HostSnapshot], tmp_path: Path):
    """Every view in every format, byte for byte, also with more shards than hosts."""
    save_shards(tmp_path, replies, of)
    assert len(entries(tmp_path)) == 1
    whole, shards = run_of(replies), _loaded(tmp_path)
    assert whole.coverage.processes["denied"] > 10
    assert tuple(failure.host for failure in whole.coverage.failures) == BROKEN
    assert_same(whole, shards)
    assert exit_status(shards) == exit_status(whole) == 3


def test_hosts_of_a_missing_shard(replies: Sequence[HostSnapshot], tmp_path: Path):
    """They stay in their places, were not asked, and say why; what was asked is as it was."""
    save_shards(tmp_path, replies, 10, without=[1, 7])
    shards = _loaded(tmp_path)
    assert [one.name for one in shards.hosts] == [*NAMES]
    not_asked = {one.name: one.failure for one in shards.hosts if one.status == "not-asked"}
    assert [*not_asked] == [*NAMES[:3], *NAMES[16:18]]
    assert {failure.message for failure in not_asked.values() if failure} == {
        "shard 1 of 10 is missing",
        "shard 7 of 10 is missing",
    }
    there = [reply.result() for reply in replies if reply.name not in not_asked]
    assert [one for one in shards.hosts if one.name not in not_asked] == there
    assert exit_status(shards) == 3


def test_all_shards_but_an_empty_one(replies: Sequence[HostSnapshot], tmp_path: Path):
    """It lacks no host."""
    save_shards(tmp_path, replies[:2], 4, without=[4])
    assert _loaded(tmp_path).hosts == run_of(replies[:2]).hosts


def test_the_run_lasts_from_the_first_begin_to_the_last_end(replies: Sequence[HostSnapshot], tmp_path: Path):
    """A late shard counts; the command is that of the first shard, without its --shard."""
    save_shards(tmp_path, replies, 10, late_s={1: 3, 4: 90})
    assert _loaded(tmp_path).run == Run(NOON, 91.5, "fleetpmap run --all --save runs/")


def test_one_run_after_the_other(replies: Sequence[HostSnapshot], tmp_path: Path):
    """Runs are looked up by time as those of one machine are; runs of one machine stand beside them."""
    for minutes in (0, 5, 10):
        save_shards(tmp_path, replies, 3, started=NOON + timedelta(minutes=minutes), late_s={2: 90})
    save_in(tmp_path, run_of(replies[:1], NOON + timedelta(minutes=7)))
    assert [entry.started.minute for entry in entries(tmp_path)] == [0, 5, 7, 10]
    assert [len(entry.paths) for entry in entries(tmp_path)] == [3, 3, 1, 3]
    assert _loaded(tmp_path, "2026-11-23T12:06Z").run.started.minute == 5
    assert len(_loaded(tmp_path, "2026-11-23T12:08Z").hosts) == 1


def test_a_shard_that_cannot_be_read(replies: Sequence[HostSnapshot], tmp_path: Path):
    """Its hosts are not asked, for that reason; the others are shown."""
    files = save_shards(tmp_path, replies, 10)
    files[2].write_bytes(files[2].read_bytes()[:-100])
    shards = _loaded(tmp_path)
    [why] = {one.failure.message for one in shards.hosts if one.status == "not-asked" and one.failure}
    assert why.startswith(f"shard 2 of 10 cannot be read: {files[2]}: is damaged")
    for path in files.values():
        path.write_bytes(b"")
    with pytest.raises(UsageError, match="is torn"):
        _loaded(tmp_path)


def _by_version(path: Path, version: str, **about: object) -> None:
    """Make a file one of another version, with other facts about its run."""
    metadata = pl.read_parquet_metadata(path)
    whole = json.loads(metadata[SNAPSHOT]) | {"version": version} | about
    kept = {key: text for key, text in metadata.items() if key not in (SHA256, "ARROW:schema")}
    pl.read_parquet(path).write_parquet(path, metadata=kept | {SNAPSHOT: json.dumps(whole)})


def test_a_gateway_with_another_version(replies: Sequence[HostSnapshot], tmp_path: Path):
    """Its shard is in the run, since the format of the files is the same."""
    files = save_shards(tmp_path, replies, 3)
    _by_version(files[2], "9.9.9")
    assert_same(run_of(replies), _loaded(tmp_path))


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"format": 2}, "is of format 2, written by fleetpmap 9.9.9; this is {ours}, which reads up to 1"),
        (
            {"hosts": [{"name": "web-06", "status": "ok", "weather": "fine"}]},
            "was written by fleetpmap 9.9.9, and this is {ours}, which cannot read it "
            "(HostResult: \"['weather']\" is no HostResult)",
        ),
    ],
    ids=["another format", "more than this version knows"],
)
def test_a_gateway_with_a_version_that_cannot_be_read(
    about: dict[str, object], why: str, replies: Sequence[HostSnapshot], tmp_path: Path
):
    """Its hosts are not asked; the reason names the file and both versions, and the hint says what to install."""
    files = save_shards(tmp_path, replies, 3)
    _by_version(files[2], "9.9.9", **about)
    why = why.format(ours=__version__)
    failures = {one.failure for one in _loaded(tmp_path).hosts if one.status == "not-asked" and one.failure}
    assert {(one.message, one.hint) for one in failures} == {
        (f"shard 2 of 3 cannot be read: {files[2]}: {why}", "use the same version of fleetpmap on both machines")
    }
    assert {one.host for one in failures} == {*NAMES[8:16]}
    files[1].unlink()
    files[3].unlink()
    with pytest.raises(UsageError) as refused:
        _loaded(tmp_path)
    assert str(refused.value) == f"{files[2]}: {why}\nhint: use the same version of fleetpmap on both machines"


def test_a_host_is_never_counted_twice(replies: Sequence[HostSnapshot], tmp_path: Path):
    """Gateways with other inventories are not one run; nor are two files of one shard, also for history."""
    mine, theirs = (
        save_shards(tmp_path, some, 2, without=[one]) for some, one in ((replies[:4], 2), (replies[2:6], 1))
    )
    [run] = entries(tmp_path)
    assert run.paths == (theirs[2],)
    assert [note.partition(":")[0] for note in run.notes] == [mine[1].name]
    assert [one.status for one in _loaded(tmp_path).hosts][:2] == ["not-asked"] * 2
    parts = [load_part(path, ("host",), (), "pss_kib") for path in (mine[1], mine[1])]
    for twice in (parts, [parts[0], load_part(theirs[2], ("host",), (), "pss_kib")]):
        with pytest.raises(UsageError, match="is not a shard of the run that its name tells"):
            joined(twice, mine[1])


def test_a_file_under_the_name_of_another(replies: Sequence[HostSnapshot], tmp_path: Path):
    """A name that lies about the shard is found out."""
    files = save_shards(tmp_path, replies[:6], 3)
    other = save_shards(tmp_path / "other", replies[6:12], 3)
    files[2].write_bytes(other[2].read_bytes())
    with pytest.raises(UsageError, match="its files are not shards of one run"):
        _loaded(tmp_path)
    files[2].write_bytes(files[3].read_bytes())
    with pytest.raises(UsageError, match="its files are not shards of one run"):
        _loaded(tmp_path)


def test_hosts_that_are_not_the_shards(replies: Sequence[HostSnapshot]):
    """A shard has the hosts that the division of its fleet gives it."""
    shard = FleetShard(1, 2, tuple(reply.name for reply in replies[:4]), "every process")
    wrong = Snapshot.assemble(replies[2:4], Run(NOON, 1.0, "", shard=shard))
    with pytest.raises(ValueError, match="shard 1 of 2 has other hosts than that shard of its fleet has"):
        merged([wrong], {})


def test_a_shard_alone_comes_back(replies: Sequence[HostSnapshot], tmp_path: Path):
    """Its file holds which shard it is, and the names of the fleet."""
    files = save_shards(tmp_path, replies, 10)
    shard = load_snapshot(files[3]).run.shard
    assert shard == FleetShard(3, 10, NAMES, "every process")


_ABOUT = {"number": 1, "of": 10, "fleet": [], "looked_for": ""}


@pytest.mark.parametrize("load", [load_snapshot, lambda path: load_part(path, ("pid",), (), "pss_kib")])
@pytest.mark.parametrize(
    "wrong",
    [
        {SHARD: json.dumps(_ABOUT | {"number": 0})},
        {SHARD: json.dumps(_ABOUT | {"number": 11})},
        {SHARD: json.dumps(_ABOUT | {"of": 10_000})},
        {SHARD: json.dumps(_ABOUT | {"number": "1"})},
        {SHARD: '{"number": 1}'},
        {SHARD: "[]"},
        {SHARD: "nonsense"},
        {FLEET: None},
        {FLEET: "nonsense"},
        {FLEET: _packed(["web-01", 2])},
        {FLEET: _packed(["web-01", "web-01"])},
        {FLEET: b64encode(zlib.compress(b'{"web-01": 2}')).decode()},
    ],
)
def test_a_damaged_shard(wrong: dict[str, str | None], load: Callable[[Path], object], tmp_path: Path):
    """What no shard can be is refused, in one sentence."""
    run = Run(NOON, 1.0, "", shard=FleetShard(1, 10, ("web-01",), ""))
    path = save_in(tmp_path, Snapshot.assemble([host("web-01", process(9, "nginx", mapping("[heap]", Pss=8)))], run))
    metadata = pl.read_parquet_metadata(path) | wrong
    kept = {key: text for key, text in metadata.items() if text is not None and key not in (SHA256, "ARROW:schema")}
    pl.read_parquet(path).write_parquet(path, metadata=kept)
    with pytest.raises(UsageError, match="is not a whole snapshot"):
        load(path)


def test_the_part_for_a_history(tmp_path: Path):
    """The parts of the shards are the part of the one run; a missing shard's hosts were not asked."""
    old_kernel = process(71, "nginx", mapping("/usr/lib/libc.so.6", perms="r-xp", Rss=640))
    replies = [
        host("web-02", process(812, "nginx", mapping("[heap]", Rss=20, Pss=10), mapping("/srv/a", Rss=4, Pss=3))),
        host("old-01", old_kernel),
        failed("web-03", "timeout", "web-03: no answer in 10 s"),
        host("web-01", process(9, "nginx", mapping("[heap]", Rss=8, Pss=7)), process(900, "nginx", status="denied")),
    ]
    wanted = (("pid", "status"), ("mapping", "path"), "pss_kib")
    whole = load_part(save_in(tmp_path / "whole", run_of(replies)), *wanted)
    files = save_shards(tmp_path, replies, 3)
    shards = joined([load_part(path, *wanted) for path in files.values()], files[1])
    assert (shards.hosts, shards.processes) == (whole.hosts, whole.processes)
    assert shards.table.metrics["pss_kib"].tolist() == whole.table.metrics["pss_kib"].tolist() == [10, 3, -1, 7]
    assert np.array_equal(shards.table.process, whole.table.process)
    for name in ("mapping", "path"):
        assert getattr(shards.table, name).texts() == getattr(whole.table, name).texts()
    without_2 = joined([load_part(files[number], *wanted) for number in (1, 3)], files[1])
    assert without_2.hosts == whole.hosts | {"web-03": "not-asked"}


@pytest.mark.parametrize(
    ("typed", "without"),
    [
        ("fleetpmap run --shard 3/10 --all", "fleetpmap run --all"),
        ("fleetpmap run --all --shard=3/10", "fleetpmap run --all"),
        ("fleetpmap run -m 'a b' --shard 3/10 -i 'my file'", "fleetpmap run -m 'a b' -i 'my file'"),
        ("fleetpmap run --all", "fleetpmap run --all"),
        ("it's torn --shard 1/2", "it's torn --shard 1/2"),
        ("", ""),
    ],
)
def test_a_command_without_its_shard(typed: str, without: str):
    """All other words stay."""
    assert without_shard(typed) == without
