"""Trends of sizes over many runs.   Part, Part, … ─► [history] ─► report

gathering   the sizes of all runs by key, with the restarts and the gaps
trend       Theil–Sen slope of a series, with its interval      levels   where it jumps, and stays
classes     leak, step, sawtooth, plateau or noise
"""

from __future__ import annotations

from fleetpmap.history.classes import CLASSES, LEAST_DAYS, LEAST_RUNS, Judgement, Series, judged
from fleetpmap.history.gathering import (
    Gathering,
    History,
    Key,
    attributes_for,
    counted_by,
    process_keys,
    texts_for,
)

__all__ = [
    "CLASSES",
    "LEAST_DAYS",
    "LEAST_RUNS",
    "Gathering",
    "History",
    "Judgement",
    "Key",
    "Series",
    "attributes_for",
    "counted_by",
    "judged",
    "process_keys",
    "texts_for",
]
