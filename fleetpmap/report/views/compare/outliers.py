"""Which hosts stand apart.   matrix ─► [outliers] ─► compare, findings

The rule, for n hosts that were read whole (a mapping that one of them lacks counts as 0):

    n ≥ 5     out: |x − median| > max(3.5 · 1.4826 · MAD, 10 % of the median, 1 MiB)
    n = 3, 4  out: |x − median| > max(50 % of the median, 8 MiB)
    n = 2     never: there is a difference, but nobody to say which of the two is right

1.4826 · MAD, the median absolute deviation, estimates the standard deviation of what is not out. The floors are there
because hosts that run the same differ by a few pages, and then the MAD is next to nothing. If more than one and more
than a quarter would be out, nobody is: the row is split, and its groups lie further apart than the floors.
Source: B. Iglewicz, D. Hoaglin, How to Detect and Handle Outliers, 1993 (3.5 and 1.4826).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fleetpmap.table import IntArray

MIB = 1024
"""KiB."""
ENOUGH, FEWEST = 5, 3
"""Hosts from which on the MAD means something, and from which on there is a majority."""
_DEVIATIONS = 3.5 * 1.4826
_FLOOR = 1 * MIB
FLOOR_SHARE = 0.10
"""Of the median: nothing that is closer stands apart."""
_FLOOR_OF_FEW, _FLOOR_SHARE_OF_FEW = 8 * MIB, 0.50
_CROWD = 0.25
_MOST_GROUPS = 4
"""More groups than these are no groups, but values all over the place."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rule says of each row of a (row, host) matrix."""

    median: NDArray[np.float64]
    """KiB; one for each row."""
    spread: IntArray
    """Largest less smallest, KiB."""
    out: Flags
    """(row, host): outliers. None in a split row."""
    split: Flags
    """Rows in which more than a quarter would be out."""

    def confirmed_by(self, *others: Judgement) -> Judgement:
        """The same without what is within the rule in all the others; a split row counts as out there."""
        apart = np.logical_or.reduce([other.out | other.split[:, None] for other in others])
        return replace(self, out=self.out & apart, split=self.split & apart.any(axis=1))


def judge(values: IntArray) -> Judgement:
    """Judge a matrix (row, host) of KiB, all of them known."""
    rows, hosts = values.shape
    if not hosts:
        nothing = np.zeros(rows, dtype=np.int64)
        return Judgement(nothing.astype(np.float64), nothing, np.zeros((rows, 0), np.bool_), np.zeros(rows, np.bool_))
    median = np.median(values, axis=1)
    distance = np.abs(values - median[:, None])
    out = distance > _limit(median, distance)[:, None]
    split = out.sum(axis=1) > max(1, _CROWD * hosts)
    out[split] = False
    return Judgement(median, values.max(axis=1) - values.min(axis=1), out, split)


def groups_of(values: IntArray) -> list[NDArray[np.intp]]:
    """The hosts of a split row by what they have, smallest first; one group where they are all over the place."""
    order = np.argsort(values, kind="stable")
    apart = np.maximum(values[order][:-1] * FLOOR_SHARE, _FLOOR)
    cuts = np.flatnonzero(np.diff(values[order]) > apart) + 1
    if not 1 <= len(cuts) < _MOST_GROUPS:
        return [order]
    return [order[start:stop] for start, stop in pairwise([0, *cuts.tolist(), len(order)])]


def _limit(median: NDArray[np.float64], distance: NDArray[np.float64]) -> NDArray[np.float64]:
    hosts = distance.shape[1]
    if hosts < FEWEST:
        return np.full(len(median), np.inf)
    if hosts < ENOUGH:
        return np.maximum(median * _FLOOR_SHARE_OF_FEW, _FLOOR_OF_FEW)
    deviation = np.median(distance, axis=1)
    return np.maximum(np.maximum(_DEVIATIONS * deviation, median * FLOOR_SHARE), _FLOOR)
