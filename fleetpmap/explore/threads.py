"""Work outside of the event loop, so that no key waits for it.   [threads] ─► app, asking, time_pane

A thread is a daemon: when the program ends it may still wait for a host.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from threading import Thread

from textual.message import Message

from fleetpmap.errors import FleetpmapError


class Threads:
    """The threads that are at work, each known by what it does."""

    class Done(Message):
        """A thread is done; `then` is to be called in the event loop."""

        def __init__(self, then: Callable[[], None], doing: str) -> None:
            self.then = then
            self.doing = doing
            super().__init__()

    def __init__(self, post: Callable[[Message], object], failed: Callable[[str], None]) -> None:
        """`post` takes the message of a thread that is done; `failed` is called with the text of a FleetpmapError."""
        self.doing: list[str] = []
        """What is being done, the latest last; in words that the screen shows."""
        self._post = post
        self._failed = failed

    def start(self, doing: str, work: Callable[[], Callable[[], None]]) -> Thread:
        """Do `work` in a thread; what it returns is called in the event loop."""
        self.doing.append(doing)

        def run() -> None:
            try:
                then = work()
            except FleetpmapError as error:
                then = partial(self._failed, str(error))
            except Exception as error:  # a fault of ours ends the program, with its traceback, as anywhere else
                then = partial(_raise, error)
            with contextlib.suppress(RuntimeError):  # the loop is closed: the program ends
                self._post(self.Done(then, doing))

        thread = Thread(target=run, daemon=True, name="explore")
        thread.start()
        return thread


def _raise(error: Exception) -> None:
    raise error


__all__ = ["Threads"]
