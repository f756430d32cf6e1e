"""Tell leak, step, sawtooth, plateau and noise apart.   Series ─► trend, levels ─► [classes] ─► Judgement

docs/guides/history.md has the rules, in this order, and the reason of every number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fleetpmap.history.levels import three_levels, two_levels
from fleetpmap.history.trend import Floats, Trend, deviation, median, trend

Class = Literal["leak", "step", "sawtooth", "plateau", "noise"]
CLASSES: tuple[Class, ...] = ("leak", "step", "sawtooth", "noise", "plateau")
"""The classes, in the order of the rows: what moves most comes first."""

LEAST_RUNS, LEAST_DAYS = 10, 10 / 1440
"""Runs with a size that a trend needs, and the time from the first to the last: ten minutes."""
FLOOR_KIB, FLOOR_SHARE = 512, 0.01
"""The noise floor: this size, or this share of the median if that is more."""
ABOVE_NOISE, FEW_RUNS = 5.0, 20
"""A leak's growth, and a step's height, in standard deviations of the noise around the line, or the levels; for n runs
times sqrt(1 + FEW_RUNS / n), since few runs tell the noise badly, and by chance look like anything."""
STILL_RISES = 1 / 3
"""Least slope of a leak in the second half, and within the lives of its processes, as a share of its slope."""
STEP_AT_ONCE = 0.6
"""Share of the height of a step without a restart that comes from one run to the next but one."""
STEP_RUNS = 5
"""Runs on either side of a step at least; and the most from a restart to the step that it brings."""
LEVELS_LEAVE = 0.75
"""Most that the best three levels leave of the variance where there is a step."""
MOST_CUTS = 2
"""Cuts that are looked for; more come from restarts only, and then all levels must go one way."""
TEETH = 3
"""Falls of a saw-tooth at least."""
TOOTH_SHARE = 0.4
"""A fall from one run to the next, as a share of what the series spans; at most half as many rises may be as sudden."""
TOOTH_RUNS = 4
"""Runs from fall to fall, as the median."""
TOOTH_FIT = 0.7
"""Share of the variance that rising teeth explain, each of them and their slope being a parameter."""
AT_REST = 0.1
"""The last third of a plateau spans at most this share of what the series spans, or the noise floor."""


@dataclass(frozen=True)
class Series:
    """The sizes of one service, host and mapping (or of other keys) in the runs that have one."""

    days: Floats
    """When each run began, in days since the first run of all; ascending."""
    sizes: Floats
    """KiB."""
    lives: NDArray[np.integer]
    """A number for each run that changes when its processes restarted; ascending."""

    def __len__(self) -> int:
        return len(self.sizes)

    def part(self, start: int, stop: int | None = None) -> Series:
        """Return some neighbouring runs of the series."""
        return Series(self.days[start:stop], self.sizes[start:stop], self.lives[start:stop])

    @cached_property
    def floor(self) -> float:
        """The noise floor, KiB: a smaller change is none."""
        middle = len(self) // 2
        return max(FLOOR_KIB, FLOOR_SHARE * float(self._ordered[middle]))

    @property
    def is_flat(self) -> bool:
        """True if all sizes are within one noise floor."""
        return bool(self._ordered[-1] - self._ordered[0] <= self.floor)

    @cached_property
    def trend(self) -> Trend:
        """The trend over all runs."""
        return trend(self.days, self.sizes)

    @cached_property
    def span(self) -> float:
        """KiB between the low and the high end, without the lowest and the highest 2 % of the runs."""
        return _spread(self._ordered, 2)

    @cached_property
    def _ordered(self) -> Floats:
        return np.sort(self.sizes)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a series does."""

    kind: Class | None
    """None: too few runs, or too short a time, to tell."""
    trend: Trend | None
    """The trend of the runs that its class is about: all of them, the last life, or the level after a step; None if
    these are too few."""
    restarts: int
    """Number of restarts among its runs."""
    step: int | None = None
    """Index of the first run after a step, among those of the series."""
    levels: tuple[float, float] | None = None
    """The size before and after the step, KiB."""


def judged(series: Series) -> Judgement:
    """Return the class of a series."""
    restarts = int(np.count_nonzero(np.diff(series.lives)))
    if len(series) < LEAST_RUNS or _days(series) < LEAST_DAYS:
        return Judgement(None, None, restarts)
    if series.is_flat:
        return Judgement("plateau", series.trend, restarts)
    if leaking := _leaking(series):
        return Judgement("leak", leaking, restarts)
    if found := _step(series):
        cut, levels = found
        after = series.part(cut)
        return Judgement("step", after.trend if len(after) >= LEAST_RUNS else None, restarts, cut, levels)
    if _has_teeth(series):
        return Judgement("sawtooth", series.trend, restarts)
    last_third = np.sort(series.sizes[-(len(series) // 3) :])
    at_rest = _spread(last_third, 5) <= max(series.floor, AT_REST * series.span)
    return Judgement("plateau" if at_rest else "noise", series.trend, restarts)


def _leaking(series: Series) -> Trend | None:
    """Return the trend of a leak: that of the last life if it rises for half of the time, else that over restarts."""
    life = _last_life(series)
    in_life = life is not None and _rises(life) and not _has_teeth(series)
    if life is not None and in_life and (len(life) == len(series) or _days(life) >= _days(series) / 2):
        return life.trend
    if _rises(series) and _rises_in_lives(series):
        return series.trend
    return life.trend if life is not None and in_life else None


def _rises(series: Series) -> bool:
    """Return whether a series rises without doubt, by more than noise, steadily and to the end."""
    line = series.trend
    if line.low <= 0 or line.growth <= series.floor or line.growth < _above_noise(len(line.sizes)) * line.noise:
        return False
    half = len(line.sizes) // 2
    if trend(line.days[half:], line.sizes[half:]).slope < STILL_RISES * line.slope:
        return False
    return _is_steady(line)


def _above_noise(runs: int) -> float:
    return ABOVE_NOISE * math.sqrt(1 + FEW_RUNS / runs)


def _is_steady(line: Trend) -> bool:
    """Return whether the line describes its points better than three levels do, by Schwarz's criterion (BIC)."""
    count = len(line.sizes)
    apart = line.residuals
    of_line = float(((apart - apart.mean()) ** 2).sum())
    of_levels = three_levels(line.sizes).squares
    # A line has two parameters; three levels and two cuts are five.
    by_line, by_levels = (count * np.log(max(squares, 1.0)) for squares in (of_line, of_levels))
    return bool(by_line + 2 * np.log(count) < by_levels + 5 * np.log(count))


def _lives(series: Series) -> Iterator[Series]:
    cuts = [0, *(np.flatnonzero(np.diff(series.lives)) + 1).tolist(), len(series)]
    for start, stop in pairwise(cuts):
        yield series.part(start, stop)


def _last_life(series: Series) -> Series | None:
    """Return the last life that is long enough for a trend."""
    if series.lives[0] == series.lives[-1]:
        return series
    return next((life for life in reversed([*_lives(series)]) if len(life) >= LEAST_RUNS), None)


def _rises_in_lives(series: Series) -> bool:
    """Return whether the lives rise too, and not only the restarts between them; True if the lives are too short."""
    long = [life for life in _lives(series) if len(life) >= LEAST_RUNS]
    if sum(map(len, long)) < len(series) / 2:
        return True
    days = [_days(life) for life in long]
    slope = sum(life.trend.slope * length for life, length in zip(long, days, strict=True)) / (sum(days) or 1.0)
    return slope >= STILL_RISES * series.trend.slope


def _step(series: Series) -> tuple[int, tuple[float, float]] | None:
    """Return the first run after the last step that lasts, and the levels before and after it."""
    for cuts in _cuts(series):
        ends = [0, *cuts, len(series)]
        pieces = [series.sizes[start:stop] for start, stop in pairwise(ends)]
        if min(map(len, pieces)) < STEP_RUNS:
            continue
        levels = [float(median(piece)) for piece in pieces]
        noise = _noise_around(pieces, levels)
        least = max(series.floor, _above_noise(len(series)) * noise)
        if abs(levels[-1] - levels[0]) <= least or (len(cuts) > MOST_CUTS and not _goes_one_way(levels, series.floor)):
            continue
        for slot in reversed(range(len(cuts))):
            height = levels[slot + 1] - levels[slot]
            if abs(height) > least and _is_at_once(series, cuts[slot], height):
                return cuts[slot], (levels[slot], levels[slot + 1])
    return None


def _noise_around(pieces: Sequence[Floats], levels: Sequence[float]) -> float:
    """Return the standard deviation of pieces around their levels, all together."""
    apart = np.concatenate([piece - level for piece, level in zip(pieces, levels, strict=True)])
    return deviation(apart, len(levels))


def _cuts(series: Series) -> Iterator[Sequence[int]]:
    """Yield the places where the series may jump: the best one, the best two, and the restarts."""
    line = series.trend
    best = three_levels(line.sizes)
    whole = line.sizes - line.sizes.mean()
    if best.squares <= LEVELS_LEAVE * float(whole @ whole):
        points = len(series) // len(line.sizes)
        begin = len(series) - points * len(line.sizes)
        for cuts in (two_levels(line.sizes).cuts, best.cuts):
            yield [_refined(series, begin + cut * points, points) for cut in cuts]
    restarts = (np.flatnonzero(np.diff(series.lives)) + 1).tolist()
    if len(restarts) > MOST_CUTS:
        yield restarts


def _goes_one_way(levels: Sequence[float], floor: float) -> bool:
    up = np.diff(levels) * np.sign(levels[-1] - levels[0])
    return bool((up > -floor).all())


def _refined(series: Series, cut: int, reach: int) -> int:
    """Return the run, near a cut of the thinned series, at which the sizes themselves jump."""
    start, stop = max(cut - 2 * reach - STEP_RUNS, 0), min(cut + 2 * reach + STEP_RUNS, len(series))
    cut = start + two_levels(series.sizes[start:stop]).cuts[0]
    restarts = np.flatnonzero(np.diff(series.lives)) + 1
    near = restarts[np.abs(restarts - cut) <= STEP_RUNS]
    return int(near[np.argmin(np.abs(near - cut))]) if len(near) else cut


def _is_at_once(series: Series, cut: int, height: float) -> bool:
    """Return whether a step comes with a restart, or from one run to the next but one at most."""
    if series.lives[cut - 1] != series.lives[cut]:
        return True
    nearest = max(abs(float(series.sizes[slot + 1] - series.sizes[slot - 1])) for slot in (cut - 1, cut) if slot > 0)
    return nearest >= STEP_AT_ONCE * abs(height)


def _has_teeth(series: Series) -> bool:
    """Return whether the series rises and falls back, again and again."""
    changes = series.sizes[1:] - series.sizes[:-1]
    sudden = max(series.floor, TOOTH_SHARE * series.span)
    falls = np.flatnonzero(changes < -sudden) + 1
    if len(falls) < TEETH or 2 * np.count_nonzero(changes > sudden) > len(falls):
        return False
    if median((falls[1:] - falls[:-1]).astype(np.float64)) < TOOTH_RUNS:
        return False
    tooth = np.searchsorted(falls, np.arange(len(series)), side="right")
    days, sizes = (_within(values, tooth) for values in (series.days, series.sizes))
    power = float(days @ days)
    slope = float(days @ sizes) / power if power else 0.0
    left = sizes - slope * days
    free = len(series) - len(falls) - 2
    return slope > 0 and free > 0 and float(left @ left) / free <= (1 - TOOTH_FIT) * float(series.sizes.var(ddof=1))


def _within(values: Floats, group: NDArray[np.integer]) -> Floats:
    """Return the distances of values from the mean of their group."""
    mean = np.bincount(group, weights=values) / np.maximum(np.bincount(group), 1)
    apart: Floats = values - mean[group]
    return apart


def _days(series: Series) -> float:
    return float(series.days[-1] - series.days[0])


def _spread(ordered: Floats, percent: int) -> float:
    """Return the distance between two percentiles of ordered sizes, the low one and the same from above."""
    left_out = len(ordered) * percent // 100
    return float(ordered[-1 - left_out] - ordered[left_out])
