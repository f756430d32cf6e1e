"""The ways in which the program ends, and the signals that end or stop it.   [signals] ─► app, cli"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

QUIT, INTERRUPTED, TERMINATED, HUNG_UP, FAILED = "quit", "interrupted", "terminated", "hung up", "failed"
_ENDS = {signal.SIGTERM: TERMINATED, signal.SIGHUP: HUNG_UP, signal.SIGINT: INTERRUPTED}


def listen(end: Callable[[str], None]) -> None:
    """Call `end` with the way to end when a signal comes."""
    loop = asyncio.get_running_loop()
    for number, how in _ENDS.items():
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread
            loop.add_signal_handler(number, partial(end, how))


def has_shell() -> bool:
    """Return True if a shell can continue the program: if it is not the terminal's own, as in `ssh -t`."""
    return os.getpgrp() != os.getsid(0)


def stop(terminal_restored: AbstractContextManager[None]) -> None:
    """Stop the program until it is continued, with the terminal as it was before.

    Textual's handler of SIGCONT begins to read keys. It may run late, when they are read again already: of two readers,
    one waits for a key that the other has taken.
    """
    textuals = signal.signal(signal.SIGCONT, signal.SIG_DFL)
    with terminal_restored:
        for number in _ENDS:  # nothing is to be done before the end: listen anew after this
            signal.signal(number, signal.SIG_DFL)
        os.killpg(os.getpgrp(), signal.SIGSTOP)  # with the program that started this one, if that is no shell
    signal.signal(signal.SIGCONT, textuals)
