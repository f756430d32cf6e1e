"""The pane with what stands out.   Findings ─► [findings] ─► app"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual.events import Resize
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from fleetpmap.explore.sentences import shortened
from fleetpmap.report.finding import Finding

_MOST_LINES = 5


class FindingList(OptionList):
    """The findings, a line for each. Enter or a click on one chooses it."""

    DEFAULT_CSS = """
    FindingList { height: auto; padding: 0; background: transparent; scrollbar-size: 0 0; display: none; }
    """

    def __init__(self, safe: Callable[[str], str], *, ascii_only: bool) -> None:
        """`safe` escapes a text."""
        super().__init__(markup=False, compact=True)
        self._safe = safe
        self._ascii = ascii_only
        self.findings: tuple[Finding, ...] = ()
        self._at = -1
        """Index of the finding that was gone to last; -1: none."""
        self._drawn: list[str] = []
        self._kept = 0
        """Lines that stay, also when a finding is over."""

    def take(self, findings: Sequence[Finding], *, keeps_lines: bool) -> None:
        """Show these findings; `keeps_lines`: the pane is never lower than it was."""
        self.findings = tuple(findings)
        self._at = min(self._at, len(findings) - 1)
        if keeps_lines:
            self._kept = max(self._kept, len(findings))
        self.display = bool(findings or self._kept)
        self._draw(self.app.size.width)

    def on_focus(self) -> None:
        """Begin with the finding that was gone to last."""
        self.highlighted = None
        self.highlighted = max(self._at, 0)

    def on_resize(self, event: Resize) -> None:
        """Cut the lines for the new width."""
        self._draw(event.size.width)

    def _draw(self, width: int) -> None:
        texts = (f"{slot} {self._safe(one.text)}" for slot, one in enumerate(self.findings, 1))
        lines = [shortened(text, width, ascii_only=self._ascii) for text in texts]
        if lines != self._drawn:
            self._drawn, at = lines, self.highlighted
            self.clear_options()
            self.add_options(Option(Text(line, no_wrap=True)) for line in lines)
            self.highlighted = at if at is not None and at < len(lines) else None

    def fit(self, height: int) -> None:
        """Leave most of this height to the list, always the same: it is not to move while one walks in it."""
        most = max(min(_MOST_LINES, height // 6), 1)
        self.styles.max_height, self.styles.min_height = most, min(self._kept, most)

    def next(self, by: int) -> Finding | None:
        """Return the next finding, or the previous one; None if there is none."""
        at = by - 1 if self._at < 0 < by else self._at + by
        return self.numbered(at % len(self.findings) + 1) if self.findings else None

    def numbered(self, number: int) -> Finding | None:
        """Return the finding of this number, which is the one gone to last from now on; None if there is none."""
        if not 0 < number <= len(self.findings):
            return None
        self._at = self.highlighted = number - 1
        return self.findings[self._at]
