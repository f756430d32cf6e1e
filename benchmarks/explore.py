"""What does a key cost in explore, with 60,000 rows below it?   python benchmarks/explore.py

1,000 hosts with a process of 60 mappings each, all VMAs of the fleet in one list, on 160 × 50. In every round the same
keys are pressed there and in an app that has Textual's own table with as many rows and columns, all cells empty. The
figure is the CPU time of this process from the key until nothing is left to be drawn. Then the keys that change the
list are pressed: each other list, sort, filter, mark, differences. Bars: a key takes less than 50 ms, each of all of
them in its median, and each move at most twice that of the empty table; the first screen, with reading the snapshot,
1.3 times `show --view summary` of the same file.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from contenders import program
from lab import Sshd  # noqa: F401  # lab puts the tests' directory on the path
from measure import Verdicts, asked_rounds, cost
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import DataTable

from fleetpmap.explore.app import Explore
from fleetpmap.explore.places import Place
from fleetpmap.explore.source import Source
from fleetpmap.snapshot import Snapshot
from fleetpmap.snapshot_file import write_snapshot
from snapshots import host, mapping, process, snapshot

HOSTS, MAPPINGS = 1_000, 60
COLUMNS = 12
"""As many as explore has room for."""
SIZE = (160, 50)
KEYS = ("down", "down", "pagedown", "up", "pageup", "end", "home")
THEIRS = {"end": "ctrl+end", "home": "ctrl+home"}
"""Keys of Textual's table that do the same, where they are others."""
CHANGES = (
    *("v", "v", "v", "v", "V", "s", "s", "s", "S", "I", "slash", "l", "i", "b", "backspace", "enter", "escape"),
    *("m", "d", "d", "y", "space", "U", "enter", "backspace"),
)
"""Keys that change the list; V stands for the list of all VMAs."""
FIRST_SCREEN = """
import asyncio, sys
from pathlib import Path
from fleetpmap.explore.app import Explore
from fleetpmap.explore.source import Source
from fleetpmap.snapshot_file import load_snapshot
async def main():
    app = Explore(Source(name="x", snapshot=load_snapshot(Path(sys.argv[1]))))
    async with app.run_test(size=(160, 50)) as pilot:
        while app.busy:
            await pilot.pause(0.01)
asyncio.run(main())
"""


class EmptyTable(App[None]):
    """Textual's table with nothing in its cells."""

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns(*map(str, range(COLUMNS)))
        table.add_rows([("",) * COLUMNS] * HOSTS * MAPPINGS)


def fleet() -> Snapshot:
    """The hosts, each with its own pid and the same names."""
    maps = [
        mapping(f"/usr/lib/lib{n}.so", start=0x7F0000000000 + (n << 20), size=100 + n, Rss=50 + n, Pss=20 + n, Swap=0)
        for n in range(MAPPINGS)
    ]
    return snapshot(*(host(f"web-{n:04}", process(1000 + n, "nginx", *maps)) for n in range(HOSTS)))


async def pressed(pilot: Pilot[object], keys: Iterable[str] = KEYS) -> list[float]:
    """Return the CPU milliseconds of each key."""
    taken = []
    for key in keys:
        before = time.process_time()
        await pilot.press(key)
        await pilot.pause(0)
        taken.append((time.process_time() - before) * 1000)
    return taken


async def changed(app: Explore, pilot: Pilot[object]) -> dict[str, float]:
    """Return the CPU milliseconds of each key of CHANGES, by its place there."""
    taken = {}
    for slot, key in enumerate(CHANGES):
        before = time.process_time()
        if key == "V":
            app._go(Place("vmas"))
        else:
            await pilot.press(key)
        await pilot.pause(0)
        taken[f"{slot} {key}"] = (time.process_time() - before) * 1000
    app.shown.marked = None
    return taken


async def measured(whole: Snapshot, rounds: int) -> tuple[list[float], list[float], dict[str, list[float]]]:
    """Return the milliseconds of all moves in explore, and in the empty table, and those of each other key."""
    app, empty = Explore(Source(name="the fleet", snapshot=whole)), EmptyTable()
    ours: list[float] = []
    theirs: list[float] = []
    others: dict[str, list[float]] = defaultdict(list)
    async with app.run_test(size=SIZE) as pilot:
        while app.busy:
            await pilot.pause(0.05)
        app._go(Place("vmas"))
        await pressed(pilot)
        for _ in range(rounds):
            ours += await pressed(pilot)
        for _ in range(rounds):
            app._arrived(whole)  # nothing is kept from round to round
            while app.busy:
                await pilot.pause(0.05)
            for key, taken in (await changed(app, pilot)).items():
                others[key].append(taken)
    async with empty.run_test(size=SIZE) as pilot:
        keys = [THEIRS.get(key, key) for key in KEYS]
        await pressed(pilot, keys)
        for _ in range(rounds):
            theirs += await pressed(pilot, keys)
    return ours, theirs, others


def main() -> int:
    rounds = asked_rounds(__doc__, 10)
    whole = fleet()
    ours, theirs, others = asyncio.run(measured(whole, rounds))
    print(
        f"a key: explore {statistics.median(ours):.1f} ms (at most {max(ours):.1f}), "
        f"empty table {statistics.median(theirs):.1f} ms (at most {max(theirs):.1f})\n"
    )
    for key, taken in sorted(others.items(), key=lambda item: -statistics.median(item[1])):
        print(f"{key.partition(' ')[2]:10} {statistics.median(taken):6.1f} ms ({min(taken):.1f}–{max(taken):.1f})")
    worst = max(others.values(), key=statistics.median)
    ratios = [[a / b for a, b in zip(ours, theirs, strict=True)][slot :: len(KEYS)] for slot in range(len(KEYS))]
    verdicts = Verdicts()
    verdicts.at_most("CPU of the dearest other key, ms", worst, 50.0)
    verdicts.at_most("CPU of a key, ms", ours, 50.0)
    verdicts.at_most("CPU of the dearest move: explore / empty table", max(ratios, key=statistics.median), 2.0)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "fleet.parquet"
        with path.open("wb") as file:
            write_snapshot(whole, file)
        pairs = [
            (
                cost([sys.executable, "-c", FIRST_SCREEN, str(path)]),
                cost([*program(), "show", str(path), "--view", "summary", "--quiet"]),
            )
            for _ in range(max(rounds // 3, 2))
        ]
    verdicts.at_most("CPU to the first screen and its findings / show", [a.cpu_s / b.cpu_s for a, b in pairs], 1.3)
    verdicts.at_most("memory / show", [a.peak_mb / b.peak_mb for a, b in pairs], 1.3)
    return int(not verdicts.held)


if __name__ == "__main__":
    sys.exit(main())
