"""How long do others take for the same work?   python benchmarks/rivals.py

100 hosts × 1 MB of smaps (see lab.py), 32 at once. In every round, one after the other, as child processes:

    fleetpmap       run --view hosts --format csv
    bare loop       32 threads of paramiko: the same smaps, gzipped, and dropped
    xargs, clush, Ansible raw, parallel-ssh, asyncssh
                    pmap -X of the same processes on each host, what it prints kept in a file (see contenders.py)

Each output is checked to be complete. What Ansible leaves running in the background is not in its CPU.
"""

from __future__ import annotations

import sys
from functools import partial

from contenders import bare_loop, fleetpmap, rivals
from lab import fleet
from measure import Verdicts, asked_rounds, in_turn, pairwise, print_costs, wall_ratio

HOSTS = 100
BARS = {
    "xargs -P, ssh, pmap -X": 2.0,
    "clush, pmap -X": 2.0,
    "Ansible raw, pmap -X": 5.0,
    "parallel-ssh, pmap -X": None,
    "asyncssh, pmap -X": None,
}
"""How many times as long each has to take, at least; None where that is for information."""


def main() -> int:
    rounds = asked_rounds(__doc__, 3)
    with fleet(HOSTS) as hosts:
        others = rivals(hosts, HOSTS)
        contenders = {"fleetpmap": fleetpmap(hosts, HOSTS), "bare loop": bare_loop(hosts, HOSTS), **others}
        here = {name: one for name, one in contenders.items() if not one.missing}
        taken = in_turn({name: partial(one.run, hosts) for name, one in here.items()}, rounds)
    print(f"{HOSTS} hosts × 1 MB of smaps, {rounds} rounds\n")
    print_costs(taken, {name: one.missing for name, one in others.items() if one.missing})
    verdicts = Verdicts()
    for name, bar in BARS.items():
        what = f"wall: {name} / fleetpmap"
        if others[name].missing:
            verdicts.not_here(what)
            continue
        ratios = pairwise(taken[name], taken["fleetpmap"], wall_ratio)
        if bar is None:
            verdicts.tell(what, ratios)
        else:
            verdicts.at_least(what, ratios, bar)
    return int(not verdicts.held)


if __name__ == "__main__":
    sys.exit(main())
