"""What does a run cost the client?   python benchmarks/fleet.py

Starts an sshd of its own on up to 200 loopback addresses, each a host; a service whose smaps are 1 MB altogether, so
that every host has 1 MB to tell; and idle processes, until the machine has about a hundred. In every round, one after
the other, it runs as child processes:

    fleetpmap       run --view hosts --format csv, on 100 and on 200 hosts
    bare loop       bare_paramiko.py on the same hosts: the same smaps, gzipped, and dropped
    --help          fleetpmap's, and that of a typer program of one command
    local           run -H local --pid N, and pmap -x N
    other views     200 hosts, for their memory

Prints medians with their spread over the rounds, and for each ratio or difference its bar and whether it held. The
servers share the machine with the client, so only what was measured in one run can be compared.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))  # the tests' sshd, which is no part of what is installed
from sshd import Sshd, missing  # noqa: E402 - found only now

FEW, MANY = 100, 200
NAME = f"bench-{os.getpid()}"  # of this run alone: several may share the machine
SERVICE_BYTES = 1_000_000
WORKERS = 4
PROCESSES = 100
FLEETPMAP = (sys.executable, "-m", "fleetpmap")
TYPER = "import typer; app = typer.Typer()\n@app.command()\ndef run(name: str): 'Run.'\napp()"

WORKER = """
import mmap, signal, sys
import numpy, paramiko  # libraries, as a service has them
with open("/proc/self/comm", "w") as comm:
    comm.write(sys.argv[1])
def smaps():
    with open("/proc/self/smaps", "rb") as file:
        return len(file.read())
rooms = []
while smaps() < int(sys.argv[2]):
    for prot in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE) * 8:  # unlike its neighbour, each stays a mapping
        rooms.append(mmap.mmap(-1, 4 * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot))
    rooms[-1].write(b"x" * mmap.PAGESIZE)
print("ready", flush=True)
signal.pause()
"""


@dataclass(frozen=True)
class Cost:
    """What one child process took."""

    wall_s: float
    cpu_s: float
    """User and system time, its own children's included."""
    peak_mb: float


class Fleet:
    """The hosts, and the command lines that ask them."""

    def __init__(self, server: Sshd, directory: Path) -> None:
        self._server = server
        self._inventory = directory / "inventory.toml"
        hosts = (f'[hosts.box-{n:03}]\naddress = "{address}"' for n, address in enumerate(server.addresses, start=1))
        defaults = f'[defaults]\nport = {server.port}\nuser = "{server.user}"\nidentity_file = "{server.identity_file}"'
        self._inventory.write_text("\n".join([defaults, *hosts]) + "\n")

    def fleetpmap(self, hosts: int, view: str = "hosts") -> list[str]:
        to = ["-i", str(self._inventory), "-H", f"box-[001-{hosts:03}]", "--ssh-config", "none"]
        to += ["--known-hosts", self._server.known_hosts]
        return [*FLEETPMAP, "run", *to, "--match", NAME, "--exact", "--view", view, "--format", "csv", "--quiet"]

    def bare_loop(self, hosts: int) -> list[str]:
        how = [str(self._server.port), self._server.identity_file, NAME]
        return [sys.executable, str(HERE / "bare_paramiko.py"), *how, *self._server.addresses[:hosts]]


def cost(argv: Sequence[str]) -> Cost:
    """Run a program to its end, which has to be a good one."""
    began = time.perf_counter()
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"exit status {child.returncode}: {' '.join(argv)[:300]}")
    return Cost(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


@contextlib.contextmanager
def processes() -> Iterator[int]:
    """The service and the idle processes, running; the pid of one of the service's."""
    started: list[subprocess.Popen[str]] = []
    try:
        argv = [sys.executable, "-c", WORKER, NAME, str(SERVICE_BYTES // WORKERS)]
        for _ in range(WORKERS):
            started.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        for worker in started:
            if worker.stdout is None or worker.stdout.readline() != "ready\n":
                sys.exit("a process of the service could not start")
        running = sum(entry.name.isdigit() for entry in Path("/proc").iterdir())
        started += [subprocess.Popen(["sleep", "infinity"], text=True) for _ in range(PROCESSES - running)]
        yield started[0].pid
    finally:
        for process in started:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()


@contextlib.contextmanager
def fleet(hosts: int) -> Iterator[Fleet]:
    with tempfile.TemporaryDirectory(prefix="fleetpmap-bench-") as directory:
        addresses = [f"127.0.1.{n}" for n in range(1, hosts + 1)]
        (Path(directory) / "sshd").mkdir()
        Path(directory).chmod(0o755)  # sshd reads authorized keys as the account that logs in
        # Another home, so that nothing this account does at each login (~/.bashrc) is measured.
        server = Sshd(Path(directory) / "sshd", addresses, settings=f"SetEnv HOME={directory}")
        try:
            yield Fleet(server, Path(directory))
        finally:
            server.close()


def measure(hosts: Fleet, pid: int, rounds: int) -> dict[str, list[Cost]]:
    """What each contender took in each round; those that take least are asked five times a round."""
    contenders: dict[str, tuple[int, list[str]]] = {
        f"fleetpmap, {FEW} hosts": (1, hosts.fleetpmap(FEW)),
        f"bare loop, {FEW} hosts": (1, hosts.bare_loop(FEW)),
        f"fleetpmap, {MANY} hosts": (1, hosts.fleetpmap(MANY)),
        f"bare loop, {MANY} hosts": (1, hosts.bare_loop(MANY)),
        f"view summary, {MANY} hosts": (1, hosts.fleetpmap(MANY, "summary")),
        f"view mappings, {MANY} hosts": (1, hosts.fleetpmap(MANY, "mappings")),
        "fleetpmap --help": (5, [*FLEETPMAP, "--help"]),
        "typer --help": (5, [sys.executable, "-c", TYPER, "--help"]),
        "fleetpmap, one local process": (5, [*FLEETPMAP, "run", "-H", "local", "--pid", str(pid), "--quiet"]),
        "pmap -x": (5, ["pmap", "-x", str(pid)]),
    }
    taken: dict[str, list[Cost]] = defaultdict(list)
    for one in range(rounds):
        for name, (times, argv) in contenders.items():
            if sys.stderr.isatty():
                print(f"\rround {one + 1} of {rounds}: {name:<40}", end="", file=sys.stderr, flush=True)
            for _ in range(times):
                taken[name].append(cost(argv))
    if sys.stderr.isatty():
        print(f"\r{'':<60}\r", end="", file=sys.stderr)
    return taken


def compare(one: Sequence[Cost], other: Sequence[Cost], how: Callable[[Cost, Cost], float]) -> list[float]:
    """A ratio or difference for each pair of neighbours in time."""
    return [how(*pair) for pair in zip(one, other, strict=True)]


def report(taken: dict[str, list[Cost]]) -> bool:
    """Print the table; whether every bar held."""
    print(f"{'':<32} {'wall s':>20} {'CPU s':>20} {'peak MB':>16}")
    for name, costs in taken.items():
        walls, cpus = spread([one.wall_s for one in costs], ".2f"), spread([one.cpu_s for one in costs], ".2f")
        print(f"{name:<32} {walls:>20} {cpus:>20} {spread([one.peak_mb for one in costs], '.0f'):>16}")
    few, many = taken[f"fleetpmap, {FEW} hosts"], taken[f"fleetpmap, {MANY} hosts"]
    bare_few, bare_many = taken[f"bare loop, {FEW} hosts"], taken[f"bare loop, {MANY} hosts"]

    def per_host(more: Cost, fewer: Cost) -> float:
        return (more.cpu_s - fewer.cpu_s) * 1000 / (MANY - FEW)

    def ratio(one: Cost, other: Cost) -> float:
        return one.wall_s / other.wall_s

    helps = compare(taken["fleetpmap --help"], taken["typer --help"], ratio)
    local = compare(
        taken["fleetpmap, one local process"], taken["pmap -x"], lambda one, other: one.wall_s - other.wall_s
    )
    print(f"\n{'':<48} {'measured':>22}   bar")
    held = [
        judged(f"wall, {FEW} hosts: fleetpmap / bare loop", compare(few, bare_few, ratio), 1.3),
        judged(f"wall, {MANY} hosts: fleetpmap / bare loop", compare(many, bare_many, ratio)),
        judged("client CPU per host, ms (200 less 100 hosts)", compare(many, few, per_host), 12.0),
        judged("the same of the bare loop, ms", compare(bare_many, bare_few, per_host)),
        judged("wall, --help: fleetpmap / typer", helps, 2.0),
        judged("wall, one local process: fleetpmap − pmap -x, s", local, 0.35),
        judged(f"peak memory, {MANY} hosts, view hosts, MB", [one.peak_mb for one in many], 180.0),
    ]
    return all(held)


def judged(what: str, values: list[float], bar: float | None = None) -> bool:
    """Print one comparison; whether its median is within the bar."""
    held = bar is None or statistics.median(values) <= bar
    verdict = "" if bar is None else f"   {bar:g} {'held' if held else 'NOT HELD'}"
    print(f"{what:<48} {spread(values, '.2f'):>22}{verdict}")
    return held


def spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    if reason := missing() or ("" if shutil.which("pmap") else "no pmap on this machine"):
        sys.exit(reason)
    compileall.compile_dir(HERE.parent / "fleetpmap", quiet=1)  # as an installation does
    with processes() as pid, fleet(MANY) as hosts:
        taken = measure(hosts, pid, asked.rounds)
    if not report(taken):
        sys.exit(1)


if __name__ == "__main__":
    main()
