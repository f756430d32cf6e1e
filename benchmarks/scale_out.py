"""What do several processes win on 10,000 and 100,000 hosts?   python benchmarks/scale_out.py

A conversation with this machine about one process is recorded, and played by a transport of the benchmark's own as many
hosts, which take 0 to 20 ms for each answer. In every round, as child processes: `collect` in one process, then two
workers; each makes the reports merged and hosts. `ready` is the time from the last host's reply to the second report.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lab import fleet
from measure import Cost, Verdicts, cost, in_turn, pairwise, print_costs, wall_ratio
from recording import Recording, record

from fleetpmap import Host, Question, Selection, collect, report
from fleetpmap.catalogue import sums_for
from fleetpmap.shards import processes
from fleetpmap.snapshot import Snapshot
from fleetpmap.transport import Transport
from fleetpmap.tuning import trim_footprint

FLEETS = (10_000, 100_000)
JOBS = 64
LONGEST_S = 0.02
BAR_SPEEDUP = 1.7
BAR_BYTES = 100.0
BAR_PEAK_MB = 300.0
BAR_READY_S = 2.0
BAR_GROWTH = 11.0


@dataclass
class Played:
    """Opens a way to any host, in any process: the recorded answers."""

    file: Path
    recording: Recording | None = None

    def __call__(self, host: Host, **options: Any) -> Transport:
        self.recording = self.recording or Recording.load(self.file)
        return self.recording.transport_for(lambda: random.uniform(0, LONGEST_S))(host, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return Played, (self.file,)


def ask(file: Path, hosts: int, workers: int) -> None:
    """What the child does: prints bytes, seconds and peaks, as JSON."""
    trim_footprint()
    pid = Recording.load(file).pid
    named = [Host(f"box-{n:06}") for n in range(hosts)]
    question = Question(Selection(pids=(pid,)))
    came = [0.0]
    received = _counted_bytes()
    options: dict[str, Any] = {
        "jobs": JOBS,
        "sums": sums_for(["merged", "hosts"]),
        "transport_for": Played(file),
    }

    def on_status(host: Host, status: str) -> None:
        came[0] = time.monotonic()

    if workers == 1:
        snapshot = collect(named, question, on_host=lambda answer: on_status(named[0], answer.status), **options)
    else:
        snapshot = processes.collect_in_processes(named, question, workers=workers, on_status=on_status, **options)
    rows = _rows(snapshot)
    ready_s = time.monotonic() - came[0]
    if snapshot.coverage.hosts != {"ok": hosts}:
        sys.exit(f"{snapshot.coverage.hosts} of {hosts} hosts answered")
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(
        json.dumps(
            {"bytes": received[0], "ready_s": ready_s, "client_mb": peaks[0], "worker_mb": peaks[1], "rows": rows}
        )
    )


def _counted_bytes() -> list[int]:
    """Count the bytes of the shards that come to this process."""
    received, unpacked = [0], processes.unpacked

    def counting(data: bytes) -> Snapshot:
        received[0] += len(data)
        return unpacked(data)

    processes.unpacked = counting  # type: ignore[assignment]  # a function like it
    return received


def _rows(snapshot: Snapshot) -> int:
    return sum(len(table) for view in (report.merged, report.hosts) for table in view(snapshot).tables)


def measure(file: Path, directory: Path, hosts: int, workers: int) -> tuple[Cost, dict[str, float]]:
    """One child's costs, and what it says."""
    argv = [sys.executable, __file__, "--ask", str(file), "--hosts", str(hosts), "--workers", str(workers)]
    taken = cost(argv, at=directory)
    return taken, json.loads((directory / "stdout").read_text())


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--fleets", type=int, nargs="+", default=FLEETS)
    for hidden in ("--ask", "--hosts", "--workers"):
        options.add_argument(hidden, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.ask:
        ask(Path(asked.ask), int(asked.hosts), int(asked.workers))
        return 0
    with fleet(1) as lab:
        with subprocess.Popen(["sleep", "infinity"]) as sleeper:
            try:
                recording = record(lab, sleeper.pid)
            finally:
                sleeper.kill()
        file = lab.directory / "recording"
        recording.save(file)
        contenders = {
            f"{hosts:,} hosts, {workers} {'worker' if workers == 1 else 'workers'}": partial(
                measure, file, lab.scratch(), hosts, workers
            )
            for hosts in asked.fleets
            for workers in (1, 2)
        }
        measured = in_turn(contenders, asked.rounds)
    print(f"played hosts, {JOBS} asked at once, {asked.rounds} rounds\n")
    print_costs({name: [taken for taken, _ in rounds] for name, rounds in measured.items()})
    return int(not judged(measured, asked.fleets))


def judged(measured: dict[str, list[tuple[Cost, dict[str, float]]]], fleets: Sequence[int]) -> bool:
    """Print what the rounds came to; whether the bars were held."""
    verdicts = Verdicts()
    for hosts in fleets:
        one, two = (measured[f"{hosts:,} hosts, {words}"] for words in ("1 worker", "2 workers"))
        costs = [[taken for taken, _ in rounds] for rounds in (one, two)]
        said = [told for _, told in two]
        fleet_ = f"{hosts:,} hosts"
        verdicts.at_least(f"{fleet_}: wall, 1 worker / 2 workers", pairwise(*costs, wall_ratio), BAR_SPEEDUP)
        verdicts.at_most(f"{fleet_}: bytes to the client per host", [one["bytes"] / hosts for one in said], BAR_BYTES)
        verdicts.at_most(f"{fleet_}: ready after the last reply, s", [one["ready_s"] for one in said], BAR_READY_S)
        verdicts.at_most(f"{fleet_}: peak of the client, MB", [one["client_mb"] for one in said], BAR_PEAK_MB)
        verdicts.tell(f"{fleet_}: peak of a worker, MB", [one["worker_mb"] for one in said])
    if len(fleets) > 1:
        small, large = (
            statistics.median(taken.wall_s for taken, _ in measured[f"{hosts:,} hosts, 2 workers"])
            for hosts in (min(fleets), max(fleets))
        )
        verdicts.at_most("growth of the time, two workers", [large / small], BAR_GROWTH)
    return verdicts.held


if __name__ == "__main__":
    sys.exit(main())
