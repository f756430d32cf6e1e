"""What do trends over a thousand runs cost?   python benchmarks/history.py

Keeps 1,000 runs of 100 hosts, each with a process of 60 mappings, all of which move as noise does; one of them leaks.
In every round `fleetpmap history` reads them as a child process, and has to find the leak and no other.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from lab import HERE  # puts the tests' directory on the path
from measure import Cost, Verdicts, asked_rounds, cost, in_turn, print_costs

from kept_runs import MIB, Service, keep

RUNS, HOSTS, MAPPINGS = 1_000, 100, 60
LEAK = ("web-017", "[heap]")
BAR_S, BAR_MB = 10.0, 500.0
HISTORY = [str(HERE.parent / ".venv" / "bin" / "fleetpmap"), "history"]


def services(random: np.random.Generator) -> list[Service]:
    """One on each host; every mapping has noise of 1 MiB and more, above the noise floor."""
    made = []
    for number in range(HOSTS):
        host = f"web-{number:03}"
        paths = ["[heap]", *(f"/srv/data/{slot}.bin" for slot in range(1, MAPPINGS))]
        sizes = {path: random.normal(20 * MIB, random.uniform(1, 3) * MIB, RUNS).round() for path in paths}
        if host == LEAK[0]:
            sizes[LEAK[1]] += np.arange(RUNS) * MIB // 10
        made.append(Service(host, "app", sizes))
    return made


def history(directory: Path) -> Cost:
    """Run it once, and look at what it found."""
    taken = cost([*HISTORY, f"{directory}/runs/", "--format", "csv"], at=directory)
    rows = list(csv.DictReader((directory / "stdout").open()))
    leaks = [(row["host"], row["mapping"]) for row in rows if row["class"] == "leak"]
    if len(rows) != HOSTS * MAPPINGS or leaks != [LEAK]:
        sys.exit(f"{len(rows)} rows; leaks: {leaks}")
    return taken


def main() -> int:
    rounds = asked_rounds(__doc__, 3)
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        (directory / "runs").mkdir()
        keep(directory / "runs", services(np.random.default_rng(1)))
        size = sum(path.stat().st_size for path in (directory / "runs").iterdir())
        taken = in_turn({"fleetpmap history": partial(history, directory)}, rounds)
    print(f"{RUNS:,} runs of {HOSTS} hosts × {MAPPINGS} mappings, {size / 1e6:.0f} MB, {rounds} rounds\n")
    print_costs(taken)
    (costs,) = taken.values()
    verdicts = Verdicts()
    verdicts.at_most("wall, s", [one.wall_s for one in costs], BAR_S)
    verdicts.at_most("peak memory, MB", [one.peak_mb for one in costs], BAR_MB)
    return int(not verdicts.held)


if __name__ == "__main__":
    sys.exit(main())
