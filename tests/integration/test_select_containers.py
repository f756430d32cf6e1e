"""--container, --pod and --unit asked of hosts: recorded trees with cgroups and the runtimes' files of names."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetpmap.collection.collector import Question
from fleetpmap.processes import Selection
from fleetpmap.watch import Rounds
from program import fleetpmap
from sshd import Sshd

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
DB, WEB = "4f9a1c2b3d4e" + "0" * 52, "4f9a77" + "1" * 58
API, POD = "77ab" + "2" * 60, "2c48d1a0-1111-4222-8333-0123456789ab"


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """An inventory of two hosts: on web-01 the containers shop-db and shop-web of docker, on web-02 a pod's."""
    first, second = (shutil.copytree(FAKE_PROC / name, tmp_path / name) for name in ("web-01", "web-02"))
    (first / "1843/cgroup").write_text(f"0::/system.slice/docker-{DB}.scope\n")
    (first / "1851/cgroup").write_text(f"0::/docker/{WEB}\n")
    (first / "2290/cgroup").write_text("0::/system.slice/system-shop.slice/shop@a.service\n")
    (second / "1702/cgroup").write_text(
        f"0::/kubepods.slice/kubepods-pod{POD.replace('-', '_')}.slice/cri-containerd-{API}.scope\n"
    )
    for id_, name in ((DB, "shop-db"), (WEB, "shop-web")):
        directory = first / "var/lib/docker/containers" / id_
        directory.mkdir(parents=True)
        (directory / "config.v2.json").write_text(json.dumps({"ID": id_, "Name": f"/{name}", "Driver": "overlay2"}))
    bundle = second / "run/containerd/io.containerd.runtime.v2.task/k8s.io" / API
    bundle.mkdir(parents=True)
    names = {"container-name": "api", "sandbox-name": "api-7d9", "sandbox-namespace": "shop"}
    annotations = {f"io.kubernetes.cri.{key}": value for key, value in names.items()}
    (bundle / "config.json").write_text(json.dumps({"annotations": annotations}))
    inventory = tmp_path / "inventory.toml"
    hosts = ((name, tmp_path / name) for name in ("web-01", "web-02"))
    inventory.write_text("".join(f'[hosts.{n}]\ntransport = "local"\nproc_root = "{tree}"\n' for n, tree in hosts))
    return inventory


def rows(done: subprocess.CompletedProcess[str], *columns: str) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in columns) for row in csv.DictReader(io.StringIO(done.stdout))]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--container", "4f9a1"), [("web-01", "1843", "docker:shop-db", "")]),
        (("--container", DB[:12]), [("web-01", "1843", "docker:shop-db", "")]),
        (("--container", "shop-web"), [("web-01", "1851", "docker:shop-web", "")]),
        (("--container", "docker:shop-web"), [("web-01", "1851", "docker:shop-web", "")]),
        (("--container", "77"), [("web-02", "1702", "containerd:api", "shop/api-7d9")]),
        (("--container", "api", "--match", "gunicorn"), [("web-02", "1702", "containerd:api", "shop/api-7d9")]),
        (("--pod", "shop/api-7d9"), [("web-02", "1702", "containerd:api", "shop/api-7d9")]),
        (("--pod", "2c48"), [("web-02", "1702", "containerd:api", "shop/api-7d9")]),
        (("--unit", "shop"), [("web-01", "2290", "", "")]),
    ],
)
def test_ps_run_and_show_select_the_same(fleet: Path, words: tuple[str, ...], found: list[tuple[str, ...]]):
    """By id and by name, which stand in files of the runtimes; each is a process option, so `run` needs no --all.

    A saved run has only the names that its reports show.
    """
    options, saved = ("-i", str(fleet), *words, "--format", "csv"), str(fleet.parent / "saved.parquet")
    ps, run = fleetpmap("ps", *options), fleetpmap("run", *options, "--view", "processes")
    fleetpmap("run", "-i", str(fleet), "--all", "--save", saved)
    show = fleetpmap("show", saved, *words, "--view", "processes", "--format", "csv")
    for done in (ps, run, show):
        assert (rows(done, "host", "pid", "container", "pod"), done.returncode) == (found, 0)


def test_instance_is_noted(fleet: Path):
    """It has another name than --unit."""
    done = fleetpmap("ps", "-i", str(fleet), "--unit", "shop")
    assert "web-01: --unit shop: also its instance shop@a.service\n" in done.stderr


@pytest.mark.parametrize("command", [("ps",), ("run", "--view", "processes"), ("doctor",)])
def test_a_beginning_that_fits_two_fails_one_host(fleet: Path, command: tuple[str, ...]):
    """Both are named, and the other hosts go on."""
    done = fleetpmap(*command, "-i", str(fleet), "--container", "4f9a", "--format", "json")
    message = "--container 4f9a fits 2 containers: docker:4f9a1c2b3d4e (shop-db) and docker:4f9a77111111 (shop-web)"
    told = json.loads(done.stdout)
    assert [(each["host"], each["status"], each["message"], each["hint"]) for each in told["failures"]] == [
        ("web-01", "remote-error", message, "give more digits, or the whole name")
    ]
    assert told["coverage"]["hosts"]["no-match"] == 1
    assert f"web-01: {message}\n  hint: give more digits, or the whole name\n" in done.stderr
    assert done.returncode == 3


def test_watch_keeps_the_session_of_an_ambiguous_host(fleet: Path, sshd: Sshd):
    """The containers of the next round may be others; a login for each round would be in the host's log."""
    tree = fleet.parent / "web-01"
    question = Question(Selection(container="4f9a"), ssh=sshd.options)
    with Rounds([sshd.host("box", proc_root=str(tree))], question) as rounds_:
        first = rounds_.look()
        [session] = rounds_._sessions._waiting.values()
        (tree / "1851/cgroup").write_text("0::/\n")
        second = rounds_.look()
        assert [*rounds_._sessions._waiting.values()] == [session]
    assert [host.status for host in first.hosts] == ["remote-error"]
    assert [(process.pid, process.status) for process in second.processes] == [(1843, "read")]


def test_a_login_that_is_not_root_is_told_so(
    fleet: Path, sshd: Sshd, account: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
):
    """Names of docker's containers are in files of root's: nothing matches, and the note gives both remedies."""
    if os.geteuid() != 0:
        pytest.skip(reason="files that another account may not read take root")
    user = account("nameless")
    sshd.authorize(user, sshd.identity_file)
    tree = fleet.parent / "web-01"
    for directory in (tree, *tree.parents):
        if directory == Path(tempfile.gettempdir()):
            break
        directory.chmod(0o755)
    (tree / "var/lib/docker/containers").chmod(0o700)
    inventory = fleet.with_name("ssh.toml")
    inventory.write_text(
        sshd.defaults.replace(f'user = "{sshd.user}"', f'user = "{user}"') + f'[hosts.box]\nproc_root = "{tree}"\n'
    )
    options = ("-i", str(inventory), "--ssh-config", "none", "--format", "csv")
    by_name, by_id = (fleetpmap("ps", *options, "--container", text) for text in ("shop-db", "4f9a1"))
    assert (by_name.returncode, rows(by_name, "pid")) == (5, [])
    note = "box: only root can read the names of its containers and pods: select by id, or with --sudo\n"
    assert note in by_name.stderr
    assert rows(by_id, "pid", "container") == [("1843", "docker:4f9a1c2b3d4e")]
    assert note not in by_id.stderr


def test_show_of_a_copy_selects_alike(fleet: Path):
    """By id: the copy of /proc has the cgroups."""
    done = fleetpmap(
        "show", str(fleet.parent / "web-01"), "--container", "4f9a1", "--view", "processes", "--format", "csv"
    )
    assert rows(done, "pid") == [("1843",)]
