"""What stands out, as data.   [finding] ─► the views, standing_out ─► render, export"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

FindingKind = Literal["outlier", "split", "drift", "stale", "growth", "leak", "step", "limit"]
OF_A_RUN: tuple[FindingKind, ...] = ("outlier", "limit", "growth", "stale", "drift")
"""The kinds that a run tells unasked, in order (see standing_out)."""
MOST_TOLD = 5
"""Number of findings that a terminal and stderr show; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement that follows from the numbers; None where it is about several, or none in particular."""

    kind: FindingKind
    text: str
    """The statement in one sentence."""
    host: str | None = None
    service: str | None = None
    pid: int | None = None
    """The process that has most of it."""
    mapping: str | None = None
    metric: str | None = None
    """The column of `value_kib`."""
    value_kib: int | None = None
    reference_kib: int | None = None
    """The size that it is judged by: the median of the peers, an earlier size, the limit."""
    next: str = ""
    """The command that shows more of it."""


def told(findings: tuple[Finding, ...]) -> tuple[tuple[Finding, ...], str]:
    """Return the first MOST_TOLD findings, and a sentence that counts the others; empty if there is none."""
    left = len(findings) - MOST_TOLD
    if left <= 0:
        return findings, ""
    noun = "finding" if left == 1 else "findings"
    return findings[:MOST_TOLD], f"{left} more {noun}: `--format json` has all of them"


def rows_named(findings: Iterable[Finding]) -> tuple[tuple[str, str], ...]:
    """Return (column, text) of the rows that findings name: hosts, services and mappings."""
    named = ((name, getattr(one, name)) for one in findings for name in ("host", "service", "mapping"))
    return tuple(dict.fromkeys((name, text) for name, text in named if text))


def of_kind(kind: FindingKind, texts: Iterable[str]) -> tuple[Finding, ...]:
    """Make findings of sentences alone."""
    return tuple(Finding(kind, text) for text in texts)
