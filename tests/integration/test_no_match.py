"""A run in which nothing matched names what is near: processes of this machine, recorded hosts, and hosts over SSH."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpmap.demo import demo_inventory
from program import fleetpmap
from relay import Relay

RECORDED = Path(__file__).parents[1] / "fake_proc"
NAME = "qzfleetworkr"
"""The name of a real process, that no other process has."""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Path]:
    """Run a script by another program, whose name is the process's name."""
    program = tmp_path / NAME
    program.symlink_to(sys.executable)
    script = tmp_path / "qzreport-job.py"
    script.write_text("import time\nprint('ready', flush=True)\ntime.sleep(120)\n")
    with subprocess.Popen([program, script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield script
        process.kill()


@pytest.fixture
def inventory(tmp_path: Path) -> str:
    """Two recorded hosts, read without SSH."""
    file = tmp_path / "inventory.toml"
    hosts = "".join(f'[hosts.{name}]\nproc_root = "{RECORDED / name}"\n' for name in ("web-01", "web-02"))
    file.write_text(f'[defaults]\ntransport = "local"\n{hosts}')
    return str(file)


def _said(*words: str) -> list[str]:
    """Return the lines on stderr behind the coverage."""
    done = fleetpmap(*words)
    assert done.returncode == 5, done.stderr
    lines = done.stderr.splitlines()
    return lines[next(place for place, line in enumerate(lines) if "no process matched" in line) + 1 :]


@pytest.mark.parametrize("command", ["run", "ps"])
def test_a_real_process_with_a_near_name(worker: Path, command: str):
    """Its name is given."""
    [hint] = _said(command, "-H", "local", "-m", "qzfletworkr")
    assert hint == f"no process has a name that matches qzfletworkr; near it: {NAME} on local"


@pytest.mark.parametrize(
    ("words", "whole"),
    [(("-m", "qzfleetwork"), "name"), (("--full", "-m", "qzreport-job"), "command line")],
)
def test_a_part_of_the_whole_that_exact_wants(worker: Path, words: tuple[str, ...], whole: str):
    """A pattern that would match without --exact is told so."""
    said = _said("run", "-H", "local", *words, "--exact")
    assert said[0] == f"--exact: the whole {whole} has to match; without it a part of the {whole} is enough"


@pytest.mark.parametrize("command", ["run", "ps"])
def test_a_real_process_with_the_word_in_its_command_line(worker: Path, command: str):
    """--full would find it, and does."""
    [hint] = _said(command, "-H", "local", "-m", "qzreport-job")
    assert hint == "--full would match 1 process on local: it searches the command lines"
    assert fleetpmap(command, "-H", "local", "-m", "qzreport-job", "--full").returncode == 0


def test_a_glob_that_is_a_valid_expression(worker: Path):
    """nginx* repeats the x."""
    hint, *_ = _said("run", "-H", "local", "-m", "qznosuch*")
    assert hint.startswith("--match is a regular expression")
    assert hint.endswith("for the glob qznosuch* write qznosuch or 'qznosuch.*'")


def test_a_real_user_with_a_near_name(worker: Path):
    """The names are those of the users that processes run as."""
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    [hint] = _said("run", "-H", "local", "-u", f"{user}x")
    assert hint == f"no process runs as {user}x there; did you mean {user}?"


def test_a_service_and_the_hosts_that_have_it(inventory: str):
    """Its name is no process's."""
    assert _said("run", "-i", inventory, "-m", "gunicorn.service") == [
        "no process has a name that matches gunicorn.service; near it: gunicorn on web-[01-02]",
        "--unit gunicorn.service would match 5 processes on web-[01-02]",
    ]
    assert fleetpmap("ps", "-i", inventory, "--unit", "gunicorn.service", "--quiet").returncode == 0


def test_over_ssh_no_host_is_asked_again(tmp_path: Path):
    """Names are those of the one listing; for the rest another command is named."""
    with demo_inventory() as inventory:
        host = inventory.hosts["web-01"]
        with Relay(("127.0.0.1", host.port or 22), delay_s=0.0) as relay:
            known_hosts = tmp_path / "known_hosts"
            known_hosts.write_text(Path(host.known_hosts[0]).read_text().replace(f":{host.port}", f":{relay.port}"))
            file = tmp_path / "inventory.toml"
            file.write_text(
                f'[hosts.web-01]\naddress = "127.0.0.1"\nport = {relay.port}\nuser = "{host.user}"\n'
                f'identity_file = "{host.identity_file[0]}"\nknown_hosts = "{known_hosts}"\n'
                f'proc_root = "{host.proc_root}"\n'
            )
            said = _said("run", "-i", str(file), "-m", "gunicron", "--ssh-config", "none")
            assert relay.connections == 1
    assert said == [
        "no process has a name that matches gunicron; near it: gunicorn on web-01",
        "names alone were searched: `fleetpmap ps` with the same options for hosts and processes also searches "
        "command lines, units and containers",
    ]


def test_a_stored_run(worker: Path):
    """show selects among stored processes, and so has the same hints."""
    assert _said("show", str(RECORDED / "web-01"), "-m", "shop.wsgi") == [
        "--full would match 2 processes on web-01: it searches the command lines"
    ]


def test_a_page_has_the_hints_too(tmp_path: Path):
    """It may be read without the terminal; --quiet is for the terminal alone."""
    page = tmp_path / "page.html"
    assert fleetpmap("show", str(RECORDED / "web-01"), "-m", "shop.wsgi", "-o", str(page), "--quiet").returncode == 5
    assert "\n--full would match 2 processes on web-01: it searches the command lines.\n" in page.read_text("utf-8")


def test_quiet_says_nothing(inventory: str):
    """A script that expects that nothing may match asks for no hints."""
    done = fleetpmap("run", "-i", inventory, "-m", "gunicron", "--quiet")
    assert (done.returncode, done.stderr) == (5, "")


def test_no_hint_beside_a_match(inventory: str):
    """One host matches: the other one without a match is no mistake."""
    done = fleetpmap("ps", "-i", inventory, "-m", "gunicorn", "--limit", "web-01")
    assert done.returncode == 0
    assert "near it" not in done.stderr


def test_a_run_with_hints_saves_like_any_other(inventory: str, tmp_path: Path):
    """They are no part of a stored run, which loads as before."""
    pytest.importorskip("polars", reason="a saved run is a parquet file")
    file = tmp_path / "run.parquet"
    assert fleetpmap("run", "-i", inventory, "-m", "gunicorn.service", "--save", str(file)).returncode == 5
    done = fleetpmap("show", str(file))
    assert (done.returncode, "no process matched" in done.stderr) == (5, True)
