"""The main job on a real fleet: real sshds on loopback, real processes, the program as a user runs it."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bounded import wait_until
from fleetpmap.cli.deliver import exit_status
from fleetpmap.collection.collector import Question, collect
from fleetpmap.processes import Selection, compile_match
from fleetpmap.snapshot import Process, Snapshot
from fleetpmap.table import without_unreadable
from ports import refused_port
from program import fleetpmap
from sshd import Sshd
from tapped import tapped
from targets import Target, pmap_x_totals

needs_pmap = pytest.mark.skipif(shutil.which("pmap") is None, reason="no pmap on this machine (procps)")


def ssh_words(sshd: Sshd) -> list[str]:
    """Options that keep the user's own SSH set-up out, and trust this server."""
    return ["--known-hosts", sshd.known_hosts, "--ssh-config", sshd.ssh_config]


def rows(result: subprocess.CompletedProcess[str]) -> list[dict]:
    return json.loads(result.stdout)["rows"]


@pytest.fixture
def stopped() -> Iterator[list[Target]]:
    """Two stopped processes of different sizes that share a name of their own."""
    name = f"fpm{os.getpid() % 100000}"
    with Target(name, dirty_kib=1236) as one, Target(name, dirty_kib=5432) as two:
        yield [one, two]


@needs_pmap
@pytest.mark.parametrize("transport", ["ssh", "openssh"])
def test_fifty_hosts_agree_with_pmap(sshd_of_fifty: Sshd, stopped: list[Target], tmp_path: Path, transport: str):
    """Fifty addresses as fifty hosts: exit 0, and every sum of size, RSS and dirty is that of `pmap -x`."""
    inventory = tmp_path / "inventory.toml"
    inventory.write_text(
        f'[defaults]\nport = {sshd_of_fifty.port}\nuser = "{sshd_of_fifty.user}"\n'
        f'identity_file = "{sshd_of_fifty.identity_file}"\n'
        '[groups.web]\nhosts = "127.0.1.[1-50]"\n'
    )
    found = fleetpmap(
        *("run", "-i", str(inventory), "--match", f"^{stopped[0].name}$", "--transport", transport),
        *("--view", "processes", "--format", "json", *ssh_words(sshd_of_fifty)),
    )
    assert (found.returncode, found.stderr.count("hint:")) == (0, 0), found.stderr
    report = json.loads(found.stdout)
    expected = {target.pid: pmap_x_totals(target.pid) for target in stopped}
    assert [(row["host"], row["pid"]) for row in report["rows"]] == [
        (f"127.0.1.{number}", pid) for number in range(1, 51) for pid in sorted(expected)
    ]
    for row in report["rows"]:
        assert (row["size_kib"], row["rss_kib"], row["dirty_kib"]) == expected[row["pid"]]
    size, rss, dirty = (50 * sum(column) for column in zip(*expected.values(), strict=True))
    total = report["total"]
    assert (total["size_kib"], total["rss_kib"], total["dirty_kib"]) == (size, rss, dirty)
    assert report["coverage"] == {"hosts": {"asked": 50, "ok": 50}, "processes": {"matched": 100, "read": 100}}


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """A port that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=5) as server:
        yield server.getsockname()[1]


@pytest.fixture
def sudoer(account: Callable[[str], str]) -> Iterator[str]:
    """An account that may `sudo -n sh -s`."""
    if shutil.which("sudo") is None:
        pytest.skip(reason="no sudo on this machine, so no account may use it")
    name = account("sudoer")
    rule = Path(f"/etc/sudoers.d/{name}")
    rule.write_text(f"{name} ALL=(root) NOPASSWD: /bin/sh\n")
    rule.chmod(0o440)
    yield name
    rule.unlink()


def test_bad_hosts_beside_good_ones(sshd: Sshd, stopped: list[Target], tmp_path: Path):
    """Each bad host has its own status, a message and a hint; the good ones are complete; the exit status is 3."""
    stranger = sshd.new_key(f"stranger-{os.getpid()}")
    nobody = tmp_path / "known_hosts"
    nobody.write_text("")
    with silent_server() as silent, refused_port() as refused:
        inventory = tmp_path / "inventory.toml"
        inventory.write_text(f"""
            {sshd.defaults}
            connect_timeout_s = 2
            [hosts.good-1]
            [hosts.closed]
            port = {refused}
            [hosts.silent]
            port = {silent}
            [hosts.stranger-to-us]
            known_hosts = "{nobody}"
            [hosts.stranger-to-them]
            identity_file = "{stranger}"
            [hosts.nowhere]
            address = "nowhere.invalid"
            [hosts.good-2]
        """)
        found = fleetpmap(
            *("run", "-i", str(inventory), "--match", f"^{stopped[0].name}$", "--format", "json"),
            *("--ssh-config", sshd.ssh_config),
            SSH_AUTH_SOCK="",
        )
    assert found.returncode == 3, found.stderr
    report = json.loads(found.stdout)
    assert {row["host"]: row["status"] for row in report["hosts"]} == {
        "good-1": "ok",
        "closed": "refused",
        "silent": "timeout",
        "stranger-to-us": "host-key",
        "stranger-to-them": "auth",
        "nowhere": "dns",
        "good-2": "ok",
    }
    assert report["coverage"] == {
        "hosts": {"asked": 7, "ok": 2, "dns": 1, "refused": 1, "timeout": 1, "host-key": 1, "auth": 1},
        "processes": {"matched": 4, "read": 4},
    }
    assert len(report["failures"]) == 5
    for failure in report["failures"]:
        assert failure["hint"]
        assert f"{failure['host']}: {failure['message']}" in found.stderr
        assert failure["hint"] in found.stderr
    assert "Traceback" not in found.stderr


def test_every_kind_of_trouble_in_one_run(
    sshd: Sshd, stopped: list[Target], sudoer: str, account: Callable[[str], str], tmp_path: Path
):
    """Hosts that fail, that may not read, that may by sudo, and one that loses a process: one snapshot of all."""
    plain, victim = account("plain"), stopped[0]
    for user in (plain, sudoer):
        sshd.authorize(user, sshd.identity_file)
    (tmp_path / "known_hosts").write_text("")
    known = replace(sshd.options, known_hosts=())
    with silent_server() as silent, refused_port() as refused:
        hosts = [
            sshd.host("good-1"),
            sshd.host("closed", port=refused),
            sshd.host("silent", port=silent, connect_timeout_s=2.0),
            sshd.host("unknown-key", known_hosts=(str(tmp_path / "known_hosts"),)),
            sshd.host("no-login", identity_file=(str(sshd.new_key(f"no-login-{os.getpid()}")),)),
            sshd.host("nowhere", address="nowhere.invalid"),
            sshd.host("may-not", user=plain),
            sshd.host("may-by-sudo", user=sudoer, sudo=True),
            sshd.host("good-2"),
            sshd.host("loses-one"),
        ]
        hosts = [host if host.known_hosts else replace(host, known_hosts=(sshd.known_hosts,)) for host in hosts]

        def end_victim(sent: bytes) -> None:
            if sent.startswith(b"read "):
                victim.end()  # one job at a time, and this host is the last: the others have read it

        asked = replace(question(victim.name, sshd), ssh=known)
        snapshot = collect(hosts, asked, jobs=1, transport_for=tapped("loses-one", end_victim))
    coverage = snapshot.coverage
    assert {host.name: host.status for host in snapshot.hosts} == {
        "good-1": "ok",
        "closed": "refused",
        "silent": "timeout",
        "unknown-key": "host-key",
        "no-login": "auth",
        "nowhere": "dns",
        "may-not": "partial",
        "may-by-sudo": "ok",
        "good-2": "ok",
        "loses-one": "ok",
    }
    assert coverage.processes == {"read": 7, "denied": 2, "gone": 1}
    assert (coverage.asked, coverage.matched, exit_status(snapshot)) == (10, 10, 3)
    assert all(failure.message and failure.hint for failure in coverage.failures)
    pids_read = {host: set() for host in ("good-1", "may-by-sudo", "good-2", "loses-one")}
    for slot in set(without_unreadable(snapshot.table).process.tolist()):
        pids_read[snapshot.processes[slot].host].add(snapshot.processes[slot].pid)
    both = {target.pid for target in stopped}
    assert pids_read == {"good-1": both, "may-by-sudo": both, "good-2": both, "loses-one": both - {victim.pid}}


def test_denied_without_sudo_and_read_with_it(sshd: Sshd, sudoer: str):
    """A process of another user is denied, said so with what to do, and counted; --sudo reads it."""
    sshd.authorize(sudoer, sshd.identity_file)
    with Target(f"fpm{os.getpid() % 100000}d") as roots:
        key = replace(sshd.host(), user=sudoer)
        denied = collect([key], question(roots.name, sshd))
        read = collect([replace(key, sudo=True)], question(roots.name, sshd))
    assert [process.status for process in denied.processes] == ["denied"]
    assert "--sudo" in denied.processes[0].reason
    assert (denied.hosts[0].status, exit_status(denied)) == ("partial", 3)
    assert [(process.status, process.user) for process in read.processes] == [("read", "root")]
    assert (read.hosts[0].status, exit_status(read)) == ("ok", 0)


def test_sudo_that_wants_a_password_is_a_status_of_its_own(sshd: Sshd, account: Callable[[str], str]):
    """An account that sudo does not know is status sudo, with a hint."""
    if shutil.which("sudo") is None:
        pytest.skip(reason="no sudo on this machine, so no account may use it")
    name = account("nosudo")
    sshd.authorize(name, sshd.identity_file)
    snapshot = collect([replace(sshd.host(), user=name, sudo=True)], question("bash", sshd))
    failure = snapshot.hosts[0].failure
    assert failure is not None
    assert (failure.status, failure.stage) == ("sudo", "sudo")
    assert failure.hint


def question(name: str, sshd: Sshd) -> Question:
    return Question(Selection(match=compile_match(f"^{name}$")), ssh=sshd.options)


@pytest.mark.parametrize("transport", ["ssh", "openssh"])
def test_a_process_that_exits_between_the_phases_is_gone(sshd: Sshd, stopped: list[Target], transport: str):
    """It is matched and counted as gone; the other is read, and the exit status stays 0."""
    victim, other = stopped

    def end_victim(sent: bytes) -> None:
        if sent.startswith(b"read "):
            victim.end()

    host = sshd.host(transport=transport)
    snapshot = collect([host], question(victim.name, sshd), transport_for=tapped("box", end_victim))
    assert {process.pid: process.status for process in snapshot.processes} == {victim.pid: "gone", other.pid: "read"}
    assert (snapshot.hosts[0].status, exit_status(snapshot)) == ("ok", 0)
    assert {snapshot.processes[slot].pid for slot in snapshot.table.process.tolist()} == {other.pid}


@pytest.fixture
def blocking_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded process whose stat is a pipe without a writer: listing it takes for ever."""
    root = tmp_path_factory.mktemp("slow") / "proc"
    (root / "77").mkdir(parents=True)
    os.mkfifo(root / "77" / "stat")
    return root


def left_there(root: Path) -> list[str]:
    """Command lines of processes that work in `root`: the probe's and its children's."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == root:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.mark.parametrize("transport", ["ssh", "openssh", "local"])
def test_nothing_is_left_after_a_deadline(sshd: Sshd, blocking_tree: Path, transport: str):
    """A slow host is cut at its deadline: nothing is left here, and soon no process of ours there."""
    host = sshd.host(proc_root=str(blocking_tree), timeout_s=6, transport=transport)  # a busy machine logs in slowly
    threads, files, children = threads_files_children()
    seen: list[str] = []

    def look_while_it_lists(sent: bytes) -> None:
        if sent.startswith(b"look "):  # nothing has come for a while
            seen.extend(left_there(blocking_tree))

    snapshot = collect([host], Question(ssh=sshd.options), transport_for=tapped("box", look_while_it_lists))
    assert snapshot.hosts[0].status == "timeout"
    assert snapshot.hosts[0].failure is not None
    assert (snapshot.hosts[0].failure.stage, exit_status(snapshot)) == ("read", 4)
    assert threads_files_children() == (threads, files, children)
    assert seen, "the probe was never seen at work, so its absence later would prove nothing"
    wait_until(lambda: left_there(blocking_tree) == [])


def threads_files_children() -> tuple[int, int, list[str]]:
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), children


def test_the_order_is_the_inventorys_whatever_finishes_first(sshd: Sshd, stopped: list[Target]):
    """Hosts are reported in the order asked, though a slow one answers last."""
    with silent_server() as silent:
        hosts = [
            sshd.host("slow", port=silent, connect_timeout_s=1.0),
            *(sshd.host(f"fast-{number}") for number in range(4)),
        ]
        snapshot = collect(hosts, question(stopped[0].name, sshd), jobs=5)
    assert [host.name for host in snapshot.hosts] == ["slow", "fast-0", "fast-1", "fast-2", "fast-3"]


def undated(snapshot: Snapshot) -> list[Process]:
    """Return the processes without their start, which each session dates by its own look at the clock."""
    return [replace(process, started=None) for process in snapshot.processes]


def test_any_executor_runs_the_recipe(sshd: Sshd, stopped: list[Target]):
    """A pool of processes gives the same snapshot as the plain map of one job."""
    hosts = [sshd.host("one"), sshd.host("two"), sshd.host("closed", port=1)]
    asked = question(stopped[0].name, sshd)
    plain = collect(hosts, asked, jobs=1)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        pooled = collect(hosts, asked, executor=pool)
    assert [(host.name, host.status, host.failure) for host in plain.hosts] == [
        (host.name, host.status, host.failure) for host in pooled.hosts
    ]
    assert undated(plain) == undated(pooled)
    assert plain.table.metrics["rss_kib"].tolist() == pooled.table.metrics["rss_kib"].tolist()
    assert [host.status for host in plain.hosts] == ["ok", "ok", "refused"]


def test_shards_collected_in_other_processes_join_to_the_whole(sshd: Sshd, stopped: list[Target]):
    """Hosts and question go there, snapshots come back: together they are the snapshot of one run."""
    shards = [[sshd.host("one"), sshd.host("closed", port=1)], [sshd.host("two")]]
    asked = question(stopped[0].name, sshd)
    whole = collect([host for shard in shards for host in shard], asked)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        parts = [pool.submit(collect, shard, asked) for shard in shards]
        joined = Snapshot.joined([part.result(60) for part in parts])
    assert [(host.name, host.status) for host in joined.hosts] == [("one", "ok"), ("closed", "refused"), ("two", "ok")]
    assert undated(joined) == undated(whole)
    assert joined.table.metrics["rss_kib"].tolist() == whole.table.metrics["rss_kib"].tolist()


def test_no_inventory_is_this_machine_and_says_so(stopped: list[Target], tmp_path: Path):
    """Without an inventory and -H it reads this machine, without SSH, and says that on stderr."""
    found = fleetpmap(
        *("run", "--match", f"^{stopped[0].name}$", "--view", "processes", "--format", "json"),
        XDG_CONFIG_HOME=str(tmp_path),
    )
    assert found.returncode == 0, found.stderr
    assert [row["host"] for row in rows(found)] == ["local", "local"]
    assert "this machine, without SSH" in found.stderr


def test_the_calling_shell_is_found_and_fleetpmap_is_not(tmp_path: Path):
    """`run -H local --match bash` finds the shell it is called from; its own processes are never matched."""
    file = tmp_path / "listed.json"
    script = '"$0" -m fleetpmap ps -H local -o "$1"; true'
    subprocess.run(["bash", "-c", script, sys.executable, file], capture_output=True, timeout=60, check=True)
    # The name of the file tells them from other tests' processes.
    listed = [row for row in json.loads(file.read_text())["rows"] if str(file) in row["command"]]
    assert [row["name"] for row in listed] == ["bash"]


def test_over_ssh_neither_the_probe_nor_its_connection_is_found(sshd: Sshd):
    """`ps` lists the sshd that listens, but nothing of the connection that asks."""
    ours: set[int] = set()

    def look(sent: bytes) -> None:
        ours.update(child.pid for pid in sshd.pids for child in psutil.Process(pid).children(recursive=True))

    asked = Question(smaps=False, ssh=sshd.options)
    snapshot = collect([sshd.host()], asked, transport_for=tapped("box", look))
    listed = {process.pid for process in snapshot.processes}
    assert ours
    assert listed & set(sshd.pids)
    assert not listed & ours


def test_ps_lists_without_reading(sshd: Sshd, stopped: list[Target]):
    """Phase one alone says who would be read, with owner and command line; nobody's smaps is read."""
    snapshot = collect([sshd.host()], replace(question(stopped[0].name, sshd), smaps=False))
    assert [process.pid for process in snapshot.processes] == sorted(target.pid for target in stopped)
    assert {process.user for process in snapshot.processes} == {sshd.user}
    assert len(snapshot.table) == 0
