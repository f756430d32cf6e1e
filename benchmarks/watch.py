"""What does a round of watch cost the client, once its connections are open?   python benchmarks/watch.py

Starts an sshd of its own on 50 loopback addresses, each a host, and a service of one process, whose smaps is at most
50 KB. Then it watches them a few times anew: the first round logs in everywhere, the later ones find their connections
open. What is compared is this process's own CPU time, user and system, of all its threads; everything that a round
imports has been imported before. Bar: a later round takes at most a quarter of the first.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fleetpmap.cli.footprint import trim_footprint

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from sshd import Sshd, missing
from targets import Target

HOSTS = 50
TEXT_BYTES = 50_000
BAR = 0.25


def cpu_of_rounds(server: Sshd, target: Target, rounds: int) -> list[float]:
    """Seconds of CPU of each round, with connections that are opened in the first."""
    from fleetpmap.collector import Question
    from fleetpmap.processes import Selection
    from fleetpmap.watch import Rounds

    hosts = [server.host(f"box-{n:02}", address=address) for n, address in enumerate(server.addresses, start=1)]
    question = Question(Selection(pids=(target.pid,)), ssh=server.options)
    taken = []
    with Rounds(hosts, question) as watched:
        for _ in range(rounds):
            before = time.process_time()
            snapshot = watched.look().snapshot
            taken.append(time.process_time() - before)
            if [process.status for process in snapshot.processes] != ["read"] * len(hosts):
                sys.exit("a host did not answer")
    return taken


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--times", type=int, default=5, help="how often to begin anew")
    options.add_argument("--rounds", type=int, default=6, help="rounds each time, the first included")
    asked = options.parse_args()
    if reason := missing():
        sys.exit(reason)
    trim_footprint()
    with tempfile.TemporaryDirectory(prefix="fleetpmap-bench-") as directory, Target("bench-watch") as target:
        length = len(Path(f"/proc/{target.pid}/smaps").read_bytes())
        if length > TEXT_BYTES:
            sys.exit(f"the process's smaps has {length} bytes, more than {TEXT_BYTES}")
        server = Sshd(Path(directory), [f"127.0.1.{n}" for n in range(1, HOSTS + 1)])
        try:
            cpu_of_rounds(server, target, 2)  # for the imports
            runs = [cpu_of_rounds(server, target, asked.rounds) for _ in range(asked.times)]
        finally:
            server.close()
    first, later = [run[0] for run in runs], [cpu for run in runs for cpu in run[1:]]
    ratios = [statistics.median(run[1:]) / run[0] for run in runs]
    print(f"{HOSTS} hosts × {length:,} bytes of smaps")
    print(f"first round, CPU s    {spread(first)}")
    print(f"a later one, CPU s    {spread(later)}")
    held = statistics.median(ratios) <= BAR
    print(f"a later one / first   {spread(ratios)}   bar {BAR:g} {'held' if held else 'NOT HELD'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
