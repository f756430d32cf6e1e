"""The benchmarks' own tools. What they measure is not tested here."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fleetpmap import Question, Selection, collect
from fleetpmap.inventory import Host
from sshd import Sshd

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from delay import delay  # noqa: E402 - found only now
from lab import Fleet  # noqa: E402 - found by the path above
from measure import Verdicts, spread  # noqa: E402 - found by the path above
from recording import Recording, record  # noqa: E402 - found by the path above


@pytest.fixture
def echo():
    """The port of a server that sends back what one client sends, until that hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as client:
                while piece := client.recv(1 << 16):
                    client.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(30)
        assert not thread.is_alive()


def test_the_relay_adds_a_handshake_and_a_round_trip(echo):
    """What is sent at once comes back after two round trips, whole and in order."""
    sent = bytes(range(256)) * 4_000
    with delay(0.2, echo, ["127.0.0.1"]) as relay:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", relay.port), timeout=30) as client:
            threading.Thread(target=client.sendall, args=(sent,)).start()
            came = client.makefile("rb").read(len(sent))
        taken = time.monotonic() - began
    assert came == sent
    assert taken >= 0.4


def test_a_median_within_its_bar_is_held(capsys):
    """The median decides, not the worst round."""
    verdicts = Verdicts()
    verdicts.at_most("wall", [1.0, 1.1, 9.0], 1.15)
    assert verdicts.held
    assert capsys.readouterr().out.splitlines()[-1].split() == ["wall", "1.10", "(1.00–9.00)", "≤", "1.15", "held"]


def test_a_bar_that_was_missed_stays_missed(capsys):
    """One that is held later changes nothing about it."""
    verdicts = Verdicts()
    verdicts.at_least("times as fast", [1.9], 2.0)
    verdicts.at_most("wall", [1.0], 1.15)
    assert not verdicts.held
    assert "NOT HELD" in capsys.readouterr().out


def test_a_spread_is_median_least_and_most():
    """In that order."""
    assert spread([3.0, 1.0, 2.0], ".1f") == "2.0 (1.0–3.0)"


def test_a_recording_answers_for_many_hosts(sshd: Sshd, tmp_path):
    """Played hosts say what the recorded one said, each to a script of its own."""
    fleet = Fleet(sshd.addresses, sshd.port, sshd.user, sshd.identity_file, sshd.known_hosts, tmp_path)
    with subprocess.Popen(["sleep", "infinity"]) as sleeper:
        try:
            record(fleet, sleeper.pid).save(tmp_path / "recording")
        finally:
            sleeper.kill()
    recording = Recording.load(tmp_path / "recording")
    hosts = [Host(f"box-{n}") for n in range(3)]
    question = Question(Selection(pids=(sleeper.pid,)))
    snapshot = collect(hosts, question, transport_for=recording.transport_for(lambda: 0.0))
    assert [(process.host, process.name, process.status) for process in snapshot.processes] == [
        ("box-0", "sleep", "read"),
        ("box-1", "sleep", "read"),
        ("box-2", "sleep", "read"),
    ]


def test_every_benchmark_is_found_by_its_question():
    """`make bench` runs each script that begins with one, and says so."""
    done = subprocess.run([sys.executable, BENCHMARKS, "--help"], capture_output=True, text=True, check=True)
    known = done.stdout.partition("only these: ")[2].replace("\n", " ").split()
    assert {"compare,", "far,", "fleet,", "parse,", "played,", "rivals,", "scale,", "startup,", "watch"} <= set(known)
