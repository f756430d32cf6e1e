"""What a capture keeps of services: `show` says of units, containers, pods, hosts and cgroups what the run said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fleetpmap.capture import CaptureWriter, load
from fleetpmap.collection.collector import Question, collect
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection
from fleetpmap.snapshot import Snapshot
from program import fleetpmap
from service_trees import HOSTS, lay_out_services

BY = "host,service,unit,container,pod,slice"
SERVICE_FILES = [(view, suffix) for view in ("merged", "processes", "hosts") for suffix in ("csv", "json")]
FAKE_PROC = Path(__file__).parents[1] / "fake_proc"


def captured(fleet: tuple[Host, ...], path: Path) -> Snapshot:
    """Read all processes of these hosts, and keep the files."""
    with CaptureWriter(path) as writer:
        snapshot = collect(fleet, Question(), keep=writer.keep)
        writer.finish(snapshot, rollups=False, machines_once=False)
    return snapshot


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the exports of a run over hosts of every kind of cgroup, and those of `show` of its capture."""
    directory = tmp_path_factory.mktemp("services")
    names = lay_out_services(directory / "trees")
    hosts = (f'[hosts.{name}]\nproc_root = "{directory / "trees" / name}"\ntransport = "local"\n' for name in names)
    (directory / "inventory.toml").write_text("".join(hosts))
    ways = {
        "run": ("run", "-i", str(directory / "inventory.toml"), "--all"),
        "show": ("show", str(directory / "cap.tar")),
    }
    for way, words in ways.items():
        exports = [f"{view}={directory / way}.{view}.{suffix}" for view, suffix in SERVICE_FILES]
        capture = ("--capture", str(directory / "cap.tar")) if way == "run" else ()
        more = [word for export in exports for word in ("--export", export)]
        done = fleetpmap(*words, *capture, "--view", "merged", "--by", BY, *more)
        assert done.returncode == 0, done.stderr
        (directory / f"{way}.stdout").write_text(done.stdout)
    return directory


@pytest.mark.parametrize("name", ["stdout", *(f"{view}.{suffix}" for view, suffix in SERVICE_FILES)])
def test_show_says_of_services_what_the_run_said(services: Path, name: str):
    """Units, containers, pods, starts and sizes, to the byte."""
    shown = (services / f"show.{name}").read_bytes()
    assert shown == (services / f"run.{name}").read_bytes()
    assert shown


def test_what_was_compared_had_containers_and_pods(services: Path):
    """The names that runtimes keep on disk are in the capture."""
    text = (services / "show.processes.csv").read_text()
    assert all(name in text for name in ("docker:shop-web", "prod/shop-6d4f8-x2x9q", "lxc:101", "nspawn:db-1"))


@pytest.mark.parametrize("suffix", ["", ".tar.gz"])
def test_everything_about_memory_comes_back(tmp_path: Path, suffix: str):
    """Hosts, cgroups and processes of a capture are those of the run; a part of a cgroup's path may look like a pid."""
    names = lay_out_services(tmp_path / "trees")
    fleet = tuple(Host(name, transport="local", proc_root=str(tmp_path / "trees" / name)) for name in names)
    snapshot = captured(fleet, tmp_path / f"cap{suffix}")
    shown = load(tmp_path / f"cap{suffix}", Selection())
    assert (shown.hosts, shown.processes) == (snapshot.hosts, snapshot.processes)
    assert sum(len(host.cgroups) for host in shown.hosts) == sum(map(len, HOSTS.values())) - 1


def test_when_a_host_started_is_kept(tmp_path: Path):
    """And with it when its processes did."""
    tree = shutil.copytree(FAKE_PROC / "web-01", tmp_path / "web-01")
    (tree / "uptime").write_text("100000.25 0.00\n")
    host = Host("web-01", transport="local", proc_root=str(tree))
    snapshot = captured((host,), tmp_path / "cap")
    assert all(process.started for process in snapshot.processes)
    assert load(tmp_path / "cap", Selection()).processes == snapshot.processes
