"""Hosts of the benchmarks' own: an sshd on many loopback addresses, and a service to look at.   [lab] ─► benchmarks

Each address is a host, and each host is this machine: all run the same service, whose smaps are 1 MB altogether, beside
idle processes, until the machine has about a hundred.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))  # the tests' sshd, which is no part of what is installed
from sshd import Sshd as Sshd  # noqa: E402 - found only now
from sshd import missing  # noqa: E402 - found by the path above

SERVICE = f"bench-{os.getpid()}"  # of this run alone: several may share the machine
SERVICE_BYTES = 1_000_000
WORKERS = 4
_PROCESSES = 100

_WORKER = """
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
class Fleet:
    """Hosts that are up, and how to reach them."""

    addresses: tuple[str, ...]
    port: int
    user: str
    identity_file: str
    known_hosts: str
    directory: Path
    """For files of a benchmark's own."""

    def relayed(self, port: int) -> Fleet:
        """The same hosts through a relay that listens on `port` of each."""
        known = Path(self.known_hosts).read_text().replace(f"]:{self.port}", f"]:{port}")
        path = self.directory / f"known_hosts_{port}"
        path.write_text(known)
        return Fleet(self.addresses, port, self.user, self.identity_file, str(path), self.directory)

    def scratch(self) -> Path:
        """A new empty directory."""
        return Path(tempfile.mkdtemp(dir=self.directory))


@contextlib.contextmanager
def server(hosts: int) -> Iterator[tuple[Sshd, Path]]:
    """An sshd on that many loopback addresses (1,000 at most), and a directory for files of a benchmark's own.

    Ends the program where no sshd can run.
    """
    if reason := missing():
        sys.exit(reason)
    addresses = [f"127.0.{1 + n // 250}.{1 + n % 250}" for n in range(hosts)]
    with tempfile.TemporaryDirectory(prefix="fleetpmap-bench-") as name:
        directory = Path(name)
        (directory / "sshd").mkdir()
        directory.chmod(0o755)  # sshd reads authorized keys as the account that logs in
        # Another home, so that nothing this account does at each login (~/.bashrc) is measured.
        running = Sshd(directory / "sshd", addresses, settings=f"SetEnv HOME={directory}")
        try:
            yield running, directory
        finally:
            running.close()


@contextlib.contextmanager
def fleet(hosts: int) -> Iterator[Fleet]:
    """That many hosts, with the service on them."""
    with processes(), server(hosts) as (sshd, directory):
        yield Fleet(sshd.addresses, sshd.port, sshd.user, sshd.identity_file, sshd.known_hosts, directory)


@contextlib.contextmanager
def processes() -> Iterator[int]:
    """The service and the idle processes, running; the pid of one of the service's."""
    started: list[subprocess.Popen[str]] = []
    try:
        argv = [sys.executable, "-c", _WORKER, SERVICE, str(SERVICE_BYTES // WORKERS)]
        for _ in range(WORKERS):
            started.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        for worker in started:
            if worker.stdout is None or worker.stdout.readline() != "ready\n":
                sys.exit("a process of the service could not start")
        running = sum(entry.name.isdigit() for entry in Path("/proc").iterdir())
        started += [subprocess.Popen(["sleep", "infinity"], text=True) for _ in range(_PROCESSES - running)]
        yield started[0].pid
    finally:
        for process in started:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
