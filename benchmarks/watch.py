"""What does a round of watch cost the client, once its sessions are open?   python benchmarks/watch.py

Starts an sshd of its own on 50 loopback addresses, each a host, and a service of one process, whose smaps is at most
50 KB. Then it watches them several times from scratch: the first round logs in everywhere, the later ones find their
sessions open. The figure is the CPU time of this process, user and system, of all its threads; all that a round imports
has been imported before. Bar: a later round costs at most 2 ms for each host.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from lab import Sshd, server
from measure import Verdicts, asked_rounds

from fleetpmap.tuning import trim_footprint
from targets import Target  # importable because lab has put the tests' directory on the path

HOSTS = 50
LOOKS = 6
"""Rounds of watch each time, the first included."""
TEXT_BYTES = 50_000
BAR_MS = 2.0


def cpu_of_looks(sshd: Sshd, target: Target, looks: int) -> list[float]:
    """Return the CPU seconds of each round, with sessions that are opened in the first."""
    from fleetpmap.collection.collector import Question
    from fleetpmap.processes import Selection
    from fleetpmap.watch import Rounds

    hosts = [sshd.host(f"box-{n:02}", address=address) for n, address in enumerate(sshd.addresses, start=1)]
    question = Question(Selection(pids=(target.pid,)), ssh=sshd.options)
    taken = []
    with Rounds(hosts, question) as watched:
        for _ in range(looks):
            before = time.process_time()
            snapshot = watched.look()
            taken.append(time.process_time() - before)
            if [process.status for process in snapshot.processes] != ["read"] * len(hosts):
                sys.exit("a host did not answer")
    return taken


def main() -> int:
    rounds = asked_rounds(__doc__, 5)
    trim_footprint()
    with Target("bench-watch") as target, server(HOSTS) as (sshd, _):
        length = len(Path(f"/proc/{target.pid}/smaps").read_bytes())
        if length > TEXT_BYTES:
            sys.exit(f"the process's smaps has {length} bytes, more than {TEXT_BYTES}")
        cpu_of_looks(sshd, target, 2)  # for the imports
        runs = [cpu_of_looks(sshd, target, LOOKS) for _ in range(rounds)]
    print(f"{HOSTS} hosts × {length:,} bytes of smaps, {rounds} rounds")
    verdicts = Verdicts()
    verdicts.tell("first look, CPU s", [run[0] for run in runs])
    verdicts.tell("a later one, CPU s", [cpu for run in runs for cpu in run[1:]])
    per_host = [statistics.median(run[1:]) / HOSTS * 1000 for run in runs]
    verdicts.at_most("a later one, CPU ms per host", per_host, BAR_MS)
    return int(not verdicts.held)


if __name__ == "__main__":
    sys.exit(main())
