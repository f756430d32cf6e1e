"""A page as plain text, for expected files: what is there to read, without a browser.   [page_text] ─► tests"""

from __future__ import annotations

import re
from html.parser import HTMLParser

_ROW = frozenset({"tr", "li", "h1", "h2", "p", "section", "caption", "dt", "dd"})
_CELL = frozenset({"td", "th"})
_UNSEEN = frozenset({"style", "script", "title"})


def page_text(html: str) -> str:
    """A line for each row, item, heading and paragraph, ` | ` between cells; an outlier's marks as they are."""
    reader = _Reader()
    reader.feed(html)
    text = re.sub(r"[^\S\n]+", " ", "".join(reader.pieces))
    lines = (line.strip().removeprefix("| ") for line in text.splitlines())
    return "\n".join(line for line in lines if line) + "\n"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        self.pieces.append("\n" if tag in _ROW else " | " if tag in _CELL else "")
        if tag == "h2":
            self.pieces.append("## ")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(data.replace("\n", " "))
