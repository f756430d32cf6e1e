"""diff: what grew between two snapshots, and what only looks as if."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import pytest

from fleet_of_twenty import twenty_hosts
from fleetpmap.errors import UsageError
from fleetpmap.export import EXPORTERS
from fleetpmap.render import plain
from fleetpmap.report import Report, Shape
from fleetpmap.report.views.diff import diff
from fleetpmap.report.views.diff.growth_findings import span
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import ROLLUP
from fleetpmap.wire import Capabilities
from snapshots import expected, failed, host, mapping, process, small_fleet, snapshot

MIB = 1024


def _later(fleet: Snapshot, seconds: float = 20) -> Snapshot:
    return replace(fleet, run=replace(fleet.run, started=fleet.run.started + timedelta(seconds=seconds)))


def _app(pid: int, heap: int, name: str = "app", **more):
    return process(pid, name, mapping("[heap]", Pss=heap), **more)


def _started(one, ticks: int):
    return replace(one, process=replace(one.process, start_ticks=ticks))


def _rows(report: Report, *names: str):
    return list(zip(*(report.tables[0].column(name).cells() for name in names), strict=True))


def test_a_library_unpacked_under_another_random_name_after_a_restart_is_the_same():
    """It has one row, with what it grew by."""
    old, new = (
        snapshot(host("h", process(1, "java", mapping(f"/tmp/libnetty{n}.so (deleted)", perms="r-xp", Pss=kib))))
        for n, kib in ((8822334455667788990, 100), (1234567890123456789, 900))
    )
    assert _rows(diff(old, _later(new)), "mapping", "old_kib", "new_kib") == [("libnetty*.so", 100, 900)]


def _old() -> Snapshot:
    lib = mapping("/usr/lib/libc.so.6", perms="r-xp", start=0x9000000, Pss=107)
    app = process(812, "app", mapping("[heap]", Pss=4 * MIB), lib, mapping("", start=0x20000, Pss=2100))
    return snapshot(
        host("web-01", app, _app(900, 12 * MIB, "cache"), _app(77, 300, "cron")),
        host("web-02", _app(51, 7 * MIB)),
        host("web-03", _app(61, 9 * MIB)),
        host("db-01", _app(71, 5 * MIB)),
    )


def _new() -> Snapshot:
    lib = mapping("/usr/lib/libc.so.6", perms="r-xp", start=0x9000000, Pss=107)
    app = process(
        *(812, "app"),
        *(mapping("[heap]", Pss=24 * MIB + 102), lib, mapping("/memfd:x (deleted)", start=0x30000, Pss=3 * MIB)),
    )
    return _later(
        snapshot(
            host("web-01", app, _app(1031, 4 * MIB, "cache"), _app(1040, 2 * MIB, "job")),
            host("web-02", _app(51, 6 * MIB)),
            failed("web-03", "timeout", "web-03: no answer in 10 s"),
            host("web-04", _app(91, 8 * MIB)),
        )
    )


@pytest.mark.parametrize("by", ["mapping", "kind", "process", "host", "host,process,mapping"])
def test_by(by):
    """Merged by the keys of run, the largest change first; hosts that cannot be compared are in no total."""
    text = plain(diff(_old(), _new(), by.split(",")))
    assert text == expected(f"diff_by_{by.replace(',', '_')}.txt", text)


def test_notes_say_when_and_who_is_left_out():
    """A host that failed or was not asked once is unknown; what stayed is only counted."""
    assert diff(_old(), _new()).notes == (
        "from 2026-03-14 15:09:26+00:00 to 2026-03-14 15:09:46+00:00, 20 s",
        "not listed: 1 row that did not move",
        "web-03: no answer the second time, so it is unknown whether anything grew there",
        "web-04: asked only the second time, so it is unknown whether anything grew there",
        "db-01: asked only the first time, so it is unknown whether anything grew there",
    )


def test_by_process_says_how_to_see_each():
    """The key of run merges processes of one name, so the pids take another."""
    note = "processes of one name are one row: --by host,process tells the hosts apart, and the pids"
    assert note in diff(_old(), _new(), ["process"]).notes
    assert note not in diff(_old(), _new(), ["host", "process"]).notes


def test_the_same_twice():
    """No rows, no findings, the totals of what is there, and a note that says how much was compared."""
    report = diff(twenty_hosts(), _later(twenty_hosts()))
    assert (len(report.tables[0]), report.sentences) == (0, ())
    assert report.tables[0].column("growth_kib").total == 0
    assert report.tables[0].column("old_kib").total == report.tables[0].column("new_kib").total
    assert report.notes[1] == "nothing changed in 6 rows, 68 processes on 17 hosts"


def test_another_start_time_is_a_restart():
    """The same pid and name, started later: the kernel gave the pid again."""
    old, new = host("a", _app(5, 9 * MIB)), host("a", _started(_app(5, 2 * MIB), 4711))
    report = diff(snapshot(old), _later(snapshot(new)), ("host", "process"))
    assert _rows(report, "status", "old_pid", "pid") == [("restarted", 5, 5)]


def test_another_name_is_another_process():
    """exec: what was there is gone, what is there is new."""
    old, new = host("a", _app(5, 9 * MIB, "sh")), host("a", _app(5, 2 * MIB, "app"))
    assert _rows(diff(snapshot(old), _later(snapshot(new)), ["process"]), "status", "process") == [
        ("gone", "sh"),
        ("new", "app"),
    ]


def test_another_command_line_is_no_restart():
    """Two programs that are both called python3."""
    old = host("a", _app(5, 9 * MIB, "python3", arguments=("python3", "a.py")))
    new = host("a", _app(6, 9 * MIB, "python3", arguments=("python3", "b.py")))
    assert diff(snapshot(old), _later(snapshot(new))).sentences == (
        "1 process is new, with 9.0M: python3",
        "1 process is gone, which had 9.0M: python3",
    )


def _of_unit(one, unit: str):
    return replace(one, process=replace(one.process, unit=unit, service=unit))


def test_another_command_line_in_the_same_unit_is_a_restart():
    """A deploy changes a path or a flag; the unit tells that it is the same service."""
    old, new = (
        snapshot(host("a", _of_unit(_app(pid, heap, arguments=("app", release)), "app.service")))
        for pid, heap, release in ((5, 9 * MIB, "/srv/r41"), (6, 12 * MIB, "/srv/r42"))
    )
    assert diff(old, _later(new)).sentences == (
        "app on a: 1 process restarted (pid 5, now 6); 9.0M → 12M, +3.0M in [heap]",
    )


def test_a_program_of_two_units_is_paired_within_its_unit():
    """Though the order of their starts is the other way round."""
    old = snapshot(
        host(
            "a",
            *(_started(_of_unit(_app(pid, pid * MIB), f"{unit}.service"), pid) for pid, unit in ((5, "x"), (6, "y"))),
        )
    )
    new = snapshot(
        host(
            "a",
            *(_started(_of_unit(_app(pid, pid * MIB), f"{unit}.service"), pid) for pid, unit in ((7, "y"), (8, "x"))),
        )
    )
    report = diff(old, _later(new), ("host", "service", "process"))
    assert _rows(report, "service", "old_pid", "pid") == [("x.service", 5, 8), ("y.service", 6, 7)]


def _booted(boot: str, *processes):
    can = Capabilities(0, "6.1.0", 4096, boot, "4026531836", "gnu", "gzip", 1)
    return snapshot(replace(host("a", *processes), capabilities=can))


def test_after_a_reboot_everything_was_restarted():
    """pid 1 starts at the same tick of every boot."""
    old, new = _booted("b1", _app(1, 9 * MIB)), _later(_booted("b2", _app(1, 12 * MIB)))
    assert _rows(diff(old, new, ["process"]), "status") == [("restarted",)]
    again = _later(_booted("b1", _app(1, 12 * MIB)))
    assert _rows(diff(old, again, ["process"]), "status") == [("grown",)]


def test_a_process_that_could_not_be_read_is_unknown():
    """A process denied the second time is neither gone nor shrunk, and a note names it."""
    old = snapshot(host("a", _app(5, 9 * MIB), _app(6, 1 * MIB)))
    new = _later(snapshot(host("a", process(5, "app", status="denied"), _app(6, 3 * MIB))))
    report = diff(old, new, ("host", "process"))
    assert _rows(report, "pid", "status", "growth_kib") == [(6, "grown", 2 * MIB)]
    assert report.tables[0].column("old_kib").total == 1 * MIB
    assert "the totals leave out 1 denied process: 5 on a" in report.notes


def test_what_was_left_out_before():
    """Notes on the old snapshot are printed too, unless the new one has the same."""
    old = snapshot(host("a", process(5, "app", status="denied"), _app(6, 1 * MIB)))
    new = _later(snapshot(host("a", _app(5, 9 * MIB), _app(6, 1 * MIB))))
    report = diff(old, new, ["process"])
    assert len(report.tables[0]) == 0
    assert "before, the totals leave out 1 denied process: 5 on a" in report.notes


def test_a_host_without_a_match_is_known():
    """It answered, so its processes ended; those of a host that did not answer are unknown."""
    old = snapshot(host("a", _app(5, 9 * MIB)), host("b", _app(6, 9 * MIB)))
    new = _later(snapshot(host("a"), failed("b", "timeout", "b: no answer in 10 s")))
    report = diff(old, new, ["host"])
    assert _rows(report, "host", "status", "old_kib", "new_kib", "growth_kib") == [
        ("a", "gone", 9 * MIB, 0, -9 * MIB),
        ("b", "unknown", None, None, None),
    ]
    assert report.sentences == ("1 process is gone, which had 9.0M: app",)
    assert report.tables[0].column("old_kib").total == 9 * MIB


def test_a_process_that_exited_is_gone():
    """While it was read, or long before."""
    old = snapshot(host("a", _app(5, 9 * MIB)))
    new = _later(snapshot(host("a", process(5, "app", status="gone"))))
    assert _rows(diff(old, new, ["process"]), "status") == [("gone",)]


def test_a_size_that_the_kernel_does_not_tell():
    """Without PSS there is no growth in it, and a note names the host; RSS grew."""
    old, new = (snapshot(host("a", process(5, "x", mapping("[heap]", Rss=kib)))) for kib in (8 * MIB, 9 * MIB))
    report = diff(old, _later(new))
    assert len(report.tables[0]) == 0
    assert report.tables[0].column("growth_kib").total is None
    assert "pss_kib leaves out a: its kernel has no such field" in report.notes
    assert _rows(diff(old, _later(new), metric="rss_kib"), "growth_kib") == [(MIB,)]


def test_the_wrong_way_round():
    """There are no rates, and a note gives the reason."""
    report = diff(_new(), _old())
    assert set(report.tables[0].column("growth_kib_per_hour").cells()) == {None}
    assert report.notes[0] == (
        "the new one (2026-03-14 15:09:26+00:00) was not taken after the old one (2026-03-14 15:09:46+00:00):"
        " there are no rates"
    )


def test_two_selections():
    """A note comes first if the selections of both runs differ; none if they are equal or unknown."""
    assert diff(_old(), _new(), looked_for=("--match nginx", "every process")).notes[0] == (
        "the old run looked for --match nginx, the new one for every process: "
        "processes that only one of them looked for are listed as new or gone, even if nothing changed"
    )
    for alike in (("--match nginx", "--match nginx"), ("", "--match nginx"), ("--match nginx", "")):
        assert diff(_old(), _new(), looked_for=alike).notes == diff(_old(), _new()).notes


def _rolled_up():
    """The process of `_app(5, …)` with its rollup only."""
    return snapshot(host("a", process(5, "app", mapping(ROLLUP, Rss=9 * MIB, Pss=9 * MIB))))


def test_sums_against_mappings():
    """A rollup and a whole run have their processes in common, but neither sizes of address space nor mappings."""
    whole = snapshot(host("a", _app(5, 4 * MIB)))
    report = diff(whole, _later(_rolled_up()), ("host", "process"))
    assert report.notes[0] == (
        "the new one holds only a sum for each process (--rollup): "
        "size_kib and the number of mappings cannot be compared"
    )
    assert _rows(report, "pid", "status", "growth_kib") == [(5, "grown", 5 * MIB)]
    assert report.sentences == ("app on a (pid 5): grew by 5.0M in 20 s, 256K a second",)
    assert diff(whole, _later(_rolled_up()), ["host"], "size_kib").tables[0].column("growth_kib").total is None


@pytest.mark.parametrize("by", ["mapping", "kind", "path", "perms"])
def test_sums_have_no_mappings_to_compare(by):
    """It is refused: all mappings would be gone, and the rollup new."""
    with pytest.raises(UsageError, match=f"the old one holds only a sum for each process .*, and no {by} to compare"):
        diff(_rolled_up(), _later(snapshot(host("a", _app(5, 4 * MIB)))), ("host", by))


def test_two_rollups_are_alike():
    """Sums are compared with sums as anything is."""
    notes = diff(_rolled_up(), _later(_rolled_up())).notes
    assert notes[1:] == ("nothing changed in 1 row, 1 process on 1 host",)


def test_rates_in_the_table_are_by_the_hour():
    """In whole KiB also where a leak takes a night; only where the same process lived through both runs."""
    rows = dict(_rows(diff(_old(), _later(_new(), 3580), ("host", "process")), "pid", "growth_kib_per_hour"))
    assert rows == {812: 21554, 51: -1024, 1031: None, 1040: None, None: None}


def test_twenty_seconds_give_no_rate_by_the_hour():
    """Nor do 59; a minute does."""
    old, new = snapshot(host("a", _app(5, 0))), snapshot(host("a", _app(5, 10 * MIB)))
    rates = [_rows(diff(old, _later(new, seconds)), "growth_kib_per_hour") for seconds in (20, 59, 60)]
    assert rates == [[(None,)], [(None,)], [(600 * MIB,)]]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "0.5 s"), (20, "20 s"), (150, "2.5 min"), (9000, "2.5 h"), (259200, "3 days")]
)
def test_spans(seconds, text):
    """As one says them."""
    assert span(seconds) == text


def test_shape():
    """--top sums up the rest, --columns chooses; a column that is not there is the user's mistake."""
    report = diff(_old(), _new(), shape=Shape(top=1, columns=("mapping", "status", "growth")))
    assert report.tables[0].rows() == [("[heap]", "grown", 13114), ("(2 more)", None, 972)]
    with pytest.raises(UsageError, match="no column"):
        diff(_old(), _new(), shape=Shape(sort="color"))


@pytest.mark.parametrize("format_", ["csv", "json", "jsonl", "markdown", "html", "parquet"])
def test_every_format(format_):
    """The table goes into each, and the same in each."""
    if format_ == "parquet":
        pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
    file = io.BytesIO()
    EXPORTERS[format_].write(diff(_old(), _new()), file)
    if format_ != "parquet":
        assert b"restarted" in file.getvalue()


def test_different_kernels():
    """A fleet with failures and unknown sizes against itself."""
    report = diff(small_fleet(), _later(small_fleet(), 3600))
    assert len(report.tables[0]) == 0
    assert "nothing changed in 3 rows, 2 processes on 2 hosts" in report.notes
    assert "web-[03-05]: no answer, so it is unknown whether anything grew there" in report.notes


def test_a_host_has_no_rate_over_a_restart():
    """Memory of a new process is not a leak of the old one; a host has a rate if all its processes are the same."""
    old = snapshot(host("a", _app(1, 4 * MIB)), host("b", _app(1, 4 * MIB)), host("c", _app(1, 4 * MIB)))
    new = snapshot(
        host("a", _app(1, 9 * MIB)),
        host("b", _started(_app(2, 9 * MIB), 77)),
        host("c", _app(1, 4 * MIB), _app(3, 5 * MIB, "other")),
    )
    report = diff(old, _later(new, 3600), ["host"])
    assert _rows(report, "host", "status", "growth_kib", "growth_kib_per_hour") == [
        ("a", "grown", 5 * MIB, 5 * MIB),
        ("b", "restarted", 5 * MIB, None),
        ("c", "grown", 5 * MIB, None),
    ]


def test_one_host_told_the_size_only_once():
    """A kernel without PSS the first time: the host is in no row and no total, and a note names it."""
    old, new = (
        snapshot(host("a", process(5, "x", mapping("[heap]", **fields))), host("b", _app(6, heap)))
        for fields, heap in (({"Rss": 8 * MIB}, MIB), ({"Rss": 8 * MIB, "Pss": 8 * MIB}, 2 * MIB))
    )
    report = diff(old, _later(new), ["host"])
    assert _rows(report, "host", "status", "old_kib", "new_kib", "growth_kib") == [
        ("b", "grown", MIB, 2 * MIB, MIB),
        ("a", "unknown", None, None, None),
    ]
    assert report.tables[0].column("new_kib").total == 2 * MIB
    assert "a: pss_kib is known in only one of the runs, so it is unknown whether anything grew there" in report.notes


def _thirty_hosts():
    """Thirty hosts that grow by 100 to 3000 KiB, one of them the other way."""
    names = [f"w{n:02}" for n in range(1, 31)]
    kib = [100 * slot * (-1 if slot == 29 else 1) for slot in range(1, 31)]
    old = snapshot(*(host(name, _app(1, 9_000_000)) for name in names))
    new = snapshot(*(host(name, _app(1, 9_000_000 + more)) for name, more in zip(names, kib, strict=True)))
    return old, _later(new)


@pytest.mark.parametrize("shape", [Shape(top=3), Shape(top=3, sort="growth")])
def test_the_largest_change_is_first_whatever_its_sign(shape):
    """In --top and in --sort alike: what is not listed is smaller."""
    table = diff(*_thirty_hosts(), ["host"], shape=shape).tables[0]
    assert table.column("host").cells() == ["w30", "w29", "w28", "(27 more)"]
    assert table.column("growth_kib").cells() == [3000, -2900, 2800, 37_800]
    assert table.column("processes").cells() == [1, 1, 1, 27]


def test_a_terminal_has_the_largest_rows():
    """Ten, and one for the others, in the same order; a file has all."""
    report = diff(*_thirty_hosts(), ["host"])
    assert report.brief is not None
    assert report.brief.tables[0].column("host").cells()[:3] == ["w30", "w29", "w28"]
    assert report.brief.tables[0].column("host").cells()[10:] == ["(20 more)"]
    assert len(report.tables[0]) == 30


def test_a_terminal_leaves_out_columns_that_say_nothing():
    """They can be sorted by, and be asked for."""
    report = diff(*_thirty_hosts(), ["host"], shape=Shape(sort="restarted"))
    assert report.brief is not None
    names = [column.name for column in report.brief.tables[0].columns]
    assert names == ["old_kib", "new_kib", "growth_kib", "host", "status"]
    asked = diff(*_thirty_hosts(), ["host"], shape=Shape(columns=("host", "restarted")))
    assert asked.brief is not None
    assert [column.name for column in asked.brief.tables[0].columns] == ["host", "restarted"]
