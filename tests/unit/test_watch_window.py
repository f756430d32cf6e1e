"""The part of a report that is on the screen."""

from __future__ import annotations

import pytest

from fleetpmap.watch import Viewport

# Two tables, then sentences.
REPORT = ["name  pss", "row 1", "row 2", "row 3", "", "host  pss", "web-01", "web-02", "", "2 of 2 hosts", "a note"]


@pytest.mark.parametrize(
    ("top", "seen", "place"),
    [
        (0, ["name  pss", "row 1", "row 2", "row 3"], "lines 1-4 of 11"),
        (1, ["name  pss", "row 2", "row 3", ""], "lines 3-5 of 11"),
        (3, ["name  pss", "", "host  pss", "web-01"], "lines 5-7 of 11"),
        (5, ["host  pss", "web-01", "web-02", ""], "lines 6-9 of 11"),
        (6, ["host  pss", "web-02", "", "2 of 2 hosts"], "lines 8-10 of 11"),
        (7, ["host  pss", "", "2 of 2 hosts", "a note"], "lines 9-11 of 11"),
    ],
)
def test_heading_of_the_table_stays(top: int, seen: list[str], place: str):
    """Above the rows of its own table, in place of the first line; the place counts the lines behind it."""
    window = Viewport(REPORT, 4, tables=2)
    assert (window.seen(top), window.place(top)) == (seen, place)


def test_sentences_have_no_heading():
    """What comes after the tables moves as a whole."""
    window = Viewport(["name  pss", "row 1", "", *(f"note {number}" for number in range(1, 9))], 4, tables=1)
    assert window.seen(5) == ["note 3", "note 4", "note 5", "note 6"]
    assert window.place(5) == "lines 6-9 of 11"


def test_two_lines_are_no_room_for_a_heading():
    """Half the screen would be heading."""
    window = Viewport(REPORT, 2, tables=2)
    assert (window.seen(2), window.place(2)) == (["row 2", "row 3"], "lines 3-4 of 11")


def test_report_that_got_shorter_is_seen_to_its_end():
    """The place where one was is not there any more."""
    window = Viewport(REPORT, 4)
    assert window.seen(50) == ["web-02", "", "2 of 2 hosts", "a note"]
    assert window.place(50) == "lines 8-11 of 11"


def test_report_that_is_seen_whole_has_no_place():
    """Nothing needs to be said."""
    assert Viewport(REPORT, 11, tables=2).place(0) == ""


def test_no_room_at_all():
    """A window one line high still has a page to go by."""
    assert (Viewport(REPORT, 0).seen(0), Viewport(REPORT, 0).page, Viewport(REPORT, 1).page) == ([], 1, 1)
