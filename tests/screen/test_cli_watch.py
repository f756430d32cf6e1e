"""`fleetpmap watch`, as a user sees it: the screen and its keys in a real terminal, lines in a pipe."""

from __future__ import annotations

import re
import subprocess
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
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}  hosts 2/2  processes 4  pss 44870 kB  since start \+0 kB")
CURSOR_AND_SCREEN = "#{cursor_flag} #{alternate_on}"
"""Two flags of tmux: the cursor is visible, the alternate screen is on."""


@pytest.fixture
def inventory(tmp_path):
    """web-01 to web-03 as they were recorded, without SSH."""
    return _written(tmp_path, {name: name for name in ("web-01", "web-02", "web-03")})


@pytest.fixture
def fifty(tmp_path):
    """web-01 to web-50, each with the processes of web-01: nothing of them stands out."""
    return _written(tmp_path, {f"web-{number:02}": "web-01" for number in range(1, 51)})


def _written(directory: Path, recorded: dict[str, str]) -> Path:
    hosts = (f'[hosts.{name}]\nproc_root = "{FAKE_PROC / tree}"\n' for name, tree in recorded.items())
    path = directory / "inventory.toml"
    path.write_text('[defaults]\ntransport = "local"\n' + "".join(hosts))
    return path


def _watch(inventory: Path, *words: str) -> list[str]:
    # Not by -i: the next command of a finding names it, and the folder has another name in each run.
    program = ("env", f"FLEETPMAP_INVENTORY={inventory}", sys.executable, "-m", "fleetpmap")
    return [*program, "watch", "--match", "gunicorn|python", *words]


def test_a_line_for_each_round_where_there_is_no_terminal(inventory: Path):
    """Time, hosts that answered, processes, their PSS and its growth; nothing else on stdout."""
    words = ("-i", str(inventory), "--match", "gunicorn|python", "-H", "web-01,web-03")
    done = fleetpmap("watch", *words, "--interval", "0.1", "--count", "3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(LINE.fullmatch(line) for line in lines), lines


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--view", "pmap"), "--view pmap cannot be watched"),
        (("-x",), "--view pmap cannot be watched"),
        (("--export", "hosts=x.csv"), "--export hosts=x.csv: watch writes no reports"),
        (("--count", "0"), "--count"),
        (("--interval", "0"), "--interval"),
    ],
)
def test_what_cannot_be_watched(words: tuple[str, ...], message: str):
    """It is said before any host is asked."""
    done = fleetpmap("watch", "-H", "local", "--all", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_the_screen_and_its_keys(inventory: Path, tmp_path):
    """Start, views, sorting, one host, help and pause; each screen as a file to look at."""
    with Tmux(_watch(inventory, "--interval", "600"), tmp_path, columns=100, rows=34) as terminal:
        screens = [terminal.wait_for("summary", "libc.so.6")]
        for keys, sign in (("2", "hosts\n"), ("4", "processes\n"), ("s", "by pss"), ("h", "only web-01")):
            terminal.keys(keys)
            screens.append(terminal.wait_for(sign))
        for keys, sign in (("?", "this help"), ("x", "host "), ("p", "PAUSED")):
            terminal.keys(keys)
            screens.append(terminal.wait_for(sign))
    text = f"{'=' * 100}\n".join(screens)
    assert text == expected("watch-screens.txt", text)


GROWS = """
import time
held = []
while True:
    held.append(bytearray(b"x" * (3 << 20)))
    time.sleep(0.2)
"""


@pytest.fixture
def growing():
    """Return the pid of a process that grows by 15 MiB a second."""
    with subprocess.Popen([sys.executable, "-c", GROWS]) as child:
        yield child.pid
        child.kill()


def _of(pid: int, *words: str) -> list[str]:
    return ["watch", "-H", "local", "--pid", str(pid), *words]


def test_growth_stands_above_the_table(growing: int, tmp_path):
    """From the second round on, with the process and the next command; the table below keeps its place."""
    words = (sys.executable, "-m", "fleetpmap", *_of(growing, "--interval", "0.5"))
    with Tmux(words, tmp_path, columns=100, rows=30) as terminal:
        lines = terminal.wait_for("grew by", "trend").splitlines()
    assert re.match(rf"python\S* on local \(pid {growing}\): \S+ (grew by|is new, with) ", lines[3])
    assert any(line.startswith(f"  fleetpmap run --pid {growing} --view mappings") for line in lines[4:7])
    assert re.search(r"since start \+\d+\.\dM$", lines[0])


def test_growth_is_told_once_in_a_pipe(growing: int):
    """On stderr, again when it has doubled; stdout has a line a round, and --quiet says nothing."""
    done = fleetpmap(*_of(growing, "--interval", "0.4", "--count", "4"))
    said = [line for line in done.stderr.splitlines() if f"(pid {growing})" in line]
    assert len(done.stdout.splitlines()) == 4
    assert 1 <= len(said) <= 6
    assert "grew by" in said[0] or "is new" in said[0]
    assert fleetpmap(*_of(growing, "--interval", "0.4", "--count", "2", "--quiet")).stderr == ""


def test_sizes_on_the_screen_in_kib(inventory: Path, tmp_path):
    """--kib: digits, in the line of the round too."""
    with Tmux(_watch(inventory, "--interval", "600", "--kib"), tmp_path) as terminal:
        assert "pss 67376 kB  since start +0 kB" in terminal.wait_for("29660")


def test_another_size(inventory: Path, tmp_path):
    """The screen is drawn anew as soon as the terminal has another size."""
    with Tmux(_watch(inventory, "--interval", "600", "--view", "hosts"), tmp_path) as terminal:
        terminal.wait_for("3 of 3 hosts")
        terminal.resize(60, 12)
        text = terminal.wait_for("lines 1-5 of ", "q quit")
        assert text == expected("watch-small.txt", text)
        terminal.resize(100, 30)
        assert "lines 1-" not in terminal.wait_for("no room for")


def test_a_report_that_is_longer_than_the_screen(fifty: Path, tmp_path):
    """By a line, by a page, to the end: the table's heading stays, and the foot says where one is."""
    words = ("--interval", "600", "--view", "hosts")
    with Tmux(_watch(fifty, *words), tmp_path, columns=80, rows=24) as terminal:
        screens = [terminal.wait_for("lines 1-20 of")]
        last = _lines(screens[0])
        for keys, sign in (("Down", "3-21"), ("NPage", "22-40"), ("End", f"{last - 18}-{last}")):
            terminal.keys(keys)
            screens.append(terminal.wait_for(f"lines {sign} of {last}"))
        back = {"b": last - 37, "Space": last - 18, "k": last - 19, "PPage": last - 38}
        for keys, first in back.items():
            terminal.keys(keys)
            terminal.wait_for(f"lines {first}-{first + 18} of {last}")
        terminal.keys("Home")
        terminal.wait_for(f"lines 1-20 of {last}")
    text = f"{'=' * 80}\n".join(screens)
    assert text == expected("watch-scrolled.txt", text)


def _lines(screen: str) -> int:
    """Return the number of lines of the report that a screen shows a part of."""
    found = re.search(r"lines \d+-\d+ of (\d+)", screen)
    assert found
    return int(found[1])


def test_the_place_is_kept_from_round_to_round(fifty: Path, tmp_path):
    """A round later the same lines are there; another view begins at its top."""
    words = ("--interval", "1", "--view", "hosts")
    with Tmux(_watch(fifty, *words), tmp_path, columns=80, rows=24) as terminal:
        terminal.wait_for("lines 1-20 of ")
        terminal.keys("j")
        later = terminal.wait_for("lines 3-21 of ", "▁▁▁")
        assert re.search(r"^host .*\nweb-02 ", later, re.MULTILINE)
        terminal.keys("1")
        terminal.wait_for("summary", "lines 1-20 of ")


def test_keys_as_terminals_send_them(fifty: Path, tmp_path):
    """Arrows of application mode, and several keys at once; an unknown key changes nothing."""
    words = ("--interval", "600", "--view", "hosts")
    with Tmux(_watch(fifty, *words), tmp_path, columns=80, rows=24) as terminal:
        terminal.wait_for("lines 1-20 of ")
        terminal.keys("-l", "\x1bOB\x1b[B\x1b[1;5Bj\x1b[25~\x1b[6~p")
        terminal.wait_for("lines 24-42 of ", "PAUSED")


@pytest.mark.parametrize(("keys", "status"), [("q", 0), ("C-c", 130)])
def test_the_terminal_is_as_it_was(inventory: Path, tmp_path, keys: str, status: int):
    """After q, and after ^C: lines are lines again, and the last round's line stands there."""
    with Tmux(_watch(inventory, "--interval", "600"), tmp_path) as terminal:
        terminal.wait_for("libc.so.6")
        assert terminal.says(CURSOR_AND_SCREEN) == "0 1"
        terminal.keys(keys)
        left = terminal.wait_for(f"exit status {status}\nicanon\necho")
        assert terminal.says(CURSOR_AND_SCREEN) == "1 0"
    assert "hosts 3/3" in left
    assert "libc.so.6" not in left


def test_sigterm_leaves_the_terminal_as_it_was(inventory: Path, tmp_path):
    """As ^C does, and with its own exit status."""
    with Tmux(_watch(inventory, "--interval", "600"), tmp_path) as terminal:
        terminal.wait_for("libc.so.6")
        [watch] = psutil.Process(int(terminal.says("#{pane_pid}"))).children()
        watch.terminate()
        left = terminal.wait_for("exit status 143\nicanon\necho")
        assert terminal.says(CURSOR_AND_SCREEN) == "1 0"
    assert "libc.so.6" not in left


def test_the_rounds_are_counted_on_a_screen_too(inventory: Path, tmp_path):
    """--count ends it without a key."""
    with Tmux(_watch(inventory, "--interval", "0.2", "--count", "2"), tmp_path) as terminal:
        assert "hosts 3/3" in terminal.wait_for("exit status 0\nicanon\necho")


def test_what_goes_wrong_leaves_the_terminal_as_it_was(inventory: Path, tmp_path):
    """A round that cannot be saved ends the watch, with the reason on a terminal in order."""
    gone = tmp_path / "rounds"
    gone.mkdir()
    words = ("--interval", "0.5", "--save", f"{gone}/")
    with Tmux(_watch(inventory, *words), tmp_path) as terminal:
        terminal.wait_for("libc.so.6")
        for file in gone.iterdir():
            file.unlink()
        gone.rmdir()
        gone.write_text("in the way")
        assert "--save" in terminal.wait_for("exit status 2\nicanon\necho")


def test_a_host_that_is_lost_and_found(sshd: Sshd, tmp_path):
    """Its row says so in the round in which it is gone; then its numbers are there again."""
    with Relay(("127.0.0.1", sshd.port), delay_s=0) as there:
        relay = Relay(("127.0.0.1", sshd.port), delay_s=0)
        keys = [sshd.public_key(path) for path in sshd.host_keys.values()]
        ports = f"[127.0.0.1]:{relay.port},[127.0.0.1]:{there.port}"
        known_hosts = tmp_path / "known_hosts"
        known_hosts.write_text("".join(f"{ports} {key}\n" for key in keys))
        inventory = tmp_path / "inventory.toml"
        inventory.write_text(
            f'[defaults]\naddress = "127.0.0.1"\nuser = "{sshd.user}"\nidentity_file = "{sshd.identity_file}"\n'
            f'[hosts.web-01]\nport = {there.port}\nproc_root = "{FAKE_PROC / "web-01"}"\n'
            f'[hosts.web-03]\nport = {relay.port}\nproc_root = "{FAKE_PROC / "web-03"}"\n'
        )
        how = ("--interval", "0.5", "--ssh-config", "none", "--known-hosts", str(known_hosts), "--view", "hosts")
        with Tmux(_watch(inventory, *how), tmp_path, columns=120) as terminal:
            terminal.wait_for("2 of 2 hosts answered")
            relay.close()
            lost = terminal.wait_for("1 of 2 hosts answered")
            with Relay(("127.0.0.1", sshd.port), delay_s=0, port=relay.port):
                found = terminal.wait_for("2 of 2 hosts answered")
                terminal.keys("q")
                terminal.wait_for("exit status 0")
    assert re.search(r"^web-03 +refused", lost, re.MULTILINE)
    assert re.search(r"^web-03 +ok +\d", found, re.MULTILINE)
