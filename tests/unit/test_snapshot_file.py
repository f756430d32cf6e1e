"""A saved snapshot: every view of what comes back is the view of what was saved; what is none is refused."""

from __future__ import annotations

import io
import json
import os
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fleet_of_twenty import twenty_hosts
from fleetpmap.check import Checks, Finding
from fleetpmap.collection.collector import Question, collect
from fleetpmap.demo import lay_out, trees
from fleetpmap.errors import UsageError
from fleetpmap.export import EXPORTERS
from fleetpmap.inventory import Host
from fleetpmap.labels import Label
from fleetpmap.render import plain
from fleetpmap.report import hosts, mappings
from fleetpmap.snapshot import HostFailure, HostSnapshot, Run, Snapshot
from fleetpmap.snapshot_file import load_snapshot, write_snapshot
from fleetpmap.wire import Capabilities, CgroupMemory, HostMemory, Pressure, Resident
from same_reports import assert_same
from snapshots import RUN, failed, host, mapping, process, small_fleet, snapshot, unreadable
from test_mixed_fleet import fleet as mixed_fleet  # noqa: F401  # a fixture: one host of each kernel

pl = pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
duckdb = pytest.importorskip("duckdb", reason="duckdb is in the dev group: pip install --group dev")


def _written(fleet: Snapshot) -> bytes:
    file = io.BytesIO()
    write_snapshot(fleet, file)
    return file.getvalue()


@pytest.fixture
def reloaded(tmp_path: Path) -> Callable[[Snapshot], Snapshot]:
    """Saves a snapshot and loads it."""

    def reload(fleet: Snapshot) -> Snapshot:
        path = tmp_path / "saved.parquet"
        path.write_bytes(_written(fleet))
        return load_snapshot(path)

    return reload


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[[bytes], str]:
    """Return the error about a file with these bytes."""

    def told(content: bytes) -> str:
        path = tmp_path / "saved.parquet"
        path.write_bytes(content)
        with pytest.raises(UsageError) as error:
            load_snapshot(path)
        assert error.value.hint
        return error.value.message.removeprefix(f"{path}: ")

    return told


def test_hosts_by_hand(reloaded):
    """Denied, vanished and failed; an old kernel; a host without a match."""
    assert_same(small_fleet(), reloaded(small_fleet()))


def test_twenty_hosts(reloaded):
    """A fleet that runs one service."""
    assert_same(twenty_hosts(), reloaded(twenty_hosts()))


def test_recorded_hosts(reloaded, tmp_path: Path):
    """Three recorded hosts as the probe reads them, with capabilities, checks and what they lack."""
    names = lay_out(trees(), tmp_path / "trees")
    fleet = collect(
        [Host(name, transport="local", proc_root=str(tmp_path / "trees" / name)) for name in names],
        Question(rollups=True),
    )
    assert fleet.coverage.processes["read"] > 5
    assert_same(fleet, reloaded(fleet))


def test_kernels_of_twenty_years(reloaded, mixed_fleet):  # noqa: F811  # the fixture
    """A field that only some hosts have stays null on the others."""
    assert_same(mixed_fleet, reloaded(mixed_fleet))


def test_a_pipe(tmp_path: Path):
    """The checksum is not at the end of the file, and a pipe cannot go back."""
    end, begin = os.pipe()
    with os.fdopen(end, "rb") as pipe, ThreadPoolExecutor(1) as reader:
        content = reader.submit(pipe.read)
        with os.fdopen(begin, "wb") as file:
            write_snapshot(small_fleet(), file)
        (tmp_path / "saved").write_bytes(content.result())
    assert_same(small_fleet(), load_snapshot(tmp_path / "saved"))


def test_nobody(reloaded):
    """No host, no process, no mapping."""
    assert_same(snapshot(), reloaded(snapshot()))


def test_all_that_a_host_can_say(reloaded):
    """Notes, talk, a failure with all its parts, another name of a machine, the self-check, an interrupted run."""
    checks = Checks({"rss_identity": "failed"}, (Finding("rss_identity", "failed", "Rss is 4, and not 3"),))
    one = host("a", process(1, "x", mapping(Rss=4), start_stack=0x7FFF00000000), local=True)
    one = replace(one, processes=(replace(one.processes[0], checks=checks),), notes=("slow",), said="welcome\nto a")
    failure = HostFailure("c", "auth", "auth", "c: no", "try a key", "c's banner")
    fleet = Snapshot.assemble(
        [one, host("b", process(2, "y")).counted_as("a"), HostSnapshot.failed(failure)],
        Run(RUN.started, 0.25, "fleetpmap run --match 'a b'", "interrupted", labels=(Label("env", "prod"),)),
    )
    again = reloaded(fleet)
    assert again.hosts == fleet.hosts
    assert again.processes == fleet.processes
    assert again.run == fleet.run


PRESSURE = Pressure(8.96, 4.48, 1.12, 3.2, 1.6, 0.4)
GROUP = CgroupMemory(
    *("/shop.slice/b\\x2dc.service", 8424, 9000, 16384, False, "/shop.slice", 12288, 44, 64, 5000, 3000, 100, 424, 300),
    *(3, 2, PRESSURE, 7),
)


def _services() -> Snapshot:
    """Two hosts with all that is known of services, in part."""
    whole = {"unit": "b\\x2dc.service", "slice": "shop.slice", "container": "docker:web", "pod": "prod/web-1"}
    whole |= {"service": "prod/web", "cgroup": GROUP.path, "started": 1764434123.25, "oom_score_adj": -1000}
    whole |= {"resident": Resident(4800, 1200, 3400, 200, 64, 5000)}
    first = host("a", process(1, "x", mapping(Rss=4)), unreadable(2, "y", 96, None))
    known = [replace(first.processes[0], **whole), replace(first.processes[1], service="y")]
    memory = HostMemory(2017104, None, 0, 1047932, PRESSURE)
    bare = CgroupMemory("/", None, None, None, is_unlimited=True, limit_path="")
    can = Capabilities(0, "6.1.0", 4096, "", "", "gnu", "gzip", 7, booted=1764000000.5)
    first = replace(first, processes=tuple(known), memory=memory, cgroups=(GROUP, bare), capabilities=can)
    return snapshot(first, host("b", process(9, "z")), failed("c", "auth", "c: cannot log in"))


def test_all_that_is_known_of_services(reloaded):
    """Units, containers, pods, starts, scores and sizes; a host's memory, its cgroups and when it started."""
    assert_same(_services(), reloaded(_services()))


def test_a_file_from_before_there_were_services():
    """Version 0.1.0 of the time before wrote it: what it could not know is unknown, and all else is there."""
    old = load_snapshot(Path(__file__).parents[1] / "data/snapshots/before_services.parquet")
    new = small_fleet()
    assert (old.hosts, old.processes, old.run) == (new.hosts, new.processes, new.run)
    assert plain(mappings(old)) == plain(mappings(new))


def test_cgroups_are_packed():
    """A fleet has some thousand; as they are, each would take half a kilobyte."""
    few, many = (snapshot(replace(host("a"), cgroups=_groups(count))) for count in (1, 1001))
    assert len(_written(many)) - len(_written(few)) < 100 * 1000


def _groups(count: int) -> tuple[CgroupMemory, ...]:
    return tuple(
        replace(GROUP, path=f"/a/{n}.service", current_kib=n * 7919 % 524288, anon_kib=n * 104729 % 262144)
        for n in range(count)
    )


@pytest.mark.parametrize(
    "path",
    [
        "/x\udcff\udc80.so",
        "/a\x1b[2J\u202e",
        r"/by\x2duuid",
        r"/\\x41\u0041",
        "/x (deleted)",
        "/\x85\\",
        "/é\U0010ff00",
    ],
)
def test_any_path(reloaded, path):
    """Bytes that are no UTF-8, control characters, backslashes that look like an escape, the mark of deletion."""
    named = process(1, path[1:], mapping(path, Rss=1), mapping(path.removesuffix(" (deleted)"), start=0x90000))
    again = reloaded(snapshot(host("a", named)))
    assert again.table.path.texts() == [path, path.removesuffix(" (deleted)")]
    assert again.processes[0].name == path[1:]


def test_two_fields_of_one_name(reloaded):
    """Keys of a kernel that we do not know stay apart, also from those that we do."""
    fleet = snapshot(host("a", process(1, "x", mapping(Foo_Bar=3, FooBar=5, Rss=7, rss=9))))
    again = reloaded(fleet)
    assert {key: values.tolist() for key, values in again.table.fields.items()} == {
        "Foo_Bar": [3],
        "FooBar": [5],
        "Rss": [7],
        "rss": [9],
    }


def test_numbers_of_64_bits(reloaded):
    """vsyscall's address, the highest inode, a size beyond 32 bits."""
    one = mapping("[vsyscall]", start=0xFFFFFFFFFF600000, inode=2**64 - 1, Rss=2**40)
    again = reloaded(snapshot(host("a", process(1, "x", one)))).table
    assert (int(again.start[0]), int(again.inode[0]), int(again.fields["Rss"][0])) == (
        0xFFFFFFFFFF600000,
        2**64 - 1,
        2**40,
    )


def test_polars_reads_it(tmp_path: Path):
    """The columns of --view mappings, those of the process, and a column for each field of any kernel."""
    (tmp_path / "saved.parquet").write_bytes(_written(small_fleet()))
    frame = pl.read_parquet(tmp_path / "saved.parquet")
    assert {column.name for column in mappings(small_fleet()).tables[0].columns} < set(frame.columns)
    assert {"user", "command", "start_ticks", "ksm_kib"} < set(frame.columns)
    pss = frame.group_by(pl.col("host").cast(pl.String)).agg(pl.col("pss_kib").sum()).sort("host")
    assert pss.rows() == [("old-01", 0), ("web-01", 2610), ("web-02", 202)]
    assert frame["ksm_kib"].null_count() == frame.height


def test_duckdb_reads_several(tmp_path: Path):
    """Files of kernels that differ have the same columns, so a directory of them is one table."""
    (tmp_path / "a.parquet").write_bytes(_written(small_fleet()))
    (tmp_path / "b.parquet").write_bytes(_written(snapshot(host("c", process(1, "x", mapping(Rss=5))))))
    rows = duckdb.sql(f"SELECT host, sum(rss_kib) FROM '{tmp_path}/*.parquet' GROUP BY host ORDER BY host").fetchall()
    assert rows == [("c", 5), ("old-01", 640), ("web-01", 3719), ("web-02", 1313)]


def test_what_a_file_says_of_itself():
    """Time, command and hosts of a snapshot can be read without fleetpmap."""
    about = json.loads(pl.read_parquet_metadata(io.BytesIO(_written(small_fleet())))["fleetpmap_snapshot"])
    assert about["format"] == 1
    assert about["run"]["command"] == "fleetpmap run --match nginx"
    assert {one["name"]: one["status"] for one in about["hosts"]}["web-03"] == "auth"
    assert about["columns"]["Pss"] == "pss_kib"


def test_a_report_is_not_a_snapshot(refusal):
    """It says of which view, and what to save instead."""
    file = io.BytesIO()
    EXPORTERS["parquet"].write(hosts(small_fleet()), file)
    assert refusal(file.getvalue()) == "is a report, the view hosts, which does not hold what the others need"


def test_a_file_of_another_program(refusal):
    """Parquet, but none of ours."""
    file = io.BytesIO()
    pl.DataFrame({"host": ["a"]}).write_parquet(file)
    assert refusal(file.getvalue()) == "is a parquet file of another program"


@pytest.mark.parametrize("content", [b"", b"host,pid\n", b"PAR1", b"PAR1" + bytes(64) + b"PAR1"], ids=repr)
def test_no_parquet(refusal, content):
    """Empty, text, or nothing but the mark."""
    assert refusal(content).startswith("is torn, or not parquet")


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.9, 0.999])
def test_a_torn_file(refusal, kept):
    """Cut anywhere it is refused, since what parquet begins with stands at its end."""
    whole = _written(small_fleet())
    why = refusal(whole[: int(len(whole) * kept)])
    assert why.startswith(("is torn, or not parquet", "is damaged: its checksum is wrong"))


@pytest.mark.parametrize("place", [4, 500, 3000, -500, -9])
def test_a_damaged_file(refusal, place):
    """One bit anywhere, also where parquet would read another number: it is refused before it is read."""
    content = bytearray(_written(small_fleet()))
    content[place] ^= 1
    assert refusal(bytes(content)) == "is damaged: its checksum is wrong"


def test_a_file_from_before_there_were_checksums(tmp_path: Path):
    """It is read as it is."""
    file = io.BytesIO(_written(small_fleet()))
    pl.read_parquet(file).write_parquet(tmp_path / "old.parquet", metadata=_ours(file))
    assert load_snapshot(tmp_path / "old.parquet").processes == small_fleet().processes


def test_no_file(tmp_path: Path):
    """It says which."""
    with pytest.raises(UsageError, match=r"gone\.parquet: No such file"):
        load_snapshot(tmp_path / "gone.parquet")


def _forged(
    about: Callable[[dict], object] = id,
    processes: Callable[[list], object] = id,
    rows: int = 5,
    groups: Callable[[list], object] = id,
    fleet: Callable[[], Snapshot] = small_fleet,
) -> bytes:
    """The fleet's file after these have changed its metadata, or with fewer rows."""
    file = io.BytesIO(_written(fleet()))
    metadata = pl.read_parquet_metadata(file)
    one = json.loads(metadata["fleetpmap_snapshot"])
    about(one)
    packed = {"fleetpmap_kind": "snapshot", "fleetpmap_snapshot": json.dumps(one)}
    for key, change in (("fleetpmap_processes", processes), ("fleetpmap_cgroups", groups)):
        all_ = json.loads(zlib.decompress(b64decode(metadata[key])))
        change(all_)
        packed[key] = b64encode(zlib.compress(json.dumps(all_).encode())).decode()
    out = io.BytesIO()
    pl.read_parquet(file).head(rows).write_parquet(out, metadata=packed)
    return out.getvalue()


def _with_process(**values: object) -> bytes:
    return _forged(processes=lambda all_: all_[0]["process"].update(values), fleet=_services)


def _with_host(**values: object) -> bytes:
    return _forged(lambda about: about["hosts"][0]["memory"].update(values), fleet=_services)


def _with_group(**values: object) -> bytes:
    return _forged(groups=lambda all_: all_[0]["cgroups"][0].update(values), fleet=_services)


def test_a_newer_format(refusal):
    """It says by which program it was written."""
    told = refusal(_forged(lambda about: about.update(format=2, version="9.0")))
    assert told.startswith("is of format 2, written by fleetpmap 9.0")


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (_forged(rows=4), "4 rows for 5 mappings"),
        (_forged(lambda about: about.pop("hosts")), "hosts"),
        (_forged(lambda about: about.update(format="1")), "no format 1"),
        (_forged(lambda about: about["hosts"][0].update(status="fine")), "no status fine"),
        (_forged(lambda about: about["hosts"][0].update(name=7)), "HostResult.name: '7' is no str"),
        (_forged(lambda about: about["hosts"][0].update(color="red")), "color"),
        (_forged(lambda about: about["hosts"][0].pop("name")), "name"),
        (_forged(lambda about: about["hosts"].append(about["hosts"][0])), "a host comes twice"),
        (_forged(lambda about: about["hosts"].reverse()), "do not follow the order"),
        (_forged(lambda about: about["run"].update(started="2026-03-14T15:09:26")), "Run.started"),
        (_forged(lambda about: about["run"].update(ended="later")), "Run.ended"),
        (_forged(lambda about: about["run"].update(labels=[{"key": "a} 1", "value": "x"}])), "cannot be a key"),
        (_forged(lambda about: about["columns"].update(Rss="host")), "column host"),
        (_forged(processes=lambda all_: all_[0]["process"].update(pid=2**40)), "no kernel gives"),
        (_forged(processes=lambda all_: all_[0]["process"].update(uid=2**70)), "_Rows.process.uid"),
        (_forged(processes=lambda all_: (all_[0].update(mappings=-1), all_[1].update(mappings=3))), "negative"),
        (_forged(processes=lambda all_: all_.append(3)), "_Rows: '3'"),
        (_with_process(oom_score_adj=1001), "no kernel gives"),
        (_with_process(started=-0.5), "no kernel gives"),
        (_with_process(resident={"rss_kib": -1}), "no kernel gives"),
        (_with_process(resident={"rss_kib": 1, "swap_kib": 1 << 60}), "no kernel gives"),
        (_with_process(resident={"swap_kib": 1}), "rss_kib"),
        (_with_process(unit=7), "_Rows.process.unit"),
        (_with_host(total_kib=-1), "a host or cgroup has a number"),
        (_with_host(pressure={"some_avg10": 1}), "some_avg60"),
        (_with_group(current_kib=1 << 57), "a host or cgroup has a number"),
        (_with_group(pressure=dict.fromkeys(asdict(PRESSURE), -1)), "a host or cgroup has a number"),
        (_with_group(limit_kib=float("nan")), "limit_kib"),
        (_with_group(path="\ud800"), "path"),
        (_forged(groups=lambda all_: all_.pop()), "the cgroups of 6 hosts, and 7 hosts"),
        (_forged(groups=lambda all_: all_.append({})), "the cgroups of 8 hosts, and 7 hosts"),
        (_forged(groups=lambda all_: all_.append(7)), "_Groups: '7'"),
        (_forged(groups=lambda all_: all_[0].update(x=1)), "_Groups"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parts_that_do_not_fit(refusal, forged, why):
    """Any fault in the metadata gives one sentence, and no view gets the snapshot."""
    told = refusal(forged)
    assert told.startswith("is not a whole snapshot (")
    assert why in told


def test_a_column_that_is_missing(refusal):
    """The rows are looked at too."""
    file = io.BytesIO(_written(small_fleet()))
    out = io.BytesIO()
    pl.read_parquet(file).drop("inode").write_parquet(out, metadata=_ours(file))
    assert "inode" in refusal(out.getvalue())


def test_an_unknown_address(refusal):
    """A null where the kernel always has a number."""
    file = io.BytesIO(_written(small_fleet()))
    out = io.BytesIO()
    frame = pl.read_parquet(file).with_columns(start=pl.lit(None, dtype=pl.UInt64))
    frame.write_parquet(out, metadata=_ours(file))
    assert refusal(out.getvalue()) == "is not a whole snapshot (its column start has nulls)"


def _ours(file: io.BytesIO) -> dict[str, str]:
    metadata = pl.read_parquet_metadata(file)
    return {key: value for key, value in metadata.items() if key.startswith("fleetpmap_") and "sha256" not in key}
