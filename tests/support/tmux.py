"""A program in a real terminal, and what a person would see there.   [tmux] ─► tests"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil
import pytest

from program import BARE

_CHANGING = {
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}": "2026-03-14T15:09:26+0000",
    r"127\.0\.0\.1:\d+": "127.0.0.1:PORT",
}
_STTY = "stty -a | grep -ow -e '-*icanon' -e '-*echo'"


def running(processes: Sequence[psutil.Process], *, wait_s: float = 20) -> list[psutil.Process]:
    """Return those that still run after this time at most. A zombie does not: only init can end its wait."""
    end = time.monotonic() + wait_s
    while (left := [one for one in processes if _runs(one)]) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Tmux:
    """A tmux server of its own with one window, in which `argv` runs. A context manager: leaving it ends both."""

    def __init__(self, argv: Sequence[str], directory: Path, *, columns: int = 100, rows: int = 30) -> None:
        if shutil.which("tmux") is None:
            pytest.skip(reason="no tmux on this machine")
        self._socket = str(directory / "tmux.socket")
        self._is_there = True
        self._environment = BARE | {"TERM": "xterm-256color"}
        command = f"trap : INT; {shlex.join(argv)}; echo exit status $?; {_STTY}; exec sleep 600"
        size = ("-x", str(columns), "-y", str(rows))
        self._run("-f", os.devnull, "new-session", "-d", *size, "sh", "-c", command)

    @property
    def screen(self) -> str:
        """The screen as text; what is another each time has been made the same."""
        text = "\n".join(line.rstrip() for line in self._run("capture-pane", "-p").splitlines())
        for pattern, same in _CHANGING.items():
            text = re.sub(pattern, same, text)
        return text.rstrip("\n") + "\n"

    @property
    def colors(self) -> list[str]:
        """The escape sequences of colours on the screen, each once, without those of bold and other styles."""
        return sorted(
            {*re.findall(r"\x1b\[((?:[34]8;|3[0-7]|4[0-7]|9[0-7])[\d;]*)m", self._run("capture-pane", "-pe"))}
        )

    def wait_for(self, *texts: str, seconds: float = 60.0) -> str:
        """The screen, once all of these are on it and it has been drawn to its end."""
        give_up = time.monotonic() + seconds
        before, screen = "", self.screen
        while screen != before or not all(text in screen for text in texts):
            assert time.monotonic() < give_up, f"{texts!r} did not appear in\n{screen}"
            time.sleep(0.1)
            before, screen = screen, self.screen
        return screen

    def says(self, what: str) -> str:
        """What tmux itself knows, in its own words: `#{pane_pid}`."""
        return self._run("display-message", "-p", what).rstrip("\n")

    def wait_until_it_says(self, what: str, words: str, *, seconds: float = 30.0) -> None:
        """Wait until tmux knows this: `#{alternate_on}` is `0`."""
        give_up = time.monotonic() + seconds
        while self.says(what) != words:
            assert time.monotonic() < give_up, f"{what} is {self.says(what)}"
            time.sleep(0.1)

    def keys(self, *keys: str) -> None:
        """Press them, as tmux calls them."""
        self._run("send-keys", *keys)

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def hang_up(self) -> None:
        """Take the terminal away from the program, as a lost connection does."""
        self._run("kill-server")
        self._is_there = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_there:
            self._run("kill-server")

    def _run(self, *words: str) -> str:
        argv = ["tmux", "-u", "-S", self._socket, *words]
        return subprocess.run(argv, env=self._environment, check=True, capture_output=True, text=True).stdout
