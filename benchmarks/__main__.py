"""All benchmarks, one after the other.   python benchmarks [--rounds N] [NAME...]

Every script here whose docstring begins with a question is one, and runs alone just as well. What they print goes to
RESULTS.md too, with the machine and the versions, unless only some are named. The exit status is 0 if every bar held.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contenders import set_up
from machine import machine, software

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"


@dataclass(frozen=True)
class Answer:
    """What a benchmark printed."""

    name: str
    question: str
    text: str
    took_s: float
    status: int

    @property
    def held(self) -> bool:
        """Whether it came to its end, and all its bars were held."""
        return self.status == 0 and "NOT HELD" not in self.text


def questions() -> dict[str, str]:
    """The benchmarks: what each asks, by its name."""
    found = {}
    for path in sorted(HERE.glob("*.py")):
        doc = ast.get_docstring(ast.parse(path.read_text())) or ""
        if question := re.match(rf"([^\n]*\?) +python benchmarks/{path.name}", doc):
            found[path.stem] = question[1]
    return found


def ask(name: str, question: str, rounds: int | None) -> Answer:
    """Run a benchmark; what it prints is shown as it comes."""
    print(f"\n{question}   ({name}.py)\n", flush=True)
    argv = [sys.executable, str(HERE / f"{name}.py"), *(["--rounds", str(rounds)] if rounds else [])]
    began = time.monotonic()
    lines = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return Answer(name, question, "".join(lines), time.monotonic() - began, child.returncode)


def page(answers: Sequence[Answer]) -> str:
    """The results as Markdown."""
    failed = [answer.name for answer in answers if not answer.held]
    minutes = sum(answer.took_s for answer in answers) / 60
    sections = [f"## {answer.question}\n\n{_named(answer)}\n\n```\n{answer.text.strip()}\n```\n" for answer in answers]
    return "\n".join(
        [
            "# Results\n",
            f"`make bench` wrote this page on {datetime.now(UTC):%Y-%m-%d}, in {minutes:.0f} minutes. "
            "Servers and clients share the machine, so only what stands in one table can be compared; figures are "
            "medians, with the least and the most of the rounds. What each script does is said at its top.\n",
            f"Bars not held: {', '.join(f'{name}.py' for name in failed)}.\n" if failed else "Every bar was held.\n",
            _list(machine()),
            _list(software()),
            *sections,
        ]
    )


def _named(answer: Answer) -> str:
    ended = f"; it ended with status {answer.status}" if answer.status else ""
    return f"[{answer.name}.py]({answer.name}.py), {answer.took_s:.0f} s{ended}"


def _list(pairs: dict[str, str]) -> str:
    rule = "| " + " | ".join("---" for _ in pairs) + " |"
    return f"| {' | '.join(pairs)} |\n{rule}\n| {' | '.join(pairs.values())} |\n"


def main() -> int:
    known = questions()
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, help="of every benchmark; default: each one's own number")
    options.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(known)}")
    asked = options.parse_args()
    if unknown := set(asked.names) - set(known):
        options.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    set_up()
    answers = [ask(name, known[name], asked.rounds) for name in asked.names or known]
    if not asked.names:
        RESULTS.write_text(page(answers))
    return int(not all(answer.held for answer in answers))


if __name__ == "__main__":
    sys.exit(main())
