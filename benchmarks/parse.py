"""How fast is the smaps parser?   python benchmarks/parse.py

Starts a process with 20,000 mappings, stops it, and in every round, one after the other on one core, measures the CPU
time of:

    kernel      reading its smaps once: the kernel writes the text while it is read
    fleetpmap   parse() of that text: every column, every field of the mapping lines
    reference   the reference parser alone, on the first tenth of it
    psutil      psutil.Process(pid).memory_maps(grouped=False), less the kernel's median for the reading
    pmap -X     the installed pmap on the same process, its user time only (it also formats what it has read)
    small       parse() of 4,000 processes of 30 mappings, one buffer with spans

Prints the median and the spread in MB of smaps text per second, ratios of medians, and whether each bar held.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from fleetpmap.smaps import parse
from fleetpmap.smaps.reference_parser import last_block_start, read_process

MAPPINGS = 20_000
PROCESSES, EACH = 4_000, 30
BARS = (
    ("fleetpmap", 8.0, "pmap -X"),
    ("fleetpmap", 3.0, "kernel"),
    ("small", 0.5, "fleetpmap"),
)
"""Bars: the first contender is at least so many times as fast as the last, in the same run."""
ADDRESSES = re.compile(rb"(?m)^([0-9a-f]{9,16})-([0-9a-f]{9,16})")

CHILD = """
import ctypes, mmap, signal, sys
pages = int(sys.argv[1])
room = mmap.mmap(-1, pages * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
start = ctypes.addressof(ctypes.c_char.from_buffer(room))
mprotect = ctypes.CDLL(None, use_errno=True).mprotect
mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
for page in range(0, pages, 2):
    room[page * mmap.PAGESIZE] = 1  # so that some values are not 0
    if mprotect(start + page * mmap.PAGESIZE, mmap.PAGESIZE, mmap.PROT_READ):
        sys.exit("mprotect failed: is vm.max_map_count too low?")
print("ready", flush=True)
signal.pause()
"""


@contextmanager
def stopped_child(mappings: int) -> Iterator[int]:
    """Start a process with at least that many mappings, stop it, and yield its pid."""
    with subprocess.Popen([sys.executable, "-c", CHILD, str(mappings)], stdout=subprocess.PIPE, text=True) as child:
        try:
            if child.stdout is None or child.stdout.readline() != "ready\n":
                sys.exit("the child could not make its mappings")
            child.send_signal(signal.SIGSTOP)
            yield child.pid
        finally:
            child.kill()


def read_smaps(pid: int) -> bytes:
    with Path(f"/proc/{pid}/smaps").open("rb", buffering=0) as file:
        return file.readall()


def small_processes() -> tuple[bytes, list[tuple[int, int]]]:
    """Repeat thirty mappings of this process, each time at other addresses, so that the text never repeats."""
    blocks = re.split(rb"(?m)^(?=[0-9a-f]{8,16}-)", read_smaps(os.getpid()))[1:]
    chosen = b"".join([*blocks[: EACH - 1], blocks[-1]])
    texts = [_shifted(chosen, process * 0x7000) for process in range(PROCESSES)]
    stops = list(itertools.accumulate(map(len, texts)))
    return b"".join(texts), list(zip([0, *stops[:-1]], stops, strict=True))


def _shifted(text: bytes, by: int) -> bytes:
    return ADDRESSES.sub(lambda match: b"%x-%x" % (int(match[1], 16) - by, int(match[2], 16) - by), text)


def cpu_time(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def pmap_user_time(pid: int) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(["pmap", "-X", str(pid)], stdout=subprocess.DEVNULL, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def measure(pid: int, rounds: int) -> dict[str, list[float]]:
    """Measure the MB/s of each contender in each round."""
    text = read_smaps(pid)
    tenth = text[: len(text) // 10]
    tenth = tenth[: last_block_start(tenth)]
    buffer, spans = small_processes()
    process = psutil.Process(pid)
    mappings = len(parse(text).start)
    print(f"{len(text) / 1e6:.1f} MB of {mappings:,} mappings; {len(buffer) / 1e6:.1f} MB of small processes")
    contenders: dict[str, tuple[int, Callable[[], float]]] = {
        "kernel": (len(text), lambda: cpu_time(lambda: read_smaps(pid))),
        "fleetpmap": (len(text), lambda: cpu_time(lambda: parse(text))),
        "reference": (len(tenth), lambda: cpu_time(lambda: read_process(tenth))),
        "psutil": (len(text), lambda: cpu_time(lambda: process.memory_maps(grouped=False))),
        "small": (len(buffer), lambda: cpu_time(lambda: parse(buffer, spans))),
    }
    if shutil.which("pmap"):
        contenders["pmap -X"] = (len(text), lambda: pmap_user_time(pid))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (_, run) in contenders.items():
            times[name].append(run())
    reading = statistics.median(times["kernel"])
    times["psutil"] = [taken - reading for taken in times["psutil"]]
    return {name: [contenders[name][0] / taken / 1e6 for taken in times[name]] for name in contenders}


def report(rates: dict[str, list[float]]) -> bool:
    """Print the table. Returns True if every bar held."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"{'':<10} {'MB/s':>7} {'lowest':>7} {'highest':>7} {'fleetpmap is':>14}")
    for name, values in rates.items():
        ratio = f"{medians['fleetpmap'] / medians[name]:.1f} x"
        print(f"{name:<10} {medians[name]:>7.0f} {min(values):>7.0f} {max(values):>7.0f} {ratio:>14}")
    print()
    all_held = True
    for ours, bar, other in BARS:
        if other not in medians:
            print(f"{ours}: {bar} x {other} was not measured, for {other.split()[0]} is not installed")
            continue
        reached = medians[ours] / medians[other]
        all_held &= reached >= bar
        print(f"{ours}: {reached:.2f} x {other}, wanted {bar} x: {'held' if reached >= bar else 'NOT HELD'}")
    return all_held


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--mappings", type=int, default=MAPPINGS)
    options.add_argument("--rounds", type=int, default=7)
    asked = options.parse_args()
    limit = int(Path("/proc/sys/vm/max_map_count").read_text())
    if asked.mappings + 500 > limit:
        sys.exit(f"vm.max_map_count is {limit}: ask for fewer --mappings")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with stopped_child(asked.mappings) as pid:
        if not report(measure(pid, asked.rounds)):
            sys.exit(1)


if __name__ == "__main__":
    main()
