"""Theil–Sen slope of a series, with its interval.   days, sizes ─► [trend] ─► classes

The slope is the median of the slopes between all pairs of points: up to 29 % of the points may be wrong without moving
it far (Sen, Estimates of the regression coefficient based on Kendall's tau, 1968). A long series is thinned first, to
at most BLOCKS medians of neighbouring points, since the pairs grow with the square: 1,000 points have 499,500 of them.

Slope and interval are those of scipy.stats.theilslopes, in a third of its time. The interval, by Kendall's variance,
holds for independent points. The sizes of a process are not: what it holds now, it holds in an hour. So the interval is
widened by sqrt((1 + r) / (1 - r)) for the correlation r of each residual with the next one (Yue and Wang, The
Mann-Kendall test modified by effective sample size, 2004).
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BLOCKS = 64
"""Points at most that are compared in pairs: 2,016 pairs."""
CONFIDENCE = 0.999
_Z = 3.2905
"""Quantile of the normal distribution for CONFIDENCE: 0.05 % lie above it."""
_MOST_CORRELATED = 0.98
_TRIMMED = 1.15
"""Standard deviation of a normal distribution, over that without its farthest twentieth."""


class Trend(NamedTuple):
    """A line through a series; slopes in KiB a day."""

    slope: float
    low: float
    high: float
    """The interval of the slope, at CONFIDENCE; from -inf to inf if there are too few points for one."""
    growth: float
    """KiB that the line rises over the time of the series."""
    noise: float
    """Standard deviation of the points around the line, KiB."""
    days: Floats
    sizes: Floats
    """The thinned points."""

    @property
    def residuals(self) -> Floats:
        """Distances of the thinned points from the line, KiB."""
        apart: Floats = self.sizes - self.slope * self.days
        return apart - median(apart)


def thinned(days: Floats, sizes: Floats) -> tuple[Floats, Floats]:
    """Return the medians of blocks of neighbouring points, at most BLOCKS, with the means of their days.

    The first few points may be left out, so that all blocks have as many.
    """
    points = -(-len(sizes) // BLOCKS)
    if points <= 1:
        return days, sizes
    begin = len(sizes) % points
    return days[begin:].reshape(-1, points).mean(axis=1), median(sizes[begin:].reshape(-1, points))


def median(values: Floats) -> Floats:
    """Return the median along the last axis, for short ones in a fifth of the time that np.median takes."""
    ordered, count = np.sort(values), values.shape[-1]
    middle: Floats = (ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2
    return middle


def trend(days: Floats, sizes: Floats) -> Trend:
    """Return the trend of a series of at least two points; `days` ascends."""
    days, sizes = thinned(days, sizes)
    slopes = pair_slopes(days, sizes)
    slope = float(median(slopes)) if len(slopes) else 0.0
    low, high = _interval(slopes, sizes)
    apart = sizes - slope * days
    residuals = apart - median(apart)
    wider = _widening(residuals)
    return Trend(
        slope,
        slope - (slope - low) * wider,
        slope + (high - slope) * wider,
        growth=slope * float(days[-1] - days[0]),
        noise=deviation(residuals, 2),
        days=days,
        sizes=sizes,
    )


def deviation(apart: Floats, parameters: int) -> float:
    """Return the standard deviation of distances from a fit with so many parameters; a few far points do not move it.

    The farthest twentieth is left out. The median of the distances would stand even more of them, but it is 0 for a
    size that has only two values.
    """
    squares = np.sort(apart**2)[: len(apart) - len(apart) // 20]
    return _TRIMMED * math.sqrt(float(squares.sum()) / max(len(squares) - parameters, 1))


def pair_slopes(days: Floats, sizes: Floats) -> Floats:
    """Return the slopes between all pairs of points, sorted; pairs of the same moment have none."""
    first, second = _pairs(len(days))
    apart = days[second] - days[first]
    slopes: Floats = (sizes[second] - sizes[first])[apart > 0] / apart[apart > 0]
    slopes.sort()
    return slopes


@cache
def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the first and of the second point of every pair."""
    first, second = np.triu_indices(count, 1)
    return first, second


def _interval(slopes: Floats, sizes: Floats) -> tuple[float, float]:
    """Return the interval of the median of sorted slopes: the slopes whose ranks are z standard deviations apart."""
    count = len(sizes)
    pairs = count * (count - 1) * (2 * count + 5) - _tied(sizes)
    reach = _Z * math.sqrt(max(pairs, 0) / 18)
    above = round((len(slopes) + reach) / 2)
    below = round((len(slopes) - reach) / 2) - 1
    if below < 0 or above >= len(slopes):
        return -np.inf, np.inf
    return float(slopes[below]), float(slopes[above])


def _tied(sizes: Floats) -> int:
    """Return by how much equal sizes lessen Kendall's variance, times 18."""
    ordered = np.sort(sizes)
    if not (ordered[1:] == ordered[:-1]).any():
        return 0
    _, ties = np.unique(ordered, return_counts=True)
    return int((ties * (ties - 1) * (2 * ties + 5)).sum())


def _widening(residuals: Floats) -> float:
    """Return the factor by which dependence between neighbours widens an interval; 1 for independent points."""
    power = float(residuals @ residuals)
    if not power:
        return 1.0
    count = len(residuals)
    measured = float(residuals[1:] @ residuals[:-1]) / power
    # Around a fitted line the correlation comes out too small, by (1 + 4 r) / n (Kendall, 1954), with a standard error
    # of 1 / sqrt(n).
    correlated = min(measured + (1 + 4 * measured) / count + 1 / math.sqrt(count), _MOST_CORRELATED)
    return math.sqrt((1 + correlated) / (1 - correlated)) if correlated > 0 else 1.0
