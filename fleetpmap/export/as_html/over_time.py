"""Services over many runs.   Timeline ─► [over_time] ─► page, scripts/over_time.js

The script draws the runs, and tells the growth in the span that the reader chooses. Without it stands a table of the
first and the last sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from fleetpmap.escape import escape_cell
from fleetpmap.export.as_html.page_data import Json
from fleetpmap.export.as_html.tables import UNKNOWN, folded_text
from fleetpmap.report.model import Line, Timeline
from fleetpmap.units import human


@dataclass(frozen=True, slots=True)
class Growth:
    """The first and the last size of a service."""

    service: str
    first: str
    last: str
    growth: str
    restarts: str
    """`3`, or `3 (1 deploy)`."""


@dataclass(frozen=True, slots=True)
class OverTime:
    """What the page shows without scripts."""

    metric: str
    first: str
    last: str
    """Times of the first and of the last run."""
    runs: int
    gaps: int
    """Runs in which a host was away, so that no sum over all hosts is known."""
    rows: tuple[Growth, ...]
    total: Growth
    notes: tuple[str, ...]


def over_time(timeline: Timeline) -> OverTime:
    """Return the table of a timeline."""
    return OverTime(
        timeline.metric.removesuffix("_kib"),
        _text(timeline.times[0]),
        _text(timeline.times[-1]),
        len(timeline.times),
        sum(size is None for size in timeline.whole.sizes),
        tuple(_growth(line, line.service or "others") for line in timeline.services),
        _growth(timeline.whole, "all"),
        timeline.notes,
    )


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _growth(line: Line, name: str) -> Growth:
    known = [size for size in line.sizes if size is not None]
    if not known:
        return Growth(name, UNKNOWN, UNKNOWN, UNKNOWN, _restarts(line))
    apart = known[-1] - known[0]
    sign = "+" if apart > 0 else ""
    return Growth(name, human(known[0]), human(known[-1]), f"{sign}{human(apart)}", _restarts(line))


def _restarts(line: Line) -> str:
    count = len(line.deploys)
    return f"{len(line.restarts)}" + (f" ({count} deploy{'' if count == 1 else 's'})" if count else "")


def over_time_data(timeline: Timeline) -> Json:
    """Return what the script draws. Times are in seconds since 1970, a size is the step from the last known one."""
    seconds = [round(moment.timestamp()) for moment in timeline.times]
    return {
        "metric": timeline.metric.removesuffix("_kib"),
        "times": [seconds[0], *(later - earlier for earlier, later in pairwise(seconds))],
        "whole": _line(timeline.whole),
        "services": [_line(line) for line in timeline.services],
        "hosts": [_line(line) for line in timeline.hosts],
    }


def _line(line: Line) -> Json:
    return {
        "service": _name(line.service),
        "host": _name(line.host),
        "sizes": list(_steps(line.sizes)),
        "restarts": list(line.restarts),
        "deploys": list(line.deploys),
    }


def _name(text: str | None) -> str | None:
    return None if text is None else escape_cell(folded_text(text))


def _steps(sizes: tuple[int | None, ...]) -> Iterator[int | None]:
    before = 0
    for size in sizes:
        yield None if size is None else size - before
        before = before if size is None else size
