"""What does a connection cost, with a long known_hosts?   python benchmarks/known_hosts.py

Starts an sshd of its own on 60 loopback addresses. In every round, as child processes one after the other, it connects
to 10 and to 60 of them, logs in and hangs up, with a known_hosts of one line, of 1,000 lines, and of the same 1,000
hashed. The difference of the two is the client's CPU for 50 connections, without what starting costs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import Sshd, server
from measure import Cost, Verdicts, cost, pairwise

FEW, MANY = 10, 60
LINES = 1_000
BAR_MS = 8.0
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4Ws2nqtgy4cqQ5HfZTPbrRZ3x9JhBRWd4NUBnLu7vA"


def visit(port: str, user: str, key: str, known_hosts: str, *addresses: str) -> None:
    """Log in to every address, sixteen at once: what a child process does."""
    from fleetpmap.inventory import Host
    from fleetpmap.transport import Deadline, SshOptions, open_transport

    options = SshOptions(known_hosts=(known_hosts,), ssh_config="none")

    def one(address: str) -> None:
        host = Host(address, port=int(port), user=user, identity_file=(key,), connect_timeout_s=60.0)
        open_transport(host, deadline=Deadline.after(60), options=options).close()

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(one, addresses))


def write_files(sshd: Sshd, directory: Path) -> dict[str, str]:
    """The three known_hosts, by what they are."""
    key = sshd.public_key(sshd.host_keys["ed25519"])
    names = [f"[{address}]:{sshd.port}" for address in sshd.addresses]
    one, plain, hashed = (directory / name for name in ("one", "plain", "hashed"))
    one.write_text(f"[127.0.1.*]:{sshd.port} {key}\n")
    step = LINES // len(names)
    lines = [f"host-{number:04}.example.com,10.0.{number // 250}.{number % 250} {OTHER}\n" for number in range(LINES)]
    for place, name in enumerate(names):
        lines[place * step] = f"{name} {key}\n"
    plain.write_text("".join(lines))
    hashed.write_text(plain.read_text().replace(",10.0.", "-10.0."))  # one name a line: a hash is of one name
    subprocess.run(["ssh-keygen", "-H", "-f", str(hashed)], check=True, capture_output=True)
    return {"1 line": str(one), f"{LINES} lines": str(plain), f"{LINES} lines, hashed": str(hashed)}


def measure(sshd: Sshd, files: dict[str, str], rounds: int) -> dict[tuple[str, int], list[Cost]]:
    taken: dict[tuple[str, int], list[Cost]] = defaultdict(list)
    for _ in range(rounds):
        for what, path in files.items():
            for hosts in (FEW, MANY):
                words = [str(sshd.port), sshd.user, sshd.identity_file, path, *sshd.addresses[:hosts]]
                taken[what, hosts].append(cost([sys.executable, __file__, "--visit", *words]))
    return taken


def per_connection_ms(many: Cost, few: Cost) -> float:
    return (many.cpu_s - few.cpu_s) * 1000 / (MANY - FEW)


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--visit", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.visit:
        visit(*asked.visit)
        return 0
    with server(MANY) as (sshd, directory):
        files = write_files(sshd, directory)
        taken = measure(sshd, files, asked.rounds)
    print(f"{MANY - FEW} connections, {asked.rounds} rounds")
    verdicts = Verdicts()
    for what in files:
        values = pairwise(taken[what, MANY], taken[what, FEW], per_connection_ms)
        verdicts.at_most(f"client CPU per connection, ms: {what}", values, BAR_MS)
    return int(not verdicts.held)


if __name__ == "__main__":
    sys.exit(main())
