"""Handling of ^C and SIGTERM while hosts are asked.   [interrupt] ─► pipeline, commands.watch

After the first ^C no further host is asked: those being asked have half a second left, and the report shows the hosts
that replied. The second one ends the program at once, without a report. Connections are cut with the program, and the
probes on the hosts end with them. SIGTERM waits for no host and reports nothing, but restores the terminal and removes
half-written files.
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
"""Exit status after ^C, as shells give it for SIGINT."""
TERMINATED = 143
"""Exit status after SIGTERM, as shells give it."""

_LINE_GONE = b"\r\x1b[K\x1b[?25h"
"""Erases the progress line and shows the cursor again, which the line hides."""


def end_now(status: int) -> NoReturn:
    """End the program at once. An orderly exit would wait for the threads, and these for their hosts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a further ^C must not begin this again in its midst
    if sys.stderr.isatty():
        os.write(2, _LINE_GONE)
    _end_children()
    os._exit(status)


def raise_once(number: int, frame: FrameType | None) -> NoReturn:
    """Raise KeyboardInterrupt at the first ^C. The second ends the program at once: it may come in the midst of an end.

    Raises:
        KeyboardInterrupt: always.
    """
    signal.signal(signal.SIGINT, lambda number, frame: end_now(INTERRUPTED))
    raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[Event]:
    """Yield an event that the first ^C sets. SIGTERM raises SystemExit, and still does after the block."""
    stop = Event()

    def on_sigint(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            end_now(INTERRUPTED)
        stop.set()
        if not sys.stderr.isatty():  # on a terminal the progress line shows it
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
    """Kill our child processes. Each leads a process group, so its own children end with it."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or belongs to root
            parent = int(stat.read_bytes().rpartition(b") ")[2].split()[1])
            if parent == os.getpid():
                os.killpg(int(stat.parent.name), signal.SIGKILL)
