"""summary: merged and hosts in one report."""

from __future__ import annotations

from fleetpmap.report import VIEWS, ViewOptions, hosts, merged, summary
from snapshots import small_fleet


def test_two_tables():
    """The first is merged's, the second that of hosts, and the sentences are said once."""
    fleet = small_fleet()
    report = summary(fleet)
    assert [table.name for table in report.tables] == ["rows", "hosts"]
    assert report.tables[0].rows() == merged(fleet).tables[0].rows()
    assert report.tables[1].rows() == hosts(fleet).tables[0].rows()
    assert report.notes == merged(fleet).notes


def test_every_view_says_its_name():
    """VIEWS is what --view may name, and a report knows which it is."""
    fleet = small_fleet()
    assert [view(fleet, ViewOptions()).view for view in VIEWS.values()] == list(VIEWS)


def test_by_reaches_the_first_table():
    """--by is for summary too."""
    report = VIEWS["summary"](small_fleet(), ViewOptions(by=("kind",)))
    assert report.tables[0].columns[-1].cells() == ["heap", "library", "anon"]
