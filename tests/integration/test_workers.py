"""A run from several processes of this machine: streamed rows, every fault a row, and nothing left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from multiprocessing import active_children
from pathlib import Path
from threading import Event

import pytest

from bounded import within
from fleetpmap import Question, Selection, collect, load_snapshot, report, write_snapshot
from fleetpmap.collection.rows import Rows
from fleetpmap.inventory import Host
from fleetpmap.shards.processes import collect_in_processes
from fleetpmap.snapshot import Snapshot
from program import BARE, fleetpmap
from sshd import Sshd

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
FAULTS = {
    "refused": "port = 1",
    "far": 'proxy_jump = "127.0.0.1:1"',
    "no-proc": 'proc_root = "/nonexistent"',
    "stranger": 'user = "no-such-account"',
    "untrusted": 'known_hosts = "/dev/null"',
}


@pytest.fixture(scope="module")
def inventory(sshd_of_fifty, tmp_path_factory):
    """Sixty hosts: three recorded trees over fifty addresses, so that two runs read the same, and ten with faults."""
    server = sshd_of_fifty
    good = [
        f'[hosts.web-{n:02}]\naddress = "{address}"\nproc_root = "{FAKE_PROC}/web-0{n % 3 + 1}"'
        for n, address in enumerate(server.addresses, 1)
    ]
    bad = [
        f"[hosts.{name}-{n}]\n{line}" + ("" if "address" in line else f'\naddress = "127.0.1.{n}"')
        for name, line in FAULTS.items()
        for n in (1, 2)
    ]
    lines = [
        "[defaults]",
        f'user = "{server.user}"',
        f"port = {server.port}",
        f'identity_file = "{server.identity_file}"',
        f'known_hosts = "{server.known_hosts}"',
        *bad[:5],
        *good,
        *bad[5:],
    ]
    path = tmp_path_factory.mktemp("sixty") / "inventory.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(inventory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return fleetpmap("run", "-i", str(inventory), "--ssh-config", "none", *words)


def test_streamed_rows_are_those_of_one_process(inventory):
    """Rows of jsonl are printed as hosts reply, in any order; the last line has the coverage."""
    words = ("--all", "-H", "web-[01-08]", "--view", "mappings", "--format", "jsonl")
    one, two = (run(inventory, *words, *more) for more in ([], ["--workers", "2"]))
    rows, others = (sorted(done.stdout.splitlines()[:-1]) for done in (one, two))
    assert len(rows) > 500
    assert rows == others
    assert json.loads(two.stdout.splitlines()[-1])["coverage"]["hosts"]["partial"] == 8


def recorded(server: Sshd, count: int, **settings: object) -> list[Host]:
    """Hosts that are recorded trees."""
    return [
        server.host(f"web-{n:02}", address=address, proc_root=str(FAKE_PROC / f"web-0{n % 3 + 1}"), **settings)
        for n, address in enumerate(server.addresses[:count], 1)
    ]


def all_processes(server: Sshd) -> Question:
    return Question(Selection(), ssh=server.options)


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr("fleetpmap.shards.processes.MOST_HOSTS", 5)


def end_a_worker(number: int) -> None:
    children = [child for child in active_children() if child.name == "fleetpmap worker"]
    os.kill(children[0].pid, number)


@pytest.mark.usefixtures("small_shards")
def test_killed_worker_is_replaced_once(sshd_of_fifty):
    """Its unfinished shards are asked again, which a note says; every host has one status, and no process is left."""
    hosts, question = recorded(sshd_of_fifty, 20), all_processes(sshd_of_fifty)
    told: list[str] = []

    def on_status(host: Host, status: str) -> None:
        told.append(host.name)
        if len(told) == 5:
            end_a_worker(signal.SIGKILL)

    with within(60):
        snapshot = collect_in_processes(hosts, question, workers=2, jobs=2, on_status=on_status)
    assert active_children() == []
    assert [host.name for host in snapshot.hosts] == [host.name for host in hosts]
    assert snapshot.coverage.hosts == {"partial": 20}
    assert {*told} == {host.name for host in hosts}
    notes = {host.name: host.notes for host in snapshot.hosts if host.notes}
    assert len(notes) in (5, 10)
    why = "was asked again, since the process that asked it first was killed by signal 9"
    assert {*notes.values()} == {(why,)}
    again, once = (report.merged(one).tables[0].rows() for one in (snapshot, collect(hosts, question)))
    assert again == once


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("ended_by", ["a killed worker", "^C"])
def test_rows_of_a_run_that_did_not_go_well(sshd_of_fifty, tmp_path, ended_by):
    """What is saved has the rows of every host that replied, once each, and of the others their status."""
    hosts, question, stop = recorded(sshd_of_fifty, 20), all_processes(sshd_of_fifty), Event()
    told: list[str] = []

    def on_status(host: Host, status: str) -> None:
        told.append(host.name)
        if len(told) == 5:
            stop.set() if ended_by == "^C" else end_a_worker(signal.SIGKILL)

    with within(60), closing(Rows(tmp_path)) as rows, (tmp_path / "saved").open("wb") as file:
        snapshot = collect_in_processes(
            hosts, question, workers=2, jobs=2, stop=stop, sums=(), on_rows=rows.add, on_status=on_status
        )
        write_snapshot(snapshot, file, rows)
    saved = load_snapshot(tmp_path / "saved")
    assert (saved.hosts, saved.processes) == (snapshot.hosts, snapshot.processes)
    replied = [host for host in hosts if host.name in {process.host for process in saved.processes}]
    assert len(replied) >= (20 if ended_by == "a killed worker" else 5)
    again, once = (report.mappings(one).tables[0].rows() for one in (saved, collect(replied, question)))
    assert again == once


@pytest.mark.usefixtures("small_shards")
def test_worker_killed_twice_is_a_failure_of_its_hosts(sshd_of_fifty):
    """What the other worker asked stays; the rest has a status of its own, with the reason."""
    killed: list[int] = []

    def on_start(host: Host) -> None:
        # The newest worker has web-06; killed, it is replaced by one that is newer still.
        if host.name == "web-06" and len(killed) < 2:
            newest = max(active_children(), key=lambda child: child.pid or 0)
            killed.append(newest.pid or 0)
            os.kill(killed[-1], signal.SIGKILL)

    hosts, question = recorded(sshd_of_fifty, 20), all_processes(sshd_of_fifty)
    with within(60):
        snapshot = collect_in_processes(hosts, question, workers=2, jobs=2, on_start=on_start)
    assert active_children() == []
    assert snapshot.coverage.hosts == {"partial": 10, "error": 10}
    failure = next(one for one in snapshot.coverage.failures)
    assert failure.message == "the process that asked it was killed by signal 9, twice"
    assert "--workers 1" in failure.hint


def test_stop_ends_all_workers(sshd_of_fifty):
    """After ^C each host has a status within seconds, and no process is left."""
    stop = Event()
    with within(30):
        snapshot = collect_in_processes(
            recorded(sshd_of_fifty, 20),
            all_processes(sshd_of_fifty),
            workers=2,
            jobs=2,
            stop=stop,
            on_status=lambda host, status: stop.set(),
        )
    assert snapshot.run.ended == "interrupted"
    assert sum(snapshot.coverage.hosts.values()) == 20
    assert snapshot.coverage.hosts["not-asked"] > 0
    assert active_children() == []


def test_deadline_is_that_of_the_run(sshd_of_fifty):
    """A deadline that is over at once: no worker asks, and each host says so."""
    with within(30):
        hosts, question = recorded(sshd_of_fifty, 50), all_processes(sshd_of_fifty)
        snapshot = collect_in_processes(hosts, question, workers=2, deadline_s=0.001)
    assert snapshot.run.ended == "deadline"
    assert snapshot.coverage.hosts == {"not-asked": 50}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_the_program(inventory, number):
    """Whichever way the program ends, its workers and their probes end too."""
    words = [sys.executable, "-m", "fleetpmap", "run", "-i", str(inventory), "--ssh-config", "none", "--workers", "2"]
    program = subprocess.Popen(
        [*words, "--all", "-j", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=BARE,
        start_new_session=True,
    )
    workers = children_of(program.pid, 2)
    program.send_signal(number)
    with within(15):
        assert program.wait(15) == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -number)
        until = time.monotonic() + 15
        while any(map(is_running, workers)) and time.monotonic() < until:
            time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether a process runs; one that ended and is not waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] != b"Z"
    except FileNotFoundError:
        return False


def children_of(pid: int, least: int) -> set[int]:
    """Wait for the worker processes of a program."""
    for _ in range(400):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        asking = {int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}
        if len(asking) >= least:
            return asking
        time.sleep(0.02)
    raise AssertionError("no worker was started")


def test_program_is_its_own_process_in_a_worker(inventory):
    """This machine without SSH, asked by a worker: the program and its workers do not match."""
    local = inventory.parent / "local.toml"
    local.write_text(inventory.read_text() + '[hosts.here]\ntransport = "local"\nknown_hosts = []\n')
    done = fleetpmap(
        "run", "-i", str(local), "--ssh-config", "none", "-H", "here", "-H", "web-01",
        "--full", "--match", "local.toml|spawn_main", "--workers", "2", "--view", "processes", "--format", "csv",
    )  # fmt: skip
    assert [line for line in done.stdout.splitlines() if line.startswith("here,")] == []


def test_capture_needs_this_process(inventory, tmp_path):
    """Refused before any host is asked."""
    done = run(inventory, "--all", "--workers", "2", "--capture", str(tmp_path / "kept"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--capture keeps what the hosts sent, which other processes do not pass on" in done.stderr


@pytest.mark.parametrize("word", ["0", "x", "-1", "1000"])
def test_workers_takes_a_number_or_auto(word):
    done = fleetpmap("run", "--all", f"--workers={word}")
    assert done.returncode == 2
    assert "is not auto or a number from 1 to 999" in done.stderr


def test_empty_fleet_is_an_empty_snapshot():
    assert isinstance(collect_in_processes([], Question(), workers=1), Snapshot)
