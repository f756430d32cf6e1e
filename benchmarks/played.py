"""What do 10,000 hosts cost beside the wire and the parser?   python benchmarks/played.py

A conversation with this machine about one process is recorded, and played by a transport of the benchmark's own as
10,000 hosts, which take 0 to 50 ms for each answer. In every round, as a child process: `collect` with its defaults
over all of them, a count of who answered as for progress, and the report merged. Of that CPU is taken off what the same
threads take meanwhile to play, to decode and to parse, by each thread's own clock. The rest is our own: scheduling,
choosing, checking, merging.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from lab import fleet
from measure import Cost, Verdicts, cost, in_turn, print_costs
from recording import Recording, record

from fleetpmap import Host, Question, Selection, collect, report
from fleetpmap.collection import batch
from fleetpmap.tuning import trim_footprint
from fleetpmap.wire import Decoder, PackedReading

HOSTS = 10_000
LONGEST_S = 0.05
BAR_MS = 1.0
WHAT = "collect, and merge"
PARTS: dict[str, Sequence[tuple[Any, str]]] = {
    "playing": [(Recording, "answers")],
    "decoding": [(Decoder, "feed"), (PackedReading, "unpack")],
    "parsing": [(batch, "parse_processes")],
}
"""What is not our own, and the functions that do it; none of them calls another."""


def play(file: str) -> None:
    """What the child does: prints milliseconds of CPU per host, as JSON."""
    trim_footprint()
    taken = {part: timed(functions) for part, functions in PARTS.items()}
    recording = Recording.load(Path(file))
    delays = random.Random(1)
    hosts = [Host(f"box-{n:05}") for n in range(HOSTS)]
    came = []
    began = time.process_time()
    snapshot = collect(
        hosts,
        Question(Selection(pids=(recording.pid,))),
        transport_for=recording.transport_for(lambda: delays.uniform(0, LONGEST_S)),
        on_host=lambda answer: came.append(answer.status),
    )
    merged = report.merged(snapshot)
    all_s = time.process_time() - began
    if came != ["ok"] * HOSTS or len(snapshot.processes) != HOSTS or not merged.tables[0]:
        sys.exit(f"{came.count('ok')} of {HOSTS} hosts answered")
    spent_s = {"all of it": all_s} | {part: sum(seconds) for part, seconds in taken.items()}
    print(json.dumps({what: seconds * 1000 / HOSTS for what, seconds in spent_s.items()}))


def timed(functions: Sequence[tuple[Any, str]]) -> deque[float]:
    """Have each call of these functions leave the seconds of CPU that its thread took for it."""
    taken: deque[float] = deque()  # which threads may fill together

    def with_clock(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*args, **options)
            finally:
                taken.append(time.thread_time() - began)

        return call

    for owner, name in functions:
        setattr(owner, name, with_clock(getattr(owner, name)))
    return taken


def measure(file: Path, directory: Path) -> tuple[Cost, dict[str, float]]:
    """One child's costs, and what it says."""
    taken = cost([sys.executable, __file__, "--play", str(file)], at=directory)
    return taken, json.loads((directory / "stdout").read_text())


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--play", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.play:
        play(asked.play)
        return 0
    with fleet(1) as hosts:
        with subprocess.Popen(["sleep", "infinity"]) as sleeper:
            try:
                recording = record(hosts, sleeper.pid)
            finally:
                sleeper.kill()
        file, directory = hosts.directory / "recording", hosts.scratch()
        recording.save(file)
        measured = in_turn({WHAT: lambda: measure(file, directory)}, asked.rounds)
    sizes = " and ".join(f"{sum(len(text) for text, _ in phase):,}" for phase in recording.phases)
    print(f"{HOSTS:,} played hosts, {asked.rounds} rounds; answers of {sizes} bytes\n")
    costs, said = zip(*measured[WHAT], strict=True)
    return int(not judged(costs, said))


def judged(costs: Sequence[Cost], said: Sequence[dict[str, float]]) -> bool:
    """Print what the rounds came to; whether the bar was held."""
    print_costs({WHAT: costs})
    verdicts = Verdicts()
    for what in said[0]:
        verdicts.tell(f"CPU per host, {what}, ms", [one[what] for one in said])
    ours = [one["all of it"] - sum(one[part] for part in PARTS) for one in said]
    verdicts.at_most("CPU per host, the rest: our own, ms", ours, BAR_MS)
    return verdicts.held


if __name__ == "__main__":
    sys.exit(main())
