"""shape: --sort, --top and --columns on every view."""

from __future__ import annotations

import io

import pytest

from fleetpmap.errors import UsageError
from fleetpmap.export import EXPORTERS
from fleetpmap.report import VIEWS, Shape, ViewOptions, column_names, hosts, mappings, processes, ps
from fleetpmap.report.model import Column, Table
from fleetpmap.report.shape import column_named
from snapshots import failed, host, mapping, process, small_fleet, snapshot


def _table(view, fleet=None, **options):
    return VIEWS[view](fleet or small_fleet(), ViewOptions(**options)).tables[0]


def _cells(table, *names):
    return list(zip(*(table.column(name).cells() for name in names), strict=True))


@pytest.mark.parametrize(
    ("view", "sort", "first"),
    [
        ("merged", "hosts", ["libc.so.6", "[heap]", "[anon]"]),
        ("merged", "mapping", ["[anon]", "[heap]", "libc.so.6"]),
        ("summary", "swap", ["[heap]", "[anon]", "libc.so.6"]),
        ("hosts", "uss_kib", ["web-01", "web-02", "old-01", "db-01", "web-03", "web-04", "web-05"]),
        ("hosts", "error", ["web-01", "web-02", "old-01", "db-01", "web-03", "web-04", "web-05"]),
        ("processes", "pid", [71, 812, 900, 1411, 1412]),
        ("mappings", "deleted", [True, False, False, False, False]),
        ("mappings", "start", ["00010000", "55d0a0000000", "7f1000000000", "7f2000000000", "7f2100000000"]),
    ],
)
def test_sort(view, sort, first):
    """Sizes and counts from the largest, all else from the smallest, unknown last; `_kib` may be left out."""
    column = {"merged": "mapping", "summary": "mapping", "hosts": "host", "processes": "pid"}.get(view, sort)
    assert _table(view, sort=sort).column(column).cells() == first


@pytest.mark.parametrize("name", ["slope_kib_per_day", "slope_per_day"])
def test_a_column_goes_by_its_name_with_and_without_the_unit(name):
    """As the header of a terminal has it, and as files have it."""
    table = Table("rows", (Column("host", "text", ["web_kib_01"]), Column("slope_kib_per_day", "delta", [7])))
    assert column_named(table, name, "--sort") == "slope_kib_per_day"
    assert "did you mean slope_per_day?" in _refused(table, "slope_per_dya")


def _refused(table, name):
    with pytest.raises(UsageError) as caught:
        column_named(table, name, "--sort")
    return caught.value.hint


def test_unknown_is_last_in_a_text_column():
    """An unknown user comes after all names."""
    fleet = snapshot(host("a", process(1, "x", user=None, uid=None), process(2, "x", user="zoe")))
    assert _table("processes", fleet, sort="user").column("pid").cells() == [2, 1]


def test_rows_that_are_equal_keep_their_order():
    """--sort host leaves the pids of a host as they were."""
    fleet = snapshot(host("b", process(8, "x"), process(9, "x")), host("a", process(3, "x"), process(4, "x")))
    assert _table("processes", fleet, sort="host").column("pid").cells() == [3, 4, 8, 9]


def test_top_of_hosts_sums_up_the_rest():
    """The largest stay; `(N more)` has the sums of what is known of the others, and the totals are those of all."""
    table, whole = _table("hosts", top=2), _table("hosts")
    assert table.more == 5
    assert _cells(table, "host", "status", "processes", "absent", "rss_kib", "swap_kib", "error") == [
        ("web-01", "partial", 1, 1, 3719, 72, ""),
        ("web-02", "ok", 1, 1, 1313, 54, ""),
        ("(5 more)", None, 1, 0, 640, 0, None),
    ]
    assert [column.total for column in table.columns] == [column.total for column in whole.columns]


def test_what_none_of_the_rest_knows_is_unknown():
    """A sum of nulls is null."""
    table = _table("hosts", snapshot(host("a", process(1, "x", mapping(Rss=5))), failed("b", "auth", "no")), top=1)
    assert _cells(table, "host", "rss_kib") == [("a", 5), ("(1 more)", None)]


def test_top_of_merged_counts_anew():
    """Hosts, processes and paths that several of the rest share are counted once."""
    one = process(1, "x", mapping("/a", Pss=9), mapping("/b.so", Pss=3), mapping("/c", Pss=2))
    two = process(1, "x", mapping("/a", Pss=9), mapping("/b.so", Pss=1), mapping("/lib/b.so", Pss=1))
    table = _table("merged", snapshot(host("h1", one), host("h2", two)), top=1)
    assert _cells(table, "mapping", "hosts", "processes", "mappings", "paths", "pss_kib") == [
        ("/a", 2, 2, 2, 1, 18),
        ("(2 more)", 2, 2, 4, 3, 7),
    ]
    assert [table.column(name).total for name in ("hosts", "processes", "mappings", "paths")] == [2, 2, 6, 4]


def test_top_of_mappings():
    """Texts, numbers, addresses, flags and page sizes do not add up: they are null in `(N more)`."""
    one = process(7, "x", mapping("/a", Pss=9, KernelPageSize=4), mapping("/b", Pss=3, KernelPageSize=4), mapping())
    table = _table("mappings", snapshot(host("h", one)), top=1)
    names = ("host", "pid", "start", "inode", "mapping", "deleted", "kernel_page_size_kib", "pss_kib")
    assert _cells(table, *names)[-1] == ("(2 more)", None, None, None, None, None, None, 3)
    assert _cells(table, *names)[0][3:5] == (0, "/a")


def test_top_goes_by_sort():
    """The first rows of --sort are kept."""
    assert _table("processes", top=1, sort="name").column("pid").cells() == [812, None]


def test_top_goes_by_rss_where_a_kernel_tells_no_pss():
    """A host with known RSS only is not taken for a small one."""
    old = host("old", process(1, "x", mapping("/m", Rss=900)))
    new = host("new", process(1, "x", mapping("/m", Rss=80, Pss=7)))
    assert _table("hosts", snapshot(new, old), top=1).column("host").cells() == ["old", "(1 more)"]


@pytest.mark.parametrize("top", [0, None, 3, 99])
def test_top_that_leaves_nothing_out_adds_no_row(top):
    """0 is all."""
    table = _table("merged", top=top)
    assert (len(table), table.more) == (3, 0)


def test_top_of_ps():
    """RSS is what ps has."""
    fleet = snapshot(*(host(name, process(1, "x", rss_kib=rss)) for name, rss in (("a", 5), ("b", 71), ("c", 16))))
    table = ps(fleet, Shape(top=1)).tables[0]
    assert _cells(table, "host", "rss_kib") == [("b", 71), ("(2 more)", 21)]
    assert table.column("rss_kib").total == 92


def test_row_called_like_the_rest():
    """A process may be named `(1 more)`; Table.more marks the real row."""
    rows = [process(1, "(1 more)", mapping(Pss=9)), process(2, "x", mapping(Pss=1))]
    table = _table("merged", snapshot(host("a", *rows)), by=("process",), top=1)
    assert (_cells(table, "process", "pss_kib"), table.more) == ([("(1 more)", 9), ("(1 more)", 1)], 1)


def test_columns_are_chosen_and_ordered():
    """Each once; what is left out takes no part in anything."""
    table = _table("hosts", columns=("pss", "host", "pss_kib"))
    assert [column.name for column in table.columns] == ["pss_kib", "host"]


def test_sort_by_a_column_that_is_not_shown():
    """Choosing comes last."""
    assert _table("merged", sort="hosts", columns=("mapping",)).rows()[0] == ("libc.so.6",)


def test_field_that_no_kernel_here_has():
    """A field asked for by name is a column of unknowns, so a script does not depend on the hosts that answered."""
    report = mappings(small_fleet(), Shape(sort="ksm", columns=("pid", "ksm", "vm_flags")))
    assert report.tables[0].rows()[0] == (812, None, "rd wr mr mw me ac")


@pytest.mark.parametrize(
    ("view", "options", "message", "hint"),
    [
        (
            "merged",
            {"sort": "ps"},
            '--sort: there is no column "ps" in this view',
            "did you mean pss? the columns are ",
        ),
        (
            "hosts",
            {"columns": ("host", "pid")},
            '--columns: there is no column "pid" in this view',
            "--view processes, mappings have it; the columns are host, status",
        ),
        ("summary", {"columns": ("pss",), "top": 1}, "--columns: none of them has room", "add mapping, or leave out"),
        ("mappings", {"columns": ("rss", "mapings")}, '"mapings" in this view', "did you mean mapping? "),
        ("ps", {"sort": "pss"}, '--sort: there is no column "pss"', "did you mean rss? "),
    ],
)
def test_mistake_is_found_before_anybody_is_asked(view, options, message, hint):
    """column_names returns the columns without a snapshot."""
    with pytest.raises(UsageError) as raised:
        column_names(view, ViewOptions(**options))
    assert message in raised.value.message
    assert raised.value.hint.startswith(hint)


def test_column_names():
    """It covers every view; mappings also has the kernel's fields."""
    assert column_names("hosts")[:3] == ("host", "status", "processes")
    assert column_names("merged", ViewOptions(by=("user", "kind")))[-2:] == ("user", "kind")
    assert column_names("ps")[-2:] == ("pod", "started")
    names = [f"w{n}" for n in range(9)]
    assert {*names} < {*column_names("compare", ViewOptions(sort="w1"), names)}
    assert {"ksm_kib", "vm_flags", "rss_kib"} < {*column_names("mappings")}


def test_views_are_as_they_were_without_options():
    """No option, no change."""
    assert hosts(small_fleet(), Shape()).tables[0].rows() == hosts(small_fleet()).tables[0].rows()


@pytest.mark.parametrize("format_", ["csv", "json", "jsonl", "markdown", "html"])
def test_row_of_the_rest_is_named_whatever_the_columns(format_):
    """The first chosen text column holds `(N more)`, in every format; a page has it for its scripts besides."""
    file = io.BytesIO()
    EXPORTERS[format_].write(processes(small_fleet(), Shape(top=1, columns=("pss", "pid", "name", "status"))), file)
    assert file.getvalue().decode().count("(4 more)") == (2 if format_ == "html" else 1)


def test_top_needs_a_column_for_its_row():
    """It is refused even if no row would be left out: options are checked before any host is queried."""
    with pytest.raises(UsageError, match="none of them has room") as error:
        hosts(small_fleet(), Shape(top=99, columns=("pss", "uss")))
    assert error.value.hint == "add host, or leave out --top"
