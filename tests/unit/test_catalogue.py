"""The catalogue: what is derived from its rows hangs together."""

from __future__ import annotations

from fleetpmap import catalogue


def test_every_size_has_a_place_among_the_options():
    """The ranks are 1, 2, 3 and so on: --metric lists each size once."""
    assert [size.rank for size in catalogue.BY_RANK] == list(range(1, len(catalogue.SIZES) + 1))


def test_the_keys_of_watch_have_no_gap():
    """The keys are 1, 2, 3 and so on, since the screen names the first and the last of them."""
    keys = [catalogue.VIEWS[view].watch_key for view in catalogue.WATCHED_VIEWS]
    assert keys == list(range(1, len(keys) + 1))


def test_names_are_given_once():
    """A second row of a name would hide the first."""
    for rows in (catalogue.SIZES, catalogue.REPORTS, catalogue.FORMATS):
        names = [row.name for row in rows]
        assert len(names) == len(set(names))
