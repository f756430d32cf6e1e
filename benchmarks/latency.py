"""How many round trips does a host cost?   python benchmarks/latency.py

Starts an sshd of its own behind relays that hold everything back, and asks that host for its data over round trips of
100 and of 300 ms. What the longer way adds, over the 200 ms, is the number of round trips. (Without any delay sshd and
client keep each other waiting with work that otherwise goes on under way, so that is nothing to compare with.) The
relay counts them too, by logical time, see tests/support/relay.py. TCP's own handshake comes on top: a relay takes
connections at once.

    fleetpmap       one host, both phases: list the processes, read the smaps of one
    openssh         the same by the openssh transport
    ssh             the system's ssh, one command that prints a line
    paramiko        a bare SSHClient, the same command; and two commands, one for each phase

The best of a few rounds counts; on a busy machine the clock says nothing. Bar: fleetpmap at most 8.5.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import paramiko
from lab import Sshd, server
from measure import Verdicts, asked_rounds, seconds

from fleetpmap.collection.collector import Question, collect_host
from fleetpmap.processes import Selection
from fleetpmap.transport.base import SshOptions
from relay import Relay  # found since lab has put the tests' directory on the path

NEAR_S, FAR_S = 0.1, 0.3
"""Round trips."""
BAR = 8.5


def jobs(sshd: Sshd, port: int, known_hosts: Path) -> Mapping[str, Callable[[], None]]:
    """What is measured, against the server as it is reached on `port`."""
    options = SshOptions(known_hosts=(str(known_hosts),), ssh_config="none")
    question = Question(Selection(pids=(os.getpid(),)), ssh=options)
    key = paramiko.PKey.from_path(sshd.identity_file)

    def ours(transport: str) -> None:
        answer = collect_host(sshd.host(address="127.0.0.1", port=port, transport=transport), question)
        if [process.status for process in answer.processes] != ["read"]:
            raise SystemExit(f"{transport}: the process was not read")

    def system() -> None:
        argv = ["ssh", "-F", "none", "-i", sshd.identity_file, "-o", f"UserKnownHostsFile={known_hosts}"]
        argv += ["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-p", str(port), f"{sshd.user}@127.0.0.1"]
        subprocess.run([*argv, "echo done"], check=True, capture_output=True)

    def bare(*commands: str) -> None:
        with paramiko.SSHClient() as client:
            client.load_host_keys(str(known_hosts))
            client.connect("127.0.0.1", port, sshd.user, pkey=key, allow_agent=False, look_for_keys=False)
            for command in commands:
                client.exec_command(command)[1].read()

    return {
        "fleetpmap": lambda: ours("ssh"),
        "openssh": lambda: ours("openssh"),
        "ssh": system,
        "paramiko": lambda: bare("echo done"),
        "paramiko, 2 phases": lambda: bare("ls /proc", f"cat /proc/{os.getpid()}/smaps"),
    }


def measure(rounds: int) -> dict[str, tuple[float, float]]:
    """Round trips of each job: by the clock, and counted."""
    found = {}
    with server(1) as (sshd, directory):
        known_hosts, to = directory / "relayed", (sshd.addresses[0], sshd.port)
        with Relay(to, NEAR_S / 2) as near, Relay(to, FAR_S / 2) as far:
            names = f"[127.0.0.1]:{near.port},[127.0.0.1]:{far.port}"
            keys = map(sshd.public_key, sshd.host_keys.values())
            known_hosts.write_text("".join(f"{names} {key}\n" for key in keys))
            here, there = jobs(sshd, near.port, known_hosts), jobs(sshd, far.port, known_hosts)
            for name in here:
                runs = [(seconds(here[name]), seconds(there[name]), far.round_trips) for _ in range(rounds)]
                shortest, longest, counted = map(min, zip(*runs, strict=True))
                found[name] = (longest - shortest) / (FAR_S - NEAR_S), counted
    return found


def main() -> int:
    rounds = asked_rounds(__doc__, 3)
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    found = measure(rounds)
    print(f"the best of {rounds} rounds\n\n{'round trips':<36} {'by the clock':>20} {'counted':>20}")
    for name, (clock, counted) in found.items():
        print(f"{name:<36} {clock:>20.2f} {counted:>20.1f}")
    verdicts = Verdicts()
    verdicts.at_most("round trips by the clock: fleetpmap", [found["fleetpmap"][0]], BAR)
    return int(not verdicts.held)


if __name__ == "__main__":
    sys.exit(main())
