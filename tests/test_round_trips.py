"""How often the way to a host is gone until its data is here: what a fleet far away waits for."""

from __future__ import annotations

import os

import pytest

from fleetpmap.collector import Question, collect_host
from fleetpmap.processes import Selection
from fleetpmap.transport.base import SshOptions
from relay import Relay
from sshd import Sshd


@pytest.mark.parametrize(("transport", "at_most"), [("ssh", 8.5), ("openssh", 12.0)])
def test_round_trips_until_both_phases_are_in(sshd: Sshd, tmp_path, transport: str, at_most: float):
    """Banner, keys, login, channel, list, read: by our own client at most 8.5; the system's ssh takes more.

    The least of three, since a client that gets no CPU for 20 ms looks as if it had waited for the other side.
    """
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text("".join(f"127.0.0.1 {sshd.public_key(key)}\n" for key in sshd.host_keys.values()))
    options = SshOptions(known_hosts=(str(known_hosts),), ssh_config="none")
    question = Question(Selection(pids=(os.getpid(),)), ssh=options)
    counts = []
    with Relay(("127.0.0.1", sshd.port), delay_s=0.02) as relay:
        for _ in range(3):
            answer = collect_host(sshd.host(port=relay.port, transport=transport), question)
            assert [process.status for process in answer.processes] == ["read"]
            counts.append(relay.round_trips)
    assert 4 < min(counts) <= at_most
