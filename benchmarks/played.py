"""What do 10,000 hosts cost beside the wire and the parser?   python benchmarks/played.py

A conversation with this machine about one process is recorded, and played by a transport of the benchmark's own as
10,000 hosts, which take 0 to 50 ms for each answer. In every round, as a child process: `collect` with its defaults
over all of them, a count of who answered as for progress, and the report merged. Of that CPU is taken off what the same
process then takes alone, on the same bytes, to play, to decode and to parse as many answers. The rest is our own:
scheduling, choosing, checking, merging.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab import fleet
from measure import Cost, Verdicts, cost, in_turn, print_costs
from recording import Recording, record

from fleetpmap import Host, Question, Selection, collect, probe, report
from fleetpmap.cli.footprint import trim_footprint
from fleetpmap.smaps import parse_processes
from fleetpmap.wire import Decoder, Reading

HOSTS = 10_000
LONGEST_S = 0.05
ALONE = 1_600
"""Conversations that are played, decoded and parsed alone, to know what one costs."""
TOGETHER = 32
"""Of these, so many are parsed at once."""
BAR_MS = 1.0
WHAT = "collect, merge, and the parts alone"


def play(file: str) -> None:
    """What the child does: prints milliseconds of CPU per host, as JSON."""
    trim_footprint()
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
    all_ms = (time.process_time() - began) * 1000 / HOSTS
    if came != ["ok"] * HOSTS or len(snapshot.processes) != HOSTS or not merged.tables[0]:
        sys.exit(f"{came.count('ok')} of {HOSTS} hosts answered")
    print(json.dumps({"all": all_ms, **alone(recording)}))


def alone(recording: Recording) -> dict[str, float]:
    """Milliseconds that one conversation takes to play, to decode and to parse."""
    taken = {"play": 0.0, "decode": 0.0, "parse": 0.0}
    for _ in range(ALONE // TOGETHER):
        scripts = [probe.render(probe.Request()) for _ in range(TOGETHER)]
        begun = time.process_time()
        answers = [recording.answers(script.nonce) for script in scripts]
        played = time.process_time()
        readings = [decoded(script, said) for script, said in zip(scripts, answers, strict=True)]
        unpacked = time.process_time()
        parse_together(readings)
        taken["play"] += played - begun
        taken["decode"] += unpacked - played
        taken["parse"] += time.process_time() - unpacked
    return {what: seconds * 1000 / ALONE for what, seconds in taken.items()}


def decoded(script: probe.Script, answers: Sequence[bytes]) -> Reading:
    """Both phases, unpacked; phase two."""
    decoder = Decoder(script, host="box")
    for answer in answers:
        decoder.feed(answer)
    assert decoder.listing is not None
    assert decoder.reading is not None
    return decoder.reading.unpack()


def parse_together(readings: Sequence[Reading]) -> None:
    """Parse several hosts' smaps as one text, which is the cheapest way."""
    begins = itertools.accumulate((len(reading.smaps) for reading in readings), initial=0)
    spans = [
        (begin + one.start, begin + one.stop)
        for begin, reading in zip(begins, readings, strict=False)  # the last is where they end
        for one in reading.processes
    ]
    parse_processes(b"".join(reading.smaps for reading in readings), spans)


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
    verdicts.tell("CPU per host, all of it, ms", [one["all"] for one in said])
    for what, words in {"play": "playing", "decode": "decoding", "parse": "parsing"}.items():
        verdicts.tell(f"CPU per host, {words} alone, ms", [one[what] for one in said])
    ours = [one["all"] - one["play"] - one["decode"] - one["parse"] for one in said]
    verdicts.at_most("CPU per host, the rest: our own, ms", ours, BAR_MS)
    return verdicts.held


if __name__ == "__main__":
    sys.exit(main())
