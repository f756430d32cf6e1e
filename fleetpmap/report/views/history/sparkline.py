"""A series as a line of signs.   sizes ─► [sparkline] ─► trends

The scale is that of the noise floor: a sign is at least one floor high, so a size that moves less is a flat line. One
that moves more fills the eight signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

SIGNS = "▁▂▃▄▅▆▇█"
WIDTH = 16
"""Signs at most; a sign is the median of neighbouring runs."""


def sparkline(sizes: Sequence[int | None], floor: float) -> str:
    """Draw the sizes of all runs, in KiB: [4096, None, 8192, 6144] gives `▁ █▄` for a floor of 512. None is a space."""
    points = _thinned(sizes)
    known = [size for size in points if size is not None]
    if not known:
        return ""
    least = min(known)
    steps = len(SIGNS) - 1
    span = max(max(known) - least, steps * floor)
    return "".join(" " if size is None else SIGNS[int((size - least) * steps / span)] for size in points)


def _thinned(sizes: Sequence[int | None]) -> list[int | None]:
    """Return at most WIDTH medians of neighbours; None where less than half as many have a size as elsewhere."""
    count = min(len(sizes), WIDTH)
    least = sum(size is not None for size in sizes) / len(sizes) / 2 if sizes else 0.0
    points: list[int | None] = []
    for slot in range(count):
        piece = sizes[slot * len(sizes) // count : (slot + 1) * len(sizes) // count]
        known = [size for size in piece if size is not None]
        points.append(median_low(known) if known and len(known) >= least * len(piece) else None)
    return points
