"""shares: how large a row is beside the others."""

from __future__ import annotations

import numpy as np

from fleetpmap.render.shares import share_texts
from fleetpmap.report import Column, Table
from fleetpmap.smaps import NULL


def _shares(*sizes, total=None, rule="sum", more=0):
    column = Column("pss_kib", "KiB", np.array(sizes, dtype=np.int64), rule=rule, total=total or sum(sizes))
    return share_texts(Table("rows", (column,), share="pss_kib", more=more))


def test_percent_of_the_total_and_bar_of_the_largest():
    """The largest row's bar is ten cells, in steps of an eighth."""
    assert _shares(640, 360, 8) == [" share           ", " 63.5% ██████████", " 35.7% █████▋    ", "  0.8% ▏         "]


def test_little_is_not_nothing():
    """A share under a twentieth of a percent is `<0.1%`."""
    assert _shares(9999, 1, 0)[1:] == ["100.0% ██████████", " <0.1%           ", "  0.0%           "]


def test_unknown_has_no_share():
    """Nor a percentage: it is not nothing, and its number is a question mark already."""
    assert _shares(300, NULL, total=300)[2] == " " * 17


def test_sizes_that_do_not_add_up_have_no_percent():
    """Part of what, if some of it is counted twice?"""
    assert _shares(100, 50, rule="upper bound") == ["share     ", "██████████", "█████     "]


def test_the_rest_has_no_bar():
    """It may be larger than every row, and is none."""
    assert _shares(300, 100, 600, more=1)[1:] == [" 30.0% ██████████", " 10.0% ███▍      ", " 60.0%           "]


def test_nothing_to_compare():
    """One row, or a total of nothing, has no shares; nor has a table that names no size."""
    assert _shares(100) == []
    assert _shares(0, 0) == []
    assert share_texts(Table("rows", (Column("a", "text", ["x", "y"]),))) == []
