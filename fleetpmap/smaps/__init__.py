"""smaps text to columns.   wire ─► [smaps] ─► table"""

from fleetpmap.smaps.columns import NULL, Coded, SmapsColumns
from fleetpmap.smaps.parser import parse, parse_processes
from fleetpmap.smaps.reference_parser import signature

__all__ = ["NULL", "Coded", "SmapsColumns", "parse", "parse_processes", "signature"]
