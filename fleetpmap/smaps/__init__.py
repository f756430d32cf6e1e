"""smaps text to columns.   wire ─► [smaps] ─► table"""

from fleetpmap.smaps.columns import NULL, Coded, SmapsColumns
from fleetpmap.smaps.general import signature
from fleetpmap.smaps.parse import parse, parse_processes

__all__ = ["NULL", "Coded", "SmapsColumns", "parse", "parse_processes", "signature"]
