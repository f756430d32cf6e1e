"""`fleetpmap watch`, as a user sees it: rounds on the screen of explore in a real terminal, lines in a pipe."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from fleetpmap.snapshot_file import entries
from ports import free_port
from program import fleetpmap
from relay import Relay
from snapshots import expected
from sshd import Sshd
from tmux import Tmux, running

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}  hosts 2/2  processes 4  pss 44870 kB  since start \+0 kB")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
CURSOR_AND_SCREEN = "#{cursor_flag} #{alternate_on}"
"""Two flags of tmux: the cursor is visible, the alternate screen is on."""


@pytest.fixture
def inventory(tmp_path):
    """web-01 to web-03 as they were recorded, without SSH."""
    hosts = (f'[hosts.{name}]\nproc_root = "{FAKE_PROC / name}"\n' for name in ("web-01", "web-02", "web-03"))
    path = tmp_path / "inventory.toml"
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


def test_a_reader_of_the_lines_that_has_seen_enough(inventory: Path):
    """`watch … | head -1` ends with the status of SIGPIPE and without a word, as run does."""
    program = shlex.join(_watch(inventory, "--interval", "0.1", "--count", "50", "--quiet"))
    done = subprocess.run(
        ["sh", "-c", f"{{ {program}; echo $? >&2; }} | head -1"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "141\n"
    assert len(done.stdout.splitlines()) == 1


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


def test_a_watch_from_start_to_end(inventory: Path, tmp_path):
    """Start, three rounds, the walk down and back, a pause, a small terminal, q: each screen as a file to look at."""
    with Tmux(_watch(inventory, "--interval", "600"), tmp_path, columns=100, rows=24) as terminal:
        screens = [terminal.wait_for("round 1,", "1 gunicorn", "gunicorn.service ", "Quit")]
        assert terminal.says(CURSOR_AND_SCREEN) == "0 1"
        for keys, sign in (
            (["r"], "round 2,"),
            (["r"], "round 3,"),
            (["Enter"], "› hosts "),
            (["Down", "Enter"], "› processes "),
            (["Enter"], "› mappings "),
            (["p"], "PAUSED"),
        ):
            terminal.keys(*keys)
            screens.append(terminal.wait_for(sign))
        terminal.resize(60, 20)
        screens.append(terminal.wait_for("PAUSED   fleet", "› mappings", "2 oom kills …\n"))  # not the old screen, cut
        terminal.resize(100, 24)
        terminal.wait_for("› mappings", "s Sort  m Mark")
        terminal.keys("q")
        left = terminal.wait_for("exit status 0\nicanon\necho")
        assert terminal.says(CURSOR_AND_SCREEN) == "1 0"
    assert left.splitlines()[0].endswith("  hosts 3/3  processes 6  pss 65.8M  since start +0K")
    text = _TIME.sub("2026-03-14 15:09:26", f"{'=' * 100}\n".join(screens))
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


def test_a_leak_is_a_finding_and_its_heap_one_key_away(growing: int, tmp_path):
    """From the second round on. The first list, its order, its columns and its digits are those of the options."""
    how = ("--interval", "0.5", "--view", "processes", "--sort", "since_start", "--columns", "pid,pss", "--kib")
    with Tmux((sys.executable, "-m", "fleetpmap", *_of(growing, *how)), tmp_path, columns=100, rows=30) as terminal:
        text = terminal.wait_for("grew by", "› processes", "█")
        assert re.search(r"^ *pid +pss +↓since_start +trend$", text, re.MULTILINE)
        assert re.search(rf"^ *{growing} +\d{{4,}} +\+\d{{4,}} +\S*█\S*$", text, re.MULTILINE)
        assert re.search(rf"^1 python\S* on local \(pid {growing}\): \S+ grew by ", text, re.MULTILINE)
        terminal.keys("1")
        terminal.wait_for(f"› pid {growing} ›", "› vmas")
        terminal.keys("q")
        assert re.search(r"since start \+\d+ kB\n", terminal.wait_for("exit status 0"))


def test_growth_is_told_once_in_a_pipe(growing: int):
    """On stderr, again when it has doubled; stdout has a line a round, and --quiet says nothing."""
    done = fleetpmap(*_of(growing, "--interval", "0.4", "--count", "4"))
    said = [line for line in done.stderr.splitlines() if f"(pid {growing})" in line]
    assert len(done.stdout.splitlines()) == 4
    assert 1 <= len(said) <= 6
    assert "grew by" in said[0] or "is new" in said[0]
    assert fleetpmap(*_of(growing, "--interval", "0.4", "--count", "2", "--quiet")).stderr == ""


@pytest.mark.parametrize(("end", "status"), [("C-c", 130), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_every_end_leaves_the_terminal_as_it_was(inventory: Path, tmp_path, end: str | int, status: int):
    """After ^C and signals lines are lines again; the line of the last round stays after ^C."""
    with Tmux(_watch(inventory, "--interval", "0.5"), tmp_path) as terminal:
        terminal.wait_for("gunicorn.service ")
        terminal.keys(end) if isinstance(end, str) else _child(terminal).send_signal(end)
        left = terminal.wait_for(f"exit status {status}\nicanon\necho")
        assert terminal.says(CURSOR_AND_SCREEN) == "1 0"
    assert ("hosts 3/3" in left) == (status == 130)
    assert "gunicorn.service" not in left


def _child(terminal: Tmux) -> psutil.Process:
    [child] = psutil.Process(int(terminal.says("#{pane_pid}"))).children()
    return child


def test_a_terminal_that_is_lost_ends_it(inventory: Path, tmp_path):
    """With its children; nothing is left running."""
    with Tmux(_watch(inventory, "--interval", "0.5"), tmp_path) as terminal:
        terminal.wait_for("gunicorn.service ")
        there = [_child(terminal), *_child(terminal).children(recursive=True)]
        terminal.hang_up()
        assert running(there) == []


def test_rounds_are_counted_and_saved(inventory: Path, tmp_path):
    """--count ends it without a key, and each round is a file that can be shown."""
    how = ("--interval", "0.2", "--count", "3", "--save", f"{tmp_path}/rounds/", "--quiet")
    with Tmux(_watch(inventory, *how), tmp_path) as terminal:
        assert "hosts 3/3" in terminal.wait_for("exit status 0\nicanon\necho")
    assert len(entries(tmp_path / "rounds")) == 3
    shown = fleetpmap("show", f"{tmp_path}/rounds/", "--view", "hosts", "--columns", "host", "--format", "csv")
    assert shown.stdout.splitlines() == ["host", "web-01", "web-02", "web-03"]


def test_what_goes_wrong_leaves_the_terminal_as_it_was(inventory: Path, tmp_path):
    """A round that cannot be saved ends the watch, with the reason on a terminal in order."""
    (tmp_path / "there").mkdir()
    gone = tmp_path / "rounds"
    gone.symlink_to("there")  # so that it can be replaced between two rounds, whenever they come
    with Tmux(_watch(inventory, "--interval", "0.5", "--save", f"{gone}/"), tmp_path) as terminal:
        terminal.wait_for("gunicorn.service ")
        (tmp_path / "file").write_text("in the way")
        (tmp_path / "file").replace(gone)
        assert "--save" in terminal.wait_for("exit status 2\nicanon\necho")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--by", "user"), "--by user: the screen of watch has lists of its own"),
        (("--top", "5"), "--top 5: the screen of watch has lists of its own"),
        (("--sort", "nonsense"), '--sort: there is no column "nonsense" in this view'),
    ],
)
def test_what_the_screen_cannot_show(inventory: Path, tmp_path, words: tuple[str, ...], message: str):
    """One sentence on a terminal that is in order."""
    with Tmux(_watch(inventory, *words), tmp_path, columns=160) as terminal:
        assert message in terminal.wait_for("exit status 2\nicanon\necho")


def test_sums_alone(inventory: Path, tmp_path):
    """With --rollup the lists end at processes."""
    with Tmux(_watch(inventory, "--rollup", "--view", "hosts", "--interval", "600"), tmp_path) as terminal:
        terminal.wait_for("› hosts", "web-03")
        terminal.keys("Enter")
        terminal.wait_for("› processes")
        terminal.keys("Enter")
        assert "› processes" in terminal.wait_for("only its sums were read")


def test_a_host_that_is_lost_and_found(sshd: Sshd, tmp_path):
    """Its row says so in the round in which it is gone, and its trend has a gap; the other's has none."""
    with Relay(("127.0.0.1", sshd.port), delay_s=0) as there:
        relay = Relay(("127.0.0.1", sshd.port), delay_s=0, port=free_port("127.0.0.1"))
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
            lost = terminal.wait_for("1 of 2 hosts answered", " refused ")
            with Relay(("127.0.0.1", sshd.port), delay_s=0, port=relay.port):
                found = terminal.wait_for("2 of 2 hosts answered", "·▁")
                terminal.keys("q")
                terminal.wait_for("exit status 0")
    assert re.search(r"^web-03 +refused", lost, re.MULTILINE)
    assert re.search(r"^web-03 +ok +\d.* 0K +▁+·+▁+ ", found, re.MULTILINE)
    assert re.search(r"^web-01 +ok +\d.* 0K +▁+ ", found, re.MULTILINE)
