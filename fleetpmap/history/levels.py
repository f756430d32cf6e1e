"""Levels of a series: where it jumps, and stays.   sizes ─► [levels] ─► classes

The best three levels are found among all ways to cut the series in two places, by the squares of the distances from the
means. Prefix sums give the squares of every piece at once.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from fleetpmap.history.trend import Floats


class Fit(NamedTuple):
    """The best cuts of a series into levels."""

    squares: float
    """Sum of the squares of the distances from the levels."""
    cuts: tuple[int, ...]
    """The first point of each further level."""


def three_levels(sizes: Floats) -> Fit:
    """Return the best fit of three levels to at least three points."""
    count = len(sizes)
    middle = sizes - sizes.mean()  # keeps the sums small, and so exact
    total, squares = _prefix(middle), _prefix(middle**2)
    weight, forbidden = _pieces(count)
    # of[i, j]: the squares of the piece from point i up to, but without, point j.
    of = squares - squares[:, None] - (total - total[:, None]) ** 2 * weight
    both = of[0][:, None] + of + of[:, count] + forbidden
    first, second = divmod(int(np.argmin(both)), count + 1)
    return Fit(max(float(both[first, second]), 0.0), (first, second))


@cache
def _pieces(count: int) -> tuple[Floats, Floats]:
    """Return, for each pair of cuts, 1 / points between them; and infinity for each that leaves a level without any."""
    steps = np.arange(count + 1)
    first, second = steps[:, None], steps[None, :]
    forbidden = np.where((first >= 1) & (second > first) & (second < count), 0.0, np.inf)
    return 1 / np.maximum(second - first, 1), forbidden


def two_levels(sizes: Floats) -> Fit:
    """Return the best fit of two levels to at least two points."""
    count = len(sizes)
    cuts = np.arange(1, count)
    middle = sizes - sizes.mean()
    total, squares = _prefix(middle), _prefix(middle**2)
    left = total[cuts] ** 2 / cuts
    right = (total[count] - total[cuts]) ** 2 / (count - cuts)
    best = int(np.argmax(left + right))
    return Fit(max(float(squares[count] - left[best] - right[best]), 0.0), (int(cuts[best]),))


def _prefix(values: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(values)])
