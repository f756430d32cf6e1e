"""How much memory do 1,000 hosts take?   python benchmarks/scale.py

1,000 hosts × 1 MB of smaps (see lab.py). In every round, one after the other, as child processes: sums by host, merged
over the fleet, the report that comes by default, and every row. A run ends with status 0 only if every host was read.
"""

from __future__ import annotations

import sys
from functools import partial

from contenders import fleetpmap
from lab import fleet
from measure import Verdicts, asked_rounds, in_turn, print_costs

HOSTS = 1_000
BARS_MB = {"hosts": 150.0, "merged": 150.0, "summary": 150.0, "mappings": 450.0}


def main() -> int:
    rounds = asked_rounds(__doc__, 1)  # memory hardly differs from round to round
    with fleet(HOSTS) as hosts:
        contenders = {view: fleetpmap(hosts, HOSTS, view=view) for view in BARS_MB}
        taken = in_turn({f"--view {view}": partial(one.run, hosts) for view, one in contenders.items()}, rounds)
    print(f"{HOSTS:,} hosts × 1 MB of smaps, {rounds} rounds\n")
    print_costs(taken)
    verdicts = Verdicts()
    for view, bar in BARS_MB.items():
        peaks = [one.peak_mb for one in taken[f"--view {view}"]]
        verdicts.at_most(f"peak memory, --view {view}, MB", peaks, bar)
    return int(not verdicts.held)


if __name__ == "__main__":
    sys.exit(main())
