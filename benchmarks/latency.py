"""How many round trips does a host cost?   python benchmarks/latency.py

Starts an sshd of its own behind relays that hold everything back, and asks that host for its data over round trips of
100 and of 300 ms. What the longer way adds, over the 200 ms, is the number of round trips. (Without any delay sshd and
client keep each other waiting with work that otherwise goes on under way, so that is nothing to compare with.) The
relay counts them too, by logical time, see tests/relay.py. TCP's own handshake comes on top: a relay takes connections
at once.

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
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import paramiko

from fleetpmap.collector import Question, collect_host
from fleetpmap.processes import Selection
from fleetpmap.transport.base import SshOptions

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from relay import Relay
from sshd import Sshd

NEAR_S, FAR_S = 0.1, 0.3
"""Round trips."""
ROUNDS = 3
BAR = 8.5


def jobs(server: Sshd, port: int, known_hosts: Path) -> Mapping[str, Callable[[], None]]:
    """What is measured, against the server as it is reached on `port`."""
    options = SshOptions(known_hosts=(str(known_hosts),), ssh_config="none")
    question = Question(Selection(pids=(os.getpid(),)), ssh=options)
    key = paramiko.PKey.from_path(server.identity_file)

    def ours(transport: str) -> None:
        answer = collect_host(server.host(port=port, transport=transport), question)
        if [process.status for process in answer.processes] != ["read"]:
            raise SystemExit(f"{transport}: the process was not read")

    def system() -> None:
        argv = ["ssh", "-F", "none", "-i", server.identity_file, "-o", f"UserKnownHostsFile={known_hosts}"]
        argv += ["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-p", str(port), f"{server.user}@127.0.0.1"]
        subprocess.run([*argv, "echo done"], check=True, capture_output=True)

    def bare(*commands: str) -> None:
        with paramiko.SSHClient() as client:
            client.load_host_keys(str(known_hosts))
            client.connect("127.0.0.1", port, server.user, pkey=key, allow_agent=False, look_for_keys=False)
            for command in commands:
                client.exec_command(command)[1].read()

    return {
        "fleetpmap": lambda: ours("ssh"),
        "openssh": lambda: ours("openssh"),
        "ssh": system,
        "paramiko": lambda: bare("echo done"),
        "paramiko, 2 phases": lambda: bare("ls /proc", f"cat /proc/{os.getpid()}/smaps"),
    }


def seconds(job: Callable[[], None]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    job()
    return time.perf_counter() - began


def main() -> int:
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="fleetpmap-latency-") as directory:
        server = Sshd(Path(directory))
        known_hosts, keys = Path(directory, "relayed"), [server.public_key(path) for path in server.host_keys.values()]
        to = ("127.0.0.1", server.port)
        try:
            with Relay(to, NEAR_S / 2) as near, Relay(to, FAR_S / 2) as far:
                names = f"[127.0.0.1]:{near.port},[127.0.0.1]:{far.port}"
                known_hosts.write_text("".join(f"{names} {key}\n" for key in keys))
                here, there = jobs(server, near.port, known_hosts), jobs(server, far.port, known_hosts)
                counts = {}
                print(f"{'':20}{'by the clock':>14}{'counted':>10}")
                for name in here:
                    rounds = [(seconds(here[name]), seconds(there[name]), far.round_trips) for _ in range(ROUNDS)]
                    shortest, longest, counted = map(min, zip(*rounds, strict=True))
                    counts[name] = (longest - shortest) / (FAR_S - NEAR_S)
                    print(f"{name:20}{counts[name]:14.2f}{counted:10.1f}")
        finally:
            server.close()
    print(f"bar: fleetpmap {counts['fleetpmap']:.2f} of at most {BAR}")
    return int(counts["fleetpmap"] > BAR)


if __name__ == "__main__":
    sys.exit(main())
