"""The answer at a glance: what is in memory, and where.   snapshot ─► merged + hosts ─► [summary] ─► Report"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fleetpmap.report.base import Report
from fleetpmap.report.hosts import hosts
from fleetpmap.report.merged import merged
from fleetpmap.snapshot import Snapshot


def summary(snapshot: Snapshot, by: Sequence[str] = ("mapping",)) -> Report:
    """The tables of `merged` and `hosts`; a format of one table writes the first.

    Raises:
        UsageError: a key of `by` that merged does not have.
    """
    first = merged(snapshot, by)
    return replace(first, view="summary", tables=first.tables + hosts(snapshot).tables)
