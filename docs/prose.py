"""Count the words that make a sentence a riddle.   docstrings, docs ─► [prose] ─► make lint

    python docs/prose.py          the counts, and exit 1 where one is over its bound
    python docs/prose.py --list   every docstring and every line that counts

A docstring should say what a thing is or does: subject, verb, object. Two figures show where it does not: how often a
pronoun of people stands for a thing (`who is on the line` for a connected host), and how many docstrings begin with a
relative clause (`Whether …`, `What …`) in place of a noun or a verb. Other code bases have 0.0 to 1.7 of the first in
1,000 words, and 0 to 1 % of the second.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PRONOUNS_PER_1000 = 1.0
CLAUSES_SHARE = 0.03

_PRONOUN = re.compile(r"\b(?:who|whom|whose|whoever|whatever|nobody|somebody|everybody|anybody)\b", re.IGNORECASE)
_CLAUSE = re.compile(r"(?:What|Who|Whose|Whom|Whether|Where|How|That|Of)\b")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")


class Text(NamedTuple):
    """A docstring, or a page of documentation."""

    place: str
    """`FILE:LINE`, or the file of a page."""
    words: str


class Counts(NamedTuple):
    """How a group of texts reads."""

    texts: int
    words: int
    pronouns: int
    clauses: int
    """Texts that begin with a relative clause."""

    @property
    def pronouns_per_1000(self) -> float:
        """Pronouns in 1,000 words."""
        return 1000 * self.pronouns / max(1, self.words)

    @property
    def clauses_share(self) -> float:
        """The share of the texts that begin with a relative clause, 0 to 1."""
        return self.clauses / max(1, self.texts)


def docstrings(folder: Path) -> Iterator[Text]:
    """Every docstring below a folder, those of attributes included."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for statement in getattr(node, "body", ()) if not isinstance(node, ast.Lambda | ast.IfExp) else ():
                value = statement.value if isinstance(statement, ast.Expr) else None
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield Text(f"{path.relative_to(ROOT)}:{statement.lineno}", value.value)


def pages() -> Iterator[Text]:
    """The pages that users and developers read."""
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))):
        yield Text(str(path.relative_to(ROOT)), re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S))


def count(texts: list[Text]) -> Counts:
    """The counts of a group of texts."""
    return Counts(
        len(texts),
        sum(len(_WORD.findall(text.words)) for text in texts),
        sum(len(_PRONOUN.findall(text.words)) for text in texts),
        sum(bool(_CLAUSE.match(text.words.strip())) for text in texts),
    )


def main(*arguments: str) -> int:
    """Print the counts; 1 if one is over its bound."""
    groups = {"docstrings": list(docstrings(ROOT / "fleetpmap")), "pages": list(pages())}
    if "--list" in arguments:
        for text in (text for texts in groups.values() for text in texts):
            if _PRONOUN.search(text.words) or (_CLAUSE.match(text.words.strip()) and ":" in text.place):
                print(f"{text.place}  {' '.join(text.words.split())[:160]}")
    over = False
    for name, texts in groups.items():
        counts = count(texts)
        print(
            f"{name}: {counts.words:,} words, {counts.pronouns_per_1000:.1f} pronouns in 1,000 (at most "
            f"{PRONOUNS_PER_1000}), {counts.clauses_share:.0%} of {counts.texts:,} begin with a clause"
        )
        over = over or counts.pronouns_per_1000 > PRONOUNS_PER_1000
        over = over or (name == "docstrings" and counts.clauses_share > CLAUSES_SHARE)
    return int(over)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
