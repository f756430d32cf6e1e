"""Sentences as lines of a terminal.   findings, notes ─► [sentences] ─► terminal"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import wrap

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from fleetpmap.escape import escape_cell, in_ascii
from fleetpmap.render.column_layout import fold_end
from fleetpmap.report.finding import Finding

BOLD = Style(bold=True)
DIM = Style(dim=True)
_COMMAND = re.compile("`[^`]*`")
_NO_BREAK = "\N{NO-BREAK SPACE}"
"""Keeps a command together while a sentence is wrapped. A host's text has none: there it was escaped as unprintable."""

Piece = tuple[str, Style | None]


class FindingsBlock:
    """A rich renderable: findings above a screen, in at most so many lines.

    The commands are left out if they have no room beside all findings; findings without room are counted.
    """

    def __init__(self, findings: Sequence[Finding], most: int, *, ascii_only: bool = False) -> None:
        self._findings = findings
        self._most = most
        self._ascii = ascii_only

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style in self._lines(options.max_width):
            yield Segment(text, style)
            yield Segment.line()

    def _lines(self, width: int) -> list[Piece]:
        texts = [list(finding_lines(finding, width, self._ascii)) for finding in self._findings]
        whole = [(part, style) for own in texts for text, style in own for part in wrapped(text, width, "    ")]
        if len(whole) <= self._most:
            return whole
        lines: list[Piece] = []
        for number, own in enumerate(texts):
            said = [line for line in own if line[1] is BOLD]
            left = len(texts) - number
            if len(lines) + len(said) + (left > 1) > self._most:
                if not lines:  # of the first one, as much as there is room for
                    lines, left = _cut(said, max(self._most - (left > 1), 1), width), left - 1
                rest = f"{left} more {'finding' if left == 1 else 'findings'}, for which a taller terminal has room"
                return [*lines, *([(fold_end(rest, width), DIM)] if left else [])][: self._most]
            lines += said
        return lines


def _cut(lines: list[Piece], most: int, width: int) -> list[Piece]:
    if len(lines) <= most:
        return lines
    *first, (text, style) = lines[:most]
    return [*first, (f"{text[: width - 2]} …", style)]


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
