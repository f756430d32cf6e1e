"""pmap's own options, by its letters.   cli.pmap_options ─► [pmap_letters] ─► ViewOptions ─► report.views.pmap"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PmapFormat = Literal["plain", "extended", "device", "wide", "widest"]
"""pmap without an option, -x, -d, -X and -XX."""
HIGHEST = 2**64 - 1
"""The highest address, and the end of an open range."""


@dataclass(frozen=True, slots=True)
class Letters:
    """pmap's own options, and two facts about the output that pmap finds out by itself."""

    format: PmapFormat = "plain"
    quiet: bool = False
    """-q: no header, no footer; the line of each process stays."""
    show_path: bool = False
    """-p: the whole path instead of its last part."""
    kernel_names: bool = False
    """-k, of procps-ng 4.0.6: `[heap]`, `[vdso]` and the like instead of `[ anon ]`."""
    low: int = 0
    """-A: the first address of the range; a mapping that reaches into the range is in it."""
    high: int = HIGHEST
    """-A: the last address of the range."""
    utf8: bool = True
    """True in a UTF-8 locale; in another, pmap shows the command line in ASCII."""
    terminal: bool = False
    """True if a terminal shows the text: control characters become `?`, as always in a text from another machine."""
