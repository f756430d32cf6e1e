"""smaps text to columns.   wire ─► [smaps] ─► table"""

from fleetpmap.smaps.columns import NULL, Coded, SmapsColumns

__all__ = ["NULL", "Coded", "SmapsColumns"]
