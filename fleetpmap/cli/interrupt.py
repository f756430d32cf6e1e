"""What ^C and SIGTERM mean while hosts are asked.   [interrupt] ─► app

The first ^C stops asking further hosts: those being asked are waited for, and the report shows what came. The second
one ends the program on the spot; connections are cut with it, and what runs on the hosts ends with them. SIGTERM waits
for no host and reports nothing, but gives back the terminal and removes what was half written.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""Exit status, as shells give it for SIGINT."""
TERMINATED = 143
"""The same for SIGTERM."""

_LINE_GONE = b"\r\x1b[K\x1b[?25h"
"""Erases the progress line and brings back the cursor that it hides."""


def end_now(status: int) -> NoReturn:
    """End the program while hosts are asked: threads wait for them, and an orderly exit would wait for the threads."""
    if sys.stderr.isatty():
        os.write(2, _LINE_GONE)
    _end_children()
    os._exit(status)


@contextlib.contextmanager
def interruptible() -> Iterator[Event]:
    """An event that the first ^C sets. SIGTERM raises SystemExit, also afterwards, when files are written."""
    stop = Event()

    def on_sigint(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            end_now(INTERRUPTED)
        stop.set()
        if not sys.stderr.isatty():  # on a terminal the progress line says it
            os.write(2, b"interrupted: asking no more hosts; interrupt again to abort\n")

    before = signal.signal(signal.SIGINT, on_sigint)
    signal.signal(signal.SIGTERM, _unwind)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _unwind(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(TERMINATED)


def _end_children() -> None:
    """Kill what we started: each leads a process group, with what it started itself in it."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or belongs to root
            parent = int(stat.read_bytes().rpartition(b") ")[2].split()[1])
            if parent == os.getpid():
                os.killpg(int(stat.parent.name), signal.SIGKILL)
