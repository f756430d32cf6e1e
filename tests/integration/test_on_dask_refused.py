"""What `--on` refuses before a scheduler is contacted, and its progress line."""

from __future__ import annotations

import socket
import threading
import time
from threading import Event

import pytest

import fleetpmap as library
import test_workers
from bounded import within
from fleetpmap import Question, UsageError
from fleetpmap.cli.progress import Progress
from fleetpmap.transport import Secret, SshOptions
from program import fleetpmap
from test_on_dask import python_path, without
from test_workers import run

inventory = test_workers.inventory

NOWHERE = "dask://127.0.0.1:1"


@pytest.mark.parametrize(
    "words", [("--ask-pass",), ("--ask-become-pass", "--sudo"), ("--password-command", "cat secret")]
)
def test_passwords_do_not_travel(inventory, words):
    """Refused before a password is asked for, and before the scheduler, which is not there, is contacted."""
    done = run(inventory, "--all", "--on", NOWHERE, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{words[0]} and --on exclude each other: passwords do not travel" in done.stderr
    assert "give the workers' accounts a key or an agent, and sudo without a password" in done.stderr


@pytest.mark.parametrize(
    "question",
    [
        Question(ssh=SshOptions(password=Secret("x"))),
        Question(ssh=SshOptions(passphrases={"key": Secret("x")})),
        Question(become_password=Secret("x")),
    ],
)
def test_library_sends_no_password(question):
    with pytest.raises(UsageError, match="passwords do not travel"):
        library.collect_on_dask([], question, scheduler=NOWHERE)


def test_this_machine_is_not_a_workers_machine():
    """A worker that read `local` would read its own machine."""
    done = fleetpmap("run", "-H", "local", "--all", "--on", NOWHERE)
    assert (done.returncode, done.stdout) == (2, "")
    assert "local is this machine without SSH, for which each worker would take its own" in done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:8786", "dask://", "dask://host", "spark://host:1", "dask://host:x"])
def test_address_of_another_form_is_refused(inventory, address):
    done = run(inventory, "--all", "--on", address)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--on {address}: is not an address\nhint: write --on dask://HOST:PORT" in done.stderr


def test_scheduler_that_is_not_there_is_told(monkeypatch, capfd):
    """After the time that a scheduler has to start, which is short here; Dask writes nothing of its own."""
    monkeypatch.setattr("fleetpmap.shards.dask_cluster._CONNECT_S", 0.5)
    with pytest.raises(UsageError) as told:
        library.collect_on_dask([], Question(), scheduler=NOWHERE)
    assert told.value.message.startswith(f"--on {NOWHERE}: no scheduler answers there (")
    assert capfd.readouterr() == ("", "")


def test_a_port_of_another_program_is_told(inventory):
    """A web server, such as the scheduler's own dashboard, speaks first and in text."""
    with socket.create_server(("127.0.0.1", 0)) as server, within(30):
        threading.Thread(target=_greet, args=(server,), daemon=True).start()
        done = run(inventory, "--all", "--on", f"dask://127.0.0.1:{server.getsockname()[1]}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the program that answers there is no scheduler\nhint: name the port that" in done.stderr
    assert "Traceback" not in done.stderr


def _greet(server: socket.socket) -> None:
    client, _ = server.accept()
    with client:
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        client.recv(1 << 16)


def test_missing_extra_is_told(inventory, tmp_path):
    path = python_path(tmp_path / "bare", without("distributed"))
    done = fleetpmap("run", "-i", str(inventory), "--all", "--on", NOWHERE, **path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "needs Dask, which is not installed here" in done.stderr
    assert "install 'fleetpmap[dask]'" in done.stderr


def test_capture_needs_this_process(inventory, tmp_path):
    done = run(inventory, "--all", "--on", NOWHERE, "--capture", str(tmp_path / "kept"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--capture keeps what the hosts sent, which other processes do not pass on" in done.stderr


def test_progress_line_counts_shards():
    progress = Progress(10000, Event())
    for number in range(3):
        progress.done(f"web-{number}", "ok")
    progress.shard_done(5, 40)
    assert progress.line(time.monotonic() + 1) == "asked 3 of 10000 hosts, 5 of 40 shards   3 ok"
