"""Real processes to look at.   [targets] ─► tests

A target has a name of its own, memory that no other process shares its size with, and is stopped, so that what pmap and
fleetpmap read of it is the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_PROGRAM = """
import mmap, os, signal, sys
name, kib = sys.argv[1], int(sys.argv[2])
with open("/proc/self/comm", "w") as comm:
    comm.write(name)
block = mmap.mmap(-1, kib * 1024, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for page in range(0, kib * 1024, mmap.PAGESIZE):
    block[page] = 1
if "hidden" in sys.argv:
    import ctypes
    ctypes.CDLL(None).prctl(4, 0)
print(flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
signal.pause()
"""


class Target:
    """A stopped process called `name`, with `dirty_kib` private dirty memory of its own on top of the interpreter's.

    `hidden`: not even its own user may read its memory, as with ssh-agent (PR_SET_DUMPABLE).
    """

    def __init__(self, name: str, *, dirty_kib: int = 1234, user: str | None = None, hidden: bool = False) -> None:
        self.name = name
        # An account of its own may not be able to enter the folder of the interpreter that runs the tests.
        python = sys.executable if user is None else "/usr/bin/python3"
        argv = [python, "-S", "-c", _PROGRAM, name, str(dirty_kib), *(["hidden"] if hidden else [])]
        drop = _become(user) if user else None
        # A program of ours with words of ours; the function only changes the uid of the child.
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, preexec_fn=drop)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        _wait_until_stopped(self.pid)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def end(self) -> None:
        """Kill it and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def pmap_x_totals(pid: int) -> tuple[int, int, int]:
    """Size, RSS and dirty in KiB: the last line of `pmap -x`."""
    text = subprocess.run(["pmap", "-x", str(pid)], check=True, capture_output=True, text=True).stdout
    _, _, size, rss, dirty = text.splitlines()[-1].split()
    return int(size), int(rss), int(dirty)


def _become(user: str) -> Callable[[], None]:
    import pwd

    entry = pwd.getpwnam(user)

    def become() -> None:
        os.setgid(entry.pw_gid)
        os.setgroups([])
        os.setuid(entry.pw_uid)

    return become


def _wait_until_stopped(pid: int) -> None:
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    assert state == "T", f"{pid} is in state {state}"
