"""diff on real leaks: who grows, how fast, and who was merely restarted.

Three processes of this machine: one grows by 1 MiB a second in its heap, one in a memfd, and the third, which holds
as much, is replaced by another of its kind, while `watch --save DIR/` looks for twenty seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bounded import wait_until
from program import BARE, fleetpmap

pytest.importorskip("polars", reason="polars is the extra [parquet], and in the dev group")
KIB_A_SECOND = 1024
NAME = f"lk{os.getpid() % 1_000_000}"

# What malloc takes goes to [heap]: the threshold above which it would ask for a mapping of its own is lifted.
_HEAP = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TOP_PAD_": "0", "PYTHONMALLOC": "malloc"}
_PROGRAM = """
import ctypes, mmap, os, signal, sys, time
name, how = sys.argv[1:]
with open("/proc/self/comm", "w") as comm:
    comm.write(name)
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
CHUNK = 64 << 10
memfd = os.memfd_create("leak")
os.truncate(memfd, 512 << 20)
mapped = mmap.mmap(memfd, 512 << 20)

def grow(chunk):
    if how == "memfd":
        mapped[chunk * CHUNK : (chunk + 1) * CHUNK] = bytes([1]) * CHUNK
    else:
        ctypes.memset(libc.malloc(CHUNK), 1, CHUNK)

first = int(os.environ["CHUNKS"])
for chunk in range(first):
    grow(chunk)
print("ready", flush=True)
if how == "steady":
    signal.pause()
began, chunk = time.monotonic(), first
while True:
    if (chunk - first) * CHUNK < (time.monotonic() - began) * (1 << 20):
        grow(chunk)
        chunk += 1
    else:
        time.sleep(0.02)
"""


@contextlib.contextmanager
def _running(name: str, how: str, *, mib: int = 4) -> Iterator[int]:
    """Start a process that holds `mib` MiB, and grows or not."""
    argv = [sys.executable, "-S", "-c", _PROGRAM, name, how]
    environment = os.environ | _HEAP | {"CHUNKS": str(mib * 16)}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def _watch(directory: Path) -> subprocess.Popen[str]:
    """Six rounds, one every four seconds, each kept."""
    words = ("--interval", "4", "--count", "6", "--save", f"{directory}/")
    argv = [sys.executable, "-m", "fleetpmap", "watch", "-H", "local", "--match", f"^{NAME}", *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=BARE)


def _rounds(directory: Path, count: int) -> None:
    """Wait until so many rounds are kept."""
    wait_until(lambda: len([*directory.glob("*.parquet")]) >= count)


def test_two_leaks_and_a_restart(tmp_path: Path):
    """Both leaks by name and mapping, with their rates (a busy machine reads late); the restart is called one."""
    data = tmp_path / "data"
    with _running(f"{NAME}h", "heap") as heap, _running(f"{NAME}m", "memfd") as memfd:
        with _running(f"{NAME}s", "steady") as before:
            watch = _watch(data)
            _rounds(data, 2)
        with _running(f"{NAME}s", "steady") as after:
            output, errors = watch.communicate(timeout=120)
    assert watch.returncode == 0, errors
    assert len(output.splitlines()) == 6
    done = fleetpmap("diff", f"{data}@first", f"{data}@last", "--by", "host,process,mapping", "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (seconds,) = (float(found[1]) for note in report["notes"] if (found := re.search(r"^from .* ([\d.]+) s$", note)))
    rows = {(row["pid"], row["mapping"]): row for row in report["rows"]}
    for leak in ((heap, "[heap]"), (memfd, "/memfd:leak")):
        assert rows[leak]["status"] == "grown"
        assert rows[leak]["growth_kib"] / seconds == pytest.approx(KIB_A_SECOND, rel=0.3)
        assert rows[leak]["growth_kib_per_hour"] is None  # of twenty seconds
    assert {row["status"] for (pid, _), row in rows.items() if pid == after} <= {"restarted"}
    first, second, third = (finding["text"] for finding in report["findings"])
    assert {sentence.partition(" grew by ")[0] for sentence in (first, second)} == {
        f"{NAME}h on local (pid {heap}): [heap]",
        f"{NAME}m on local (pid {memfd}): /memfd:leak",
    }
    assert all(re.search(r"in \d+(\.\d)? s, (1\.[0-3]M|[789]\d\dK|10\d\dK) a second$", one) for one in (first, second))
    assert third.startswith(f"{NAME}s on local: 1 process restarted (pid {before}, now {after}); ")


def test_a_deploy_of_workers(tmp_path: Path):
    """Four workers of one name end, and four larger ones begin: one row, one sentence, one screen."""
    runs = [str(tmp_path / f"{when}.parquet") for when in ("before", "after")]
    words = ("-H", "local", "--match", f"^{NAME}w", "--view", "hosts", "--format", "csv")
    for run, mib in zip(runs, (4, 20), strict=True):
        with contextlib.ExitStack() as workers:
            for _ in range(4):
                workers.enter_context(_running(f"{NAME}w", "steady", mib=mib))
            assert fleetpmap("run", *words, "--save", run).returncode == 0
    done = fleetpmap("diff", *runs, "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (heap,) = (row for row in report["rows"] if row["mapping"] == "[heap]")
    assert report["rows"][0] == heap
    assert (heap["status"], heap["processes"], heap["restarted"]) == ("restarted", 4, 4)
    assert heap["growth_each_kib"] == pytest.approx(16 << 10, rel=0.02)
    assert all(abs(row["growth_kib"]) > 64 for row in report["rows"])
    (sentence,) = (finding["text"] for finding in report["findings"])
    assert re.fullmatch(
        rf"{NAME}w on local: 4 processes restarted; \d+(\.\d)?M → \d+M each, \+16M in \[heap\]", sentence
    )
