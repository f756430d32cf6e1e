"""`fleetpmap explore` in a real terminal: the walk to a VMA and back, filter, resize, files, a lost host, the end."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

import psutil
import pytest

from program import fleetpmap
from relay import Relay
from snapshots import expected
from sshd import Sshd
from tmux import Tmux

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
CURSOR_AND_SCREEN = "#{cursor_flag} #{alternate_on}"
"""Two flags of tmux: the cursor is visible, the alternate screen is on."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def _explore(*words: str, **environment: str) -> list[str]:
    variables = [f"{name}={value}" for name, value in environment.items()]
    return ["env", *variables, sys.executable, "-m", "fleetpmap", "explore", *words]


@pytest.fixture
def inventory(tmp_path) -> Path:
    """web-01 to web-03 as they were recorded, without SSH."""
    hosts = (f'[hosts.{name}]\nproc_root = "{FAKE_PROC / name}"\n' for name in ("web-01", "web-02", "web-03"))
    path = tmp_path / "inventory.toml"
    path.write_text('[defaults]\ntransport = "local"\n' + "".join(hosts))
    return path


def test_the_walk_to_a_vma_and_back(inventory: Path, tmp_path):
    """Of a fleet that is asked: each screen as a file to look at."""
    argv = _explore("--match", "gunicorn|python", FLEETPMAP_INVENTORY=str(inventory))
    with Tmux(argv, tmp_path, columns=100, rows=30) as terminal:
        screens = [terminal.wait_for("1 gunicorn", "gunicorn.service ", "more columns", "Quit")]
        for keys, sign in (
            (["Enter"], "› hosts "),
            (["Enter"], "› processes "),
            (["Enter"], "› mappings "),
            (["/", "h", "e", "a", "p", "Enter"], "/heap: 1 of"),
            (["Enter"], "› vmas "),
            (["Enter"], "› fields "),
        ):
            terminal.keys(*keys)
            screens.append(terminal.wait_for(sign))
        terminal.keys("BSpace", "BSpace")
        terminal.wait_for("› mappings ")
        terminal.keys("Escape")
        terminal.wait_for("› processes ")
        terminal.resize(60, 20)
        screens.append(terminal.wait_for("› processes", "Quit"))
        terminal.keys("q")
        terminal.wait_for("exit status 0\nicanon\necho")
        assert terminal.says(CURSOR_AND_SCREEN) == "1 0"
    text = _TIME.sub("2026-03-14 15:09:26", f"{'=' * 100}\n".join(screens))
    assert text == expected("explore-screens.txt", text)


@pytest.mark.parametrize(("key", "status"), [("C-c", 130), ("TERM", 143)])
def test_every_end_leaves_the_terminal_as_it_was(inventory: Path, tmp_path, key: str, status: int):
    """After ^C and SIGTERM lines are lines again, and the cursor is there."""
    argv = _explore("--match", "gunicorn", FLEETPMAP_INVENTORY=str(inventory))
    with Tmux(argv, tmp_path) as terminal:
        terminal.wait_for("gunicorn.service ")
        assert terminal.says("#{alternate_on}") == "1"
        if key == "TERM":
            [child] = psutil.Process(int(terminal.says("#{pane_pid}"))).children()
            child.terminate()
        else:
            terminal.keys(key)
        terminal.wait_for(f"exit status {status}\nicanon\necho")
        assert terminal.says(CURSOR_AND_SCREEN) == "1 0"


def test_no_color(tmp_path):
    """With NO_COLOR no colour reaches the terminal; without it the few of the terminal itself do."""
    for environment, colors in (({"NO_COLOR": "1"}, []), ({}, ["33", "36"])):
        folder = tmp_path / str(len(colors))
        folder.mkdir()
        with Tmux(_explore(str(FAKE_PROC), **environment), folder) as terminal:
            terminal.wait_for("gunicorn.service ", "1 gunicorn", "Quit")
            assert [color for color in terminal.colors if color in colors or not colors] == colors


def test_a_capture_and_the_files_that_w_writes(tmp_path):
    """A page, a csv and a snapshot of what was entered, which show reads again."""
    with Tmux(_explore(str(FAKE_PROC)), tmp_path, columns=120) as terminal:
        terminal.wait_for("gunicorn.service ", "1 gunicorn")
        terminal.keys("Enter")
        terminal.wait_for("› hosts")
        for name in ("a.csv", "a.html", "a.parquet"):
            terminal.keys("w")
            terminal.wait_for("write to FILE")
            terminal.keys("-l", str(tmp_path / name))
            terminal.keys("Enter")
            terminal.wait_for(f"{name}: ")
        terminal.keys("w")
        terminal.wait_for("write to FILE")
        terminal.keys("-l", "a.nonsense")
        terminal.keys("Enter")
        terminal.wait_for("its suffix does not name a format")
        terminal.keys("q")
        terminal.wait_for("exit status")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["host", "web-01", "web-02", "web-03"]
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    shown = fleetpmap(
        "show", str(tmp_path / "a.parquet"), "--view", "services", "--format", "csv", "--columns", "service"
    )
    assert shown.stdout.splitlines() == ["service", "gunicorn.service"]


def test_a_host_that_is_lost_and_found(sshd: Sshd, tmp_path):
    """Its row has the reason in the look in which it is gone; then its numbers are there again."""
    relay = Relay(("127.0.0.1", sshd.port), delay_s=0)
    known_hosts = tmp_path / "known_hosts"
    keys = [sshd.public_key(path) for path in sshd.host_keys.values()]
    known_hosts.write_text("".join(f"[127.0.0.1]:{relay.port} {key}\n" for key in keys))
    inventory = tmp_path / "inventory.toml"
    inventory.write_text(
        f'[hosts.web-01]\ntransport = "local"\nproc_root = "{FAKE_PROC / "web-01"}"\n'
        f'[hosts.web-03]\naddress = "127.0.0.1"\nport = {relay.port}\nuser = "{sshd.user}"\n'
        f'identity_file = "{sshd.identity_file}"\nproc_root = "{FAKE_PROC / "web-03"}"\n'
    )
    how = ("-i", str(inventory), "--match", "gunicorn", "--ssh-config", "none", "--known-hosts", str(known_hosts))
    with Tmux(_explore(*how, "--interval", "0.5"), tmp_path, columns=120) as terminal:
        terminal.wait_for("2 of 2 hosts answered")
        terminal.keys("v")
        terminal.wait_for("› hosts")
        relay.close()
        lost = terminal.wait_for("1 of 2 hosts answered")
        with Relay(("127.0.0.1", sshd.port), delay_s=0, port=relay.port):
            found = terminal.wait_for("2 of 2 hosts answered")
            terminal.keys("q")
            terminal.wait_for("exit status")
    assert re.search(r"^web-03 +refused", lost, re.MULTILINE)
    assert re.search(r"^web-03 +(ok|partial) +\d", found, re.MULTILINE)


def test_a_host_that_hangs_holds_neither_keys_nor_the_end(tmp_path):
    """A server that never says a word: help and the end come at once, long before its --timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"nobody@127.0.0.1:{silent.getsockname()[1]}"
        how = ("-H", name, "--all", "--connect-timeout", "60", "--ssh-config", "none")
        with Tmux(_explore(*how), tmp_path) as terminal:
            terminal.wait_for("asking ")
            terminal.keys("?")
            terminal.wait_for("go into the row")
            terminal.keys("q")
            terminal.wait_for("Quit")
            terminal.keys("q")
            terminal.wait_for("exit status 0\nicanon\necho", seconds=8)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((str(FAKE_PROC),), "explore: there is no terminal to draw on"),
        (("-H", "local", "--all"), "explore: there is no terminal to draw on"),
    ],
)
def test_in_a_pipe_it_says_what_to_use(words: tuple[str, ...], message: str):
    """Before a host is asked."""
    done = fleetpmap("explore", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((str(FAKE_PROC), "-H", "local"), "is a stored run, for which no host is asked"),
        ((str(FAKE_PROC), "--interval", "5"), "is a stored run, for which no host is asked"),
        (("-H", "local", "--all", "--rollup"), "--rollup reads no mappings"),
        (("-H", "local"), "--match"),
        (("/nowhere",), "/nowhere"),
    ],
)
def test_what_cannot_be_explored(tmp_path, words: tuple[str, ...], message: str):
    """One sentence on the terminal, which was never left."""
    with Tmux(_explore(*words), tmp_path, columns=160) as terminal:
        assert message in terminal.wait_for("exit status 2")
