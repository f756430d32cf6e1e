"""The noise floor: which changes count.   cells ─► [noise] ─► difference, growth_findings

The sizes of a process that does nothing move, too: a page is read in, an allocator gives some back. And PSS and USS
change whenever another process maps or unmaps a page that both have. So a size has changed only if it moved by more
than FLOOR_KIB; and a PSS or USS only if something moved with it, by more than the floor, that is the process's own:
what it has resident (RSS), or what it wrote and has alone (Private_Dirty, which grows at the same RSS when a page is
copied after a fork). A row has changed if its sum moved by more than the floor and a process in it has changed.
The measurements: docs/decisions/041-a-noise-floor.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps import NULL
from fleetpmap.table import IntArray

FLOOR_KIB = 64
"""The largest change that is noise, in KiB: of what one process has in one row, and of a row."""
WITNESSES = ("rss_kib", "Private_Dirty")
"""What a process has of its own, as sizes and kernel fields: one of them moves if its memory does."""
_SHARED = frozenset({"pss_kib", "uss_kib"})
"""The sizes that other processes move."""


class Sides(NamedTuple):
    """One size of the same things in both runs, in KiB: an element for each; NULL where unknown."""

    old: IntArray
    new: IntArray

    @property
    def known(self) -> NDArray[np.bool_]:
        """True where both are known."""
        known: NDArray[np.bool_] = (self.old != NULL) & (self.new != NULL)
        return known

    @property
    def growth(self) -> IntArray:
        """The new size less the old one; 0 where one of them is unknown."""
        return np.where(self.known, self.new - self.old, 0)


def beyond_floor(growth: IntArray) -> NDArray[np.bool_]:
    """Return True for each growth, in KiB, that is larger than noise."""
    return np.abs(growth) > FLOOR_KIB


def have_changed(metric: str, sizes: Mapping[str, Sides]) -> NDArray[np.bool_]:
    """Return, for each process in a row, True if its size `metric` has changed.

    `sizes`: those of the metric and of WITNESSES. A size that a kernel lacks is no witness against a change.
    """
    moved = beyond_floor(sizes[metric].growth)
    if metric not in _SHARED:
        return moved
    unknown, own = np.zeros(len(moved), dtype=np.bool_), np.zeros(len(moved), dtype=np.bool_)
    for witness in WITNESSES:
        unknown |= ~sizes[witness].known
        own |= beyond_floor(sizes[witness].growth)
    return moved & (own | unknown)


def own_growth(metric: str, sizes: Mapping[str, Sides]) -> tuple[IntArray, IntArray]:
    """Return how much of each growth is the process's own, in KiB: at most what its witnesses, and its RSS, grew by."""
    growth = sizes[metric].growth
    if metric not in _SHARED:
        return growth, growth
    grown = {name: np.where(sizes[name].known, sizes[name].growth, growth) for name in WITNESSES}
    return np.minimum(growth, np.maximum.reduce([*grown.values()])), np.minimum(growth, grown["rss_kib"])
