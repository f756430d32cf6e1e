"""Growth between two snapshots.   old, new ─► [diff] ─► Report

difference        the view: both snapshots matched, summed and subtracted
pairs             the processes of both, matched: same, restarted, new or gone; and notes on comparability
cells             what each process has in each row, before and after
noise             the noise floor: which changes count
lives             what became of each process
growth_findings   the findings about growth, restarts, and processes that came or went
"""

from __future__ import annotations

from fleetpmap.report.views.diff.difference import diff, growth_between
from fleetpmap.report.views.diff.growth_findings import span

__all__ = ["diff", "growth_between", "span"]
