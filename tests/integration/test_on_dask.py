"""A run from the workers of a real Dask cluster: every fault told, nothing left on the workers."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest

import fleetpmap as library
import test_workers
from bounded import wait_until, within
from dask_cluster import DaskCluster
from fleetpmap import Question, UsageError
from fleetpmap.inventory import Host
from fleetpmap.snapshot import Snapshot
from fleetpmap.transport import SshOptions
from program import BARE, fleetpmap
from sshd import Sshd
from stuck_host import FAKE_PROC, kill_askers, login_count, stuck
from test_workers import all_processes, recorded, run

inventory = test_workers.inventory


def python_path(directory: Path, code: str) -> dict[str, str]:
    """The environment of a Python that runs this code first."""
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": str(directory)}


def without(package: str) -> str:
    """Code after which a package is not installed."""
    return f"""
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Finder())
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, sshd_of_fifty) -> Iterator[DaskCluster]:
    """A scheduler without fleetpmap; worker `plain`, and worker `eu`, whose zone it is. Each has a key in its home."""
    directory = tmp_path_factory.mktemp("dask")
    hidden = python_path(directory / "hidden", without("fleetpmap"))
    with DaskCluster(directory, environment=hidden) as cluster:
        for name, zone in (("plain", "us"), ("eu", "eu")):
            home = directory / f"home-{name}"
            home.mkdir()
            (home / f"key-{zone}").symlink_to(sshd_of_fifty.identity_file)
            cluster.add(name, zone=zone, environment={"HOME": str(home)})
        yield cluster


# Zones


def test_zones_have_their_own_workers_and_the_fleet_its_order(cluster, sshd_of_fifty):
    """Hosts of two zones in turns, each with a key that only the worker of its zone has."""
    zones = ("us", "eu")
    hosts = [
        host
        for n, plain in enumerate(recorded(sshd_of_fifty, 12))
        for host in [sshd_of_fifty.host(plain.name, address=plain.address, proc_root=plain.proc_root,
                                        zone=zones[n % 2], identity_file=(f"~/key-{zones[n % 2]}",))]
    ]  # fmt: skip
    shards: list[tuple[int, int]] = []
    snapshot = library.collect_on_dask(
        hosts,
        all_processes(sshd_of_fifty),
        scheduler=cluster.address,
        jobs=2,
        on_shard=lambda done, of: shards.append((done, of)),
    )
    assert [host.name for host in snapshot.hosts] == [f"web-{n:02}" for n in range(1, 13)]
    assert snapshot.coverage.hosts == {"partial": 12}
    assert shards[-1] == (4, 4)


def test_zone_without_a_worker_is_refused_before_any_host_is_asked(cluster, sshd_of_fifty):
    before = sshd_of_fifty.log
    hosts = [*recorded(sshd_of_fifty, 3), sshd_of_fifty.host("far", zone="mars")]
    with pytest.raises(UsageError, match="no worker offers the zone mars") as told:
        library.collect_on_dask(hosts, all_processes(sshd_of_fifty), scheduler=cluster.address)
    assert 'dask worker --resources "mars=1"' in told.value.hint
    assert sshd_of_fifty.log == before


def test_shard_without_hosts_is_an_empty_snapshot(cluster):
    """The workers have nothing to do, which is no fault."""
    assert library.collect_on_dask([], Question(), scheduler=cluster.address).coverage.hosts == {}


# Workers that would give other results


UNFIT: dict[str, tuple[str, str]] = {
    "another-version": (
        "import fleetpmap.version\nfleetpmap.version.__version__ = '0.0.9'\n",
        r"worker another-version has fleetpmap 0\.0\.9, not \d[^;]*",
    ),
    "no-fleetpmap": (without("fleetpmap"), "worker no-fleetpmap has no fleetpmap"),
    "no-numpy": (without("numpy"), r"worker no-numpy cannot run fleetpmap [^;]*No module named 'numpy'[^;]*"),
    "wrong-clock": (
        "import time\nright = time.time\ntime.time = lambda: right() + 100\n",
        r"worker wrong-clock has a clock that is \+(9\d|10\d) s off, by which it would keep the deadline",
    ),
    "another-python": (
        "import fleetpmap.shards.shard_task as task\ntask.sys = type('Sys', (), {'version_info': (3, 10, 0)})\n",
        r"worker another-python runs Python 3.10, not 3\.\d+",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Mismatched versions")  # Dask itself may notice that numpy is not there
def test_unfit_workers_are_told_by_name(cluster, sshd_of_fifty, tmp_path):
    """All of them in one sentence, before any host is asked."""
    before = sshd_of_fifty.log
    environments = [python_path(tmp_path / name, code) for name, (code, _) in UNFIT.items()]
    with cluster.extra(*UNFIT, environments=environments), pytest.raises(UsageError) as told:
        library.collect_on_dask(
            recorded(sshd_of_fifty, 3), all_processes(sshd_of_fifty), scheduler=cluster.address, deadline_s=60
        )
    for _, words in UNFIT.values():
        assert re.search(rf"{words}(;|$)", told.value.message), told.value.message
    assert told.value.message.count("; worker") == len(UNFIT) - 1
    assert sshd_of_fifty.log == before


@pytest.mark.parametrize("what", ["identity_file", "known_hosts"])
def test_worker_without_a_file_is_told_by_name(cluster, sshd_of_fifty, tmp_path, what):
    """The program's own account has the file, and so has one worker; the other one is named."""
    (tmp_path / "key-us").symlink_to(getattr(sshd_of_fifty, what))
    inventory = tmp_path / "inventory.toml"
    inventory.write_text(f'{sshd_of_fifty.defaults}\n[hosts.web]\n{what} = "~/key-us"\n')
    words = ("run", "-i", str(inventory), "--ssh-config", "none", "--all", "--on", cluster.address)
    done = fleetpmap(*words, HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--on {cluster.address}: worker eu cannot read ~/key-us\n" in done.stderr


def test_paths_are_those_of_this_directory(cluster, sshd_of_fifty, tmp_path, monkeypatch):
    """A worker has another working directory."""
    (tmp_path / "key").symlink_to(sshd_of_fifty.identity_file)
    (tmp_path / "known").symlink_to(sshd_of_fifty.known_hosts)
    monkeypatch.chdir(tmp_path)
    [host] = recorded(sshd_of_fifty, 1)
    before = sshd_of_fifty.log
    host = sshd_of_fifty.host(host.name, proc_root=host.proc_root, identity_file=("key",))
    question = Question(ssh=SshOptions(known_hosts=("known",), ssh_config="none"))
    snapshot = library.collect_on_dask([host], question, scheduler=cluster.address)
    assert snapshot.coverage.hosts == {"partial": 1}
    assert sshd_of_fifty.log != before  # by which other tests know that no host was asked


# Killed, lost, interrupted


@pytest.fixture(scope="module")
def breakable(tmp_path_factory) -> Iterator[Callable[[int], DaskCluster]]:
    """A cluster to break, with so many workers; another one if its scheduler is lost."""
    with ExitStack() as stack:
        clusters: list[DaskCluster] = []

        def have(count: int) -> DaskCluster:
            if not clusters or clusters[-1].scheduler.poll() is not None:
                clusters.append(stack.enter_context(DaskCluster(tmp_path_factory.mktemp("breakable"))))
            clusters[-1].have(count)
            return clusters[-1]

        yield have


def run_and_kill(cluster: DaskCluster, server: Sshd, directory: Path, times: int, hosts: Sequence[Host]) -> Snapshot:
    """Ask the hosts; kill the worker whose host hangs, so many times, after the other shard has come back."""
    has_come = Event()

    def kill() -> None:
        assert has_come.wait(60)
        kill_askers(directory, times, lambda: [cluster.workers[name].pid for name in cluster.connected_to(server.port)])

    killer = Thread(target=kill)
    killer.start()
    with within(120):
        snapshot = library.collect_on_dask(
            hosts,
            all_processes(server),
            scheduler=cluster.address,
            jobs=5,
            on_shard=lambda done, of: has_come.set() if done else None,
        )
    killer.join()
    return snapshot


def ten_hosts(server: Sshd, directory: Path, *, times: int) -> list[Host]:
    """Two shards of five hosts; the last host hangs the first times that it is asked."""
    return [*recorded(server, 9), stuck(server, directory, times=times)]


SECOND_SHARD = ["web-06", "web-07", "web-08", "web-09", "stuck"]


def test_killed_worker_has_its_shard_asked_again_once(breakable, sshd_of_fifty, tmp_path):
    """By another worker, which a note on its hosts says; each host has one status."""
    hosts = ten_hosts(sshd_of_fifty, tmp_path, times=1)
    snapshot = run_and_kill(breakable(2), sshd_of_fifty, tmp_path, 1, hosts)
    assert [host.name for host in snapshot.hosts] == [host.name for host in hosts]
    assert snapshot.coverage.hosts == {"partial": 10}
    noted = {host.name: host.notes for host in snapshot.hosts if host.notes}
    assert [*noted] == SECOND_SHARD
    assert {*noted.values()} == {("was asked again, since the worker that asked it first died",)}
    assert login_count(tmp_path) == 2


def test_worker_killed_twice_is_a_failure_of_its_hosts(breakable, sshd_of_fifty, tmp_path):
    """The third worker does not ask them, and the rest is complete."""
    hosts = ten_hosts(sshd_of_fifty, tmp_path, times=9)
    snapshot = run_and_kill(breakable(3), sshd_of_fifty, tmp_path, 2, hosts)
    assert snapshot.coverage.hosts == {"partial": 5, "error": 5}
    assert [failure.host for failure in snapshot.coverage.failures] == SECOND_SHARD
    assert {failure.message for failure in snapshot.coverage.failures} == {"the worker that asked it died, twice"}
    assert login_count(tmp_path) == 2


def test_last_worker_lost_ends_the_run(breakable, sshd_of_fifty, tmp_path, monkeypatch):
    """No worker is there to ask again: the hosts that are not done say so, after a while."""
    monkeypatch.setattr("fleetpmap.shards.on_dask._RETURN_S", 0.5)
    monkeypatch.setattr("fleetpmap.shards.on_dask._WORKERS_S", 0.2)
    cluster = breakable(1)
    hosts = ten_hosts(sshd_of_fifty, tmp_path, times=9)
    snapshot = run_and_kill(cluster, sshd_of_fifty, tmp_path, 1, hosts)
    assert snapshot.coverage.hosts == {"partial": 5, "error": 5}
    words = f"the scheduler {cluster.address} has no worker left for its shard"
    assert {failure.message for failure in snapshot.coverage.failures} == {words}


class Program:
    """`fleetpmap run --on`, over hosts of which the last one hangs; its rows are read as they come."""

    def __init__(self, cluster: DaskCluster, server: Sshd, directory: Path, *words: str) -> None:
        hosts = ten_hosts(server, directory, times=9)
        tables = [
            f'[hosts.{host.name}]\naddress = "{host.address}"\nproc_root = "{host.proc_root}"\n'
            f'identity_file = "{host.identity_file[0]}"\n'
            for host in hosts
        ]
        inventory = directory / "inventory.toml"
        inventory.write_text(server.defaults + "\n".join(tables))
        self._logins = directory
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "fleetpmap", "run", "-i", str(inventory), "--ssh-config", "none", "--all"),
                *("--on", cluster.address, "-j", "5", "--view", "hosts", "--format", "jsonl", *words),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=BARE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.rows = [json.loads(self.process.stdout.readline()) for _ in range(5)]
        wait_until(lambda: login_count(directory) == 1)
        wait_until(lambda: len(cluster.connected_to(server.port)) == 1)

    def ended(self) -> tuple[int, dict[str, str], str]:
        """Wait for its end; return its status, the status of each host, and its stderr."""
        said, told = self.process.communicate(timeout=120)
        rows = [json.loads(line) for line in said.splitlines()]
        statuses = {row["host"]: row["status"] for row in (*self.rows, *rows) if "host" in row}
        assert len(statuses) == sum("host" in row for row in (*self.rows, *rows))
        return self.process.returncode, statuses, told


def is_free_of_sessions(cluster: DaskCluster, server: Sshd) -> bool:
    return cluster.connected_to(server.port) == []


@pytest.fixture
def quiet_cluster(cluster, sshd_of_fifty) -> DaskCluster:
    """The cluster, with no session left from an earlier test."""
    wait_until(lambda: is_free_of_sessions(cluster, sshd_of_fifty))
    return cluster


def test_lost_scheduler_ends_the_run_within_seconds(breakable, sshd_of_fifty, tmp_path):
    """What was done is reported, the rest says what was lost, and the workers end with their sessions."""
    cluster = breakable(2)
    program = Program(cluster, sshd_of_fifty, tmp_path)
    cluster.scheduler.kill()
    with within(40):
        status, statuses, told = program.ended()
    assert status == 3
    assert [name for name, one in statuses.items() if one == "error"] == SECOND_SHARD
    assert [*statuses.values()].count("partial") == 5
    assert f"the scheduler {cluster.address} was lost before its shard was done" in told
    assert "Traceback" not in told
    assert "distributed" not in told
    wait_until(lambda: is_free_of_sessions(cluster, sshd_of_fifty))
    wait_until(lambda: all(worker.poll() is not None for worker in cluster.workers.values()))


def test_interrupted_run_reports_and_leaves_nothing(quiet_cluster, sshd_of_fifty, tmp_path):
    """^C: status 130, each host one status, and no worker has a session a few seconds later."""
    program = Program(quiet_cluster, sshd_of_fifty, tmp_path)
    program.process.send_signal(signal.SIGINT)
    with within(40):
        status, statuses, _ = program.ended()
    assert status == 130
    assert len(statuses) == 10
    assert statuses["stuck"] == "not-asked"
    assert [*statuses.values()].count("partial") == 9
    wait_until(lambda: is_free_of_sessions(quiet_cluster, sshd_of_fifty))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ended_program_leaves_nothing(quiet_cluster, sshd_of_fifty, tmp_path, number):
    """Whichever way the program ends, the workers hang up."""
    program = Program(quiet_cluster, sshd_of_fifty, tmp_path)
    program.process.send_signal(number)
    with within(40):
        status, _, _ = program.ended()
    assert status == {signal.SIGTERM: 143}.get(number, -number)
    wait_until(lambda: is_free_of_sessions(quiet_cluster, sshd_of_fifty))


def test_deadline_ends_the_run(quiet_cluster, sshd_of_fifty, tmp_path):
    """The host that hangs is `timeout`, and is hung up."""
    hosts = ten_hosts(sshd_of_fifty, tmp_path, times=9)
    question = all_processes(sshd_of_fifty)
    with within(60):
        snapshot = library.collect_on_dask(hosts, question, scheduler=quiet_cluster.address, jobs=5, deadline_s=6)
    assert snapshot.run.ended == "deadline"
    assert snapshot.coverage.hosts == {"partial": 9, "timeout": 1}
    wait_until(lambda: is_free_of_sessions(quiet_cluster, sshd_of_fifty))


def test_cluster_without_workers_is_told(breakable, inventory):
    cluster = breakable(0)
    done = run(inventory, "--all", "--on", cluster.address)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--on {cluster.address}: it has no workers" in done.stderr


# TLS


def openssl(directory: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=directory)


@pytest.fixture
def certificates(tmp_path) -> Mapping[str, str]:
    """An authority of its own, and a certificate that scheduler, workers and client share."""
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout")
    openssl(tmp_path, "req", "-x509", *new, "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca")
    openssl(tmp_path, "req", *new, "key.pem", "-out", "request.pem", "-subj", "/CN=fleet")
    (tmp_path / "names").write_text("subjectAltName = IP:127.0.0.1\n")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl(tmp_path, "x509", "-req", "-in", "request.pem", *signed, "-out", "cert.pem")
    return {name: str(tmp_path / f"{name}.pem") for name in ("ca", "cert", "key")}


def test_cluster_with_tls(certificates, sshd_of_fifty, tmp_path):
    """By Dask's own configuration; without it, nothing is asked."""
    words = ("--tls-ca-file", certificates["ca"], "--tls-cert", certificates["cert"], "--tls-key", certificates["key"])
    tls = {
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": certificates["ca"],
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": certificates["cert"],
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY": certificates["key"],
    }
    inventory = tmp_path / "inventory.toml"
    inventory.write_text(
        f'{sshd_of_fifty.defaults}\n[hosts.web]\naddress = "127.0.1.1"\nproc_root = "{FAKE_PROC}/web-01"\n'
    )
    with DaskCluster(tmp_path, tls=words) as cluster:
        cluster.add("one")
        asked = ("run", "-i", str(inventory), "--ssh-config", "none", "--all", "--view", "hosts", "--format", "csv")
        done = fleetpmap(*asked, "--on", cluster.address, **tls)
        refused = fleetpmap(*asked, "--on", cluster.address)
    assert re.findall("^web,[a-z]+", done.stdout, re.MULTILINE) == ["web,partial"], done.stderr
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"--on {cluster.address}: no scheduler answers there" in refused.stderr
