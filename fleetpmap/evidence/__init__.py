"""The inputs of findings, in a small form that adds up over hosts.   table ─► [evidence] ─► snapshot ─► report

judging      Evidence: the sizes by which hosts are judged, and the code of each process; made of rows, and joined
code         Code: the files that a process runs, and those of them that an upgrade replaced
stale_code   the rule for a file that an upgrade replaced
"""

from __future__ import annotations

from fleetpmap.evidence.code import Code, CodeFile, code_rows
from fleetpmap.evidence.judging import JUDGED, Evidence, evidence_of, joined
from fleetpmap.evidence.stale_code import proper_paths, replaced, rewritten, stale_code

__all__ = [
    "JUDGED",
    "Code",
    "CodeFile",
    "Evidence",
    "code_rows",
    "evidence_of",
    "joined",
    "proper_paths",
    "replaced",
    "rewritten",
    "stale_code",
]
