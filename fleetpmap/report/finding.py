"""What stands out, as data.   [finding] ─► the views, standing_out ─► render, export"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleetpmap.catalogue import FindingKind as FindingKind  # the makers of findings import it from here

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


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A row or finding that breaks a rule of --fail-if; None where it is about several, or none in particular."""

    rule: str
    """The rule as it was given: `pss>2G`."""
    text: str
    """What breaks it, in one sentence."""
    host: str | None = None
    service: str | None = None
    pid: int | None = None
    mapping: str | None = None
    value_kib: int | None = None
    """The size, or the growth; None for a share."""
    value: float | None = None
    """The share, or the growth of `growth>10%`, in percent; None for a size, and for what is new."""


def told(findings: tuple[Finding, ...]) -> tuple[tuple[Finding, ...], str]:
    """Return the first MOST_TOLD findings, and a sentence that counts the others; empty if there is none."""
    left = len(findings) - MOST_TOLD
    if left <= 0:
        return findings, ""
    noun = "finding" if left == 1 else "findings"
    return findings[:MOST_TOLD], f"{left} more {noun}: `--format json` has all of them"


def rows_named(findings: Iterable[Finding]) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Return for each finding (column, text) of the rows that it names: by host, service and mapping."""
    named = ([(name, getattr(one, name)) for name in ("host", "service", "mapping")] for one in findings)
    return tuple(dict.fromkeys(tuple((name, text) for name, text in of if text) for of in named))


def columns_named(findings: Iterable[Finding]) -> frozenset[str]:
    """Return the columns with the figures that findings tell."""
    of_limits = ("limit_share", "oom_kills")
    return frozenset(name for one in findings for name in (of_limits if one.kind == "limit" else (one.metric,)) if name)


def of_kind(kind: FindingKind, texts: Iterable[str]) -> tuple[Finding, ...]:
    """Return findings that have a sentence and nothing else."""
    return tuple(Finding(kind, text) for text in texts)
