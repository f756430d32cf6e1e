"""The catalogue: what is derived from its rows hangs together."""

from __future__ import annotations

from fleetpmap import catalogue
from fleetpmap.explore.places import LEVEL_OF


def test_every_size_has_a_place_among_the_options():
    """The ranks are 1, 2, 3 and so on: --metric lists each size once."""
    assert [size.rank for size in catalogue.BY_RANK] == list(range(1, len(catalogue.SIZES) + 1))


def test_watch_begins_with_the_lists_that_the_screen_has():
    """And with the summary, which is the screen itself."""
    assert {*catalogue.WATCHED_VIEWS} == {"summary", *LEVEL_OF}


def test_names_are_given_once():
    """A second row of a name would hide the first."""
    for rows in (catalogue.SIZES, catalogue.REPORTS, catalogue.FORMATS):
        names = [row.name for row in rows]
        assert len(names) == len(set(names))
