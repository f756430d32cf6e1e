"""Processes whose mappings may not be read: RSS and swap are in every sum, by their status, and nothing else is."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpmap.catalogue import ViewOptions
from fleetpmap.cli.outputs import sums_for
from fleetpmap.collection.batch import snapshots
from fleetpmap.export.as_html.page_sections import page_of
from fleetpmap.export.as_json import write_json
from fleetpmap.export.as_jsonl import write_jsonl
from fleetpmap.export.as_openmetrics import write_openmetrics
from fleetpmap.pmap_letters import Letters
from fleetpmap.report import VIEWS, Report, compare, diff, hosts, mappings, merged, page, pmap, processes, stale
from fleetpmap.report.grouping import share_metric
from fleetpmap.report.notes import notes_on_listed
from fleetpmap.report.shape import Shape
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import Snapshot
from fleetpmap.table import (
    METRICS,
    concatenate,
    from_columns,
    is_unreadable,
    summed,
    with_unreadable,
    without_unreadable,
)
from fleetpmap.watch.line import round_line
from fleetpmap.wire import Resident
from snapshots import host, mapping, process, sizes, snapshot, unreadable
from test_interpret import _unpacked
from test_table import FIELDS, columns

Cells = dict[str, list[object]]


def _cells(report: Report) -> Cells:
    return {column.name: column.cells() for column in report.tables[0].columns}


def _row(report: Report, column: str, cell: str) -> dict[str, object]:
    cells = _cells(report)
    return {name: values[cells[column].index(cell)] for name, values in cells.items()}


def _totals(report: Report) -> dict[str, int | None]:
    return {column.name: column.total for column in report.tables[0].columns if column.rule}


def _whole(path: str = "/m", pss: int = 30) -> object:
    return mapping(path, **sizes(40, 32, pss, 2, 4, 6, 8, 7, 0, 0))


def _in_part() -> Snapshot:
    """a: one process read, two denied; b: one denied; c: one read."""
    return snapshot(
        host("a", process(1, "x", _whole()), unreadable(7, "db", 500, 5), unreadable(8, "db", 300)),
        host("b", unreadable(9, "db", 200)),
        host("c", process(1, "x", _whole())),
    )


def _nothing_read() -> Snapshot:
    return snapshot(
        host("a", unreadable(7, "db", 500, 5), unreadable(8, "db", 300)), host("b", unreadable(9, "db", 200))
    )


KNOWN = {"rss_kib", "swap_kib"}
UNKNOWN = ("size_kib", "pss_kib", "uss_kib", "dirty_kib", "swap_pss_kib", "hugetlb_kib")


# The table.


def test_rows_stand_in_the_order_of_the_processes():
    """Wherever they are added: before, between and after the rows of other processes; unknown is null."""
    table = with_unreadable(from_columns(columns(FIELDS, process=(1, 3))), {4: (70, None), 0: (90, 3), 2: (80, 0)})
    assert table.process.tolist() == [0, 1, 2, 3, 4]
    assert table.mappings.tolist() == [0, 1, 0, 1, 0]
    assert table.mapping.texts() == ["(not readable)", "libc.so.6", "(not readable)", "[anon]", "(not readable)"]
    assert {name: values.tolist() for name, values in table.metrics.items()} == {
        "size_kib": [NULL, 8, NULL, 8, NULL],
        "rss_kib": [90, 8, 80, 4, 70],
        "pss_kib": [NULL, 3, NULL, 4, NULL],
        "uss_kib": [NULL, 2, NULL, 4, NULL],
        "dirty_kib": [NULL, 1, NULL, 3, NULL],
        "swap_kib": [3, 0, 0, 16, NULL],
        "swap_pss_kib": [NULL, 0, NULL, 9, NULL],
        "hugetlb_kib": [NULL, 6144, NULL, 0, NULL],
    }


def test_they_can_be_taken_out_again():
    """Without them the table is what it was, to its names and the order of its fields."""
    before = from_columns(columns({"Size": [8, 8], "Pss": [3, 4]}))
    after = without_unreadable(with_unreadable(before, {1: (70, 0)}))
    assert (after.path.names, after.kind.names) == (before.path.names, before.kind.names)
    assert (after.process.tolist(), [*after.fields]) == ([0, 0], ["Size", "Pss"])
    assert after.metrics["size_kib"].tolist() == [8, 8]


def test_a_path_of_that_name_is_still_a_mapping():
    """A host can print any path; only a row without a mapping is no mapping."""
    table = from_columns(columns(FIELDS, paths=("(not readable)", "/lib/libc.so.6")))
    assert not is_unreadable(table).any()
    assert without_unreadable(table) is table
    assert table.metrics["size_kib"].tolist() == [8, 8]


def test_fields_keep_the_kernels_order():
    """A host on which nothing was readable has no order, so it does not decide that of the fleet."""
    denied = with_unreadable(concatenate([]), {0: (70, 0)})
    read = from_columns(columns(FIELDS))
    assert [*concatenate([(denied, 0), (read, 1)]).fields] == [*FIELDS]


def test_sums_of_mappings_and_of_processes_beside_each_other():
    """The rows join those that were summed before, by whatever they were summed."""
    for by in ((), ("path",), ("path", "perms")):
        table = with_unreadable(summed(from_columns(columns(FIELDS)), by), {1: (70, 5)})
        assert table.metrics["size_kib"].tolist()[-1] == NULL
        assert {int(table.metrics[name][-1]) for name in UNKNOWN} == {NULL}
        assert (sum(table.metrics["rss_kib"].tolist()), sum(table.mappings.tolist())) == (82, 2)
        again = summed(table, by)
        assert [again.metrics[name].tolist()[-1] for name in METRICS] == [NULL, 70, *[NULL] * 3, 5, NULL, NULL]


@pytest.mark.parametrize("views", [("mappings",), ("merged",), ("hosts",)])
def test_a_reply_with_processes_that_may_not_be_read(views: tuple[str, ...]):
    """The recorded web-03 has them between others; each has its row, and its status stays."""
    reply = _unpacked("web-03")
    reading = reply.reading
    assert reading is not None
    first, *others = reading.processes
    told = replace(first, status="denied", start=0, stop=0, resident=Resident(4321, swap_kib=12))
    smaps = reading.smaps[first.stop :]
    moved = [replace(other, start=other.start - first.stop, stop=other.stop - first.stop) for other in others]
    changed = replace(reply, reading=replace(reading, smaps=smaps, processes=(told, *moved)))
    one, both = snapshots([changed, _unpacked("web-02")], rollups=False, sums=sums_for(views))
    place = [process.pid for process in one.processes].index(first.pid)
    row = one.table.process.tolist().index(place)
    assert (one.processes[place].status, one.status) == ("denied", "partial")
    assert [int(one.table.metrics[name][row]) for name in ("rss_kib", "swap_kib", "pss_kib")] == [4321, 12, NULL]
    assert one.table.process.tolist() == sorted(one.table.process.tolist())
    assert not is_unreadable(both.table).any() or "unsupported" in {process.status for process in both.processes}


# What of a process is known.


@pytest.mark.parametrize("status", ["denied", "unsupported", "cut"])
def test_a_status_is_read_where_smaps_is_not(status: str):
    """The process keeps its status, and its RSS says where it comes from."""
    report = processes(snapshot(host("a", process(1, "x", _whole()), unreadable(7, "db", 500, 5, status=status))))
    cells = _cells(report)
    assert cells["status"] == ["read", status]
    assert cells["rss_source"] == ["smaps", "status"]
    assert (cells["rss_kib"], cells["swap_kib"]) == ([32, 500], [8, 5])
    assert [cells[name][1] for name in ("mappings", *UNKNOWN)] == [None] * 7


@pytest.mark.parametrize("status", ["gone", "reused", "kernel", "zombie", "empty", "skipped"])
def test_of_any_other_status_nothing_is_known(status: str):
    """Its memory is gone, or was not asked for."""
    report = processes(snapshot(host("a", unreadable(7, "db", 500, status=status))))
    assert [_cells(report)[name] for name in ("rss_kib", "rss_source")] == [[None], [None]]


def test_a_host_that_shows_no_status():
    """Without its status a denied process is left out, and the note says that."""
    report = merged(snapshot(host("a", process(7, "db", status="denied", reason="run with --sudo to read it"))))
    assert (len(report.tables[0]), _totals(report)["rss_kib"]) == (0, None)
    assert report.notes == ("the totals leave out 1 denied process: 7 on a (run with --sudo to read it)",)


def test_columns_of_a_status():
    """The largest RSS and oom_score_adj, -1 among them, are those of the host; unknown where it shows none."""
    one = process(1, "x", _whole(), resident=Resident(32, hwm_kib=64))
    fleet = snapshot(host("a", one, process(2, "y", _whole()), unreadable(7, "db", 500)))
    scored = [replace(each, oom_score_adj=score) for each, score in zip(fleet.processes, (-1, 200, -1000), strict=True)]
    fleet = replace(fleet, processes=tuple(scored))
    assert [_cells(processes(fleet))[name] for name in ("hwm_kib", "oom_score_adj")] == [
        [64, None, None],
        [-1, 200, -1000],
    ]
    assert _cells(processes(fleet, Shape(sort="oom_score_adj")))["pid"] == [2, 1, 7]


# Views whose sums have them.


def test_merged_has_one_row():
    """RSS and swap of all of them; the sizes that nothing is known of are unknown, not zero."""
    row = _row(merged(_in_part()), "mapping", "(not readable)")
    assert (row["hosts"], row["processes"], row["rss_kib"], row["swap_kib"]) == (2, 3, 1000, 5)
    assert {row[name] for name in ("mappings", "paths", *UNKNOWN)} == {None}


def test_totals_of_merged():
    """RSS and swap are whole, PSS is the sum of what is known, and counts are those of what was read."""
    totals = _totals(merged(_in_part()))
    assert (totals["rss_kib"], totals["swap_kib"], totals["pss_kib"]) == (1064, 21, 60)
    assert (totals["mappings"], totals["paths"], totals["hosts"], totals["processes"]) == (2, 1, 3, 5)


@pytest.mark.parametrize("by", ["host", "process", "user", "service", "kind", "path", "perms"])
def test_merged_by_any_key(by: str):
    """No key loses a process: the sums are the same."""
    report = merged(_in_part(), (by,))
    assert sum(cell for cell in _cells(report)["rss_kib"] if isinstance(cell, int)) == 1064
    assert _totals(report)["rss_kib"] == 1064


def test_merged_by_host_adds_what_is_known():
    """The PSS of a host that was read in part is that of the part; of a host without any, unknown."""
    cells = _cells(merged(_in_part(), ("host",)))
    by_host = dict(
        zip(cells["host"], zip(cells["rss_kib"], cells["pss_kib"], cells["mappings"], strict=True), strict=True)
    )
    assert by_host == {"a": (832, 30, 1), "b": (200, None, None), "c": (32, 30, 1)}


def test_the_row_is_placed_by_its_rss():
    """Its PSS is at most its RSS, so it stands where that puts it, with --top too."""
    fleet = snapshot(
        host("a", process(1, "x", _whole("/big", 900), _whole("/small", 20)), unreadable(7, "db", 500)),
    )
    assert _cells(merged(fleet))["mapping"] == ["/big", "(not readable)", "/small"]
    assert _cells(merged(fleet, shape=Shape(top=2)))["mapping"] == ["/big", "(not readable)", "(1 more)"]


def test_a_row_left_out_by_top():
    """What (N more) counts of it alone is unknown, what it sums is not."""
    more = _row(merged(_in_part(), shape=Shape(top=1, sort="pss")), "mapping", "(1 more)")
    assert [more[name] for name in ("rss_kib", "pss_kib", "paths", "mappings", "processes")] == [
        1000,
        None,
        None,
        None,
        3,
    ]


def test_hosts_are_whole_in_rss():
    """A host of which nothing could be read has its RSS and swap, and no mappings that it does not have."""
    report = hosts(_in_part())
    assert _row(report, "host", "a")["rss_kib"] == 832
    row = _row(report, "host", "b")
    assert (row["status"], row["processes"], row["absent"], row["rss_kib"], row["swap_kib"]) == (
        "partial",
        0,
        1,
        200,
        0,
    )
    assert {row[name] for name in ("mappings", *UNKNOWN)} == {None}
    assert (_totals(report)["mappings"], _totals(report)["rss_kib"], _totals(report)["pss_kib"]) == (2, 1064, 60)


def test_over_one_more_process_rss_is_an_upper_bound():
    """What it shares with the process that was read is counted twice."""
    report = hosts(snapshot(host("a", process(1, "x", _whole()), unreadable(7, "db", 500))))
    assert {column.name: column.rule for column in report.tables[0].columns}["rss_kib"] == "upper bound"


def test_rows_are_compared_by_pss_all_the_same():
    """A process that may not be read is no reason to fall back to RSS, unless nothing else is known."""
    assert share_metric(_in_part()) == "pss_kib"
    assert share_metric(_nothing_read()) == "rss_kib"
    assert share_metric(snapshot(host("a"))) == "pss_kib"
    no_pss = host("old", process(1, "x", mapping(Rss=3)), unreadable(7, "db", 500))
    assert share_metric(snapshot(no_pss)) == "rss_kib"


# What is said of them.


def test_one_sentence():
    """It says what is in the totals and from where, what is unknown, of which processes, and what to do."""
    why = "run with --sudo to read it"
    one, two = (replace(each.process, reason=why) for each in (unreadable(8, "db", 5), unreadable(9, "db", 6)))
    fleet = snapshot(
        host("a", replace(unreadable(8, "db", 5), process=one), replace(unreadable(9, "db", 6), process=two))
    )
    assert merged(fleet).notes == (
        "the totals have only RSS and swap of 2 denied processes, from /proc/PID/status; PSS and USS are not known: "
        "8, 9 on a (run with --sudo to read it)",
    )


def test_a_status_without_swap():
    """Before 2.6.34 there is no VmSwap, so no total of swap has it; the sentence names RSS alone."""
    report = hosts(snapshot(host("a", unreadable(8, "db", 500, None))))
    assert (_totals(report)["rss_kib"], _totals(report)["swap_kib"]) == (500, None)
    assert report.notes == (
        "the totals have only RSS of 1 denied process, from /proc/PID/status; PSS and USS are not known: 8 on a",
    )


def test_what_a_run_will_know():
    """Of processes that are only listed, the same is said of the run: what it can read of which, and why not more."""
    too_large = process(9, "db", status="skipped", reason="its RSS of 70.0G is over --max-rss 64.0G")
    denied = process(8, "db", status="denied", reason="run with --sudo to read it")
    assert notes_on_listed(snapshot(host("a", denied, too_large, process(1, "x", status="gone")))) == (
        "run reads only RSS and swap of 1 denied process: 8 on a (run with --sudo to read it)",
        "run leaves out 1 skipped process: 9 on a (its RSS of 70.0G is over --max-rss 64.0G)",
    )


def test_the_kernel_is_not_to_blame():
    """No note says that a kernel lacks what may not be read; a kernel that does lack it is still named."""
    assert not any("kernel" in note for view in (merged, hosts, processes) for note in view(_in_part()).notes)
    old = host("old", process(1, "x", mapping(Rss=3)), unreadable(7, "db", 500))
    assert merged(snapshot(old)).notes[0].startswith("pss_kib, uss_kib, dirty_kib, swap_kib, ")
    assert "old: its kernel has no Pss, " in merged(snapshot(old)).notes[0]


# Views of mappings, which do not have them.


def test_mappings_are_mappings():
    """No row, no field of theirs, and a note that the totals there leave them out."""
    report = mappings(_in_part())
    assert _cells(report)["path"] == ["/m", "/m"]
    assert _totals(report)["rss_kib"] == 64
    assert report.notes == ("the totals leave out 3 denied processes: 7, 8 on a; 9 on b",)
    assert mappings(_nothing_read()).tables[0].columns[-1].name == "started"
    assert "rss_kib" not in _cells(mappings(_nothing_read()))
    asked = mappings(_nothing_read(), Shape(columns=("path", "rss")))
    assert (len(asked.tables[0]), _totals(asked)) == (0, {"rss_kib": None})


def test_pmap_prints_their_first_line_alone():
    """As pmap does, and its table has no row of them."""
    report = pmap(_in_part(), Letters(format="extended"))
    assert _cells(report)["mapping"] == ["m", "m"]
    assert "not readable" not in str(report.text)
    assert "==> b <==\n9:   db\n" in str(report.text)


def test_compare_does_not_take_them_for_a_mapping():
    """What a denied process maps is unknown; the services of processes that were read are judged on its host, too."""
    report = compare(_in_part(), "rss_kib")
    cells = _cells(report)
    assert cells["mapping"] == ["processes", "/m"]
    assert (cells["a"], cells["b"], cells["c"]) == ([1, 32], [0, "not-run"], [1, 32])
    assert report.notes[0] == "not judged: db on a,b, read only in part"


def test_compare_of_nothing_that_was_read():
    """No mapping is known, so there is nothing to compare."""
    assert _cells(compare(_nothing_read()))["mapping"] == ["processes"]


def test_diff_does_not_take_a_right_for_growth():
    """A process that was denied the first time and read the second did not grow; the notes name it."""
    old = snapshot(host("a", process(1, "x", _whole()), unreadable(7, "db", 500)))
    new = snapshot(host("a", process(1, "x", _whole()), process(7, "db", _whole())))
    for by in ("mapping", "kind", "process", "host"):
        report = diff(old, new, (by,), "rss_kib")
        assert [row for row in report.tables[0].rows() if "grown" in row or "new" in row or "gone" in row] == []
        assert _totals(report)["old_kib"] == _totals(report)["new_kib"] == 32
        assert "before, the totals leave out 1 denied process: 7 on a" in report.notes


def test_stale_names_the_files_of_the_others():
    """A file that is known is named, and that the denied ones are not in the sum."""
    gone = mapping("/usr/lib/libx.so (deleted)", perms="r-xp", **sizes(4, 3, 3, 0, 3, 0, 0, 0, 0, 0))
    report = stale(snapshot(host("a", process(1, "x", gone), unreadable(7, "db", 500))))
    assert _cells(report)["path"] == ["/usr/lib/libx.so"]
    assert _totals(report)["rss_kib"] == 3
    assert report.notes == ("the totals leave out 1 denied process: 7 on a",)
    assert _totals(stale(_nothing_read()))["rss_kib"] is None


def test_what_a_process_belongs_to_is_in_mappings_and_stale():
    """A row of one process has its service, unit, container, pod and start."""
    gone = mapping("/usr/lib/libx.so (deleted)", perms="r-xp", Rss=3)
    fleet = snapshot(host("a", process(1, "x", mapping("/m", Rss=1)), process(2, "y", gone)))
    belongs = {"unit": "shop.service", "service": "shop.service", "container": "docker/0123456789ab", "pod": "p-1"}
    one, two = fleet.processes
    fleet = replace(fleet, processes=(one, replace(two, **belongs, started=1_800_000_000.0)))
    for report in (mappings(fleet), stale(fleet, ("host", "process"))):
        row = _row(report, "path", "/usr/lib/libx.so")
        assert {name: row[name] for name in belongs} == belongs
        assert row["started"] == "2027-01-15T08:00:00Z"
    assert [_row(mappings(fleet), "path", "/m")[name] for name in (*belongs, "started")] == [None] * 5


# Where it goes.


def test_every_view_and_export_takes_them(tmp_path: Path):
    """All views, and what is loaded again has the same ones."""
    pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
    from fleetpmap.snapshot_file import load_snapshot, write_snapshot

    for fleet in (_in_part(), _nothing_read()):
        file = io.BytesIO()
        write_snapshot(fleet, file)
        (tmp_path / "saved.parquet").write_bytes(file.getvalue())
        again = load_snapshot(tmp_path / "saved.parquet")
        assert again.table.mappings.tolist() == fleet.table.mappings.tolist()
        assert [*again.table.fields] == [*fleet.table.fields]
        for name, view in VIEWS.items():
            before, after = (view(each, ViewOptions()) for each in (fleet, again))
            assert [table.rows() for table in after.tables] == [table.rows() for table in before.tables], name
            assert (after.notes, after.text) == (before.notes, before.text)


def test_a_saved_file_has_a_row_for_each_mapping(tmp_path: Path):
    """The rows of processes that were not read follow from the processes, and are no rows of the file."""
    pl = pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
    from fleetpmap.snapshot_file import write_snapshot

    with (tmp_path / "saved.parquet").open("wb") as file:
        write_snapshot(_in_part(), file)
    frame = pl.read_parquet(tmp_path / "saved.parquet")
    assert (frame.height, frame["rss_kib"].sum()) == (2, 64)


def test_json_has_null_where_nothing_is_known():
    """Null is unknown: neither zero nor left out."""
    file = io.BytesIO()
    write_json(merged(_in_part()), file)
    document = json.loads(file.getvalue())
    [row] = [row for row in document["rows"] if row["mapping"] == "(not readable)"]
    assert (row["rss_kib"], row["pss_kib"], row["mappings"]) == (1000, None, None)
    assert (document["total"]["rss_kib"], document["total"]["pss_kib"]) == (1064, 60)
    assert document["coverage"]["processes"] == {"matched": 5, "read": 2, "denied": 3}


def test_jsonl_of_processes():
    """Each line says where its RSS is from."""
    file = io.BytesIO()
    write_jsonl(processes(_in_part()), file)
    rows = [json.loads(line) for line in file.getvalue().splitlines()[:-1]]
    assert [(row["rss_kib"], row["rss_source"]) for row in rows] == [
        *((32, "smaps"), (500, "status"), (300, "status"), (200, "status"), (32, "smaps")),
    ]


def test_openmetrics_has_no_sample_of_what_is_unknown():
    """RSS has one of every host, PSS of those where any is known."""
    file = io.BytesIO()
    write_openmetrics(hosts(_in_part()), file)
    text = file.getvalue().decode()
    assert 'fleetpmap_rss_bytes{host="b"} 204800\n' in text
    assert 'fleetpmap_pss_bytes{host="a"} 30720\n' in text
    assert 'fleetpmap_pss_bytes{host="b"}' not in text


def test_areas_of_a_page():
    """Areas are PSS, so those without one have none; where nothing is known but RSS, they are RSS."""
    in_part, nothing = (
        page_of(page(VIEWS["summary"], fleet, ViewOptions())) for fleet in (_in_part(), _nothing_read())
    )
    assert (in_part.metric, [kind.name for kind in in_part.kinds]) == ("pss", ["file"])
    assert (nothing.metric, [(kind.name, kind.kib) for kind in nothing.kinds]) == ("rss", [("(not readable)", 1000)])
    assert [(line.name, line.text) for line in nothing.headlines][:3] == [
        ("pss", "?"),
        ("uss", "?"),
        ("rss", "≤1000K"),
    ]


def test_rounds_of_a_watch():
    """The line of a round tells RSS where no PSS is known."""
    assert "processes 0  rss 1000 kB" in round_line(_nothing_read(), _nothing_read())
