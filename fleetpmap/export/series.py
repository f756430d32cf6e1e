"""Which views openmetrics can hold, and what tells their rows apart.   [series] ─► as_openmetrics"""

from __future__ import annotations

from collections.abc import Sequence

VIEWS = ("summary", "merged", "hosts", "processes")
"""Views whose rows are worth a series each."""
KEYS = {"hosts": ("host",), "processes": ("host", "pid")}
"""Of summary and merged it is the keys of --by."""


def keys(view: str, by: Sequence[str]) -> tuple[str, ...]:
    """The columns that tell the rows of a view apart: without them two samples would be the same series."""
    return KEYS.get(view, tuple(by))
