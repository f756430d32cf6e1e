"""A request to the script that reads /proc.   Request ─► [script] ─► Script ─► transport"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask of one host. Holds nothing of the user's pattern: matching is done here, not there."""

    proc_root: str = "/proc"
    sudo: bool = False
    owners: bool = False
    """Phase one also reads every process's effective uid and the users' names (a selection by user needs them)."""
    compress: bool = True
    """Let the host gzip what it sends, where it can."""


@dataclass(frozen=True, slots=True)
class Script:
    """What to run: `command` is plain words to exec, `stdin` the script, then one line per further phase."""

    command: str
    stdin: bytes
    nonce: str
    """128 random bits in hex: frames what the script prints."""
    proc_root: str

    def read_line(self, pids: tuple[int, ...]) -> bytes:
        """Phase two: the line for stdin that asks for these processes' smaps, owners and state."""
        raise NotImplementedError

    def quit_line(self) -> bytes:
        """The line for stdin that ends the script."""
        raise NotImplementedError


def render(request: Request) -> Script:
    """The script for one host, with a nonce of its own."""
    raise NotImplementedError
