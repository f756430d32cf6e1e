"""Hosts that stay on the line: one login for all rounds, and another one only where the line broke."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from fleetpmap.collection.collector import Question
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection
from fleetpmap.watch import Rounds
from ports import free_port
from relay import Relay
from sshd import Sshd
from targets import Target

FAKE_PROC = Path(__file__).parents[1] / "fake_proc"


@pytest.fixture
def options(sshd: Sshd, tmp_path):
    """Trusts the server on whatever port it is reached."""
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text("".join(f"127.0.0.1 {sshd.public_key(key)}\n" for key in sshd.host_keys.values()))
    return replace(sshd.options, known_hosts=(str(known_hosts),))


@pytest.mark.parametrize("transport", ["ssh", "openssh"])
def test_all_rounds_over_one_connection(sshd: Sshd, options, transport: str):
    """Three rounds read the process anew, and connect once."""
    with Target("watched") as target, Relay(("127.0.0.1", sshd.port), delay_s=0) as relay:
        host = sshd.host(port=relay.port, transport=transport)
        with Rounds([host], Question(Selection(pids=(target.pid,)), ssh=options)) as rounds:
            for _ in range(3):
                assert [one.status for one in rounds.look().processes] == ["read"]
        assert relay.connections == 1


def test_a_process_that_starts_later_is_found(sshd: Sshd):
    """Every round lists the processes as they are then."""
    question = Question(Selection(match=re.compile("latecomer")), ssh=sshd.options)
    with Rounds([sshd.host()], question) as rounds:
        assert rounds.look().hosts[0].status == "no-match"
        with Target("latecomer") as target:
            assert [one.pid for one in rounds.look().processes] == [target.pid]
        assert rounds.look().hosts[0].status == "no-match"


def test_a_round_like_the_one_before_goes_to_the_host_and_back_once(sshd: Sshd, options):
    """Who is to be read is asked for along with the list; where others are, once more; then we look first again."""
    question = Question(Selection(match=re.compile("^roundtrip")), ssh=options)
    trips = []
    with (
        Relay(("127.0.0.1", sshd.port), delay_s=0.02) as relay,
        Target("roundtrip-one") as one,
        Rounds([sshd.host(port=relay.port)], question) as rounds,
    ):
        for start in (False, False, False, True, False, False):
            with Target("roundtrip-two") if start else contextlib.nullcontext() as two:
                found = {process.pid for process in rounds.look().processes}
                assert found == {one.pid} | ({two.pid} if two else set())
            trips.append(relay.round_trips)
    assert [round(after - before) for before, after in pairwise(trips)] == [1, 1, 2, 2, 1]


def test_a_host_that_hangs_in_a_later_round(sshd: Sshd, tmp_path: Path):
    """It is a timeout of that round, like in a first one; the others have answered, and so does it the next time."""
    root = shutil.copytree(FAKE_PROC / "web-01", tmp_path / "proc")
    stat = next(root.glob("[0-9]*/stat"))
    content = stat.read_bytes()
    hosts = [
        sshd.host("hanging", proc_root=str(root), timeout_s=6),
        sshd.host("other", proc_root=str(FAKE_PROC / "web-01")),
    ]
    statuses = []
    with Rounds(hosts, Question(ssh=sshd.options)) as rounds:
        for hangs in (False, True, False, False):
            stat.unlink()
            if hangs:
                os.mkfifo(stat)
            else:
                stat.write_bytes(content)
            statuses.append([host.status for host in rounds.look().hosts])
    assert statuses == [["partial", "partial"], ["timeout", "partial"], ["partial", "partial"], ["partial", "partial"]]


def test_a_connection_that_broke_between_rounds_is_opened_anew(sshd: Sshd, options):
    """The round after it does not show it."""
    question = Question(Selection(pids=(os.getpid(),)), ssh=options)
    with Relay(("127.0.0.1", sshd.port), delay_s=0) as relay:
        with Rounds([sshd.host(port=relay.port)], question) as rounds:
            rounds.look()
            relay.hang_up()
            assert rounds.look().hosts[0].status == "ok"
        assert relay.connections == 2


def test_a_host_that_goes_and_comes_back(sshd: Sshd, options):
    """While it is away it is a failure of its round; then it answers again."""
    question = Question(Selection(pids=(os.getpid(),)), ssh=options)
    relay = Relay(("127.0.0.1", sshd.port), delay_s=0, port=free_port("127.0.0.1"))
    with Rounds([sshd.host(port=relay.port)], question) as rounds:
        statuses = [rounds.look().hosts[0].status]
        relay.close()
        statuses.append(rounds.look().hosts[0].status)
        with Relay(("127.0.0.1", sshd.port), delay_s=0, port=relay.port):
            statuses.append(rounds.look().hosts[0].status)
    assert statuses == ["ok", "refused", "ok"]


def test_a_refused_login_is_not_tried_again(sshd: Sshd, options):
    """sshd bans who knocks every few seconds: later rounds have the first one's error."""
    with Relay(("127.0.0.1", sshd.port), delay_s=0) as relay:
        stranger = sshd.host(port=relay.port, identity_file=(str(sshd.new_key("stranger")),))
        with Rounds([stranger], Question(Selection(pids=(1,)), ssh=options)) as rounds:
            messages = [rounds.look().coverage.failures[0].message for _ in range(3)]
        assert relay.connections == 1
    assert len(set(messages)) == 1


def test_the_probe_ends_with_the_rounds():
    """Nothing is left running on a host."""
    before = set(psutil.Process().children(recursive=True))
    host = Host("here", transport="local", proc_root=str(FAKE_PROC / "web-01"))
    with Rounds([host], Question(Selection())) as rounds:
        rounds.look()
        assert set(psutil.Process().children(recursive=True)) - before
    _, alive = psutil.wait_procs(set(psutil.Process().children(recursive=True)) - before, timeout=60)
    assert not alive
