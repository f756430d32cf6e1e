"""`fleetpmap explore` is stopped, continued and ended by keys, signals and a lost terminal, as the job of a shell."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGHUP, SIGSTOP, SIGTSTP

import psutil
import pytest

from program import BARE
from terminal import Terminal
from tmux import Tmux, running

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"
HOSTS = ("PAUSED", "› hosts ", "web-03 ", "f Finding")
"""What is on the screen of the job, in every size."""
_ROUND = re.compile(r"round (\d+),")


class Job:
    """explore in the foreground of an interactive shell, paused in the list of three hosts."""

    def __init__(self, terminal: Tmux, inventory: Path) -> None:
        self.terminal = terminal
        argv = (sys.executable, "-m", "fleetpmap", "explore", "--all", "--interval", "3")
        self.type(f"FLEETPMAP_INVENTORY={shlex.quote(str(inventory))} {shlex.join(argv)}")
        terminal.wait_for("round 1,", "gunicorn.service ", "Quit")
        [shell] = psutil.Process(int(terminal.says("#{pane_pid}"))).children()
        [self.program] = shell.children()
        self.sessions = self.program.children()
        terminal.keys("v", "Down", "p")
        terminal.wait_for(*HOSTS)

    def type(self, line: str) -> None:
        """Type a line for the shell, and Enter."""
        self.terminal.keys("-l", line)
        self.terminal.keys("Enter")

    def stop(self, how: str | signal.Signals) -> None:
        """Press a key that stops it, or send it a signal that does."""
        self.terminal.keys(how) if isinstance(how, str) else self.program.send_signal(how)
        self.terminal.wait_for("Stopped")
        assert self.program.status() == psutil.STATUS_STOPPED

    def gave_the_terminal_back(self) -> None:
        """The cursor is visible, neither the other screen nor the mouse is on, and lines are lines."""
        assert self.terminal.says("#{cursor_flag} #{alternate_on} #{mouse_any_flag}") == "1 0 0"
        self.type("clear; stty -a | grep -ow -e '-*icanon' -e '-*echo'")
        self.terminal.wait_for("icanon\necho\n")

    def comes_back(self) -> None:
        """The next fg draws the whole screen, and keys work."""
        self.type("clear; fg")
        self.terminal.wait_for(*HOSTS)
        self.terminal.keys("?")
        self.terminal.wait_for("arrows scroll")
        self.terminal.keys("q")
        self.terminal.wait_for(*HOSTS)


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """The job, over web-01 to web-03 as they were recorded."""
    inventory = tmp_path / "inventory.toml"
    hosts = (f'[hosts.{name}]\nproc_root = "{FAKE_PROC / name}"\n' for name in ("web-01", "web-02", "web-03"))
    inventory.write_text('[defaults]\ntransport = "local"\n' + "".join(hosts))
    with Tmux(["bash", "--norc", "-i"], tmp_path, columns=100, rows=24) as terminal:
        yield Job(terminal, inventory)


@pytest.mark.parametrize("how", ["C-z", SIGTSTP])
def test_it_stops_and_comes_back(job: Job, how: str | signal.Signals):
    """The shell gets its terminal; then the whole screen is there in its new size, over the sessions of before."""
    job.stop(how)
    job.gave_the_terminal_back()
    job.terminal.resize(60, 20)
    job.comes_back()
    job.stop(how)
    job.comes_back()  # in the size of before
    job.terminal.keys("p")
    rounds = int(_ROUND.findall(job.terminal.wait_for("› hosts "))[0])
    job.terminal.wait_for(f"round {rounds + 1},")
    assert job.program.children() == job.sessions
    job.stop(how)
    job.type("kill %1")
    assert running([job.program]) == []


def test_it_does_not_draw_over_the_shell(job: Job):
    """Continued in the background, it stops again: it has no terminal there. fg brings it back."""
    job.stop("C-z")
    job.type("clear; bg")
    job.terminal.wait_for("&\n")
    _wait_until_stopped(job.program)
    job.gave_the_terminal_back()
    job.comes_back()
    job.stop(SIGSTOP)
    job.type("clear; kill -CONT %1")
    _wait_until_stopped(job.program)
    job.comes_back()
    job.terminal.keys("q")
    job.terminal.wait_for("hosts 3/3")
    job.gave_the_terminal_back()


def _wait_until_stopped(process: psutil.Process) -> None:
    """Wait until it is stopped for good: it has used no time for a while."""
    give_up, before = time.monotonic() + 20, None
    while process.status() != psutil.STATUS_STOPPED or (now := process.cpu_times()) != before:
        assert time.monotonic() < give_up
        before = now if process.status() == psutil.STATUS_STOPPED else None
        time.sleep(0.3)


def test_without_a_shell_nothing_but_a_signal_stops_it(tmp_path: Path):
    """As the command of a window or of ssh -t: nothing would continue it. After SIGSTOP all is drawn anew."""
    with Tmux([sys.executable, "-m", "fleetpmap", "explore", str(FAKE_PROC)], tmp_path) as terminal:
        terminal.wait_for("gunicorn.service ", "1 gunicorn", "Quit")
        [*_, program] = psutil.Process(int(terminal.says("#{pane_pid}"))).children(recursive=True)  # its parent waits
        terminal.keys("C-z")
        terminal.wait_for("there is no shell to go back to")
        terminal.keys("v")
        terminal.wait_for("› hosts ")
        program.send_signal(SIGTSTP)
        terminal.wait_for("there is no shell to go back to")
        program.send_signal(SIGSTOP)
        terminal.resize(70, 22)
        program.send_signal(SIGCONT)
        terminal.wait_for("› hosts ", "s Sort\n")
        terminal.keys("Enter")
        terminal.wait_for("› web-01 › processes ", "Quit")
        terminal.keys("q")
        terminal.wait_for("exit status 3\nicanon\necho")


@pytest.mark.parametrize("how", ["C-z", SIGSTOP])
def test_the_terminal_of_a_stopped_job_is_lost(job: Job, how: str | signal.Signals):
    """Nothing is left: neither the program nor its sessions."""
    job.stop(how)
    job.terminal.hang_up()
    assert running([job.program, *job.sessions]) == []


def test_a_terminal_that_is_lost_without_a_signal():
    """No SIGHUP comes where the terminal is not the session's own: the end of its input is the end, without a loop."""
    ours, theirs = pty.openpty()
    argv = (sys.executable, "-m", "fleetpmap", "explore", str(FAKE_PROC))
    environment = BARE | {"TERM": "xterm"}
    child = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, process_group=0)
    os.close(theirs)
    try:
        shown = b""
        while b"Quit" not in shown:
            shown += os.read(ours, 65536)
        os.close(ours)
        assert child.wait(20) in (128 + SIGHUP, 120)  # Python's own, if it has something left to write
    finally:
        child.kill()
        child.wait()


def test_a_signal_to_continue_does_not_delay_the_end():
    """A lost terminal sends some, also while the program ends: it begins to read keys no more."""
    argv = (sys.executable, "-m", "fleetpmap", "explore", str(FAKE_PROC))
    with Terminal(argv, BARE | {"TERM": "xterm"}) as terminal:
        terminal.wait_for("Quit")
        [*_, program] = (one for one in psutil.Process().children(recursive=True) if "explore" in one.cmdline())
        terminal.terminate()
        give_up = time.monotonic() + 20
        while running([program], wait_s=0):
            assert time.monotonic() < give_up
            with contextlib.suppress(psutil.NoSuchProcess):
                program.send_signal(SIGCONT)
            time.sleep(0.002)
        assert terminal.status() == 143
