"""What does a run cost the client?   python benchmarks/fleet.py

100 and 200 hosts × 1 MB of smaps (see lab.py). In every round, one after the other, as child processes:

    fleetpmap       run --view hosts --format csv
    bare loop       bare_paramiko.py on the same hosts: the same smaps, gzipped, and dropped

What 200 hosts take less what 100 take is the cost per host, without what starting costs.
"""

from __future__ import annotations

import sys
from functools import partial

from contenders import bare_loop, fleetpmap
from lab import fleet
from measure import Cost, Verdicts, asked_rounds, in_turn, pairwise, print_costs, wall_ratio

FEW, MANY = 100, 200


def per_host_ms(many: Cost, few: Cost) -> float:
    return (many.cpu_s - few.cpu_s) * 1000 / (MANY - FEW)


def main() -> int:
    rounds = asked_rounds(__doc__, 7)
    with fleet(MANY) as hosts:
        contenders = {
            f"fleetpmap, {FEW} hosts": fleetpmap(hosts, FEW),
            f"bare loop, {FEW} hosts": bare_loop(hosts, FEW),
            f"fleetpmap, {MANY} hosts": fleetpmap(hosts, MANY),
            f"bare loop, {MANY} hosts": bare_loop(hosts, MANY),
        }
        taken = in_turn({name: partial(one.run, hosts) for name, one in contenders.items()}, rounds)
    print(f"{FEW} and {MANY} hosts × 1 MB of smaps, {rounds} rounds\n")
    print_costs(taken)
    few, bare_few, many, bare_many = taken.values()
    ours, theirs = pairwise(many, few, per_host_ms), pairwise(bare_many, bare_few, per_host_ms)
    verdicts = Verdicts()
    verdicts.at_most(f"wall, {FEW} hosts: fleetpmap / bare loop", pairwise(few, bare_few, wall_ratio), 1.15)
    verdicts.tell(f"wall, {MANY} hosts: fleetpmap / bare loop", pairwise(many, bare_many, wall_ratio))
    verdicts.at_most("client CPU per host, fleetpmap, ms", ours, 12.0)
    verdicts.tell("client CPU per host, bare loop, ms", theirs)
    verdicts.at_most(
        "client CPU per host: fleetpmap / bare loop", pairwise(ours, theirs, lambda one, other: one / other), 2.2
    )
    verdicts.at_most(f"peak memory, {MANY} hosts, MB", [one.peak_mb for one in many], 180.0)
    return int(not verdicts.held)


if __name__ == "__main__":
    sys.exit(main())
