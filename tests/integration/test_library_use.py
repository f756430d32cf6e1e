"""The library as a program uses it: the guide's examples, one call, threads and an event loop, against the demo."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import fleetpmap
from fleetpmap import Host, Inventory, UsageError
from fleetpmap.report import hosts
from snippets import blocks, demo_directory

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "library.md"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory whose inventory.toml is the demo's three hosts, as the group web."""
    with demo_directory(tmp_path_factory.mktemp("fleet")) as directory:
        yield directory


def test_the_examples_of_the_guide_run_in_order(fleet: Path):
    """As one program, in a directory with an inventory; the first lines and the last are what the guide says."""
    program = "\n".join(blocks(GUIDE, "python"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=fleet, capture_output=True, text=True, check=True
    )
    (shown,) = blocks(GUIDE, "text")
    moment = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+0000")
    assert moment.sub("", done.stdout.splitlines()[0]) == moment.sub("", shown.rstrip("\n"))
    assert done.stdout.splitlines()[-1] == "[67376, 3408]"
    assert "web-01 ok\n" in done.stdout
    assert done.stderr == ""


def test_one_call_finds_the_inventory_as_the_command_does(fleet: Path, monkeypatch: pytest.MonkeyPatch):
    """By its variable; groups, limit and exclude are the options."""
    monkeypatch.setenv("FLEETPMAP_INVENTORY", str(fleet / "inventory.toml"))
    snapshot = fleetpmap.run(groups="web", exclude="web-02", match="gunicorn", users="app")
    assert [host.name for host in snapshot.hosts] == ["web-01", "web-03"]
    path = fleet / "inventory.toml"
    assert snapshot.run.command == (
        f"fleetpmap run --inventory {path} --group web --exclude web-02 --match gunicorn --user app"
    )


def test_one_call_takes_several_units(fleet: Path):
    """As a list, or as the option takes them."""
    snapshots = [
        fleetpmap.run("web-01", inventory=fleet / "inventory.toml", unit=unit)
        for unit in (["gunicorn", "x"], "gunicorn,x")
    ]
    assert [len(snapshot.processes) for snapshot in snapshots] == [2, 2]
    assert {snapshot.run.command.partition(" --unit ")[2] for snapshot in snapshots} == {"gunicorn,x"}


def test_one_call_reads_this_machine_without_an_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As the command does where it finds none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("FLEETPMAP_INVENTORY", raising=False)
    parent = os.getppid()  # this process and its children never match
    snapshot = fleetpmap.run(pids=parent)
    assert [(process.host, process.pid) for process in snapshot.processes] == [("local", parent)]
    assert snapshot.run.command == f"fleetpmap run --pid {parent}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no process: run reads only the processes you name"),
        ({"full": True}, "--full and --exact say how --match is matched"),
        ({"match": "a", "newest": True, "oldest": True}, "--newest and --oldest exclude each other"),
        ({"match": "["}, "--match '\\[' is not a regular expression"),
    ],
)
def test_wrong_arguments_contact_nobody(arguments: dict[str, object], message: str):
    """They are refused before an inventory is looked for."""
    with pytest.raises(UsageError, match=message):
        fleetpmap.run("nowhere.invalid", **arguments)  # type: ignore[arg-type]  # wrong on purpose


def test_every_process_of_this_machine():
    """`every_process` is --all, and the command says so."""
    here = Inventory(hosts={"here": Host("here", transport="local")})
    snapshot = fleetpmap.run(inventory=here, every_process=True)
    assert os.getpid() not in [process.pid for process in snapshot.processes]  # its own processes never match
    assert snapshot.run.command == "fleetpmap run --all"


def test_an_event_loop_goes_on_while_hosts_are_asked(fleet: Path):
    """asyncio.to_thread, two runs at once; the loop ticks meanwhile."""
    inventory = fleetpmap.load_inventory(fleet / "inventory.toml")

    async def ticking(done: asyncio.Event) -> int:
        ticks = 0
        while not done.is_set():
            ticks += 1
            await asyncio.sleep(0.005)
        return ticks

    async def both() -> tuple[list[str], int]:
        done = asyncio.Event()
        ticks = asyncio.create_task(ticking(done))
        runs = (asyncio.to_thread(fleetpmap.run, inventory=inventory, match=name) for name in ("gunicorn", "bash"))
        snapshots = await asyncio.gather(*runs)
        done.set()
        return [hosts(snapshot).tables[0].column("pss_kib").total for snapshot in snapshots], await ticks

    totals, ticks = asyncio.run(both())
    assert totals[0] == 67376
    assert ticks > 5


def test_stop_ends_a_run_that_an_event_loop_cancelled(fleet: Path):
    """No further host is asked; those are `not-asked`, and the thread ends."""
    inventory = fleetpmap.load_inventory(fleet / "inventory.toml")
    stop = threading.Event()
    stop.set()
    snapshot = fleetpmap.run(inventory=inventory, match="gunicorn", stop=stop)
    assert [host.status for host in snapshot.hosts] == ["not-asked"] * 3
    assert snapshot.run.ended == "interrupted"
