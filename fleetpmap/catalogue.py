"""What a view may be told.   cli ─► [views] ─► report

Known before anybody is asked, and without numpy, so that a run is under way before that is imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from fleetpmap.errors import UsageError
from fleetpmap.inventory.names import nearest

PmapFormat = Literal["plain", "extended", "device", "wide", "widest"]
"""pmap without an option, -x, -d, -X and -XX."""
HIGHEST = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Letters:
    """pmap's options, and two things about where the text goes that pmap finds out by itself."""

    format: PmapFormat = "plain"
    quiet: bool = False
    """-q: no header, no footer; the line of each process stays."""
    show_path: bool = False
    """-p: the whole path, not what follows its last slash."""
    kernel_names: bool = False
    """-k, of procps-ng 4.0.6: `[heap]`, `[vdso]` and the like instead of `[ anon ]`."""
    low: int = 0
    """-A: the first address of the range; a mapping that reaches into the range is in it."""
    high: int = HIGHEST
    """-A: the last address of the range."""
    utf8: bool = True
    """The locale is a UTF-8 one: in another, pmap shows the command line in ASCII."""
    terminal: bool = False
    """A terminal shows the text: what could act on it is `?`, as it always is in a text from another machine."""


KEYS = ("host", "process", "user", "mapping", "path", "perms", "kind")
"""What --by may name."""


def merge_keys(text: str) -> tuple[str, ...]:
    """The keys that `--by host,mapping` names, in order, each once.

    Raises:
        UsageError: a key that is none of KEYS, or no key at all.
    """
    return merge_keys_of(word.strip() for word in text.split(","))


def merge_keys_of(keys: Iterable[str]) -> tuple[str, ...]:
    """The keys, each once.

    Raises:
        UsageError: a key that is none of KEYS, or no key at all.
    """
    distinct = tuple(dict.fromkeys(keys))
    for key in distinct or ("",):
        if key not in KEYS:
            near = nearest(key, KEYS)
            known = f"the keys are {', '.join(KEYS)}"
            raise UsageError(f'--by: there is no key "{key}"', hint=f"did you mean {near}? {known}" if near else known)
    return distinct


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What the command line says to the views; each takes what is meant for it."""

    by: tuple[str, ...] = ("mapping",)
    """summary, merged: the keys of a row."""
    letters: Letters = field(default_factory=Letters)
    """pmap: its own options."""
    metric: str = "pss_kib"
    """compare: the size that its cells are, one of METRICS."""
    per_process: bool = False
    """compare: divided by the processes read on the host."""
    baseline: str | None = None
    """compare: the host that the others are compared with; None: with each other."""
    all_deleted: bool = False
    """stale: also the deleted files that are no program's code."""
    sort: str | None = None
    """All but pmap, as the two below; summary: its mappings. The column to sort by (see Shape)."""
    top: int | None = None
    """Rows to keep; the others become `(N more)`. None and 0: all, but for what a terminal shows of summary."""
    columns: tuple[str, ...] | None = None
    """Columns to show, in order."""


_OF_SUMS = frozenset({"summary", "merged", "hosts", "processes"})
_BY_PATH = frozenset({"summary", "merged"})


def sums_for(views: Iterable[str], by: Iterable[str] = ()) -> frozenset[str] | None:
    """What `collect(sums=...)` may be told if nothing but these views is wanted; None: a row for each mapping is.

    `by`: the keys of a row of summary and merged.
    """
    views = frozenset(views)
    if not views <= _OF_SUMS:
        return None
    return frozenset({"path", *by}) & {"path", "perms"} if views & _BY_PATH else frozenset()
