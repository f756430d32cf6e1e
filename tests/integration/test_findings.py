"""What stands out, in run and show: first on a terminal's table, on stderr beside other formats, as objects in json."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from program import fleetpmap

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
KINDS = ["limit", "stale", "drift"]
"""What stands out on the recorded hosts: two oom kills, an old libcrypto, another build of libssl."""


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    """The three recorded hosts, read without SSH."""
    file = tmp_path / "inventory.toml"
    hosts = (f'[hosts.web-0{n}]\ntransport = "local"\nproc_root = "{FAKE_PROC}/web-0{n}"\n' for n in (1, 2, 3))
    file.write_text("".join(hosts))
    return str(file)


@pytest.mark.parametrize("view", ["summary", "merged", "hosts", "processes", "services", "mappings"])
def test_every_view_of_a_run_has_them(inventory: str, view: str):
    """The same in every view, also in one that needs fewer rows."""
    done = fleetpmap("run", "-i", inventory, "-m", "gunicorn", "--view", view, "--format", "json")
    found = json.loads(done.stdout)["findings"]
    assert [one["kind"] for one in found] == KINDS
    assert found[1]["text"] in done.stderr


def test_next_commands_are_commands(inventory: str):
    """They read the same hosts by the same inventory."""
    found = json.loads(fleetpmap("run", "-i", inventory, "-m", "gunicorn", "--format", "json").stdout)["findings"]
    for one in found:
        program, *words = shlex.split(one["next"])
        done = fleetpmap(*words)
        assert (program, done.returncode) == ("fleetpmap", 0), done.stderr
        assert done.stdout


def test_sums_are_judged_without_names_of_mappings(inventory: str):
    """--rollup knows no file, so there is neither drift nor an old one."""
    done = fleetpmap("run", "-i", inventory, "-m", "gunicorn", "--rollup", "--view", "hosts", "--format", "json")
    assert {one["kind"] for one in json.loads(done.stdout)["findings"]} <= {"limit"}


def test_quiet_prints_none_on_stderr(inventory: str):
    """As it prints no note."""
    words = ("run", "-i", inventory, "-m", "gunicorn", "--format", "plain")
    assert "oom kills" in fleetpmap(*words).stderr
    assert fleetpmap(*words, "--quiet").stderr == ""


@pytest.mark.parametrize("peers", ["service", "all"])
def test_peers(inventory: str, peers: str):
    """By service a row is of one service."""
    done = fleetpmap("run", "-i", inventory, "--all", "--view", "compare", "--peers", peers, "--format", "json")
    names = [column["name"] for column in json.loads(done.stdout)["columns"]]
    assert ("service" in names) == (peers == "service")
    assert fleetpmap("run", "-i", inventory, "--all", "--peers", "group").returncode == 2
