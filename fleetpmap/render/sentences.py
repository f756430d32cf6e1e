"""Sentences as lines of a terminal.   findings, notes ─► [sentences] ─► terminal"""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import wrap

from rich.style import Style

from fleetpmap.escape import escape_cell, in_ascii
from fleetpmap.report.finding import Finding

BOLD = Style(bold=True)
DIM = Style(dim=True)
_COMMAND = re.compile("`[^`]*`")
_NO_BREAK = "\N{NO-BREAK SPACE}"
"""Keeps a command together while a sentence is wrapped. A host's text has none: there it was escaped as unprintable."""

Piece = tuple[str, Style | None]


def finding_lines(finding: Finding, width: int, ascii_only: bool) -> Iterator[Piece]:
    """Yield the lines of a finding, and of the command that shows more of it, which is there to be copied."""
    for line in wrapped(safe(finding.text, ascii_only), width, "  "):
        yield line, BOLD
    if finding.next:
        yield f"  {safe(finding.next, ascii_only)}", DIM


def safe(text: str, ascii_only: bool) -> str:
    """Return a text of a host made safe to show; `ascii_only`: in ASCII."""
    return in_ascii(escape_cell(text)) if ascii_only else escape_cell(text)


def sentence(text: str, width: int, style: Style, indent: str = "") -> Iterator[Piece]:
    """Yield a sentence, wrapped, as pieces that end in a new line."""
    for each in wrapped(text, width, indent):
        yield from whole_line(each, style)


def wrapped(text: str, width: int, indent: str) -> list[str]:
    """Wrap a sentence into lines. A command in backticks stays on one line, so that it can be copied."""
    whole = _COMMAND.sub(lambda match: match[0].replace(" ", _NO_BREAK), text)
    lines = wrap(whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [each.replace(_NO_BREAK, " ") for each in lines]


def whole_line(text: str, style: Style | None = None) -> Iterator[Piece]:
    """Yield a text and the end of its line."""
    yield text.rstrip(), style
    yield "\n", None
