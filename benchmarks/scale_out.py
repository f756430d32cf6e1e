"""What do several processes win on 10,000 and 100,000 hosts?   python benchmarks/scale_out.py

A conversation with this machine about one process is recorded, and played by a transport of the benchmark's own as many
hosts: each has a PSS of its own, one in 101 refuses, and an answer takes up to 20 ms. In every round, as child
processes: `collect` in one process, two workers, and a Dask cluster with two workers, which is there before; each makes
the reports merged and hosts. `ready` is the time from the last host's reply to the second report.

--save has each of them keep the run, too, in a directory with every row, before it reports (run --save DIR/).
--mappings gives the process so many more mappings.

--same compares in place of that: one process, two workers, Dask with two and with four, and ten shards that are saved
and merged have to give the same bytes for every view as csv and as json.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from lab import HERE, Fleet, fleet
from measure import Cost, Verdicts, cost, in_turn, pairwise, print_costs, wall_ratio
from recording import FAULTY, PlayedFleet, Recording, record

from dask_cluster import DaskCluster  # the tests' own, by the path of lab
from fleetpmap import Host, Question, Selection, collect, report
from fleetpmap.catalogue import sums_for
from fleetpmap.collection.rows import Rows
from fleetpmap.export import EXPORTERS
from fleetpmap.report import VIEWS
from fleetpmap.shards import messages, on_dask, processes
from fleetpmap.shards.division import divided
from fleetpmap.shards.merging import merged
from fleetpmap.snapshot import FleetShard, Run, Snapshot
from fleetpmap.snapshot_file import load_snapshot, save_in
from fleetpmap.tuning import trim_footprint

FLEETS = (10_000, 100_000)
JOBS = 64
LONGEST_S = 0.02
ENGINES = ("1 worker", "2 workers", "Dask, 2 workers")
SAME = ("1 worker", "2 workers", "Dask, 2 workers", "Dask, 4 workers", "10 shards")
SAME_VIEWS = ("hosts", "merged", "services", "processes", "compare", "stale")
BAR_SPEEDUP = 1.7
BAR_BYTES = 100.0
BAR_PEAK_MB = 300.0
BAR_READY_S = 2.0
BAR_GROWTH = 11.0
_SUBJECT = """
import mmap, signal, sys
for number in range(int(sys.argv[1])):  # unlike its neighbour, each stays a mapping
    prot = mmap.PROT_READ if number % 2 else mmap.PROT_READ | mmap.PROT_WRITE
    globals()[f"room_{number}"] = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot)
print("ready", flush=True)
signal.pause()
"""


@dataclass(frozen=True)
class Asking:
    """What a child does, as it is passed on its command line."""

    file: str
    hosts: int
    engine: str
    scheduler: str = ""
    same: bool = False
    save: bool = False


# The child: asks, reports, and prints what that took.


def ask(asking: Asking) -> None:
    trim_footprint()
    pid = Recording.load(Path(asking.file)).pid
    hosts = [Host(f"box-{n:06}") for n in range(1, asking.hosts + 1)]
    came = [0.0]
    received = _counted_bytes()

    def on_status(*_: object) -> None:
        came[0] = time.monotonic()

    options: dict[str, Any] = {
        "jobs": JOBS,
        "sums": sums_for(SAME_VIEWS if asking.same else ["merged", "hosts"]),
        "transport_for": PlayedFleet(Path(asking.file), 0 if asking.same else LONGEST_S),
    }
    rows = Rows(Path()) if asking.save else None
    if rows:
        options |= {"sums": {*options["sums"], "path"}, "on_rows": rows.add}
    snapshot = _asked(asking, hosts, Question(Selection(pids=(pid,))), on_status, options)
    if asking.same:
        print(json.dumps(dict(_digests(snapshot))))
        return
    replied = came[0]
    if rows:
        save_in(Path("runs"), snapshot, rows)
    lines = sum(len(table) for view in (report.merged, report.hosts) for table in view(snapshot).tables)
    ready_s = time.monotonic() - replied
    if snapshot.coverage.hosts["ok"] != asking.hosts - asking.hosts // FAULTY:
        sys.exit(f"{snapshot.coverage.hosts} of {asking.hosts} hosts")
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    said = {"bytes": received[0], "ready_s": ready_s, "client_mb": peaks[0], "worker_mb": peaks[1], "lines": lines}
    print(json.dumps(said))


def _asked(
    asking: Asking,
    hosts: Sequence[Host],
    question: Question,
    on_status: Callable[..., None],
    options: dict[str, Any],
) -> Snapshot:
    number = int(asking.engine.removeprefix("Dask, ").partition(" ")[0])
    if asking.engine == "10 shards":
        return _of_shards(hosts, question, options)
    if asking.scheduler:
        options["jobs"] = JOBS // number
        return on_dask.collect_on_dask(hosts, question, scheduler=asking.scheduler, on_status=on_status, **options)
    if number == 1:
        return collect(hosts, question, on_host=on_status, **options)
    return processes.collect_in_processes(hosts, question, workers=number, on_status=on_status, **options)


def _of_shards(hosts: Sequence[Host], question: Question, options: dict[str, Any]) -> Snapshot:
    """As ten gateways ask and save, and one machine merges."""
    names = tuple(host.name for host in hosts)
    with tempfile.TemporaryDirectory() as directory:
        for number, part in enumerate(divided(hosts, 10), 1):
            snapshot = collect(part, question, **{**options, "sums": None})
            of_run = replace(snapshot.run, shard=FleetShard(number, 10, names, ""))
            save_in(Path(directory), replace(snapshot, run=of_run))
        shards = [load_snapshot(path) for path in sorted(Path(directory).iterdir())]
    return merged(shards, {})


def _counted_bytes() -> list[int]:
    """Count the bytes of the shards that come to this process."""
    received = [0]

    def counting(data: bytes) -> Snapshot:
        received[0] += len(data)
        return messages.unpacked(data)

    for engine in (processes, on_dask):
        engine.unpacked = counting  # type: ignore[attr-defined]  # a function like it
    return received


def _digests(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Every view as csv and json, without the times, which two runs never have in common."""
    snapshot = replace(
        snapshot,
        run=Run(datetime(2026, 1, 1, tzinfo=UTC), 1.0, ""),
        processes=tuple(replace(process, started=None) for process in snapshot.processes),
    )
    for view in SAME_VIEWS:
        made = VIEWS[view](snapshot, report.ViewOptions())
        for form in ("csv", "json"):
            written = io.BytesIO()
            EXPORTERS[form].write(made, written)
            yield f"{view}.{form}", hashlib.sha256(written.getvalue()).hexdigest()


# The parent: runs the children, and judges.


@contextmanager
def cluster(engine: str) -> Iterator[DaskCluster | None]:
    """A Dask cluster for the engines that need one. Its workers find the played fleet."""
    if not engine.startswith("Dask"):
        yield None
        return
    with tempfile.TemporaryDirectory() as directory:
        paths = os.pathsep.join(map(str, (HERE, HERE.parent / "tests" / "support")))
        with DaskCluster(Path(directory)) as started:
            for number in range(int(engine.split()[1])):
                started.add(f"w{number}", environment={"PYTHONPATH": paths})
            yield started


def measure(
    file: Path, directory: Path, hosts: int, engine: str, *, same: bool = False, save: bool = False
) -> tuple[Cost, dict[str, Any]]:
    """One child's costs, with those of a cluster's workers, and what it says."""
    with cluster(engine) as started:
        address = started.address if started else ""
        workers = [psutil.Process(worker.pid) for worker in started.workers.values()] if started else []
        before = sum(sum(worker.cpu_times()[:2]) for worker in workers)
        asking = Asking(str(file), hosts, engine, address, same, save)
        taken = cost([sys.executable, __file__, "--ask", json.dumps(vars(asking))], at=directory)
        said = json.loads((directory / "stdout").read_text())
        if workers:
            after = sum(sum(worker.cpu_times()[:2]) for worker in workers)
            said["worker_mb"] = max(_peak_mb(worker.pid) for worker in workers)
            taken = replace(taken, cpu_s=taken.cpu_s + after - before)
    return taken, said


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def recorded(lab: Fleet, mappings: int) -> Recording:
    """Record what a host says about a process that sleeps, with so many mappings more than its program has."""
    argv = [sys.executable, "-c", _SUBJECT, str(mappings)] if mappings else ["sleep", "infinity"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as subject:
        assert subject.stdout is not None
        try:
            if mappings:
                subject.stdout.readline()
            return record(lab, subject.pid)
        finally:
            subject.kill()


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--fleets", type=int, nargs="+", default=FLEETS)
    options.add_argument("--same", action="store_true", help="compare the bytes of reports, over the first of --fleets")
    options.add_argument("--save", action="store_true", help="keep each run in a directory, with every row")
    options.add_argument("--mappings", type=int, default=0, help="further mappings of the process")
    options.add_argument("--ask", help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.ask:
        ask(Asking(**json.loads(asked.ask)))
        return 0
    with fleet(1) as lab:
        recording = recorded(lab, asked.mappings)
        file = lab.directory / "recording"
        recording.save(file)
        if asked.same:
            said = {one: measure(file, lab.scratch(), asked.fleets[0], one, same=True)[1] for one in SAME}
            return int(not are_same(said, asked.fleets[0]))
        contenders = {
            f"{hosts:,} hosts, {engine}": partial(measure, file, lab.scratch(), hosts, engine, save=asked.save)
            for hosts in asked.fleets
            for engine in ENGINES
        }
        measured = in_turn(contenders, asked.rounds)
    print(f"played hosts, {JOBS} asked at once, {asked.rounds} rounds\n")
    print_costs({name: [taken for taken, _ in rounds] for name, rounds in measured.items()})
    return int(not judged(measured, asked.fleets, save=asked.save))


def are_same(said: dict[str, dict[str, str]], hosts: int) -> bool:
    """Print which reports of which engine are those of one process; whether all are."""
    print(f"{hosts:,} played hosts: {len(SAME_VIEWS)} views as csv and json against one process\n")
    alone = said["1 worker"]
    others = {engine: [name for name in alone if found[name] != alone[name]] for engine, found in said.items()}
    for engine, differ in others.items():
        print(f"{engine:<20} {', '.join(differ) or 'the same'}")
    return not any(others.values())


def judged(measured: dict[str, list[tuple[Cost, dict[str, Any]]]], fleets: Sequence[int], *, save: bool) -> bool:
    """Print what the rounds came to; whether the bars were held."""
    verdicts = Verdicts()
    # A run that saves sends every row, and writes them before it reports.
    bar_bytes, bar_ready_s = (math.inf, math.inf) if save else (BAR_BYTES, BAR_READY_S)
    for hosts in fleets:
        one, two, dask = (measured[f"{hosts:,} hosts, {engine}"] for engine in ENGINES)
        costs, fleet_ = [[taken for taken, _ in rounds] for rounds in (one, two, dask)], f"{hosts:,} hosts"
        verdicts.at_least(f"{fleet_}: wall, 1 worker / 2 workers", pairwise(*costs[:2], wall_ratio), BAR_SPEEDUP)
        verdicts.tell(f"{fleet_}: wall, 1 worker / Dask", pairwise(costs[0], costs[2], wall_ratio))
        for name, rounds in (("2 workers", two), ("Dask", dask)):
            said, what = [told for _, told in rounds], f"{fleet_}, {name}"
            verdicts.at_most(f"{what}: bytes to the client per host", [one["bytes"] / hosts for one in said], bar_bytes)
            verdicts.at_most(f"{what}: ready after the last reply, s", [one["ready_s"] for one in said], bar_ready_s)
            verdicts.at_most(f"{what}: peak of the client, MB", [one["client_mb"] for one in said], BAR_PEAK_MB)
            verdicts.tell(f"{what}: peak of a worker, MB", [one["worker_mb"] for one in said])
    if len(fleets) > 1:
        small, large = (
            statistics.median(taken.wall_s for taken, _ in measured[f"{hosts:,} hosts, 2 workers"])
            for hosts in (min(fleets), max(fleets))
        )
        verdicts.at_most("growth of the time, two workers", [large / small], BAR_GROWTH)
    return verdicts.held


if __name__ == "__main__":
    sys.exit(main())
