"""Sizes over time as line charts.   Chart ─► [charts] ─► page

A chart is SVG that the template writes: a line with a gap where a size is missing, ticks where processes restarted, and
the trend. Its axis spans at least what the report says, so that noise stays a flat line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fleetpmap.report.model import Chart
from fleetpmap.units import human

WIDTH, HEIGHT = 600, 120
"""The box of the lines; only the proportions matter, since the page scales it."""


@dataclass(frozen=True, slots=True)
class DrawnChart:
    """A chart ready for the template."""

    title: str
    caption: str
    paths: tuple[str, ...]
    """The line, a path for each piece without a gap."""
    marks: tuple[float, ...]
    """Horizontal place of each restart."""
    trend: tuple[float, float, float, float] | None
    """x1, y1, x2, y2 of the trend."""
    high: str
    low: str
    """Sizes at the upper and the lower end of the axis."""
    first: str
    last: str
    """Times at the left and the right end."""


def drawn(chart: Chart) -> DrawnChart:
    """Place a chart, which has at least one size, in its box."""
    known = [size for size in chart.sizes if size is not None]
    middle, span = (max(known) + min(known)) / 2, max(max(known) - min(known), chart.least_span, 1) * 1.1
    top = max(middle + span / 2, span)  # no size is below 0
    xs = _places(chart)

    def y(kib: int) -> float:
        return round((top - kib) / span * HEIGHT, 1)

    points = [None if size is None else (x, y(size)) for x, size in zip(xs, chart.sizes, strict=True)]
    ends = [(xs[slot], y(kib)) for slot, kib in chart.line]
    return DrawnChart(
        chart.title,
        chart.caption,
        tuple(_paths(points)),
        tuple(xs[slot] for slot in chart.marks),
        (*ends[0], *ends[1]) if len(ends) == 2 else None,
        human(round(top)),
        human(max(round(top - span), 0)),
        f"{chart.times[0]:%Y-%m-%d %H:%M}",
        f"{chart.times[-1]:%Y-%m-%d %H:%M}",
    )


def _places(chart: Chart) -> list[float]:
    """Return the horizontal place of each time."""
    first = chart.times[0]
    whole = (chart.times[-1] - first).total_seconds() or 1.0
    return [round((moment - first).total_seconds() / whole * WIDTH, 1) for moment in chart.times]


def _paths(points: Sequence[tuple[float, float] | None]) -> Iterator[str]:
    """Yield a path for each piece without a gap; a point alone becomes a dot, by the round ends of a line."""
    piece: list[str] = []
    for point in (*points, None):
        if point is not None:
            piece.append(f"{point[0]:g} {point[1]:g}")
        elif piece:
            yield f"M{'L'.join(piece)}" + ("h0" if len(piece) == 1 else "")
            piece = []
