"""Charts of the first rows, for a page.   History, rows ─► [charts] ─► trends"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from fleetpmap.history import History
from fleetpmap.report.model import Chart
from fleetpmap.report.views.history.rows import Row
from fleetpmap.smaps import NULL
from fleetpmap.units import human

MOST = 12
"""Charts on a page; plateaus have none."""
_FLOORS = 8
"""Noise floors that the axis spans at least."""


def charts(past: History, rows: Sequence[Row]) -> Iterator[Chart]:
    """Yield a chart for each of the first rows that are no plateau."""
    moving = (row for row in rows if row.judgement.kind not in ("plateau", None))
    return (_chart(past, row) for row in islice(moving, MOST))


def _chart(past: History, row: Row) -> Chart:
    runs = past.runs_of(row.slot).tolist()
    restarts = (np.flatnonzero(np.diff(past.series(row.slot).lives)) + 1).tolist()
    return Chart(
        title=", ".join(str(text) for text in row.key.values() if text is not None),
        caption=_caption(row),
        times=past.started,
        sizes=tuple(None if size == NULL else size for size in past.sizes[row.slot].tolist()),
        least_span=round(_FLOORS * row.floor),
        marks=tuple(runs[slot] for slot in restarts),
        line=_line(past, row),
    )


def _caption(row: Row) -> str:
    line, kind = row.judgement.trend, str(row.judgement.kind)
    if row.judgement.levels:
        return f"{kind}: from {human(round(row.judgement.levels[0]))} to {human(round(row.judgement.levels[1]))}"
    if line is None or kind != "leak":
        return kind
    return f"{kind}: {human(round(line.slope))} a day, {human(round(line.low))} to {human(round(line.high))}"


def _line(past: History, row: Row) -> tuple[tuple[int, int], ...]:
    """Return the ends of a leak's line, over the runs that it is about."""
    line = row.judgement.trend
    if row.judgement.kind != "leak" or line is None:
        return ()
    start = float(np.median(line.sizes - line.slope * line.days))
    runs = np.searchsorted(past.days, (line.days[0], line.days[-1]), side="right") - 1
    first, last = (int(run) for run in runs)
    return tuple((run, round(start + line.slope * float(past.days[run]))) for run in (first, last))
