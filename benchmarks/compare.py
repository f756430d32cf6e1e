"""What does a comparison cost?   python benchmarks/compare.py

Makes a snapshot of 1,000 hosts that run one process of 300 mappings each, as a collection would leave it, and times the
view compare, from the snapshot to its report and to its texts. Figures between hosts differ as noise does, one host
leaks. Prints the best of some rounds, and whether the bar of one second held.
"""

from __future__ import annotations

import io
import sys
import time
from datetime import UTC, datetime

import numpy as np

from fleetpmap.export import write_csv
from fleetpmap.render import plain
from fleetpmap.report import compare
from fleetpmap.smaps import parse_processes
from fleetpmap.snapshot import HostSnapshot, Process, Run, Snapshot
from fleetpmap.table import from_columns

HOSTS, MAPPINGS, ROUNDS = 1000, 300, 5
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
    return HostSnapshot(name, "ok", (process,), from_columns(columns), None)


def best(what: str, work: object) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()  # type: ignore[operator]  # a closure without arguments
        times.append(time.perf_counter() - began)
    print(f"{what:<32} {min(times):6.2f} s  (to {max(times):.2f})")
    return min(times)


def main() -> None:
    random = np.random.default_rng(1)
    hosts = [host(number, random) for number in range(HOSTS)]
    snapshot = Snapshot.assemble(hosts, Run(datetime.now(UTC), 1.0, "fleetpmap run"))
    report = compare(snapshot)
    print(f"{HOSTS:,} hosts x {MAPPINGS} mappings: {len(report.tables[0]) - 1} rows; found: {report.findings}")
    took = best("snapshot to report", lambda: compare(snapshot))
    took += best("report to csv", lambda: write_csv(report, io.BytesIO()))
    best("report to plain text", lambda: plain(report))
    held = took <= BAR_S
    print(f"\nreport and csv together {took:.2f} s, wanted {BAR_S:g} s: {'held' if held else 'NOT HELD'}")
    if not held:
        sys.exit(1)


if __name__ == "__main__":
    main()
