"""What pmap's options say.   cli ─► [letters] ─► the formats"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
