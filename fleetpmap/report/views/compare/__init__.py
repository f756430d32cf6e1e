"""One service on all its hosts, side by side.   snapshot ─► [compare] ─► Report

comparison            the view: the judged matrix as a table, findings and notes
matrix                the judged services as one matrix
comparison_findings   the findings about differences between hosts
"""

from __future__ import annotations

from fleetpmap.report.views.compare.comparison import compare, from_options

__all__ = ["compare", "from_options"]
