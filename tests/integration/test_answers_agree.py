"""ps, doctor and run say the same of the same process, to a login that may not read all of them."""

from __future__ import annotations

import csv
import io
import json
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from program import fleetpmap
from sshd import Sshd
from targets import Target
from test_headless import _PROGRAM, _state

OTHERS = 26
NAME = "fpm-of-others"
LINE = re.compile(r"in sudoers there: `(\S+ ALL=\(root\) NOPASSWD: /bin/sh -s)`")


@pytest.fixture(scope="module")
def ops(sshd: Sshd, account: Callable[..., str]) -> str:
    """An ordinary account that the server lets in."""
    name = account("ops")
    sshd.authorize(name, sshd.identity_file)
    return name


@pytest.fixture
def ask(sshd: Sshd, ops: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `fleetpmap WORDS` on the host `box`, to which ops logs in."""
    inventory = tmp_path / "inventory.toml"
    inventory.write_text(sshd.defaults.replace(f'user = "{sshd.user}"', f'user = "{ops}"') + "[hosts.box]\n")
    return lambda *words: fleetpmap(*words, "-i", str(inventory), "--ssh-config", "none")


@contextmanager
def running(user: str, count: int) -> Iterator[None]:
    """So many processes of this user, called NAME."""
    entry = pwd.getpwnam(user)
    sleep = shutil.which("sleep")
    assert sleep is not None
    # Not tmp_path, which the user may not enter.
    with tempfile.TemporaryDirectory(prefix="fleetpmap-agree-") as directory, ExitStack() as ended:
        Path(directory).chmod(0o755)
        program = Path(directory) / NAME
        program.symlink_to(sleep)
        for _ in range(count):
            argv = [str(program), "600"]
            process = subprocess.Popen(argv, user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])
            ended.callback(process.wait)
            ended.callback(process.kill)
        yield


@pytest.fixture(scope="module")
def others(account: Callable[..., str]) -> Iterator[None]:
    """26 processes: 20 of another account, six of root."""
    with running(account("worker"), OTHERS - 6), running("root", 6):
        yield


COMMANDS = {"ps": ("ps",), "run": ("run", "--view", "processes"), "doctor": ("doctor",)}


@pytest.mark.parametrize("command", COMMANDS)
def test_processes_of_other_users(command: str, others: None, ask: Callable[..., subprocess.CompletedProcess[str]]):
    """All are denied: the same counts, exit status 3, and the line for sudoers with the login's name."""
    done = ask(*COMMANDS[command], "--match", f"^{NAME}$", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    if command == "doctor":
        assert [(row["status"], row["processes"], row["readable"], row["proc"]) for row in rows] == [
            ("partial", str(OTHERS), "0", "failed")
        ]
    else:
        assert [row["status"] for row in rows] == ["denied"] * OTHERS
    would = "would be " if command == "ps" else ""
    assert f"1 of 1 host answered; 0 of {OTHERS} processes {would}read, {OTHERS} denied" in done.stderr.splitlines()
    assert done.returncode == 3
    assert LINE.search(done.stderr)


def test_ps_is_no_table_of_question_marks(others: None, ask: Callable[..., subprocess.CompletedProcess[str]]):
    """Owner, RSS, what each belongs to and when it began are known of a process that may not be read."""
    done = ask("ps", "--match", f"^{NAME}$")
    assert len(done.stdout.splitlines()) >= OTHERS
    assert "?" not in done.stdout


def test_the_line_for_sudoers_works(ops: str, others: None, ask: Callable[..., subprocess.CompletedProcess[str]]):
    """It is the login's own, and with it --sudo reads all of them; doctor, ps and run agree on that, too."""
    if shutil.which("sudo") is None:
        pytest.skip(reason="no sudo on this machine")
    found = LINE.search(ask("ps", "--match", f"^{NAME}$").stderr)
    assert found
    assert found[1].startswith(f"{ops} ")
    rule = Path(f"/etc/sudoers.d/{ops}")
    try:
        rule.write_text(f"{found[1]}\n")
        rule.chmod(0o440)
        told = {
            command: ask(*words, "--match", f"^{NAME}$", "--format", "csv", "--sudo")
            for command, words in COMMANDS.items()
        }
    finally:
        rule.unlink(missing_ok=True)
    assert {command: done.returncode for command, done in told.items()} == dict.fromkeys(COMMANDS, 0)
    assert f"{OTHERS} of {OTHERS} processes would be read" in told["ps"].stderr
    assert f"{OTHERS} of {OTHERS} processes read" in told["run"].stderr
    assert f"{OTHERS} of {OTHERS} processes read" in told["doctor"].stderr


def test_doctor_of_everything(others: None, ask: Callable[..., subprocess.CompletedProcess[str]]):
    """--all is a process option, so a denied process is a failed step; without any, none was to be read."""
    everything = ask("doctor", "--all", "--format", "json")
    [row] = json.loads(everything.stdout)["rows"]
    assert (everything.returncode, row["proc"]) == (3, "failed")
    listed = ask("doctor", "--format", "json")
    [row] = json.loads(listed.stdout)["rows"]
    assert (listed.returncode, row["proc"]) == (0, "ok")
    assert row["processes"] - row["readable"] >= OTHERS
    assert LINE.search(listed.stderr)


@contextmanager
def without_main_thread(user: str) -> Iterator[int]:
    """A process of this user whose main thread has ended while others run; its pid."""
    entry = pwd.getpwnam(user)
    argv = ["/usr/bin/python3", "-S", "-c", _PROGRAM]  # the account may not be able to run the tests' own interpreter
    become = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, **become) as process:  # type: ignore[call-overload]  # any keyword
        assert process.stdout is not None
        process.stdout.readline()
        while _state(process.pid) != "Z":
            pass
        yield process.pid
        process.kill()


def test_each_status(ops: str, ask: Callable[..., subprocess.CompletedProcess[str]]):
    """One's own; one's own that only root may read; another's; both without a main thread; one that has ended."""
    with (
        Target("agree-own", user=ops) as own,
        Target("agree-hidden", user=ops, hidden=True) as hidden,
        Target("agree-other") as other,
        without_main_thread(ops) as own_headless,
        without_main_thread("root") as other_headless,
        subprocess.Popen(["sleep", "0"]) as zombie,
    ):
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        expected = {
            **{own.pid: "read", hidden.pid: "denied", other.pid: "denied"},
            **{own_headless: "read", other_headless: "denied", zombie.pid: "zombie"},
        }
        words = ("--pid", ",".join(map(str, expected)), "--format", "json")
        ps, run, doctor = (ask(*COMMANDS[command], *words) for command in ("ps", "run", "doctor"))
    for done in (ps, run):
        assert {row["pid"]: row["status"] for row in json.loads(done.stdout)["rows"]} == expected
    [row] = json.loads(doctor.stdout)["rows"]
    assert (row["processes"], row["readable"], row["error"]) == (6, 2, "3 of 6 processes cannot be read")
    counts = [json.loads(done.stdout)["coverage"]["processes"] for done in (ps, run, doctor)]
    assert counts == [counts[0]] * 3
    assert [done.returncode for done in (ps, run, doctor)] == [3, 3, 3]
