"""A run from several processes of this machine: streamed rows, every fault a row, and nothing left of them."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from multiprocessing import active_children
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
import pytest

from bounded import is_running, wait_until, within
from fleetpmap import Question, Selection, collect, load_snapshot, report, write_snapshot
from fleetpmap.collection.rows import Rows
from fleetpmap.inventory import Host
from fleetpmap.shards.processes import collect_in_processes
from fleetpmap.snapshot import Snapshot
from program import BARE, fleetpmap
from sshd import Sshd
from stuck_host import FAKE_PROC, kill_askers, stuck

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


def askers(server: Sshd) -> list[int]:
    """The pids of our workers that are connected to the server, one for each connection."""
    found: list[int] = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it has ended
            found += [child.pid for one in child.net_connections("tcp") if one.raddr and one.raddr.port == server.port]
    return found


def run_and_kill(server: Sshd, directory: Path, times: int, hosts: list[Host], **how: Any) -> Snapshot:
    """Ask the hosts, and kill the worker whose host hangs, so many times; `how`: more of collect_in_processes."""
    killer = Thread(target=kill_askers, args=(directory, times, lambda: askers(server)))
    killer.start()
    with within(120):
        snapshot = collect_in_processes(hosts, all_processes(server), workers=2, jobs=2, **how)
    killer.join()
    assert active_children() == []
    return snapshot


@pytest.mark.usefixtures("small_shards")
def test_killed_worker_is_replaced_once(sshd_of_fifty, tmp_path):
    """Its unfinished shards are asked again, which a note says; every host has one status, and no process is left."""
    hosts = [*recorded(sshd_of_fifty, 19), stuck(sshd_of_fifty, tmp_path, times=1)]
    told: set[str] = set()
    snapshot = run_and_kill(sshd_of_fifty, tmp_path, 1, hosts, on_status=lambda host, status: told.add(host.name))
    assert [host.name for host in snapshot.hosts] == [host.name for host in hosts]
    assert snapshot.coverage.hosts == {"partial": 20}
    assert told == {host.name for host in hosts}
    notes = {host.name: host.notes for host in snapshot.hosts if host.notes}
    assert [*notes] == [host.name for host in hosts[15:]]
    why = "was asked again, since the process that asked it first was killed by signal 9"
    assert {*notes.values()} == {(why,)}
    once = collect(hosts, all_processes(sshd_of_fifty))
    assert report.merged(snapshot).tables[0].rows() == report.merged(once).tables[0].rows()


def saved(snapshot: Snapshot, rows: Rows, path: Path) -> Snapshot:
    """The snapshot that is read again after it was saved with these rows."""
    with path.open("wb") as file:
        write_snapshot(snapshot, file, rows)
    again = load_snapshot(path)
    assert (again.hosts, again.processes) == (snapshot.hosts, snapshot.processes)
    return again


def mapping_rows(snapshot: Snapshot) -> Sequence[object]:
    return report.mappings(snapshot).tables[0].rows()


@pytest.mark.usefixtures("small_shards")
def test_rows_saved_after_a_worker_was_killed(sshd_of_fifty, tmp_path):
    """Those of every host, once each."""
    hosts = [*recorded(sshd_of_fifty, 19), stuck(sshd_of_fifty, tmp_path, times=1)]
    with closing(Rows(tmp_path)) as rows:
        snapshot = run_and_kill(sshd_of_fifty, tmp_path, 1, hosts, sums=(), on_rows=rows.add)
        again = saved(snapshot, rows, tmp_path / "saved")
    assert mapping_rows(again) == mapping_rows(collect(hosts, all_processes(sshd_of_fifty)))


@pytest.mark.usefixtures("small_shards")
def test_rows_saved_after_an_interrupt(sshd_of_fifty, tmp_path):
    """Those of every host that replied; of the others, the status."""
    hosts, question, stop = recorded(sshd_of_fifty, 20), all_processes(sshd_of_fifty), Event()
    told: list[str] = []

    def on_status(host: Host, status: str) -> None:
        told.append(host.name)
        if len(told) == 5:
            stop.set()

    with within(120), closing(Rows(tmp_path)) as rows:
        snapshot = collect_in_processes(
            hosts, question, workers=2, jobs=2, stop=stop, sums=(), on_rows=rows.add, on_status=on_status
        )
        again = saved(snapshot, rows, tmp_path / "saved")
    replied = [host for host in hosts if host.name in {process.host for process in again.processes}]
    assert len(replied) >= 5
    assert mapping_rows(again) == mapping_rows(collect(replied, question))


@pytest.mark.usefixtures("small_shards")
def test_worker_killed_twice_is_a_failure_of_its_hosts(sshd_of_fifty, tmp_path):
    """What the other worker asked stays; the rest has a status of its own, with the reason."""
    hosts = [*recorded(sshd_of_fifty, 19), stuck(sshd_of_fifty, tmp_path, times=9)]
    snapshot = run_and_kill(sshd_of_fifty, tmp_path, 2, hosts)
    assert snapshot.coverage.hosts == {"partial": 15, "error": 5}
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
def test_no_worker_outlives_the_program(inventory, tmp_path, number):
    """Whichever way the program ends, its workers and their probes end too."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file = tmp_path / "inventory.toml"
        port = silent.getsockname()[1]
        one = f'[hosts.silent]\naddress = "127.0.0.1"\nport = {port}\nconnect_timeout_s = 200\ntimeout_s = 200\n'
        file.write_text(inventory.read_text() + one)
        words = ["-i", str(file), "--ssh-config", "none", "--all", "--workers", "2"]
        program = subprocess.Popen(
            [sys.executable, "-m", "fleetpmap", "run", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=BARE,
            start_new_session=True,
        )
        workers = children_of(program.pid, 2)
        program.send_signal(number)
        assert program.wait(60) == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -number)
        wait_until(lambda: not any(map(is_running, workers)))


def children_of(pid: int, least: int) -> set[int]:
    """Wait for the worker processes of a program."""
    asking: set[int] = set()

    def are_there() -> bool:
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(FileNotFoundError):  # it has ended
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    asking.add(int(child))
        return len(asking) >= least

    wait_until(are_there)
    return asking


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
