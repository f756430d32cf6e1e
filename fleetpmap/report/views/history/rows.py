"""Every series of a history, judged and ranked.   History, the last Snapshot ─► limits ─► [rows] ─► trends"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from fleetpmap.history import CLASSES, History, Judgement, judged, process_keys
from fleetpmap.report.views.history.limits import Limit, limits
from fleetpmap.smaps import NULL
from fleetpmap.snapshot import ANSWERED, Snapshot

MOST_DAYS = 36_500
"""Days until a limit at most; more are none."""


@dataclass(frozen=True)
class Row:
    """One series, judged."""

    key: Mapping[str, str | None]
    """The texts of the keys of --by."""
    slot: int
    """Index of the series in the history."""
    first_kib: int
    """The size in the first run that has one."""
    last_kib: int
    """The size in the last run that has one."""
    floor: float
    """The noise floor, KiB."""
    judgement: Judgement
    limit: Limit | None
    """The limit that it may reach; None if none is known."""
    is_there: bool
    """False if the last run could have shown it, and did not."""

    @property
    def slope(self) -> int | None:
        """KiB a day; None if unknown."""
        return None if self.judgement.trend is None else round(self.judgement.trend.slope)

    @cached_property
    def days_left(self) -> tuple[float, float, float] | None:
        """Days until a leak reaches its limit: by its slope, and by the upper and lower end of the slope's interval."""
        line = self.judgement.trend
        if self.judgement.kind != "leak" or line is None or self.limit is None or not self.is_there:
            return None
        room = self.limit.room_kib
        room = max(self.limit.kib - self.last_kib, 0) if room is None else room
        days = (room / line.slope, room / line.high, room / line.low)
        return days if days[0] <= MOST_DAYS else None

    @property
    def rank(self) -> tuple[object, ...]:
        """What the rows are sorted by."""
        kind, levels = self.judgement.kind, self.judgement.levels
        by_class = len(CLASSES) if kind is None else CLASSES.index(kind)
        left = self.days_left[0] if self.days_left else math.inf
        height = abs(levels[1] - levels[0]) if levels else 0.0
        return (not self.is_there, by_class, left, -height, -(self.slope or 0), -self.last_kib)


def rows_of(past: History, last: Snapshot) -> list[Row]:
    """Return every series of the history, judged and ranked; `last`: the last run, which has the limits."""
    keys = process_keys(past.by)
    room = limits(last, keys)
    answered = {host.name for host in last.hosts if host.status in ANSWERED}
    rows = []
    for slot, texts in enumerate(past.keys):
        series = past.series(slot)
        if not len(series):
            continue
        key = dict(zip(past.by, texts, strict=True))
        is_there = past.sizes[slot, -1] != NULL or key.get("host", "") not in answered
        first_kib, last_kib = int(series.sizes[0]), int(series.sizes[-1])
        limit = room.get(tuple(key[name] for name in keys))
        # Not the series itself: thousands of them would take a second copy of all sizes.
        rows.append(Row(key, slot, first_kib, last_kib, series.floor, judged(series), limit, is_there))
    return sorted(rows, key=lambda row: row.rank)
