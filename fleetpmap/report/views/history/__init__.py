"""Trends over many runs.   History, Snapshot (the last run) ─► [history] ─► Report

trends           the view: every series with its class, ranked by what matters
limits           the room that is left to the processes of a series
trend_findings   the findings on leaks and steps
sparkline        the sizes of a series as a line of signs      charts   and as a chart for a page
timeline         the services over time, for a page
"""

from __future__ import annotations

from fleetpmap.report.views.history.timeline import GATHERED, timeline, with_deploys
from fleetpmap.report.views.history.trends import history

__all__ = ["GATHERED", "history", "timeline", "with_deploys"]
