"""Services over many runs: the table of a page, and what its script draws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fleetpmap.export.as_html.over_time import over_time, over_time_data
from fleetpmap.report.model import Line, Timeline

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
MIB = 1024
PAST = Timeline(
    "pss_kib",
    (BEGIN, BEGIN + timedelta(hours=1), BEGIN + timedelta(hours=3)),
    Line(None, None, (6 * MIB, None, 9 * MIB)),
    (Line("api<b>", None, (5 * MIB, None, 8 * MIB), (2,), (2,)), Line(None, None, (None, None, None))),
    (Line("api<b>", "web-01", (3 * MIB, 4 * MIB, 2 * MIB)),),
    ("A note.",),
)


def test_the_table_has_the_first_and_the_last_size():
    """Gaps are counted; a service without a size is unknown, and the last line stands for the others."""
    found = over_time(PAST)
    assert (found.metric, found.first, found.last) == ("pss", "2026-11-01 00:00 UTC", "2026-11-01 03:00 UTC")
    assert (found.runs, found.gaps, found.notes) == (3, 1, ("A note.",))
    first, others = found.rows
    assert (first.service, first.first, first.last, first.growth, first.restarts) == (
        "api<b>",
        "5.0M",
        "8.0M",
        "+3.0M",
        "1 (1 deploy)",
    )
    assert (others.service, others.first, others.growth) == ("others", "?", "?")
    assert (found.total.service, found.total.growth) == ("all", "+3.0M")


def test_sizes_and_times_are_steps():
    """A size is what it differs by from the last known one, so that the figures are short; a gap is null."""
    found = over_time_data(PAST)
    assert found["times"] == [1793491200, 3600, 7200]
    assert found["whole"]["sizes"] == [6144, None, 3072]
    assert found["hosts"] == [
        {"service": "api<b>", "host": "web-01", "sizes": [3072, 1024, -2048], "restarts": [], "deploys": []}
    ]
    assert found["services"][1]["service"] is None
