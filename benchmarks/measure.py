"""What a child process costs, and how that is compared.   [measure] ─► every benchmark

What is compared takes turns in every round, and a ratio is taken of neighbours in time: the machine is another one from
minute to minute, and the servers share it with the client. A median stands with its spread over the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """What one child process took."""

    wall_s: float
    cpu_s: float
    """User and system time, that of its own children included if it waited for them."""
    peak_mb: float
    """Of the largest process among them."""


def cost(
    argv: Sequence[str],
    *,
    at: Path | None = None,
    environment: Mapping[str, str] | None = None,
    accepted: Sequence[int] = (0,),
) -> Cost:
    """Run a program to its end, with one of the accepted statuses.

    `at` is where it runs, its home, and where its output goes, to `stdout` and `stderr`; without it stdout is dropped.
    """
    if at is None:
        return _cost(argv, subprocess.DEVNULL, None, None, {}, accepted)
    with (at / "stdout").open("wb") as stdout, (at / "stderr").open("wb") as stderr:
        return _cost(argv, stdout.fileno(), stderr.fileno(), at, {"HOME": str(at), **(environment or {})}, accepted)


def _cost(
    argv: Sequence[str],
    stdout: int,
    stderr: int | None,
    at: Path | None,
    environment: Mapping[str, str],
    accepted: Sequence[int],
) -> Cost:
    began = time.perf_counter()
    child = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=at, env={**os.environ, **environment}
    )
    _, status, used = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in accepted:
        said = (at / "stderr").read_text(errors="replace")[-2000:] if at else ""
        sys.exit(f"exit status {child.returncode}: {' '.join(argv)[:300]}\n{said}")
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """What each contender came to in each round, one contender after the other."""
    taken: dict[str, list[T]] = defaultdict(list)
    for one in range(rounds):
        for name, run in contenders.items():
            _say(f"round {one + 1} of {rounds}: {name}")
            taken[name].append(run())
    _say("")
    return taken


def _say(words: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{words:<70}{'' if words else chr(13)}", end="", file=sys.stderr, flush=True)


def pairwise(one: Sequence[T], other: Sequence[T], how: Callable[[T, T], float]) -> list[float]:
    """A ratio or difference for each pair of neighbours in time."""
    return [how(*pair) for pair in zip(one, other, strict=True)]


def wall_ratio(one: Cost, other: Cost) -> float:
    """How many times as long one took as the other."""
    return one.wall_s / other.wall_s


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Median, least and most, as `1.20 (1.10–1.31)`."""
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def print_costs(taken: Mapping[str, Sequence[Cost]], absent: Mapping[str, str] | None = None) -> None:
    """A line for each contender; those that could not take part, with the reason."""
    print(f"{'':<36} {'wall s':>20} {'CPU s':>20} {'peak MB':>16}")
    for name, costs in taken.items():
        walls, cpus = spread([one.wall_s for one in costs]), spread([one.cpu_s for one in costs])
        print(f"{name:<36} {walls:>20} {cpus:>20} {spread([one.peak_mb for one in costs], '.0f'):>16}")
    for name, reason in (absent or {}).items():
        print(f"{name:<36} not here: {reason}")


@dataclass
class Verdicts:
    """Compares with bars, and prints each comparison as it is made."""

    held: bool = True
    """Whether every bar so far was held."""
    _begun: bool = field(default=False, repr=False)

    def at_most(self, what: str, values: Sequence[float], bar: float) -> None:
        """The median has to be within the bar."""
        self._judge(what, values, f"≤ {bar:g}", statistics.median(values) <= bar)

    def at_least(self, what: str, values: Sequence[float], bar: float) -> None:
        """The median has to reach the bar."""
        self._judge(what, values, f"≥ {bar:g}", statistics.median(values) >= bar)

    def tell(self, what: str, values: Sequence[float]) -> None:
        """No bar: for information."""
        self._print(what, spread(values), "")

    def not_here(self, what: str) -> None:
        """Nothing was measured."""
        self._print(what, "not here", "")

    def _judge(self, what: str, values: Sequence[float], bar: str, held: bool) -> None:
        self.held &= held
        self._print(what, spread(values), f"{bar:<7} {'held' if held else 'NOT HELD'}")

    def _print(self, what: str, measured: str, verdict: str) -> None:
        if not self._begun:
            print(f"\n{'':<52} {'measured':>22}   bar")
            self._begun = True
        print(f"{what:<52} {measured:>22}   {verdict}".rstrip())


def asked_rounds(doc: str | None, default: int) -> int:
    """What `--rounds` says on the command line of a script that takes nothing else."""
    options = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=default)
    rounds: int = options.parse_args().rounds
    return rounds
