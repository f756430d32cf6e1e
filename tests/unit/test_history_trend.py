"""The Theil–Sen slope of a series, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from fleetpmap.history.levels import three_levels, two_levels
from fleetpmap.history.trend import BLOCKS, deviation, thinned, trend

DAYS = np.array([0, 1, 2, 3.5, 4, 5, 6, 7, 8, 9, 10, 12])
RISING = np.array([100.0, 104, 103, 109, 109, 118, 112, 121, 119, 125, 131, 128])
TIED = np.array([5.0, 5, 5, 9, 5, 5, 6, 6, 5, 7, 6, 5])


@pytest.mark.parametrize(
    ("sizes", "slope", "low", "high"),
    [(RISING, 2.6125, 1.4, 13 / 3), (TIED, 0.0, -6 / 13, 1 / 3)],
)
def test_slope_and_interval_are_those_of_scipy(sizes, slope: float, low: float, high: float):
    """scipy.stats.theilslopes(sizes, DAYS, 0.999) of scipy 1.17.1 gave them; dependence only widens the interval."""
    found = trend(DAYS, sizes)
    assert found.slope == pytest.approx(slope)
    wider = (found.slope - found.low) / (slope - low)
    assert wider >= 1
    assert found.high == pytest.approx(slope + wider * (high - slope))


def test_a_fifth_of_the_sizes_may_be_wrong():
    """The slope stays."""
    sizes = 50_000 + 24 * np.arange(300.0)
    sizes[::5] = 7
    assert trend(np.arange(300.0), sizes).slope == pytest.approx(24, rel=0.01)


def test_runs_of_the_same_moment_have_no_slope():
    """Two runs that began together do not divide by zero."""
    assert trend(np.array([0.0, 0.0, 1.0]), np.array([1.0, 9.0, 7.0])).slope == 2
    assert trend(np.zeros(3), np.arange(3.0)).slope == 0


def test_few_points_have_an_interval_without_ends():
    """Three points say nothing at 99.9 %."""
    found = trend(np.arange(3.0), np.arange(3.0))
    assert (found.slope, found.low, found.high) == (1, -np.inf, np.inf)


def test_neighbours_that_depend_on_each_other_widen_the_interval():
    """The same sizes in another order have the same spread; a slow wave is less sure than noise."""
    days, noise = np.arange(60.0), np.random.default_rng(1).normal(0, 100, 60)
    wave = np.sort(noise)[np.argsort(np.argsort(np.sin(days / 6), kind="stable"))]
    slow, fast = trend(days, wave), trend(days, noise)
    assert slow.high - slow.low > 2 * (fast.high - fast.low)


def test_a_long_series_is_thinned_to_medians():
    """1,000 runs become 62 blocks of 16, without the first 8; the last run is always in."""
    days, sizes = thinned(np.arange(1000.0), np.arange(1000.0))
    assert len(sizes) == 62 <= BLOCKS
    assert (days[0], sizes[0], sizes[-1]) == (15.5, 15.5, 991.5)
    assert thinned(DAYS, RISING) == (DAYS, RISING)
    assert len(thinned(np.arange(65.0), np.arange(65.0))[1]) == 32


def test_far_points_do_not_move_the_deviation():
    """A twentieth of them are left out; a size that has two values has a deviation though its median has none."""
    apart = np.random.default_rng(2).normal(0, 10, 400)
    apart[::25] = 10_000
    assert deviation(apart, 1) == pytest.approx(10, rel=0.15)
    assert deviation(np.array([0.0] * 14 + [8.0] * 6), 1) > 4


def test_levels():
    """The best cuts are found, with what they leave."""
    assert two_levels(np.array([5.0, 5, 5, 9, 9])) == (0.0, (3,))
    found = three_levels(np.array([1.0, 1, 8, 8, 8, 3, 3, 4]))
    assert found.cuts == (2, 5)
    assert found.squares == pytest.approx(2 / 3)
