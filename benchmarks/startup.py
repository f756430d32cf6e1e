"""How long does it take to start, and to look at one process?   python benchmarks/startup.py

In every round, one after the other, as child processes: fleetpmap --help, and the --help of a typer program of one
command; run -H local --pid N, and pmap -x N.
"""

from __future__ import annotations

import shutil
import sys
from functools import partial

from contenders import program
from lab import processes
from measure import Verdicts, asked_rounds, cost, in_turn, pairwise, print_costs, wall_ratio

TYPER = "import typer; app = typer.Typer()\n@app.command()\ndef run(name: str): 'Run.'\napp()"


def main() -> int:
    rounds = asked_rounds(__doc__, 15)
    if not shutil.which("pmap"):
        sys.exit("no pmap on this machine")
    with processes() as pid:
        contenders = {
            "fleetpmap --help": [*program(), "--help"],
            "typer --help": [sys.executable, "-c", TYPER, "--help"],
            "fleetpmap, one local process": [*program(), "run", "-H", "local", "--pid", str(pid), "--quiet"],
            "pmap -x": ["pmap", "-x", str(pid)],
        }
        taken = in_turn({name: partial(cost, argv) for name, argv in contenders.items()}, rounds)
    print(f"{rounds} rounds\n")
    print_costs(taken)
    our_help, typer_help, ours, pmap = taken.values()
    verdicts = Verdicts()
    verdicts.at_most("wall, --help: fleetpmap / typer", pairwise(our_help, typer_help, wall_ratio), 2.0)
    more = pairwise(ours, pmap, lambda one, other: one.wall_s - other.wall_s)
    verdicts.at_most("wall, one local process: fleetpmap − pmap -x, s", more, 0.35)
    return int(not verdicts.held)


if __name__ == "__main__":
    sys.exit(main())
