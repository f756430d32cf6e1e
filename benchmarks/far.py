"""What does distance cost a fleet?   python benchmarks/far.py

200 hosts × 1 MB of smaps, reached through a relay that adds 100 ms to every round trip, and through the same relay with
nothing added (see delay.py). In every round, one after the other, as child processes: fleetpmap with its defaults on
both ways, and on the long way with other --jobs. Before that, what the relay itself can carry.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from functools import partial

from contenders import Contender, fleetpmap
from delay import Delay, delay
from lab import Fleet, fleet
from measure import Cost, Verdicts, asked_rounds, in_turn, pairwise, print_costs, spread, wall_ratio

HOSTS = 200
ADDED_S = 0.1
JOBS = (16, 32, 64, 128)
BULK = 200_000_000
PIECE = b"x" * (1 << 16)


def relay_rate() -> float:
    """MB/s of one connection through a relay that adds nothing."""

    def give(listener: socket.socket) -> None:
        with listener.accept()[0] as sender:
            for _ in range(BULK // len(PIECE)):
                sender.sendall(PIECE)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=give, args=(listener,)).start()
        with (
            delay(0, listener.getsockname()[1], ["127.0.0.1"]) as relay,
            socket.create_connection(("127.0.0.1", relay.port)) as taker,
        ):
            began = time.perf_counter()
            came = sum(map(len, iter(lambda: taker.recv(1 << 18), b"")))
            return came / (time.perf_counter() - began) / 1e6


def run(contender: Contender, hosts: Fleet, relay: Delay) -> tuple[Cost, float]:
    """What the run took, and the relay's CPU meanwhile."""
    before = relay.cpu_s()
    return contender.run(hosts), relay.cpu_s() - before


def main() -> int:
    rounds = asked_rounds(__doc__, 3)
    rate = relay_rate()
    with (
        fleet(HOSTS) as hosts,
        delay(0, hosts.port, hosts.addresses) as near,
        delay(ADDED_S, hosts.port, hosts.addresses) as far,
    ):
        here, there = hosts.relayed(near.port), hosts.relayed(far.port)
        contenders = {
            "nothing added": partial(run, fleetpmap(here, HOSTS), here, near),
            "100 ms added": partial(run, fleetpmap(there, HOSTS), there, far),
        }
        for jobs in JOBS:
            asked = fleetpmap(there, HOSTS, "--jobs", str(jobs))
            contenders[f"100 ms added, --jobs {jobs}"] = partial(run, asked, there, far)
        measured = in_turn(contenders, rounds)
    taken = {name: [one for one, _ in runs] for name, runs in measured.items()}
    print(f"{HOSTS} hosts × 1 MB of smaps, {rounds} rounds; the relay carries {rate:.0f} MB/s\n")
    print_costs(taken)
    print(f"{'the relay meanwhile':<57} {spread([cpu for runs in measured.values() for _, cpu in runs]):>20}")
    verdicts = Verdicts()
    ratios = {name: pairwise(costs, taken["nothing added"], wall_ratio) for name, costs in taken.items()}
    verdicts.at_most("wall, defaults: 100 ms added / nothing added", ratios["100 ms added"], 1.5)
    for jobs in JOBS:
        verdicts.tell(f"the same, --jobs {jobs}", ratios[f"100 ms added, --jobs {jobs}"])
    return int(not verdicts.held)


if __name__ == "__main__":
    sys.exit(main())
