"""The rule for outliers among hosts.   [outliers] ─► peers ─► comparison, standing_out

The rule, for n hosts that run the service and were read completely (a mapping that a host lacks counts as 0):

    n ≥ 5     out: |x − median| > max(3.5 · 1.4826 · MAD, 10 % of the median, 1 MiB)
    n = 3, 4  out: |x − median| > max(50 % of the median, 8 MiB)
    n = 2     never: the two differ, but nothing shows which of them is usual

MAD is the median absolute deviation; 1.4826 · MAD estimates the standard deviation of the hosts within the rule. The
floors are needed because hosts with equal load differ by a few pages, and then the MAD is close to 0. If more than one
host and more than a quarter of them would be out, none is: the row is split into groups further apart than the floors.

A comparison, which a user asks for, tells all of them. A run tells, unasked, only outliers that stand alone: by 16 MiB
or more (of fewer than six hosts 64 MiB, and only above the median); further than twice the furthest of the hosts on
that side that are not out; and in proportion, by a or b. A share is the sum divided by the processes, of fewer than
six hosts what the largest process has; r is |log(share / median of the shares)|.

    a         above, r > log 6, and r > 5 · 1.4826 · MAD of the logarithms
    b, n ≥ 6  more than 7 · 1.4826 · MAD from the median, both the shares and their logarithms

Hosts with data of their own, such as databases, differ by factors, and one of them is always the largest, with others
on the way to it. Of three hosts two often agree by chance, so that a distance in deviations alone says nothing there.
The measured rates: docs/decisions/045-few-hosts-need-a-factor.md.
Source: B. Iglewicz, D. Hoaglin, How to Detect and Handle Outliers, 1993 (3.5 and 1.4826).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fleetpmap.table import IntArray

MIB = 1024
"""One MiB in KiB."""
ENOUGH, FEWEST = 5, 3
"""Least numbers of hosts for the MAD to be meaningful, and for a majority to exist."""
MANY = 6
"""Number of hosts from which on deviations alone can tell that a host stands alone."""
_DEVIATIONS = 3.5 * 1.4826
_DEVIATIONS_ALONE = 7 * 1.4826
_FACTOR, _DEVIATIONS_BY_FACTOR = 6, 5 * 1.4826
_FLOOR = 1 * MIB
FLOOR_SHARE = 0.10
"""Share of the median; a value closer to it is never an outlier."""
_FLOOR_OF_FEW, _FLOOR_SHARE_OF_FEW = 8 * MIB, 0.50
_CROWD = 0.25
_ALONE = 2
"""How much further than the others an outlier is that stands alone."""
WORTH_TELLING = 16 * MIB
"""Least distance from the median of an outlier that is told unasked."""
_WORTH_TELLING_OF_FEW = 64 * MIB
_MOST_GROUPS = 4
"""Number of groups from which on the values count as scattered, not as grouped."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The rule applied to each row of a (row, host) matrix."""

    median: NDArray[np.float64]
    """(row,): median over the hosts, KiB."""
    spread: IntArray
    """(row,): largest minus smallest value, KiB."""
    out: Flags
    """(row, host): True for outliers; all False in a split row."""
    split: Flags
    """(row,): True if more than a quarter of the hosts would be out."""
    far: Flags
    """(row, host): True for a host beyond the limits, also in a split row."""

    def confirmed_by(self, *others: Judgement) -> Judgement:
        """Return only the outliers and splits that at least one other judgement has too."""
        apart = np.logical_or.reduce([other.far for other in others])
        return replace(self, out=self.out & apart, split=self.split & apart.any(axis=1), far=self.far & apart)

    def and_per_process(self, each: Judgement) -> Judgement:
        """Return this judgement, of sums over different numbers of processes, corrected by that of sizes per process.

        An outlier is beyond the limits in both, and an outlier in one of them. So a host with larger processes is found
        even where the sums are split because the numbers of processes are, and the other way round.
        """
        out = (self.out & each.far) | (each.out & self.far)
        return replace(self, out=out, split=self.split & each.split & ~out.any(axis=1), far=self.far & each.far)


def judge(values: IntArray) -> Judgement:
    """Judge a (row, host) matrix of KiB in which every value is known."""
    rows, hosts = values.shape
    if not hosts:
        nothing = np.zeros(rows, dtype=np.int64)
        none = np.zeros((rows, 0), np.bool_)
        return Judgement(nothing.astype(np.float64), nothing, none, np.zeros(rows, np.bool_), none)
    median = np.median(values, axis=1)
    distance = np.abs(values - median[:, None])
    far = distance > _limit(median, distance)[:, None]
    split = far.sum(axis=1) > max(1, _CROWD * hosts)
    return Judgement(median, values.max(axis=1) - values.min(axis=1), far & ~split[:, None], split, far)


def stand_alone(values: IntArray, shares: NDArray[np.float64], judged: Judgement) -> Flags:
    """Return the outliers, (row, host), that are far enough from all other hosts to be told unasked.

    `shares`: (row, host), what a process has, in KiB above 0. Amounts are compared by `values`, the sums, and
    proportions by `shares`.
    """
    if not values.size:
        return judged.out
    is_few = values.shape[1] < MANY
    apart = values - judged.median[:, None]
    inside = np.where(judged.out, 0, apart)
    others = np.where(apart > 0, inside.max(axis=1)[:, None], -inside.min(axis=1)[:, None])
    least = _WORTH_TELLING_OF_FEW if is_few else WORTH_TELLING
    alone: Flags = judged.out & (np.abs(apart) > _ALONE * others) & (np.abs(apart) >= least)
    ratios, usual_ratio = _from_median(np.log(shares))
    by_factor = (apart > 0) & (ratios > np.log(_FACTOR)) & (ratios > _DEVIATIONS_BY_FACTOR * usual_ratio)
    distance, usual = _from_median(shares)
    by_deviations = (ratios > _DEVIATIONS_ALONE * usual_ratio) & (distance > _DEVIATIONS_ALONE * usual)
    alone &= by_factor if is_few else by_factor | by_deviations
    return alone


def _from_median(values: IntArray | NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distances of a (row, host) matrix from each row's median, and the median of these as a column."""
    distance = np.abs(values - np.median(values, axis=1)[:, None])
    return distance, np.median(distance, axis=1)[:, None]


def groups_of(values: IntArray) -> list[NDArray[np.intp]]:
    """Group the hosts of a split row by value, smallest first; one group if the values are scattered.

    The sorted values are cut at each gap above the floor: [80, 82, 400, 404] MiB gives [[0, 1], [2, 3]].
    """
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
