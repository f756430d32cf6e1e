"""The seam: run one command on one host.   inventory.Host ─► [transport] ─► bytes both ways

A Transport is a way to a host; a Channel is one command running there, bytes in and bytes out. Everything blocking
is bounded by the Deadline the transport was opened with, and everything opened is closed by `with`. What travels
inside the channel is none of this room's business.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self

from fleetpmap.errors import DeadlineError, ProtocolError
from fleetpmap.transport.secret import CUT, Secret

STDERR_LIMIT = 64 * 1024
"""Bytes of stderr kept of one command; the rest is read and dropped, so that a flood can neither block nor fill us."""

BACKLOG_LIMIT = 1 << 20
"""Bytes of stdout kept while we send, beside as many as the host took of us: a probe says nothing before it is asked,
and a login script not much."""


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


_DOING = {
    "config": "asking ssh for its configuration",
    "dns": "looking up its address",
    "tcp": "connecting",
    "banner": "waiting for its SSH banner",
    "kex": "agreeing on keys",
    "auth": "logging in",
    "exec": "starting the command",
    "read": "waiting for what the command says",
}
"""What each stage of this room waits for, in the words of the message."""


def out_of_time(host: str, stage: str, seconds: float) -> DeadlineError:
    """The error of a host whose `seconds` were used up while it was at `stage`."""
    option = "--timeout" if stage in ("exec", "read") else "--connect-timeout"
    return DeadlineError(
        f"no time left after {seconds:g} s, while {_DOING[stage]}",
        host=host,
        stage=stage,
        hint=f"see whether the host is busy or a firewall drops packets, or give it more time with {option}",
    )


_watch: ContextVar[Callable[[str, str], None] | None] = ContextVar("watch", default=None)


def watch_stages(watch: Callable[[str, str], None] | None) -> None:
    """Have `watch(host, stage)` called for each stage that this thread gets through from now on; None: nobody."""
    _watch.set(watch)


def passed(host: str, stage: str) -> None:
    """Tell whoever watches that `host` got through `stage` just now."""
    if watch := _watch.get():
        watch(host, stage)


_SHOWN_AT_MOST = 200
"""Characters of what a server said, in a message."""


def printable(text: str) -> str:
    """What a server said, short and harmless on a terminal, for a message: `?` for what cannot be printed.

    Not escaped, since a message that quotes it may be escaped as a whole when it is shown.
    """
    cut = text[:_SHOWN_AT_MOST] + CUT if len(text) > _SHOWN_AT_MOST else text
    return "".join(sign if sign.isprintable() else "?" for sign in cut)


class Head:
    """The first STDERR_LIMIT bytes of a stream; what follows is dropped."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, piece: bytes) -> None:
        """Keep as much of `piece` as still fits."""
        self._bytes += piece[: STDERR_LIMIT - len(self._bytes)]

    def __bytes__(self) -> bytes:
        return bytes(self._bytes)


class Backlog:
    """Pieces of stdout that wait for the reader, the oldest first."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Keep a piece."""
        self._pieces.append(piece)
        self._size += len(piece)

    def take(self) -> bytes:
        """The oldest piece."""
        piece = self._pieces.popleft()
        self._size -= len(piece)
        return piece

    def clear(self) -> None:
        """Drop them all."""
        self._pieces.clear()
        self._size = 0

    def check(self, host: str, sent: int) -> None:
        """Refuse a host that says more than it listens to; `sent` is how many bytes it took so far.

        Raises:
            ProtocolError: there are more than that and BACKLOG_LIMIT bytes.
        """
        if self._size > sent + BACKLOG_LIMIT:
            message = f"it sent more than {BACKLOG_LIMIT:,} bytes while it was to read what it was sent"
            hint = "see what the login there prints (a banner, a start-up file), or what runs there as `sh`"
            raise ProtocolError(message, host=host, stage="exec", hint=hint)

    def __bool__(self) -> bool:
        return bool(self._pieces)


@dataclass(frozen=True, slots=True)
class SshOptions:
    """What the command line says about SSH for every host of the run."""

    host_key: Literal["strict", "accept-new"] | None = None
    """What to do with the key of an unknown host; None: as ssh_config says, and strict if it says nothing."""
    known_hosts: tuple[str, ...] = ()
    """Files of host keys that replace the inventory's and ssh_config's; empty: theirs."""
    ssh_config: str | None = None
    """A file instead of ~/.ssh/config and the system's; `none` for no file, as ssh -F."""
    retries: int | None = None
    """How often to try again what failed before login; None: ssh_config's ConnectionAttempts, but once at least."""
    password: Secret | None = None
    """For hosts, and bastions, that take a password: by keyboard-interactive or as such, after the keys."""
    passphrases: Mapping[str, Secret] = field(default_factory=dict, hash=False)
    """Of encrypted key files, by their absolute path."""


class Closing(Protocol):
    """An open thing that `with` closes."""

    def close(self) -> None:
        """Release everything. Safe to call twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Channel(Closing, Protocol):
    """One command running on the host. A context manager: leaving it closes the channel."""

    def send(self, data: bytes) -> None:
        """Write all of `data` to the command's stdin, reading meanwhile so that neither side can block the other.

        What a command that has ended, or closed its stdin, did not take is dropped: its output and status tell why.

        Raises:
            HostError: the deadline passed, or the connection broke.
        """

    def receive(self, until: bytes = b"") -> bytes:
        """The next piece of stdout, at least one byte; b"" once the far side has closed it. Drains stderr meanwhile.

        A piece may be held back until these bytes have come: for who can do nothing with less.

        Raises:
            HostError: the deadline passed, or the connection broke.
        """

    def receive_any(self) -> bytes | None:
        """As receive(), and None as soon as something came on stderr alone: for who answers a prompt.

        Raises:
            HostError: as receive().
        """

    def finish(self) -> int | None:
        """After receive() gave b"": close stdin, wait for the command's end. Its exit status; None when there is none.

        Raises:
            HostError: the deadline passed.
        """

    @property
    def stderr(self) -> bytes:
        """What came on stderr so far, at most STDERR_LIMIT bytes, from its beginning."""

    @property
    def deadline(self) -> Deadline:
        """What bounds whatever blocks here."""

    def renew(self, deadline: Deadline) -> None:
        """From now on, whatever blocks is bounded by another deadline."""

    def close(self) -> None:
        """End the command, running or not. Safe to call twice."""


class Transport(Closing, Protocol):
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

    def renew(self, deadline: Deadline) -> None:
        """From now on, whatever blocks is bounded by another deadline; a channel that is open has its own."""

    def close(self) -> None:
        """Close everything. Safe to call twice."""
