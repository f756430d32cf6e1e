"""One service on all its hosts, side by side.   snapshot ─► [compare] ─► Report

comparison            the view: the judged matrix as a table, findings and notes
matrix                the judged services as one matrix
comparison_findings   the findings about differences between hosts
side_by_side          the same of processes, or of services, in place of hosts
"""

from __future__ import annotations

from fleetpmap.report.views.compare.comparison import MOST_COLUMNS, alike_together, compare, from_options
from fleetpmap.report.views.compare.side_by_side import side_by_side

__all__ = ["MOST_COLUMNS", "alike_together", "compare", "from_options", "side_by_side"]
