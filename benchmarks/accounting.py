"""What does reading the memory of cgroups cost a host?   python benchmarks/accounting.py

The probe of today takes turns with the last one that read no cgroup, no status and no meminfo, from this repository's
history: a list phase and a read phase by a local `sh -s`, packed. It reads the ten processes of a service, beside 90
others and beside 1,090, and for information sixty of a hundred, as a run over all does. As root the processes that it
reads are in a cgroup of their own, as a unit's are, and /proc shows no others than those started here. Prints the CPU
time of the shell and all that it started, and the difference of neighbours in time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from operator import sub
from pathlib import Path

from measure import Verdicts, in_turn, pairwise
from remote import children_s, processes, running

from fleetpmap.probe import Request, render

BEFORE = "b14b1f0:fleetpmap/probe/probe.sh"
CASES = ((10, 100, 2.0), (10, 1_100, 2.0), (60, 100, None))
"""Processes to read, processes in all, and the bar in milliseconds of CPU."""
PROBE = Path(__file__).parent.parent / "fleetpmap" / "probe" / "probe.sh"


def probe_before() -> bytes | None:
    """Return the earlier probe without comments and indentation, as the program sends it; None without a history."""
    shown = subprocess.run(["git", "show", BEFORE], capture_output=True, cwd=PROBE.parent, check=False)
    if shown.returncode:
        return None
    lines = map(bytes.lstrip, shown.stdout.splitlines(keepends=True))
    return b"".join(line for line in lines if not line.startswith(b"#"))


def run_ms(shell: str, pids: list[int], text: bytes | None = None) -> float:
    """Run both phases, with this text of the probe in place of today's, and return their CPU time."""
    script = render(Request())
    sent = script.stdin
    if text is not None:
        parameters = sent.index(b"\nset -- ") + 1
        sent = sent[: sent.index(b"\n", parameters) + 1] + text
    over = f"{script.nonce} over\n".encode()
    before = children_s()
    with subprocess.Popen([shell, "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as probe:
        if probe.stdin is None or probe.stdout is None:
            sys.exit("no pipes to the shell")
        for line in (sent, script.read_line([pids])):
            probe.stdin.write(line)
            received = b""
            while not received.endswith(over):
                received += probe.stdout.read(1 << 16) or sys.exit("the probe ended early")
        probe.stdin.write(script.quit_line())
        probe.stdin.close()
        probe.stdout.read()
    return (children_s() - before) * 1000


def in_own_namespace() -> None:
    """Start again where /proc shows only our own processes, if that is allowed: else there are more than a hundred."""
    if os.geteuid() == 0 and os.getpid() != 1:
        words = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, *sys.argv)
        with contextlib.suppress(FileNotFoundError):
            os.execvp(words[0], words)


@contextlib.contextmanager
def cgroup_of(pids: list[int]) -> Iterator[str]:
    """Have these processes in a cgroup of their own until they have ended; yield its name, empty if there is none."""
    directory = Path(f"/sys/fs/cgroup/memory/system.slice/bench-{secrets.token_hex(4)}.service")
    try:
        directory.mkdir(parents=True)
        for pid in pids:
            (directory / "cgroup.procs").write_text(str(pid))
    except OSError:
        yield ""
        return
    yield directory.name
    for pid in pids:
        (directory.parent.parent / "cgroup.procs").write_text(str(pid))
    directory.rmdir()
    with contextlib.suppress(OSError):  # systemd's own, where there is one
        directory.parent.rmdir()


def compared(chosen: int, count: int, shell: str, text: bytes, rounds: int) -> tuple[str, dict[str, list[float]]]:
    """Let both probes take turns beside so many processes; the case in words, and their times in ms."""
    with processes(max(chosen, count - running())) as pids, cgroup_of(pids[:chosen]) as cgroup:
        what = f"{chosen} of {running():,} processes{'' if cgroup else ', no cgroup of their own'}"
        before, now = partial(run_ms, shell, pids[:chosen], text), partial(run_ms, shell, pids[:chosen])
        return what, in_turn({"without": before, "with": now}, rounds)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=60)
    options.add_argument("--shell", default="sh")
    asked = options.parse_args()
    text = probe_before()
    if text is None:
        print("not here: this folder has no git history with the probe of before")
        return
    in_own_namespace()
    print("ms of CPU there for both phases")
    verdicts = Verdicts()
    for chosen, count, bar in CASES:
        what, taken = compared(chosen, count, asked.shell, text, asked.rounds)
        more = pairwise(taken["with"], taken["without"], sub)
        verdicts.tell(f"{what}, without", taken["without"])
        verdicts.tell(f"{what}, with", taken["with"])
        if bar is None:
            verdicts.tell(f"{what}, more", more)
        else:
            verdicts.at_most(f"{what}, more", more, bar)
    if not verdicts.held:
        sys.exit(1)


if __name__ == "__main__":
    main()
