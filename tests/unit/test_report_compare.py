"""compare: one service on all its hosts, side by side."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from fleet_of_twenty import twenty_hosts
from fleetpmap.errors import UsageError
from fleetpmap.escape import escape_cell
from fleetpmap.export import EXPORTERS
from fleetpmap.export.as_csv import write_csv
from fleetpmap.render import plain, table
from fleetpmap.report import Report, Shape, compare
from snapshots import expected, failed, host, mapping, process, snapshot

MIB = 1024


def _app(*mappings, pid=1, **facts):
    return process(pid, "app", *mappings, **facts)


def _kib(path, kib, **how):
    """A mapping with private pages only."""
    fields = {"Rss": kib, "Pss": kib, "Shared_Clean": 0, "Shared_Dirty": 0, "Private_Clean": 0, "Private_Dirty": kib}
    return mapping(path, size=kib, **(fields | how))


def _fleet(*kib_of_heap):
    return snapshot(*(host(f"w{n}", _app(_kib("[heap]", kib))) for n, kib in enumerate(kib_of_heap, 1)))


def _row(report: Report, name: str):
    columns = report.tables[0].columns
    row = columns[0].cells().index(name)
    return {column.name: column.cells()[row] for column in columns}


def _csv(report: Report, **how: bool) -> str:
    file = io.BytesIO()
    write_csv(report, file, **how)
    return file.getvalue().decode()


def _screen(report: Report, width: int, *, human: bool = True) -> str:
    console = Console(width=width, soft_wrap=True, color_system=None)
    with console.capture() as drawn:
        console.print(table(report, human=human))
    return drawn.get()


_UNPACKED = (
    *("libnetty_tcnative_linux_x86_64{}.so", "libzstd-jni-1.5.5-5{}.so", "jna-3506402/jna{}.tmp"),
    *("liblz4-java-{}.so", "brotli{}/libbrotli.so"),
)


def _unpacked(number: int):
    names = [f"/tmp/{name.format(number)} (deleted)" for name in _UNPACKED]
    return [_kib(name, 3 * MIB, perms="r-xp", start=at << 24) for at, name in enumerate(names, 1)]


def test_libraries_unpacked_under_random_names_are_one_on_all_hosts():
    """Five equal Java services: nothing stands apart, and each library is a row."""
    numbers = (8822334455667788990, 1234567890123456789, 9012345678901234567, 7103948571039485710, 55667788990011223)
    report = compare(snapshot(*(host(f"kafka{n}", _app(*_unpacked(one))) for n, one in enumerate(numbers, 1))))
    assert report.tables[0].column("mapping").cells() == [
        "processes",
        *("jna*.tmp", "libbrotli.so", "liblz4-java-*.so", "libnetty_tcnative_linux_x86_*.so", "libzstd-jni-1.5.5-*.so"),
    ]
    assert {*report.tables[0].column("outliers").cells()} == {""}
    assert report.sentences == ()


def test_two_versions_of_an_unpacked_library_are_drift():
    """The made-up part does not hide the version."""
    versions = [_app(_kib(f"/tmp/libzstd-jni-1.5.{n}-51234567890123.so", 900, perms="r-xp")) for n in (5, 5, 6)]
    report = compare(snapshot(*(host(f"w{n}", one) for n, one in enumerate(versions, 1))))
    assert report.sentences == ("libzstd-jni-1.5.5-*.so on w[1-2], libzstd-jni-1.5.6-*.so on w3",)


def test_twenty_hosts_on_a_terminal():
    """The leak and the old library have columns of their own; equal hosts are one column, failed hosts a sentence."""
    text = _screen(compare(twenty_hosts()), 110)
    assert text == expected("compare.txt", text)


def test_twenty_hosts_as_csv():
    """A column for each host asked: not mapped, empty (unknown) and numbers are three things."""
    text = _csv(compare(twenty_hosts()))
    assert text == expected("compare.csv", text)


def test_twenty_hosts_against_a_baseline():
    """Each column is the difference from web-01, with its sign."""
    text = _screen(compare(twenty_hosts(), baseline="web-01"), 110)
    assert text == expected("compare_baseline.txt", text)


def test_findings_have_their_figures():
    """The leak and the library drift are the only findings on these hosts."""
    assert compare(twenty_hosts()).sentences == (
        "gunicorn on web-07 (pid 802): [heap] 496.8M, 412.2M above the median of 17 hosts",
        "libcrypto.so.3 on web-[01-12,14,16-17,20], libcrypto.so.1.1 on web-13",
    )


def test_equal_hosts_say_nothing():
    """Six hosts that differ by a few pages."""
    report = compare(_fleet(*(50 * MIB + 4 * n for n in range(6))))
    assert report.sentences == ()
    assert _row(report, "[heap]")["outliers"] == ""


def test_not_mapped_zero_and_unknown_are_three_things():
    """A wholly read host without the mapping, one with nothing of it in memory, and one read in part."""
    fleet = snapshot(
        host("a", _app(_kib("[heap]", 8), _kib("/x.so", 4))),
        host("b", _app(_kib("[heap]", 8))),
        host("c", _app(_kib("[heap]", 8), _kib("/x.so", 0))),
        host("d", _app(_kib("[heap]", 8)), _app(pid=2, status="denied")),
        failed("e", "refused", "e: refused"),
    )
    report = compare(fleet)
    row = _row(report, "x.so")
    assert [row[name] for name in "abcde"] == [4, "not-mapped", 0, None, None]
    line = next(line for line in plain(report).splitlines() if line.startswith("x.so"))
    assert line.split()[1:6] == ["4", "-", "0", "?", "?"]
    assert "not judged: d, read only in part" in report.notes


def test_processes_are_the_first_row_and_counts_even_for_humans():
    """A number of processes is not a size."""
    report = compare(
        snapshot(host("a", _app(_kib("[heap]", 2 * MIB)), _app(_kib("[heap]", 2 * MIB), pid=2)), host("b"))
    )
    assert plain(report, human=True).splitlines()[1].split()[:3] == ["processes", "2", "0"]
    assert report.tables[0].columns[1].total == 4 * MIB


def test_other_counts_are_said_first_and_make_no_outlier():
    """A host with twice the processes has twice the memory: that is explained, and no alarm."""
    few = [host(f"w{n}", _app(_kib("[heap]", 50 * MIB))) for n in range(6)]
    many = host("big", *(_app(_kib("[heap]", 50 * MIB), pid=pid) for pid in (1, 2)))
    report = compare(snapshot(*few, many))
    assert report.sentences == (
        "the hosts do not run the same number of processes: 1 on w[0-5], 2 on big; --per process divides by it",
    )
    assert _row(compare(snapshot(*few, many), per_process=True), "[heap]")["big"] == 50 * MIB


def test_a_leak_beside_other_counts_is_still_found():
    """It is one per process too."""
    few = [host(f"w{n}", _app(_kib("[heap]", 50 * MIB))) for n in range(6)]
    many = host("big", *(_app(_kib("[heap]", 150 * MIB), pid=pid) for pid in (1, 2)))
    assert _row(compare(snapshot(*few, many)), "[heap]")["outliers"] == "big"


def test_shared_with_fewer_processes_is_no_outlier():
    """PSS of a shared library is larger where fewer map it; RSS and USS are the same."""
    shared = {"Private_Dirty": 0, "Shared_Clean": 40 * MIB}
    equal = [host(f"w{n}", _app(_kib("/lib/x.so", 40 * MIB, **shared, Pss=10 * MIB))) for n in range(6)]
    alone = host("alone", _app(_kib("/lib/x.so", 40 * MIB, **shared, Pss=40 * MIB)))
    report = compare(snapshot(*equal, alone))
    assert _row(report, "x.so")["alone"] == 40 * MIB
    assert (_row(report, "x.so")["outliers"], report.sentences) == ("", ())


def test_two_groups_are_named():
    """Twelve hosts of one version and five of another: two named groups, and no outlier."""
    report = compare(_fleet(*[86 * MIB] * 12, *[412 * MIB] * 5))
    sentence = "2 groups, about 86.0M on w[1-12] and about 412.0M on w[13-17]"
    assert _row(report, "[heap]")["outliers"] == f"split: {sentence}"
    assert report.sentences == (f"[heap]: {sentence}",)
    assert report.brief is not None
    assert [column.name for column in report.brief.tables[0].columns[1:3]] == ["w[1-12]", "w[13-17]"]


def test_one_library_in_two_places():
    """The same name under two paths."""
    at = [
        host(f"w{n}", _app(_kib(f"/{'opt' if n > 4 else 'usr'}/lib/libssl.so.3", 400, perms="r-xp"))) for n in range(6)
    ]
    assert compare(snapshot(*at)).sentences == (
        "libssl.so.3: /usr/lib/libssl.so.3 on w[0-4], /opt/lib/libssl.so.3 on w5",
    )


def test_two_builds_by_layout():
    """Code of another length in the same file is another build; its data may grow."""
    one = [host(f"w{n}", _app(_kib("/lib/libssl.so.3", 400 if n else 408, perms="r-xp"))) for n in range(6)]
    assert compare(snapshot(*one)).sentences == ("/lib/libssl.so.3: 2 builds by layout, on w[1-5] and on w0",)
    data = [host(f"w{n}", _app(_kib("/lib/libssl.so.3", 400 + 4 * n, perms="rw-p"))) for n in range(6)]
    assert compare(snapshot(*data)).sentences == ()


def test_of_many_forms_the_first_are_named():
    """A sentence on as many builds, or paths, as there are hosts can still be read."""
    builds = [host(f"w{n}", _app(_kib("/lib/libssl.so.3", 400 + 4 * n, perms="r-xp"))) for n in range(9)]
    assert compare(snapshot(*builds)).sentences == (
        "/lib/libssl.so.3: 9 builds by layout, on w0, w1, w2, w3 and on 5 more",
    )
    paths = [host(f"w{n}", _app(_kib(f"/opt/{'abcdefghi'[n]}/libssl.so.3", 400, perms="r-xp"))) for n in range(9)]
    (sentence,) = compare(snapshot(*paths)).sentences
    assert sentence.endswith("/opt/d/libssl.so.3 on w3, 5 more on other hosts")


def test_a_file_that_only_some_hosts_map():
    """From a mebibyte on."""
    fleet = [host(f"w{n}", _app(_kib("[heap]", 9), *[_kib("/srv/index.bin", 3 * MIB)] * (n < 2))) for n in range(4)]
    assert compare(snapshot(*fleet)).sentences == ("/srv/index.bin only on w[0-1], up to 3.0M",)


def test_a_kernel_without_the_metric_is_shown_and_not_judged():
    """Its cells are unknown, and a note says why it is in no median."""
    lacking = host("old", _app(mapping("[heap]", size=900 * MIB, Rss=900 * MIB)))
    report = compare(snapshot(*(host(f"w{n}", _app(_kib("[heap]", 50 * MIB))) for n in range(5)), lacking))
    assert _row(report, "[heap]")["old"] is None
    assert _row(report, "[heap]")["median_kib"] == 50 * MIB
    assert "not judged: old, whose kernel has no pss_kib" in report.notes


def test_another_metric():
    """RSS of the same hosts."""
    report = compare(twenty_hosts(), "rss_kib")
    assert _row(report, "[heap]")["web-15"] is not None
    assert report.sentences[0].endswith(", 412.2M above the median of 18 hosts")


def test_rows_are_in_the_order_of_their_spread():
    """The row with the largest difference between hosts comes first, at any size; --top keeps it."""
    fleet = [
        host(f"w{n}", _app(_kib("/big", 900 * MIB), _kib("[heap]", 10 * MIB * n), _kib("[stack]", n))) for n in (1, 2)
    ]
    names = compare(snapshot(*fleet)).tables[0].columns[0].cells()
    assert names == ["processes", "[heap]", "[stack]", "/big"]
    top = compare(snapshot(*fleet), shape=Shape(top=1)).tables[0]
    assert top.columns[0].cells() == ["processes", "[heap]", "(2 more)"]
    assert top.column("w1").cells() == [1, 10 * MIB, 900 * MIB + 1]


@pytest.mark.parametrize(("name", "first"), [("web-13", "[anon]"), ("web-01", "[anon]"), ("web-15", "[heap]")])
def test_sorted_by_a_host(name: str, first: str):
    """Any column sorts, the processes stay first; of web-15 nothing is known."""
    names = compare(twenty_hosts(), shape=Shape(sort=name)).tables[0].columns[0].cells()
    assert names[:2] == ["processes", first]


def test_host_to_sort_by_has_its_own_column_on_a_terminal():
    """It is not folded with those that are alike; one that is not judged has no column there, and sorts nothing."""
    brief = compare(twenty_hosts(), shape=Shape(sort="web-02"), baseline="web-03").brief
    assert brief is not None
    assert [column.name for column in brief.tables[0].columns][:3] == ["mapping", "web-03", "web-02"]
    brief = compare(twenty_hosts(), shape=Shape(sort="web-15")).brief
    assert brief is not None
    assert "web-15" not in [column.name for column in brief.tables[0].columns]


def test_columns_are_checked():
    """A host that was not asked is no column."""
    with pytest.raises(UsageError, match="no column"):
        compare(twenty_hosts(), shape=Shape(columns=("mapping", "web-99")))


def test_hosts_that_stand_apart_in_large_numbers_are_not_dropped_silently():
    """A terminal shows at most 24 columns of outliers; a note names the hosts left out."""
    fleet = [host(f"w{n:02}", _app(_kib("[heap]", 50 * MIB), _kib(f"/srv/{n}.bin", 9 * MIB))) for n in range(27)]
    report = compare(snapshot(*fleet))
    assert report.brief is not None
    assert len(report.brief.tables[0].columns) == 28
    assert report.brief.notes[0] == "not shown here, but judged: w[24-26]; --format plain has every host"


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("outliers", [1, 3, 12])
def test_every_host_that_the_table_names_has_a_column(width: int, outliers: int):
    """Twelve outliers on a terminal: the table continues below itself if they do not fit side by side."""
    fleet = []
    for n in range(12):
        more = [_kib(f"/srv/{n}.bin", 9_123_456)] if n >= 12 - outliers else []
        fleet.append(host(f"production-web-{n:02}", _app(_kib("[heap]", 5_123_456), *more)))
    text = _screen(compare(snapshot(*fleet)), width, human=False)
    lines = text.splitlines()
    heads = " ".join(line for line in lines if line.startswith("mapping")).split()
    assert {f"production-web-{n:02}" for n in range(12 - outliers, 12)} <= {*heads}
    assert max(map(len, lines)) <= width
    assert sum("9123456" in line.split()[1:] for line in lines if line.startswith("/srv/")) == outliers


def test_outliers_of_few_hosts_stay_too():
    """Seven hosts with long names, the last of which stands apart, at 80 columns."""
    fleet = [
        host(f"production-database-{n}.example.com", _app(_kib("[heap]", 5 * MIB if n < 7 else 9 * MIB)))
        for n in range(1, 8)
    ]
    first = _screen(compare(snapshot(*fleet)), 80).splitlines()[0].split()
    assert "production-database-7.example.com" in first


def test_hosts_that_differ_in_huge_pages_only():
    """PSS does not count them, so a sentence does; not where the metric is hugetlb itself, nor where all are alike."""

    def app(gib: int):
        huge = _kib("/anon_hugepage", 0, start=1 << 40, Shared_Hugetlb=gib << 20, Private_Hugetlb=0)
        return _app(_kib("[heap]", 5 * MIB, Shared_Hugetlb=0, Private_Hugetlb=0), huge)

    fleet = snapshot(*(host(f"db{n}", app(gib)) for n, gib in enumerate((12, 36, 36, 36, 36), 1)))
    assert compare(fleet).sentences == (
        "huge pages, which pss does not count: 2 groups, about 12.0G on db1 and about 36.0G on db[2-5]; "
        "--metric hugetlb compares them",
    )
    assert not any("huge pages" in one for one in compare(fleet, "hugetlb_kib").sentences)


def test_nobody_answered():
    """Columns and no figures."""
    report = compare(snapshot(failed("a", "refused", "a: refused"), failed("b", "refused", "b: refused")))
    assert plain(report).splitlines()[1].split() == ["processes", "?", "?", "?", "?"]


def test_no_host_can_be_judged():
    """All read in part: their figures are shown, the median is unknown."""
    fleet = snapshot(*(host(f"w{n}", _app(_kib("[heap]", 50 * MIB)), _app(pid=2, status="denied")) for n in range(5)))
    assert [_row(compare(fleet), "[heap]")[name] for name in ("w0", "median_kib", "spread_kib")] == [
        50 * MIB,
        None,
        None,
    ]


def test_a_host_called_like_a_column():
    """No two columns have one name."""
    fleet = snapshot(*(host(name, _app(_kib("[heap]", 8))) for name in ("mapping", "outliers", "a")))
    names = [column.name for column in compare(fleet).tables[0].columns]
    assert names == ["mapping", "mapping (host)", "outliers (host)", "a", "median_kib", "spread_kib", "outliers"]
    leaky = host("mapping", _app(_kib("[heap]", 90 * MIB)))
    brief = compare(snapshot(*(host(f"w{n}", _app(_kib("[heap]", 8))) for n in range(9)), leaky)).brief
    assert brief is not None
    assert [column.name for column in brief.tables[0].columns][:3] == ["mapping", "w[0-8]", "mapping (host)"]
    assert brief.tables[0].columns[0].cells()[0] == "processes"


@pytest.mark.parametrize(
    ("shape", "rows"),
    [(Shape(), {2}), (Shape(sort="mapping"), {3}), (Shape(top=2), {2}), (Shape(top=1), set())],
    ids=str,
)
def test_columns_say_which_cells_are_outliers(shape: Shape, rows: set[int]):
    """By row, below the processes and wherever --sort puts them; the text of the row names the same hosts."""
    few = [
        host(f"w{n}", _app(_kib("[anon]", 90 * MIB * (n % 2)), _kib("[heap]", 50 * MIB), _kib("/x", 4)))
        for n in range(6)
    ]
    leaky = host("mapping", _app(_kib("[anon]", 0), _kib("[heap]", 90 * MIB), _kib("/x", 4)))
    one = compare(snapshot(*few, leaky), shape=shape).tables[0]
    assert {column.name: column.outliers for column in one.columns if column.outliers} == (
        {"mapping (host)": rows} if rows else {}
    )
    texts = one.column("outliers").cells()
    assert [row for row, text in enumerate(texts) if text == "mapping"] == sorted(rows)


def test_total_is_zero_where_nothing_matched():
    """The host is known to hold nothing; one that did not answer, or was read in part, is not."""
    partial = host("d", _app(_kib("[heap]", 5)), _app(pid=2, status="denied"))
    gone = failed("e", "refused", "e: refused")
    one = compare(snapshot(host("a", _app(_kib("[heap]", 8), _kib("/x", 2))), host("b"), partial, gone)).tables[0]
    assert {name: one.column(name).total for name in "abde"} == {"a": 10, "b": 0, "d": None, "e": None}
    assert {name: compare(snapshot(host("b"), gone)).tables[0].column(name).total for name in "be"} == {
        "b": 0,
        "e": None,
    }


def test_rest_that_a_host_does_not_have_is_not_mapped():
    """`(N more)` is unknown only if none of its rows is known."""
    fleet = snapshot(
        host("a", _app(_kib("[heap]", 900), _kib("/x", 2), _kib("/y", 3))), host("b", _app(_kib("[heap]", 8)))
    )
    assert _row(compare(fleet, shape=Shape(top=1)), "(2 more)")["b"] == "not-mapped"


def test_baseline_shows_what_it_does_not_have():
    """Its own cells are sizes: not mapped there is not 0."""
    fleet = snapshot(host("a", _app(_kib("[heap]", 8))), host("b", _app(_kib("[heap]", 9), _kib("/x", 4))))
    assert [_row(compare(fleet, baseline="a"), "/x")[name] for name in "ab"] == ["not-mapped", 4]


def test_baseline_read_in_part_is_no_baseline():
    """The part that was read is shown, but no difference from it."""
    partial = host("a", _app(_kib("[heap]", 8)), _app(pid=2, status="denied"))
    report = compare(snapshot(partial, host("b", _app(_kib("[heap]", 9)))), baseline="a")
    assert [_row(report, "[heap]")[name] for name in "ab"] == [8, None]
    assert "the baseline a was not read whole, so there is no difference from it" in report.notes


def test_baseline_without_a_match():
    """It holds nothing, so the others differ by their whole size, and a note gives the reason."""
    report = compare(snapshot(host("a"), host("b", _app(_kib("[heap]", 9)))), baseline="a")
    assert [_row(report, "[heap]")[name] for name in "ab"] == ["not-run", 9]
    assert report.notes[0] == "the baseline a maps nothing, so all that the others have is a difference"


def test_differences_of_upper_bounds_have_no_total():
    """RSS of several processes is an upper bound; the difference of two is no bound of anything."""
    fleet = snapshot(*(host(name, _app(_kib("[heap]", kib))) for name, kib in (("a", 8), ("b", 9))))
    columns = {
        column.name: (column.rule, column.total) for column in compare(fleet, "rss_kib", baseline="a").tables[0].columns
    }
    assert (columns["a"], columns["b"]) == (("upper bound", 8), (None, None))
    assert compare(fleet, "pss_kib", baseline="a").tables[0].column("b").total == 1


def test_columns_without_a_text():
    """--columns may name hosts only: there is no room for `(N more)`, so a terminal has all rows."""
    fleet = snapshot(host("a", _app(*(_kib(f"/srv/{n}.bin", n) for n in range(30)))))
    report = compare(fleet, shape=Shape(columns=("a",)))
    assert report.brief is not None
    assert (len(report.tables[0]), len(report.brief.tables[0])) == (31, 31)


@pytest.mark.parametrize("name", ["\x1b[31m", "\udcff", "a b", "\u202e", "a\nb"])
def test_a_host_s_name_is_only_a_name(name: str):
    """A file from elsewhere may hold any; above a column it is one line, and safe, in every format."""
    report = compare(snapshot(host(name, _app(_kib("[heap]", 8))), host("=1+1", _app(_kib("[heap]", 8)))))
    assert re.split("  +", plain(report).splitlines()[0])[1] == escape_cell(name)
    assert escape_cell(name) in _screen(report, 100)
    assert _csv(report).splitlines()[0].split(",")[1:3] == [escape_cell(name), "=1+1"]
    assert _csv(report, safe=True).splitlines()[0].split(",")[2] == "'=1+1"
    for format_ in ("json", "parquet", "html", "markdown"):
        EXPORTERS[format_].write(report, io.BytesIO())
