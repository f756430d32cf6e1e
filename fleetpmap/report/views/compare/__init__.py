"""One service on all its hosts, side by side.   snapshot ─► [compare] ─► Report

comparison            the view: the judged matrix as a table, findings and notes
matrix                mappings by hosts: absent, zero and unknown are three things
outliers              the rule by which a host stands apart, or the hosts fall into groups
comparison_findings   the sentences about differences between hosts
"""

from __future__ import annotations

from fleetpmap.report.views.compare.comparison import compare, from_options

__all__ = ["compare", "from_options"]
