"""What a run may cost, counted: a guard that no busy machine can upset.

Connections, logins, channels and commands by the log of a real sshd; bytes by a relay. Round trips are counted in
test_round_trips, processes on the host in test_remote_cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpmap.collection.collector import Question, collect, collect_host
from fleetpmap.processes import Selection, compile_match
from fleetpmap.transport import SshOptions
from relay import Relay
from sshd import Sshd, missing

TREE = Path(__file__).parents[1] / "fake_proc" / "web-01"
ADDRESSES = ("127.0.2.1", "127.0.2.2", "127.0.2.3", "127.0.2.4")


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An sshd of its own that logs every connection, channel and command."""
    if absent := missing():
        pytest.skip(reason=f"what is counted is what a real sshd logs: {absent}")
    directory = tmp_path_factory.mktemp("talkative")
    for parent in [directory, *directory.parents[:2]]:
        parent.chmod(0o755)
    (directory / "sshd").mkdir()
    server = Sshd(directory / "sshd", ADDRESSES, settings="LogLevel DEBUG1")
    yield server
    server.close()


def _question(sshd: Sshd) -> Question:
    return Question(Selection(match=compile_match("gunicorn")), ssh=sshd.options)


def test_one_connection_one_login_one_channel_one_command_for_each_host(talkative: Sshd):
    """Both phases together; no key is refused first, since the right one is offered."""
    hosts = [talkative.host(f"box-{n}", address=address, proc_root=str(TREE)) for n, address in enumerate(ADDRESSES)]
    before = talkative.log
    fleet = collect(hosts, _question(talkative))
    assert [host.status for host in fleet.hosts] == ["ok"] * 4
    logged = talkative.log.removeprefix(before)
    counted = {
        "connections": logged.count("remote software version paramiko"),
        "logins": logged.count("Accepted publickey"),
        "refused": logged.count("Failed publickey"),
        "channels": logged.count("debug1: session_new:"),
        "commands": logged.count("Starting session: command"),
    }
    assert counted == {"connections": 4, "logins": 4, "refused": 0, "channels": 4, "commands": 4}


def test_the_bytes_of_one_host(talkative: Sshd, tmp_path: Path):
    """Nearly all that goes there is the script; what comes back is a list and two processes' smaps, packed."""
    trusted = tmp_path / "known_hosts"
    trusted.write_text(f"127.0.0.1 {talkative.public_key(talkative.host_keys['ed25519'])}\n")
    options = SshOptions(known_hosts=(str(trusted),), ssh_config="none")
    question = Question(Selection(match=compile_match("gunicorn")), ssh=options)
    with Relay((ADDRESSES[0], talkative.port), delay_s=0.0) as relay:
        host = talkative.host(address="127.0.0.1", port=relay.port, proc_root=str(TREE))
        assert collect_host(host, question).status == "ok"
        assert relay.bytes_to["server"] < 20_000
        assert relay.bytes_to["client"] < 18_000
