"""What does a host spend on the first phase?   python benchmarks/remote.py

Starts as many `sleep`s beside what runs here as make 1,100 processes, and then, in every round, one after the other:
the probe in a local `sh -s`, asked to list once and quit, for a match on names, with command lines, and with cgroups.
Prints the CPU time of the shell and of all that it started, with its spread, and for each bar whether it held.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from measure import Verdicts

from fleetpmap.probe import Request, render
from fleetpmap.wire import Decoder

PROCESSES = 1_100
"""On the machine, our `sleep`s among them."""
CASES = (
    ("a match on names", Request(), 30.0),
    ("with command lines", Request(words=True), 50.0),
    ("with cgroups", Request(cgroups=True), 75.0),
)
"""What is asked, and the bar in milliseconds of CPU for 1,100 processes."""


@contextlib.contextmanager
def processes(count: int) -> Iterator[list[int]]:
    """Start so many, and yield their pids."""
    started = [subprocess.Popen(["sleep", "infinity"]) for _ in range(count)]
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def running() -> int:
    return sum(entry.name.isdigit() for entry in Path("/proc").iterdir())


def spent_ms(request: Request, shell: str) -> float:
    """CPU of one listing."""
    script = render(request)
    decoder = Decoder(script, host="here")
    before = children_s()
    with subprocess.Popen([shell, "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as probe:
        if probe.stdin is None or probe.stdout is None:
            sys.exit("no pipes to the shell")
        probe.stdin.write(script.stdin)
        while decoder.listing is None:
            decoder.feed(probe.stdout.read(1 << 16) or sys.exit("the probe ended early"))
        probe.stdin.write(script.quit_line())
        probe.stdin.close()
        probe.stdout.read()
    return (children_s() - before) * 1000


def children_s() -> float:
    """Return the CPU time of all children that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--shell", default="sh")
    asked = options.parse_args()
    taken: dict[str, list[float]] = {name: [] for name, _, _ in CASES}
    with processes(PROCESSES - running()):
        listed = running()
        for _ in range(asked.rounds):
            for name, request, _ in CASES:
                taken[name].append(spent_ms(request, asked.shell))
    print(f"ms of CPU there, {listed:,} processes listed\n")
    verdicts = Verdicts()
    for name, _, bar in CASES:
        verdicts.at_most(name, taken[name], bar)
    if not verdicts.held:
        sys.exit(1)


if __name__ == "__main__":
    main()
