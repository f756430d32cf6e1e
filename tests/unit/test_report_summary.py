"""summary: merged and hosts in one report."""

from __future__ import annotations

from fleetpmap.report import VIEWS, ViewOptions, hosts, merged, summary
from snapshots import failed, host, mapping, process, small_fleet, snapshot


def test_two_tables():
    """The first table is that of merged, the second that of hosts, and each sentence is printed once."""
    fleet = small_fleet()
    report = summary(fleet)
    assert [table.name for table in report.tables] == ["rows", "hosts"]
    assert report.tables[0].rows() == merged(fleet).tables[0].rows()
    assert report.tables[1].rows() == hosts(fleet).tables[0].rows()
    assert report.notes == merged(fleet).notes


def test_every_view_says_its_name():
    """VIEWS has the values of --view, and a report has the name of its view."""
    fleet = small_fleet()
    assert [view(fleet, ViewOptions()).view for view in VIEWS.values()] == list(VIEWS)


def test_by_reaches_the_first_table():
    """--by is for summary too."""
    report = VIEWS["summary"](small_fleet(), ViewOptions(by=("kind",)))
    assert report.tables[0].columns[-1].cells() == ["heap", "library", "anon"]


def _wide(mappings=30, hosts=2):
    """Hosts with one process of that many mappings; the first is the largest."""
    each = [mapping(f"/data/{number:02}", Rss=100 - number, Pss=100 - number) for number in range(mappings)]
    return snapshot(*(host(f"h{number:02}", process(number, "x", *each)) for number in range(1, hosts + 1)))


def _brief(fleet, **options):
    return VIEWS["summary"](fleet, ViewOptions(**options)).brief


def test_brief_shows_the_largest_mappings():
    """Twenty rows and one for the rest; the report itself has them all, and the totals are the same."""
    report = summary(_wide())
    (short, _), (whole, _) = report.brief.tables, report.tables
    assert (len(short), short.more, len(whole)) == (21, 10, 30)
    assert short.column("mapping").cells()[-2:] == ["/data/19", "(10 more)"]
    assert [column.total for column in short.columns] == [column.total for column in whole.columns]


def test_brief_does_not_fold_a_single_row():
    """`(1 more)` would be as long as the row."""
    assert _brief(_wide(21)).tables[0].more == 0


def test_top_says_how_many():
    """--top 0 shows all, --top 3 three, on a terminal too."""
    assert [len(_brief(_wide(), top=top).tables[0]) for top in (0, 3)] == [30, 4]


def test_columns_without_a_text_are_not_folded():
    """There is no cell for `(10 more)`."""
    assert len(_brief(_wide(), columns=("pss",)).tables[0]) == 30


def test_brief_of_one_host_has_no_table_of_hosts():
    """It would be the total."""
    assert [len(report.tables) for report in (summary(_wide(hosts=1)), _brief(_wide(hosts=1)))] == [2, 1]


def test_brief_shows_the_hosts_with_something():
    """Failed hosts are in the failures, hosts without a match in a note, since their service may be down."""
    brief = _brief(small_fleet())
    assert brief.tables[1].column("host").cells() == ["web-01", "web-02", "old-01"]
    assert brief.notes[0] == "no process matched on db-01"
    assert brief.notes[1:] == summary(small_fleet()).notes


def test_brief_when_nothing_matched_anywhere():
    """The coverage has it already."""
    assert _brief(snapshot(host("a"), host("b"))).notes == ()


def test_brief_of_many_hosts_shows_the_largest():
    """Forty hosts in their order; of more the largest, and one row for the rest."""
    small = [host(f"h{number:02}", process(1, "x", mapping(Pss=number))) for number in range(1, 50)]
    bad = failed("bad", "auth", "cannot log in")
    forty, more = (_brief(snapshot(*hosts_, bad)).tables[1].column("host").cells() for hosts_ in (small[:40], small))
    assert forty == [f"h{number:02}" for number in range(1, 41)]
    assert [*more[:2], more[-1]] == ["h49", "h48", "(9 more)"]
