"""How does one process grow with the fleet?   python benchmarks/limits.py

Each step that a run or `show` does beside the hosts' own replies, on made fleets of 1,000 and 10,000 hosts (see
made.py): CPU per step, and its growth, of which ten times is linear. In a child of its own for each fleet.
`--fleets 1000 10000 100000` takes some minutes.

Then the csv of ten million rows of --view mappings: the memory that it takes beside the snapshot, and the time. Last
`show` of a run in shards, each a file of 1,000 hosts; `--shards 10 100` for more of them.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import gc
import io
import json
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import made
import numpy as np
from measure import Verdicts, cost

from fleetpmap import report
from fleetpmap.catalogue import ViewOptions
from fleetpmap.cli.deliver import print_notes
from fleetpmap.cli.option_values import Color, Format, View
from fleetpmap.cli.options import OutputOptions, RunningOptions, ShapeOptions, ShowOptions
from fleetpmap.cli.outputs import output_from
from fleetpmap.cli.progress import Progress
from fleetpmap.export import EXPORTERS
from fleetpmap.export.as_csv import write_csv
from fleetpmap.inventory import fold, load, nodesets, select
from fleetpmap.inventory.nodesets import expand
from fleetpmap.render import console, plain, table
from fleetpmap.report import VIEWS, Report, Shape, diff, page
from fleetpmap.report.standing_out import standing_out
from fleetpmap.shards.division import divided
from fleetpmap.shards.merging import merged
from fleetpmap.snapshot import FleetShard, Snapshot
from fleetpmap.snapshot_file import load_snapshot, save_in, write_snapshot
from fleetpmap.table import concatenate
from fleetpmap.transport import SshOptions, known_hosts
from fleetpmap.transport.ssh_config import resolve
from fleetpmap.tuning import trim_footprint

FLEETS = (1_000, 10_000)
LONGEST = 100_000
BAR_GROWTH = 11.0
ROUNDS, LONG_S = 5, 5.0
"""A step is repeated so often, or until it took so long, and the least counts: others use the machine too."""
LEAST_S = 0.02
"""A step of less CPU than this for the smaller fleet has no growth: the clock and the first call decide."""
LINES = 50_000
ROWS = 10_000_000
BAR_CSV_MB = 150.0
COLUMNS = ("host", "pid", "mapping", "perms", "rss_kib", "pss_kib")
SHARDS = 10
OF_SHARD = 1_000
Step = tuple[str, Callable[[], object]]


class Sink(io.RawIOBase):
    """Takes bytes, and drops them."""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return len(data)  # type: ignore[arg-type]  # bytes, or a view of them


def csv_of(one: Report) -> None:
    write_csv(one, Sink())  # type: ignore[arg-type]  # a file as far as csv needs one


def steps(hosts: int, directory: Path) -> Iterator[Step]:
    """Each step of a run over a fleet of this size, ready to be done."""
    yield from _before_a_run(hosts, directory)
    snapshot, earlier = made.fleet(hosts), made.fleet(hosts, grown=0.5)
    fresh = lambda: replace(snapshot)  # noqa: E731  # without what the snapshot has cached
    file = directory / f"{hosts}.parquet"
    with file.open("wb") as saved:
        write_snapshot(snapshot, saved)
    shards = list(_shards(hosts))
    yield "show: load", lambda: load_snapshot(file)
    yield f"show: merge {SHARDS} shards", lambda: merged(shards, {})
    yield "save", lambda: write_snapshot(snapshot, io.BytesIO())
    yield "coverage, notes, failures", lambda: _notes(fresh())
    yield "findings", lambda: standing_out(fresh())
    yield "merged, table", lambda: _drawn(report.merged(fresh()))
    yield "hosts, plain", lambda: plain(report.hosts(fresh()))
    yield "hosts, json", lambda: EXPORTERS["json"].write(report.hosts(fresh()), io.BytesIO())
    yield "services, plain", lambda: plain(report.services(fresh()))
    yield "processes, csv", lambda: csv_of(report.processes(fresh()))
    yield "mappings, csv", lambda: csv_of(report.mappings(fresh()))
    yield "compare, table", lambda: _drawn(report.compare(fresh()))
    yield "stale, plain", lambda: plain(report.stale(fresh()))
    yield "diff, plain", lambda: plain(diff(earlier, fresh()))
    yield "page", lambda: EXPORTERS["html"].write(page(VIEWS["summary"], fresh(), ViewOptions()), io.BytesIO())


def _before_a_run(hosts: int, directory: Path) -> Iterator[Step]:
    names = made.names(hosts)
    node_set = f"box-[{0:06}-{hosts - 1:06}]"
    inventory = directory / f"{hosts}.toml"
    inventory.write_text(
        f'[groups.all]\nhosts = "{node_set}"\n' + "".join(f'[hosts.{name}]\naddress = "{name}.lan"\n' for name in names)
    )
    config = directory / "ssh_config"
    config.write_text("Host box-*\n  User ops\nHost *.lan\n  Port 2222\nHost *\n  IdentityFile /keys/id\n")
    options = SshOptions(ssh_config=str(config))
    trusted, accepted = directory / "known_hosts", directory / "accepted"
    key = base64.b64encode(_key(0)).decode()
    trusted.write_text("".join(f"box-{number:06}.lan ssh-ed25519 {key}\n" for number in range(LINES)))
    yield "inventory: load, a table per host", lambda: load(inventory)
    yield "select a group", lambda: select(load(inventory), groups=["all"])
    yield "node set: expand", lambda: expand(node_set)
    yield "node set: fold", lambda: fold(reversed(names))
    yield "ssh -G, three Host blocks", lambda: [resolve(f"{name}.lan", options) for name in names]
    yield f"known_hosts of {LINES:,} lines", lambda: [_judged(trusted, name) for name in names]
    yield "known_hosts: accept new hosts", lambda: _accepted(accepted, names)
    yield "progress", lambda: _progress(names)


def _key(number: int) -> bytes:
    parts = (b"ssh-ed25519", b"%032d" % number)
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _judged(file: Path, name: str) -> str:
    return known_hosts.load((str(file),)).check(f"{name}.lan", 22, _key(0)).status


def _accepted(file: Path, names: list[str]) -> None:
    file.write_text("")
    for name in names:
        assert known_hosts.load((str(file),)).check(name, 22, _key(0)).status == "unknown"
        known_hosts.append(str(file), name, 22, "ssh-ed25519", _key(0))


def _progress(names: list[str]) -> None:
    """A line for every hundred hosts, of which 64 are being asked."""
    line = Progress(len(names), threading.Event())
    for number, name in enumerate(names):
        line.started(name)
        if number >= 64:
            line.done(names[number - 64], "ok")
        if not number % 100:
            line.line(time.monotonic() + 1)


def _notes(snapshot: Snapshot) -> None:
    one = report.hosts(snapshot)
    plan = output_from(ShowOptions(view=View("hosts")), ShapeOptions(), OutputOptions(format=Format("csv")))
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        print_notes(one, snapshot, plan, RunningOptions(verbose=1))


def _drawn(one: Report) -> None:
    screen = console(Color("never").value)
    with screen.capture() as drawn:
        screen.print(table(one, human=True, ascii_only=False))
    assert drawn.get()


def _shards(hosts: int, count: int = SHARDS) -> Iterator[Snapshot]:
    names = tuple(made.names(hosts))
    first = 0
    for number, part in enumerate(divided(names, count), 1):
        snapshot = made.fleet(len(part), first)
        shard = FleetShard(number, count, names, "every process")
        yield replace(snapshot, run=replace(snapshot.run, shard=shard))
        first += len(part)


def measured(hosts: int) -> dict[str, float]:
    """What the child does: the CPU seconds of each step, those of its own children included."""
    trim_footprint()
    taken = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, step in steps(hosts, Path(directory)):
            gc.collect()
            gc.freeze()  # a collection of what was there before can come in any step
            rounds = []
            while not rounds or (sum(rounds) < LONG_S and len(rounds) < ROUNDS):
                nodesets._folded.cache_clear()  # a run has each set of names for the first time
                began = _cpu()
                step()
                rounds.append(_cpu() - began)
            taken[name] = min(rounds)
    return taken


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def csv_of_many(rows: int) -> dict[str, float]:
    """What the other child does: the memory of the snapshot, and at its peak, and the CPU of the csv."""
    trim_footprint()
    part = made.fleet(1_000)
    times = -(-rows // len(part.table))
    tables = ((replace(part.table, process=part.table.process), 0) for _ in range(times))
    snapshot = replace(part, table=concatenate(tables))
    before = _resident_mb()
    began = time.process_time()
    csv_of(report.mappings(snapshot, Shape(columns=COLUMNS)))
    return {
        "rows": len(snapshot.table),
        "snapshot_mb": before,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "cpu_s": time.process_time() - began,
    }


def save_shards(directory: Path, count: int) -> dict[str, float]:
    """What the last child does: save the shards of a run, and say how large they are."""
    sizes = [save_in(directory, shard).stat().st_size for shard in _shards(count * OF_SHARD, count)]
    return {"bytes": sum(sizes) / (count * OF_SHARD)}


def judge_shards(verdicts: Verdicts, directory: Path, counts: Sequence[int]) -> None:
    """Show the runs in so many shards, and hold the growth against the bar."""
    taken: dict[int, float] = {}
    for count in counts:
        saved = directory / f"{count}-shards"
        hosts = f"{count} shards of {OF_SHARD:,} hosts"
        verdicts.tell(f"{hosts}: bytes per host", [told(directory, "--save", str(saved), str(count))["bytes"]])
        argv = [sys.executable, "-m", "fleetpmap", "show", str(saved), "--view", "merged"]
        shown = cost(argv, at=directory, accepted=(0, 3))  # 3: hosts that did not answer are among them
        taken[count] = shown.cpu_s
        verdicts.tell(f"{hosts}: show, CPU s", [shown.cpu_s])
        verdicts.tell(f"{hosts}: show, peak MB", [shown.peak_mb])
    for few, many in pairwise(counts):
        growth = (taken[many] / taken[few]) ** (1 / np.log10(many / few))
        verdicts.at_most(f"show, {few} to {many} shards: growth", [growth], BAR_GROWTH)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def told(directory: Path, *words: str) -> dict[str, float]:
    """What a child prints."""
    cost([sys.executable, __file__, *words], at=directory)
    said: dict[str, float] = json.loads((directory / "stdout").read_text())
    return said


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--fleets", type=int, nargs="+", default=FLEETS)
    options.add_argument("--rows", type=int, default=ROWS, help="of the csv; 0: none")
    options.add_argument("--shards", type=int, nargs="*", default=(SHARDS,), help="of the runs in shards")
    for hidden in ("--measure", "--csv"):
        options.add_argument(hidden, type=int, help=argparse.SUPPRESS)
    options.add_argument("--save", nargs=2, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if child := child_of(asked):
        print(json.dumps(child))
        return 0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        taken = {
            hosts: [told(directory, "--measure", str(hosts)) for _ in range(asked.rounds)] for hosts in asked.fleets
        }
        print("CPU of each step, s\n")
        print(f"{'':<36}" + "".join(f"{hosts:>16,}" for hosts in asked.fleets))
        for step in taken[asked.fleets[0]][0]:
            cells = (statistics.median(one[step] for one in taken[hosts]) for hosts in asked.fleets)
            print(f"{step:<36}" + "".join(f"{cell:>16.3f}" for cell in cells))
        verdicts = Verdicts()
        for smaller, larger in pairwise(asked.fleets):
            judge_growth(verdicts, taken, smaller, larger)
        if asked.rows:
            few, many = (told(directory, "--csv", str(rows)) for rows in (asked.rows // 10, asked.rows))
            judge_csv(verdicts, few, many)
        judge_shards(verdicts, directory, asked.shards)
    return int(not verdicts.held)


def child_of(asked: argparse.Namespace) -> dict[str, float]:
    """What a child measured; nothing in the benchmark itself."""
    if asked.save:
        return save_shards(Path(asked.save[0]), int(asked.save[1]))
    return measured(asked.measure) if asked.measure else csv_of_many(asked.csv) if asked.csv else {}


def judge_growth(verdicts: Verdicts, taken: dict[int, list[dict[str, float]]], smaller: int, larger: int) -> None:
    """Hold the growth of each step against the bar, for ten times as many hosts."""
    tenfold = np.log10(larger / smaller)
    for step in taken[smaller][0]:
        pairs = zip(taken[smaller], taken[larger], strict=True)
        growth = [(many[step] / few[step]) ** (1 / tenfold) for few, many in pairs]
        what = f"{smaller:,} to {larger:,}: {step}"
        if statistics.median(one[step] for one in taken[smaller]) < LEAST_S:
            verdicts.tell(what, growth)
        else:
            verdicts.at_most(what, growth, BAR_GROWTH)


def judge_csv(verdicts: Verdicts, few: dict[str, float], many: dict[str, float]) -> None:
    """Hold what the csv takes beside the snapshot against the bar."""
    rows = f"csv of {many['rows']:,.0f} rows"
    verdicts.tell(f"{rows}: the snapshot, MB", [many["snapshot_mb"]])
    verdicts.at_most(f"{rows}: peak beside it, MB", [many["peak_mb"] - many["snapshot_mb"]], BAR_CSV_MB)
    verdicts.at_most(f"{rows}: CPU, times that of a tenth", [many["cpu_s"] / few["cpu_s"]], BAR_GROWTH)
    verdicts.tell(f"{rows}: CPU, s", [many["cpu_s"]])


if __name__ == "__main__":
    sys.exit(main())
