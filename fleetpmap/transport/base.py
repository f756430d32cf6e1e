"""The seam: run one command on one host.   inventory.Host ─► [transport] ─► bytes both ways

A Transport is a way to a host; a Channel is one command running there, bytes in and bytes out. Everything blocking is
bounded by the Deadline the transport was opened with, and everything opened is closed by `with`. What travels inside the
channel is none of this room's business.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self

STDERR_LIMIT = 64 * 1024
"""Bytes of stderr kept of one command; the rest is read and dropped, so that a flood can neither block nor fill us."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock after which a host gets no more of our time."""

    seconds: float
    """What was granted, for the message."""
    at: float = field(default=0.0)

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline `seconds` from now."""
        return cls(seconds, time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    def sooner(self, seconds: float) -> Deadline:
        """The nearer of this deadline and one `seconds` from now (a phase's own bound)."""
        other = Deadline.after(seconds)
        return other if other.at < self.at else self


@dataclass(frozen=True, slots=True)
class SshOptions:
    """What the command line says about SSH for every host of the run."""

    host_key: Literal["strict", "accept-new"] = "strict"
    known_hosts: tuple[str, ...] = ()
    """Files of host keys that replace the inventory's and ssh_config's; empty: theirs."""
    ssh_config: str | None = None
    """A file instead of ~/.ssh/config and the system's; `none` for no file, as ssh -F."""


class Channel(Protocol):
    """One command running on the host. A context manager: leaving it closes the channel."""

    def send(self, data: bytes) -> None:
        """Write all of `data` to the command's stdin.

        Raises:
            HostError: the deadline passed, or the connection broke.
        """

    def receive(self) -> bytes:
        """The next piece of stdout, at least one byte; b"" once the far side has closed it. stderr is drained meanwhile.

        Raises:
            HostError: the deadline passed, or the connection broke.
        """

    def finish(self) -> int | None:
        """After receive() gave b"": close stdin, wait for the command's end. Its exit status; None when there is none."""

    @property
    def stderr(self) -> bytes:
        """What came on stderr so far, at most STDERR_LIMIT bytes, from its beginning."""

    def close(self) -> None:
        """Let go of the command, running or not. Safe to call twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Transport(Protocol):
    """A way to one host, open. A context manager: leaving it closes the connection, its threads and its sockets."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the route that the user may want to know (went by openssh, key accepted, …)."""

    @property
    def is_root(self) -> bool:
        """Whether the login is root's, so that sudo has nothing to add."""

    def run(self, command: str) -> Channel:
        """Start `command`: plain words that any login shell takes as they are.

        Raises:
            HostError: the command could not be started.
        """

    def close(self) -> None:
        """Close everything. Safe to call twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
