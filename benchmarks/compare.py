"""What does a comparison cost?   python benchmarks/compare.py

Makes a snapshot of 1,000 hosts that run one process of 300 mappings each, as a collection would leave it, and times the
view compare, from the snapshot to its report and to its texts. Figures between hosts differ as noise does, one host
leaks.
"""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from operator import add

import numpy as np
from measure import Verdicts, asked_rounds, in_turn, pairwise, seconds

from fleetpmap.export.as_csv import write_csv
from fleetpmap.render import plain
from fleetpmap.report import compare
from fleetpmap.smaps import parse_processes
from fleetpmap.snapshot import HostSnapshot, Process, Run, Snapshot
from fleetpmap.table import from_columns

HOSTS, MAPPINGS = 1000, 300
BAR_S = 1.0
BLOCK = (
    "{start:08x}-{end:08x} {perms} 00000000 08:01 {inode}                    {path}\n"
    "Size: 400 kB\nRss: {rss} kB\nPss: {rss} kB\nShared_Clean: 0 kB\nShared_Dirty: 0 kB\nPrivate_Clean: 0 kB\n"
    "Private_Dirty: {rss} kB\nSwap: 0 kB\nSwapPss: 0 kB\nShared_Hugetlb: 0 kB\nPrivate_Hugetlb: 0 kB\n"
)


def host(number: int, random: np.random.Generator) -> HostSnapshot:
    blocks = []
    for slot, noise in enumerate(random.integers(0, 40, MAPPINGS).tolist()):
        start = 0x400000 + (slot << 20)
        rss = 300 + noise + (50_000 if (number, slot) == (617, 7) else 0)
        path, perms = f"/usr/lib/lib{slot // 3}.so.1", ("r-xp", "r--p", "rw-p")[slot % 3]
        if slot % 2:
            path = f"/srv/data/{slot}.bin"
        blocks.append(BLOCK.format(start=start, end=start + (400 << 10), perms=perms, inode=slot, path=path, rss=rss))
    text = "".join(blocks).encode()
    columns, _ = parse_processes(text, [(0, len(text))])
    name = f"web-{number:04}"
    process = Process(name, 812, "app", ("app",), 33, "www", 4711, 9000, "read")
    return HostSnapshot(
        name=name,
        status="ok",
        failure=None,
        capabilities=None,
        notes=(),
        processes=(process,),
        table=from_columns(columns),
    )


def main() -> int:
    rounds = asked_rounds(__doc__, 5)
    random = np.random.default_rng(1)
    hosts = [host(number, random) for number in range(HOSTS)]
    snapshot = Snapshot.assemble(hosts, Run(datetime.now(UTC), 1.0, "fleetpmap run"))
    report = compare(snapshot)
    works = {
        "snapshot to report": lambda: seconds(lambda: compare(snapshot)),
        "report to csv": lambda: seconds(lambda: write_csv(report, io.BytesIO())),
        "report to plain text": lambda: seconds(lambda: plain(report)),
    }
    taken = in_turn(works, rounds)
    print(f"{HOSTS:,} hosts × {MAPPINGS} mappings, {rounds} rounds")
    print(f"{len(report.tables[0]) - 1} rows; found: {report.findings}")
    verdicts = Verdicts()
    for what, times in taken.items():
        verdicts.tell(f"{what}, s", times)
    both = pairwise(taken["snapshot to report"], taken["report to csv"], add)
    verdicts.at_most("report and csv together, s", both, BAR_S)
    return int(not verdicts.held)


if __name__ == "__main__":
    sys.exit(main())
