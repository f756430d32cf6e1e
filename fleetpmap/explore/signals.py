"""The ways in which the program ends, and the signals that end, stop and continue it.   [signals] ─► app, cli"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

QUIT, INTERRUPTED, TERMINATED, HUNG_UP, FAILED = "quit", "interrupted", "terminated", "hung up", "failed"
_ENDS = {signal.SIGTERM: TERMINATED, signal.SIGHUP: HUNG_UP, signal.SIGINT: INTERRUPTED}


def listen(end: Callable[[str], None], stop: Callable[[], None], go_on: Callable[[], None]) -> None:
    """Call `end` with the way to end when a signal comes, `stop` on SIGTSTP, and `go_on` on SIGCONT.

    Textual has handlers of the last two. They run between any two steps of the program: two readers of keys are left
    after them, and a screen that is drawn in part.
    """
    loop = asyncio.get_running_loop()
    calls = {number: partial(end, how) for number, how in _ENDS.items()}
    for number, call in (calls | {signal.SIGTSTP: stop, signal.SIGCONT: go_on}).items():
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread
            loop.add_signal_handler(number, call)


def watch_for_hang_up(end: Callable[[str], None]) -> None:
    """Call `end` when the terminal is gone, also where no SIGHUP comes: if it is not that of the session.

    Textual would read the end of its input again and again.
    """
    if sys.platform != "linux" or not os.isatty(0):
        return
    loop, watcher = asyncio.get_running_loop(), select.epoll()
    watcher.register(0, 0)  # a hang-up is told unasked, and nothing else

    def hung_up() -> None:
        loop.remove_reader(watcher)
        end(HUNG_UP)

    loop.add_reader(watcher, hung_up)


def has_shell() -> bool:
    """Return True if a shell can continue the program: if it is not the terminal's own, as in `ssh -t`."""
    return os.getpgrp() != os.getsid(0)


def _has_terminal() -> bool:
    """Return False if the shell has the terminal: if the program was continued by `bg`, or by `kill -CONT`."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # the terminal is gone, or no shell shares it
        return True


def _stop() -> None:
    """Stop the program, with the one that started it if that is no shell."""
    os.killpg(os.getpgrp(), signal.SIGSTOP)


def stop_restored(terminal_restored: AbstractContextManager[None]) -> None:
    """Stop the program until it is continued in the foreground, with the terminal as it was before."""
    with terminal_restored:
        for number in (*_ENDS, signal.SIGCONT):  # nothing is to be done before the end: listen anew after this
            signal.signal(number, signal.SIG_DFL)
        _stop()
        while not _has_terminal():
            _stop()


def go_on(terminal_restored: Callable[[], AbstractContextManager[None]]) -> None:
    """Take the terminal again after SIGSTOP, which left no time to restore it; stop again if the shell has it.

    A terminal that is lost sends SIGCONT, too, behind the SIGHUP that ends the program.
    """
    if not os.isatty(0):
        return
    if _has_terminal():
        with terminal_restored():
            pass
    else:
        _stop()
