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


@pytest.mark.parametrize("by", ["mapping", "kind", "process", "host"])
def test_by(by):
    """Grown, shrunk, new, gone and restarted, largest growth first; hosts that cannot be compared are in no total."""
    text = plain(diff(_old(), _new(), by))
    assert text == expected(f"diff_by_{by}.txt", text)


def test_sentences():
    """First growth, with its rate; then restarts; then new and gone processes."""
    assert diff(_old(), _new()).findings == (
        "web-01: [heap] of app (pid 812) grew by 20.1M in 20 s, 1.0M a second",
        "web-01: /memfd:x of app (pid 812) is new, with 3.0M",
        "web-01: cache (pid 900) was restarted as pid 1031: 12.0M before, 4.0M now",
        "1 process is new, with 2.0M",
        "1 process is gone, which had 300K",
    )


def test_notes_say_when_and_who_is_left_out():
    """A host that failed or was not asked once is unknown; what stayed is only counted."""
    assert diff(_old(), _new()).notes == (
        "from 2026-03-14 15:09:26+00:00 to 2026-03-14 15:09:46+00:00, 20 s",
        "web-03: no answer the second time, so it is unknown whether anything grew there",
        "web-04: asked only the second time, so it is unknown whether anything grew there",
        "db-01: asked only the first time, so it is unknown whether anything grew there",
        "1 more did not change: they are in the totals only",
    )


def test_the_same_twice():
    """No rows, no sentences, and the totals of what is there."""
    report = diff(twenty_hosts(), _later(twenty_hosts()))
    assert (len(report.tables[0]), report.findings) == (0, ())
    assert report.tables[0].column("growth_kib").total == 0
    assert report.tables[0].column("old_kib").total == report.tables[0].column("new_kib").total


def test_another_start_time_is_a_restart():
    """The same pid and name, started later: the kernel gave the pid again."""
    old, new = host("a", _app(5, 9 * MIB)), host("a", _started(_app(5, 2 * MIB), 4711))
    assert _rows(diff(snapshot(old), _later(snapshot(new)), "process"), "status", "old_pid", "pid") == [
        ("restarted", 5, 5)
    ]


def test_another_name_is_another_process():
    """exec: what was there is gone, what is there is new."""
    old, new = host("a", _app(5, 9 * MIB, "sh")), host("a", _app(5, 2 * MIB, "app"))
    assert _rows(diff(snapshot(old), _later(snapshot(new)), "process"), "status", "name") == [
        ("new", "app"),
        ("gone", "sh"),
    ]


def test_another_command_line_is_no_restart():
    """Two programs that are both called python3."""
    old = host("a", _app(5, 9 * MIB, "python3", arguments=("python3", "a.py")))
    new = host("a", _app(6, 9 * MIB, "python3", arguments=("python3", "b.py")))
    assert sorted(_rows(diff(snapshot(old), _later(snapshot(new)), "process"), "status")) == [("gone",), ("new",)]


def _booted(boot: str, *processes):
    can = Capabilities(0, "6.1.0", 4096, boot, "4026531836", "gnu", "gzip", 1)
    return snapshot(replace(host("a", *processes), capabilities=can))


def test_after_a_reboot_everything_was_restarted():
    """pid 1 starts at the same tick of every boot."""
    old, new = _booted("b1", _app(1, 9 * MIB)), _later(_booted("b2", _app(1, 12 * MIB)))
    assert _rows(diff(old, new, "process"), "status") == [("restarted",)]
    again = _later(_booted("b1", _app(1, 12 * MIB)))
    assert _rows(diff(old, again, "process"), "status") == [("grown",)]


def test_many_restarts_are_one_sentence():
    """A deploy: the workers of a fleet, first to start after first to start."""
    old = snapshot(*(host(f"w{n}", _app(10, 3 * MIB), _app(11, 4 * MIB)) for n in range(1, 4)))
    new = _later(snapshot(*(host(f"w{n}", _app(20, 2 * MIB), _app(21, 2 * MIB)) for n in range(1, 4))))
    assert diff(old, new).findings == ("app was restarted on w[1-3], 6 processes: 21.0M before, 12.0M now",)


def test_a_process_that_could_not_be_read_is_unknown():
    """A process denied the second time is neither gone nor shrunk, and a note names it."""
    old = snapshot(host("a", _app(5, 9 * MIB), _app(6, 1 * MIB)))
    new = _later(snapshot(host("a", process(5, "app", status="denied"), _app(6, 3 * MIB))))
    report = diff(old, new, "process")
    assert _rows(report, "pid", "status", "growth_kib") == [(6, "grown", 2 * MIB)]
    assert report.tables[0].column("old_kib").total == 1 * MIB
    assert "the totals leave out 1 denied process: 5 on a" in report.notes


def test_what_was_left_out_before():
    """Notes on the old snapshot are printed too, unless the new one has the same."""
    old = snapshot(host("a", process(5, "app", status="denied"), _app(6, 1 * MIB)))
    new = _later(snapshot(host("a", _app(5, 9 * MIB), _app(6, 1 * MIB))))
    report = diff(old, new, "process")
    assert len(report.tables[0]) == 0
    assert "before, the totals leave out 1 denied process: 5 on a" in report.notes


def test_a_process_that_exited_is_gone():
    """While it was read, or long before."""
    old = snapshot(host("a", _app(5, 9 * MIB)))
    new = _later(snapshot(host("a", process(5, "app", status="gone"))))
    assert _rows(diff(old, new, "process"), "status") == [("gone",)]


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
    report = diff(whole, _later(_rolled_up()), "process")
    assert report.notes[0] == (
        "the new one holds only a sum for each process (--rollup): "
        "size_kib and the number of mappings cannot be compared"
    )
    assert _rows(report, "pid", "status", "growth_kib") == [(5, "grown", 5 * MIB)]
    assert diff(whole, _later(_rolled_up()), "host", "size_kib").tables[0].column("growth_kib").total is None


@pytest.mark.parametrize("by", ["mapping", "kind"])
def test_sums_have_no_mappings_to_compare(by):
    """It is refused: all mappings would be gone, and the rollup new."""
    with pytest.raises(UsageError, match=f"the old one holds only a sum for each process .*, and no {by} to compare"):
        diff(_rolled_up(), _later(snapshot(host("a", _app(5, 4 * MIB)))), by)


def test_two_rollups_are_alike():
    """Sums are compared with sums as anything is."""
    notes = diff(_rolled_up(), _later(_rolled_up())).notes
    assert notes[1:] == ("1 more did not change: they are in the totals only",)


def test_rates_in_the_table_are_by_the_hour():
    """In whole KiB also where a leak takes a night; what is not the same process has none."""
    rows = dict(_rows(diff(_old(), _new(), "process"), "pid", "growth_kib_per_hour"))
    assert rows[812] == 3_879_720
    assert rows[1031] is None


@pytest.mark.parametrize(
    ("seconds", "rate"),
    [(20, "20 s, 512K a second"), (600, "10 min, 1.0M a minute"), (36_000, "10 h, 1.0M an hour")],
)
def test_rates_in_sentences(seconds, rate):
    """In the unit in which they are a figure."""
    old, new = snapshot(host("a", _app(5, 0))), snapshot(host("a", _app(5, 10 * MIB)))
    assert diff(old, _later(new, seconds)).findings == (f"a: [heap] of app (pid 5) grew by 10.0M in {rate}",)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "0.5 s"), (20, "20 s"), (150, "2.5 min"), (9000, "2.5 h"), (259200, "3 days")]
)
def test_spans(seconds, text):
    """As one says them."""
    assert span(seconds) == text


def test_shape():
    """--top sums up the rest, --columns chooses; a column that is not there is the user's mistake."""
    report = diff(_old(), _new(), shape=Shape(top=2, columns=("host", "status", "growth_kib")))
    assert report.tables[0].rows()[0] == ("web-01", "grown", 20 * MIB + 102)
    assert report.tables[0].rows()[2][0] == "(5 more)"
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
    assert "web-[03-05]: no answer, so it is unknown whether anything grew there" in report.notes


def test_a_host_has_no_rate_over_a_restart():
    """Memory of a new process is not a leak of the old one; a host has a rate if all its processes are the same."""
    old = snapshot(host("a", _app(1, 4 * MIB)), host("b", _app(1, 4 * MIB)), host("c", _app(1, 4 * MIB)))
    new = snapshot(
        host("a", _app(1, 9 * MIB)),
        host("b", _started(_app(2, 9 * MIB), 77)),
        host("c", _app(1, 4 * MIB), _app(3, 5 * MIB, "other")),
    )
    report = diff(old, _later(new, 3600), "host")
    assert _rows(report, "host", "status", "growth_kib", "growth_kib_per_hour") == [
        ("a", "grown", 5 * MIB, 5 * MIB),
        ("b", "grown", 5 * MIB, None),
        ("c", "grown", 5 * MIB, None),
    ]
    assert report.findings[:3] == (
        "a grew by 5.0M in 60 min, 5.0M an hour",
        "b grew by 5.0M, with other processes than before",
        "c grew by 5.0M, with other processes than before",
    )


@pytest.mark.parametrize("by", ["mapping", "kind", "process", "host"])
def test_top_keeps_what_grew_most(by: str):
    """Not the first by name, nor the largest; the rest is one row."""
    names = [f"w{n:02}" for n in range(30)]
    old = snapshot(*(host(name, _app(1, 9_000_000 - slot)) for slot, name in enumerate(names)))
    new = snapshot(*(host(name, _app(1, 9_000_000 - slot + slot * 10)) for slot, name in enumerate(names)))
    table = diff(old, _later(new), by, shape=Shape(top=2)).tables[0]
    assert table.column("host").cells() == ["w29", "w28", f"({28 if by == 'host' else 27} more)"]
    assert table.column("growth_kib").cells() == [290, 280, 3780]
