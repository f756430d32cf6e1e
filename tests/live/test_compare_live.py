"""compare on twenty live hosts that run the same service: ordinary noise gives no finding, a leak does.

Each host is an address of a real sshd and a folder of links to its own processes: proc_root. So every host has other
processes than its neighbours, and all figures come from the kernel.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpmap.collection.collector import Question, collect
from fleetpmap.processes import Selection, compile_match
from fleetpmap.report import Report, compare
from sshd import Sshd

HOSTS, WORKERS, RUNS = 20, 2, 10
LEAK_KIB = 50 * 1024

# What malloc takes goes to [heap]: the threshold above which it would ask for a mapping of its own is lifted.
_HEAP = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TOP_PAD_": "0", "PYTHONMALLOC": "malloc"}
_SERVICE = """
import ctypes, signal, sys
with open("/proc/self/comm", "w") as comm:
    comm.write(sys.argv[1])
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
for _ in range(int(sys.argv[2]) // 1024):
    ctypes.memset(libc.malloc(1 << 20), 1, 1 << 20)
print("ready", flush=True)
signal.pause()
"""
NAME = f"cmp{os.getpid() % 100000}"


@contextlib.contextmanager
def service(heap_kib: int) -> Iterator[int]:
    """One process of the service; its pid."""
    argv = [sys.executable, "-S", "-c", _SERVICE, NAME, str(heap_kib)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=os.environ | _HEAP)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """The proc_root of each host, with its own processes; they start one after the other."""
    roots = [tmp_path_factory.mktemp(f"host{n:02}") for n in range(1, HOSTS + 1)]
    with contextlib.ExitStack() as running:
        for _ in range(WORKERS):
            for root in roots:
                _add(root, running.enter_context(service(8 * 1024)))
        yield roots


def _add(root: Path, pid: int) -> None:
    root.chmod(0o755)
    (root / str(pid)).symlink_to(f"/proc/{pid}")


def _ask(sshd: Sshd, fleet: list[Path]) -> Report:
    hosts = [sshd.host(f"web-{n:02}", address=f"127.0.1.{n}", proc_root=str(root)) for n, root in enumerate(fleet, 1)]
    question = Question(Selection(match=compile_match(f"^{NAME}$")), ssh=sshd.options)
    snapshot = collect(hosts, question, jobs=4)
    assert [host.status for host in snapshot.hosts] == ["ok"] * HOSTS
    assert len(snapshot.processes) >= HOSTS * WORKERS
    return compare(snapshot)


def test_equal_hosts_say_nothing(sshd_of_fifty: Sshd, fleet: list[Path]):
    """No outlier and no sentence in ten runs of ten, while neighbours that map the same libraries come and go."""
    for run in range(RUNS):
        with contextlib.ExitStack() as neighbours:
            for _ in range(run % 3):
                neighbours.enter_context(service(1024))
            report = _ask(sshd_of_fifty, fleet)
        assert report.sentences == ()
        assert {*report.tables[0].column("outliers").cells()} == {""}


def test_a_leak_is_found_and_nothing_else(sshd_of_fifty: Sshd, fleet: list[Path]):
    """One process of one host holds 50 MiB more heap: that host, that mapping, that figure within 5 %."""
    leaking = fleet[6]
    replaced = next(leaking.iterdir())
    target = replaced.readlink()
    with service(8 * 1024 + LEAK_KIB) as pid:
        replaced.unlink()
        _add(leaking, pid)
        try:
            report = _ask(sshd_of_fifty, fleet)
        finally:
            (leaking / str(pid)).unlink()
            replaced.symlink_to(target)
    (finding,) = report.sentences
    assert " on web-07 (pid " in finding
    assert re.search(r"\[heap\] [\d.]+M, [\d.]+M above the median of 20 hosts", finding)
    table = report.tables[0]
    outliers = {
        name: who for name, who in zip(table.columns[0].cells(), table.column("outliers").cells(), strict=True) if who
    }
    assert outliers == {"[heap]": "web-07"}
    row = table.columns[0].cells().index("[heap]")
    cell, median = (table.column(name).cells()[row] for name in ("web-07", "median_kib"))
    assert isinstance(cell, int)
    assert isinstance(median, int)
    assert cell - median == pytest.approx(LEAK_KIB, rel=0.05)
