"""A page's reports."""

from __future__ import annotations

from fleetpmap.report import VIEWS, ViewOptions, page
from snapshots import host, mapping, process, small_fleet, snapshot


def test_every_part_is_beside_the_report():
    """The report asked for, and the others, each whole."""
    found = page(VIEWS["hosts"], small_fleet(), ViewOptions())
    assert found.view == "hosts"
    assert {part: len(one.tables[0]) for part, one in found.beside.items()} == {
        **{"services": 1, "kinds": 3, "kinds_of_hosts": 5, "leaves": 3, "limits": 3, "merged": 3, "hosts": 7},
        **{"compare": 4, "processes": 5, "stale": 1},
    }


def test_options_shape_the_report_and_not_its_parts():
    """--top and --columns are about the view asked for."""
    found = page(VIEWS["hosts"], small_fleet(), ViewOptions(top=2, columns=("host", "rss_kib")))
    assert [column.name for column in found.tables[0].columns] == ["host", "rss_kib"]
    assert (len(found.tables[0]), len(found.beside["hosts"].tables[0])) == (3, 7)


def test_long_tables_keep_their_largest_rows():
    """So many as asked for (of compare five hundred, and the processes), and one for the rest; --top 0 keeps all."""
    many = process(7, "app", *(mapping(f"/lib/{n % 40}-{n // 40}", Rss=n, Pss=n) for n in range(1200)))
    fleet = snapshot(host("web-01", many))
    found = page(VIEWS["merged"], fleet, ViewOptions(), most=1000)
    whole = page(VIEWS["merged"], fleet, ViewOptions(top=0), most=1000)
    assert (len(found.tables[0]), found.tables[0].more, len(whole.tables[0])) == (1001, 200, 1200)
    assert (len(whole.beside["merged"].tables[0]), len(whole.beside["compare"].tables[0])) == (1001, 502)


def test_a_long_table_without_texts_is_whole():
    """A table without a column for `(N more)` is shown whole: no row is left out silently."""
    many = process(7, "app", *(mapping(f"/lib/{n}", Rss=n) for n in range(1200)))
    found = page(VIEWS["mappings"], snapshot(host("web-01", many)), ViewOptions(columns=("pid", "rss")), most=1000)
    assert (len(found.tables[0]), found.tables[0].more) == (1200, 0)
