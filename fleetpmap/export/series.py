"""Views that openmetrics can hold, and the labels that identify their rows.   [series] ─► as_openmetrics

Apart from the exporter, because the command line needs it before numpy is imported.
"""

from __future__ import annotations

from collections.abc import Sequence

VIEWS = ("summary", "merged", "hosts", "processes")
"""Views with a series for each row."""
KEYS = {"hosts": ("host",), "processes": ("host", "pid")}
"""Columns that identify a row, by view; for summary and merged they are the keys of --by."""


def keys(view: str, by: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that identify the rows of a view: without them two rows would be one series."""
    return KEYS.get(view, tuple(by))
