"""The program as a user runs it.   [program] ─► tests"""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
import struct
import subprocess
import sys
import termios
from typing import IO

from warm import Starter

BARE = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},  # set by `make coverage`
}


def command(*words: str, **environment: str) -> list[str]:
    """Return what to execute for `fleetpmap WORDS…`, with the environment `BARE | environment`."""
    if any(name.startswith("COVERAGE_") for name in os.environ):
        return [sys.executable, "-m", "fleetpmap", *words]
    return _starter().argv(words, environment)


@functools.cache
def _starter() -> Starter:
    starter = Starter(BARE)  # one for each worker of the tests
    atexit.register(starter.end)
    return starter


def fleetpmap(*words: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `fleetpmap WORDS…` in a bare environment: no inventory, no agent, an empty HOME."""
    return subprocess.run(
        command(*words, **environment),
        input=stdin,
        capture_output=True,
        text=True,
        env=BARE | environment,
        timeout=120,
        start_new_session=True,  # no terminal, so that nothing is asked on the one that runs the tests
        check=False,
    )


def waiting(pipe: IO[bytes]) -> int:
    """Return the bytes that a read would find."""
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return int(count)
