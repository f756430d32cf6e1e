"""^C, SIGTERM, --deadline and the progress line, on a real terminal and with a host that keeps silent."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import psutil
import pytest

from bounded import wait_until, within
from fleetpmap.cli.progress import Progress
from fleetpmap.snapshot_file import entries, load_snapshot
from program import BARE, fleetpmap
from sshd import Sshd, missing
from terminal import Terminal
from tmux import Tmux

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server


@pytest.fixture
def fleet(sshd: Sshd, silent: socket.socket, tmp_path: Path) -> tuple[str, ...]:
    """Words that ask good-1, then a host that accepts and keeps silent for a minute, then good-2 and good-3."""
    file = tmp_path / "inventory.toml"
    file.write_text(f"""
        {sshd.defaults}
        connect_timeout_s = 60
        [hosts.good-1]
        [hosts.silent]
        port = {silent.getsockname()[1]}
        [hosts.good-2]
        [hosts.good-3]
    """)
    return ("-i", str(file), "--ssh-config", sshd.ssh_config, "--pid", str(os.getpid()))


def test_first_interrupt_reports_what_came(fleet: tuple[str, ...], tmp_path: Path):
    """After ^C the report has what came, a host that keeps silent does not hold it, and the exit status is 130."""
    file = tmp_path / "hosts.csv"
    argv = [sys.executable, "-m", "fleetpmap", "run", *fleet, "--jobs", "1", "--view", "hosts", "-o", str(file)]
    with Terminal(argv, BARE | {"TERM": "xterm"}) as run:
        run.wait_for("waiting for silent")
        with within(40):
            run.interrupt()
            assert run.status() == 130
    assert {row["host"]: row["status"] for row in csv.DictReader(io.StringIO(file.read_text()))} == {
        "good-1": "ok",
        "silent": "not-asked",
        "good-2": "not-asked",
        "good-3": "not-asked",
    }


def test_many_interrupts_end_without_a_traceback():
    """Where no host is asked, the second ^C meets a program that is ending: here ten wait for the list of hosts."""
    argv = [sys.executable, "-m", "fleetpmap", "hosts", "--hosts-from", "-"]
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(
                subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=BARE)
            )
            for _ in range(10)
        ]
        wait_until(lambda: all("pipe" in Path(f"/proc/{run.pid}/wchan").read_text() for run in runs))
        for number, run in enumerate(runs):
            wait_until(lambda run=run: _ends_by_interrupt(run), every_s=0.0002 * number)
        said = [run.stderr.read() for run in runs if run.stderr]
        assert said == [""] * len(runs)
        # Python's own end restores what the signal does by itself.
        assert {run.returncode for run in runs} <= {130, -signal.SIGINT}


def test_interrupt_without_a_terminal_says_so(fleet: tuple[str, ...], silent: socket.socket):
    """Where no progress line can tell, ^C is answered by a sentence on stderr."""
    argv = [sys.executable, "-m", "fleetpmap", "run", *fleet, "--jobs", "1", "--limit", "silent"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=BARE) as run:
        connection, _ = silent.accept()  # now it is asking
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate(timeout=60)
        connection.close()
    assert run.returncode == 130, stderr
    assert "interrupted: asking no more hosts" in stderr


ASKED_BY_TAB = {"_FLEETPMAP_COMPLETE": "complete_bash", "COMP_WORDS": "fleetpmap ru", "COMP_CWORD": "1"}


@pytest.mark.parametrize(
    ("module", "environment"),
    [
        ("fleetpmap.cli.entry", {}),
        ("typer", {}),
        ("fleetpmap.cli.app", {}),
        ("fleetpmap.cli.entry", ASKED_BY_TAB),
        ("typer", ASKED_BY_TAB),
    ],
)
def test_interrupt_while_it_starts_is_quiet(module: str, environment: dict[str, str]):
    """^C in the first moments, while modules are imported, is exit status 130 and not a word."""
    argv = [sys.executable, "-v", "-m", "fleetpmap", "run", "--pid", str(os.getpid())]  # -v tells of each import
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=BARE | environment
    ) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if line.startswith(f"import '{module}'"):
                run.send_signal(signal.SIGINT)
                break
        assert "Traceback" not in run.stderr.read()
        assert run.wait(60) == 130


def test_second_interrupt_aborts_at_once(fleet: tuple[str, ...]):
    """The second ^C ends the program without waiting for anybody, and gives the cursor back."""
    argv = [sys.executable, "-m", "fleetpmap", "run", *fleet, "--jobs", "1"]
    with Terminal(argv, BARE | {"TERM": "xterm"}) as run:
        run.wait_for("waiting for silent")
        # A wait for what the first one shows can take the half second that the run has before its report.
        wait_until(lambda: run.interrupt() or run.has_ended, every_s=0.01)
        assert run.status() == 130
        assert "host" not in run.shown.rpartition("waiting for silent")[2]
        assert run.shown.rindex("\x1b[?25h") > run.shown.rindex("\x1b[?25l")


@pytest.fixture
def hanging(silent: socket.socket, tmp_path: Path) -> tuple[str, ...]:
    """Words that ask two hosts with a minute's patience: one by ssh, which hears nothing, one by a deaf command."""
    if reason := missing():
        pytest.skip(reason=f"no ssh to be left behind: {reason}")
    config, file = tmp_path / "config", tmp_path / "inventory.toml"
    config.write_text("Host proxied\nProxyCommand sh -c 'trap : HUP; sleep 77; sleep 77'\n")
    file.write_text(f"""
        [defaults]
        connect_timeout_s = 60
        timeout_s = 60
        [hosts.silent]
        transport = "openssh"
        address = "127.0.0.1"
        port = {silent.getsockname()[1]}
        [hosts.proxied]
        [hosts.answers]
        transport = "local"
        proc_root = "{FAKE_PROC / "web-01"}"
    """)
    return ("-i", str(file), "--ssh-config", str(config), "--all")


@pytest.mark.parametrize("command", [("run",), ("watch", "--count", "2")], ids=["run", "watch"])
def test_sigterm_leaves_no_child(hanging: tuple[str, ...], silent: socket.socket, command: tuple[str, ...]):
    """Nor does it wait for hosts that hang: neither ssh nor a ProxyCommand is there afterwards."""
    with _started(*command, *hanging) as program, silent.accept()[0]:
        children = _children(program.pid, "ssh", "sleep")
        program.terminate()
        assert (*program.communicate(timeout=30), program.returncode) == ("", "", 143)
    wait_until(lambda: not any(map(_lives, children)))


def test_second_interrupt_leaves_no_child(hanging: tuple[str, ...], silent: socket.socket):
    """What hangs is ended with the program."""
    with _started("run", *hanging) as program, silent.accept()[0]:
        children = _children(program.pid, "ssh", "sleep")
        program.send_signal(signal.SIGINT)
        assert program.stderr is not None
        program.stderr.readline()
        program.send_signal(signal.SIGINT)
        assert program.wait(30) == 130
    wait_until(lambda: not any(map(_lives, children)))


@pytest.mark.parametrize(("end", "status"), [("q", 0), ("SIGTERM", 143)])
def test_screen_leaves_no_child(hanging: tuple[str, ...], silent: socket.socket, tmp_path: Path, end: str, status: int):
    """Hosts that hang are not waited for there either, and the terminal is in order."""
    argv = [sys.executable, "-m", "fleetpmap", "watch", *hanging]
    with Tmux(argv, tmp_path) as terminal, silent.accept()[0]:
        [watch] = psutil.Process(int(terminal.says("#{pane_pid}"))).children()
        children = _children(watch.pid, "ssh", "sleep")
        terminal.keys("q") if end == "q" else watch.terminate()
        terminal.wait_for(f"exit status {status}\nicanon\necho")
    wait_until(lambda: not any(map(_lives, children)))


def test_sigterm_removes_a_capture_that_was_begun(hanging: tuple[str, ...], tmp_path: Path):
    """What was written aside is gone, and nothing has the name that was asked for."""
    kept = tmp_path / "kept"
    kept.mkdir()
    with _started("run", *hanging, "--capture", str(kept / "capture")) as program:
        wait_until(lambda: any(kept.glob(".*.part/answers/*/smaps")))
        program.terminate()
        assert program.wait(30) == 143
    assert list(kept.iterdir()) == []


def test_sigterm_leaves_whole_rounds(tmp_path: Path):
    """Of a watch that saves all the time, each file can be read, and nothing lies beside them."""
    rounds = tmp_path / "rounds"
    words = ("-H", "local", "--pid", str(os.getpid()), "--interval", "0.001", "--save", f"{rounds}/")
    with _started("watch", *words) as program:
        wait_until(lambda: rounds.is_dir() and len(entries(rounds)) > 2)
        program.terminate()
        assert program.communicate(timeout=30)[1] == ""
    assert program.returncode == 143
    assert {path.suffix for path in rounds.iterdir()} == {".parquet"}
    assert all(load_snapshot(entry.path).coverage.answered == 1 for entry in entries(rounds))


def test_sigterm_gives_the_cursor_back(fleet: tuple[str, ...]):
    """The progress line hides it."""
    argv = [sys.executable, "-m", "fleetpmap", "run", *fleet, "--jobs", "1"]
    with Terminal(argv, BARE | {"TERM": "xterm"}) as run:
        run.wait_for("waiting for silent")
        run.terminate()
        assert run.status() == 143
        assert run.shown.rindex("\x1b[?25h") > run.shown.rindex("\x1b[?25l")


def test_deadline_cuts_the_run(fleet: tuple[str, ...]):
    """At --deadline the host being asked is cut, the others are not asked, what came is reported: exit 124."""
    done = fleetpmap("run", *fleet, "--jobs", "1", "--deadline", "6", "--view", "hosts", "--format", "json")
    assert done.returncode == 124, done.stderr
    report = json.loads(done.stdout)
    assert {row["host"]: row["status"] for row in report["rows"]} == {
        "good-1": "ok",
        "silent": "timeout",
        "good-2": "not-asked",
        "good-3": "not-asked",
    }
    assert report["coverage"]["hosts"] == {"asked": 4, "ok": 1, "timeout": 1, "not-asked": 2}
    assert report["run"]["elapsed_s"] < 40
    (advice,) = (failure["hint"] for failure in report["failures"] if failure["host"] == "silent")
    assert advice.endswith("give it more time with --deadline")


def test_deadline_that_is_not_reached_changes_nothing(fleet: tuple[str, ...]):
    """A run that ends in time has the status of its hosts."""
    assert fleetpmap("run", *fleet, "--deadline", "50", "--exclude", "silent").returncode == 0


def test_progress_is_only_for_terminals(fleet: tuple[str, ...]):
    """In a pipe stderr holds no progress line."""
    assert "asked " not in fleetpmap("run", *fleet, "--exclude", "silent").stderr


def test_progress_counts_and_names_the_slowest():
    """Counts by status, and the hosts that were started first."""
    progress = Progress(9, Event())
    for host in ("a", "web-07", "web-09", "db-01", "db-02"):
        progress.started(host)
    progress.done("a", "ok")
    assert progress.line(time.monotonic() + 7.2) == (
        "asked 1 of 9   1 ok   waiting for web-07 7 s, web-09 7 s, db-01 7 s and 1 more"
    )


def test_progress_is_silent_at_first():
    """A run that is over at once shows no line."""
    assert Progress(3, Event()).line(time.monotonic() + 0.1) == ""


def test_progress_shows_a_hostile_name_harmless():
    """A host's name may come from a file; it cannot move the cursor."""
    progress = Progress(1, Event())
    progress.started("web\x1b[2J")
    assert "\x1b" not in progress.line(time.monotonic() + 2)


@contextlib.contextmanager
def _started(*words: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "fleetpmap", *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=BARE) as program:
        try:
            yield program
        finally:
            program.kill()


def _children(pid: int, *names: str) -> list[psutil.Process]:
    """All below that process, once those of these names are there."""
    children: list[psutil.Process] = []

    def are_there() -> bool:
        children[:] = psutil.Process(pid).children(recursive=True)
        with contextlib.suppress(psutil.NoSuchProcess):
            return {*names} <= {child.name() for child in children}
        return False

    wait_until(are_there)
    return children


def _lives(process: psutil.Process) -> bool:
    """A zombie, whose new parent is late to bury it, does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _ends_by_interrupt(program: subprocess.Popen[str]) -> bool:
    program.send_signal(signal.SIGINT)
    return program.poll() is not None
