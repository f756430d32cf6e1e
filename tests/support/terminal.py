"""A program on a terminal of its own.   [terminal] ─► tests"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self


class Terminal:
    """A child whose stdin, stdout and stderr are one terminal. A context manager: leaving it kills the child."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], *, columns: int = 100, cwd: Path | None = None
    ) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
        self._child = subprocess.Popen(
            argv,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(theirs)
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def shown(self) -> str:
        """Everything that was printed so far, escape sequences and all."""
        return self._shown.decode(errors="replace").replace("\r\n", "\n")

    def wait_for(self, text: str, seconds: float = 60.0, *, times: int = 1) -> None:
        """Until `text` was printed, that often."""
        give_up = time.monotonic() + seconds
        while self.shown.count(text) < times:
            assert time.monotonic() < give_up, f"{text!r} did not appear in {self.shown!r}"
            time.sleep(0.02)

    def type(self, line: str) -> None:
        """What somebody types, and Enter."""
        os.write(self._ours, f"{line}\n".encode())

    def interrupt(self) -> None:
        """What ^C does."""
        self._child.send_signal(signal.SIGINT)

    def terminate(self) -> None:
        """What kill does."""
        self._child.terminate()

    @property
    def has_ended(self) -> bool:
        """True once the child has ended."""
        return self._child.poll() is not None

    def status(self, seconds: float = 60.0) -> int:
        """The exit status, once it has ended."""
        status = self._child.wait(seconds)
        self._reader.join(10)
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.wait()
        self._reader.join(10)
        os.close(self._ours)

    def _read(self) -> None:
        try:
            while piece := os.read(self._ours, 65536):
                self._shown += piece
        except OSError:  # EIO: the last writer is gone
            return


def _take_terminal() -> None:
    """Make it the terminal that /dev/tty is, in the child."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
