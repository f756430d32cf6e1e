"""The screen of explore without a terminal, and its keys.   [explored] ─► tests

    screen = Explored(fleet)
    screen.press("f", "enter")
    assert screen.place == "fleet › nginx › web-01"

Textual's pilot presses the keys in an event loop of its own, which lives as long as the test.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from threading import Event
from typing import Any, Self

from textual.events import Key, MouseScrollDown, MouseScrollUp, Paste

from fleetpmap.explore.app import Explore
from fleetpmap.explore.source import Source
from fleetpmap.snapshot import Snapshot


class Explored:
    """A running screen. A context manager: leaving it ends the app."""

    def __init__(
        self,
        snapshot: Snapshot | None = None,
        *,
        size: tuple[int, int] = (120, 30),
        stop: Event | None = None,
        settles: bool = True,
        **source: Any,
    ) -> None:
        """`settles`: wait for the first list."""
        self.app = Explore(Source(name="the fleet", snapshot=snapshot, **source), stop)
        self._settles = settles
        self._size = size
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        self._pilot = self._runner.run(self._stack.enter_async_context(self.app.run_test(size=self._size)))
        try:
            self.pause()
            if self._settles:
                self.settle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()

    def press(self, *keys: str) -> None:
        """Press keys, as Textual names them, and wait for what they bring."""
        self.tap(*keys)
        self.settle()

    def tap(self, *keys: str) -> None:
        """Press keys, and do not wait for threads."""
        self._runner.run(self._pilot.press(*keys))

    def burst(self, text: str) -> None:
        """Press a key for each character, all before the first one has an effect, as a slow line brings them."""

        async def post() -> None:
            for char in text:
                self.app.post_message(Key(char, char) if char.isalnum() else Key({":": "colon"}[char], char))

        self._runner.run(post())
        self.settle()

    def type(self, text: str) -> None:
        """Press a key for each character."""
        self.press(*("full_stop" if char == "." else "slash" if char == "/" else char for char in text))

    def click(self, x: int, y: int, *, on: str = "Grid") -> None:
        """Click on a cell of the list, or of another pane, counted from its corner."""
        self._runner.run(self._pilot.click(on, offset=(x, y)))
        self.settle()

    def wheel(self, steps: int) -> None:
        """Turn the wheel over the list, down or up."""
        event = MouseScrollDown if steps > 0 else MouseScrollUp
        at = {"widget": None, "x": 5, "y": 5, "delta_x": 0, "delta_y": 0, "button": 0}
        keys = {"shift": False, "meta": False, "ctrl": False}
        for _ in range(abs(steps)):
            self.app.grid.post_message(event(**at, **keys))
        self.settle()

    def paste(self, text: str) -> None:
        """Paste a text, as a terminal with bracketed paste does."""
        self.app.post_message(Paste(text))
        self.settle()

    def wait_until(self, condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
        """Wait for something that a timer brings."""
        give_up = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < give_up
            self.pause()

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size."""
        self._runner.run(self._pilot.resize_terminal(width, height))
        self.wait_until(lambda: self.app.panes.size == (width, height) and self.app.grid.outer_size.width == width)
        self.settle()

    def settle(self, *, seconds: float = 60.0) -> None:
        """Wait until no thread is at work and everything is drawn, the last line with the keys too; or for the end."""
        give_up = time.monotonic() + seconds
        before: list[str] = []
        self.pause()
        while self.app.return_value is None and (self.app.busy or before != self.lines or not any(self.lines[-1:])):
            assert time.monotonic() < give_up, f"still {self.app.busy}"
            before = self.lines
            self.pause()

    def pause(self) -> None:
        """Let the app do what is due."""
        self._runner.run(self._pilot.pause(0.005))

    @property
    def lines(self) -> list[str]:
        """The lines of the whole screen."""
        return self._runner.run(self._drawn())

    async def _drawn(self) -> list[str]:
        # The compositor is not public; Textual's own snapshots are pictures, which cannot be read in a diff.
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.lines) + "\n"

    @property
    def place(self) -> str:
        """The way to the list that is shown: `fleet › nginx › hosts`."""
        return self.lines[0].partition("   ")[0]

    @property
    def rows(self) -> list[list[str]]:
        """The words of the drawn rows of the list."""
        grid = self.app.grid
        sheet = grid.sheet
        assert sheet is not None
        return ["".join(text for text, _ in sheet.line(number)).split() for number in range(len(sheet.rows))]

    @property
    def header(self) -> list[str]:
        """The headers of the list."""
        assert self.app.grid.sheet is not None
        return self.app.grid.sheet.header().split()
