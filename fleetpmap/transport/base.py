"""The seam: run one command on one host.   inventory.Host ─► [transport] ─► bytes both ways

A Transport is an open way to a host. A Channel is one command running there, with bytes in and bytes out. Every
blocking call is bounded by the Deadline that the transport was opened with, and `with` closes everything that was
opened. The bytes inside the channel mean nothing to this package.
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
"""Bytes of stderr that are kept per command. The rest is read and dropped, so a flood neither blocks the command nor
fills our memory."""

BACKLOG_LIMIT = 1 << 20
"""Bytes of stdout that may pile up while we send, in addition to the bytes that the host has taken from us. A probe
prints nothing before it receives a request, and a login script little."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock at which a host's time is over."""

    seconds: float
    """The length of the time span, for the message."""
    at: float = field(default=0.0)
    option: str = "--timeout"
    """The option that gives more time, for the hint."""

    @classmethod
    def after(cls, seconds: float, option: str = "--timeout") -> Deadline:
        """Return the deadline `seconds` from now."""
        return cls(seconds, time.monotonic() + seconds, option)

    def remaining(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    def sooner(self, seconds: float, option: str = "--timeout") -> Deadline:
        """Return this deadline or the one `seconds` from now, whichever comes first (the bound of a single phase)."""
        other = Deadline.after(seconds, option)
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
"""The activity of each stage in this package, as error messages name it."""


def out_of_time(host: str, stage: str, deadline: Deadline) -> DeadlineError:
    """Return the error of a host that used up its time during `stage`."""
    return DeadlineError(
        f"no time left after {deadline.seconds:g} s, while {_DOING[stage]}",
        host=host,
        stage=stage,
        hint=f"see whether the host is busy or a firewall drops packets, or give it more time with {deadline.option}",
    )


_watch: ContextVar[Callable[[str, str], None] | None] = ContextVar("watch", default=None)


def watch_stages(watch: Callable[[str, str], None] | None) -> None:
    """Call `watch(host, stage)` for each stage that a host completes in this thread from now on; None stops it."""
    _watch.set(watch)


def passed(host: str, stage: str) -> None:
    """Report to the watcher of this thread, if any, that `host` has just completed `stage`."""
    if watch := _watch.get():
        watch(host, stage)


_SHOWN_AT_MOST = 200
"""Characters of a server's text that a message quotes."""


def printable(text: str) -> str:
    """Shorten a server's text for a message, and replace each unprintable character by `?`.

    It does not escape them, because a message that quotes the text may itself be escaped when it is shown.
    """
    cut = text[:_SHOWN_AT_MOST] + CUT if len(text) > _SHOWN_AT_MOST else text
    return "".join(sign if sign.isprintable() else "?" for sign in cut)


class Head:
    """The first STDERR_LIMIT bytes of a stream; the rest is dropped."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, piece: bytes) -> None:
        """Append as much of `piece` as still fits."""
        self._bytes += piece[: STDERR_LIMIT - len(self._bytes)]

    def __bytes__(self) -> bytes:
        return bytes(self._bytes)


class Backlog:
    """Queue of stdout pieces that have been received and not read yet."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Append a piece."""
        self._pieces.append(piece)
        self._size += len(piece)

    def take(self) -> bytes:
        """Remove and return the oldest piece."""
        piece = self._pieces.popleft()
        self._size -= len(piece)
        return piece

    def clear(self) -> None:
        """Drop all pieces."""
        self._pieces.clear()
        self._size = 0

    def check(self, host: str, sent: int) -> None:
        """Reject a host that sends without reading; `sent` is the number of bytes that it has taken so far.

        Raises:
            ProtocolError: the queue holds more than `sent` plus BACKLOG_LIMIT bytes.
        """
        if self._size > sent + BACKLOG_LIMIT:
            message = f"it sent more than {BACKLOG_LIMIT:,} bytes while it was to read what it was sent"
            hint = "see what the login there prints (a banner, a start-up file), or what runs there as `sh`"
            raise ProtocolError(message, host=host, stage="exec", hint=hint)

    def __bool__(self) -> bool:
        return bool(self._pieces)


@dataclass(frozen=True, slots=True)
class SshOptions:
    """SSH options of the command line, which hold for every host of the run."""

    host_key: Literal["strict", "accept-new"] | None = None
    """Policy for the key of an unknown host. None: ssh_config's, or strict if it sets none."""
    known_hosts: tuple[str, ...] = ()
    """Files of host keys that replace the inventory's and ssh_config's; empty: theirs."""
    ssh_config: str | None = None
    """File that replaces ~/.ssh/config and the system's; `none` for no file, as in ssh -F."""
    retries: int | None = None
    """Number of further attempts after a failure before the login. None: from ssh_config's ConnectionAttempts, at least
    1."""
    password: Secret | None = None
    """Password for hosts and bastions that accept one, by keyboard-interactive or by the method `password`, after the
    keys."""
    passphrases: Mapping[str, Secret] = field(default_factory=dict, hash=False)
    """Passphrases of encrypted key files, by the file's absolute path."""


class Closing(Protocol):
    """An open resource that `with` closes."""

    def close(self) -> None:
        """Release everything. Safe to call twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Channel(Closing, Protocol):
    """One command running on the host. Leaving its `with` block closes the channel."""

    def send(self, data: bytes) -> None:
        """Write all of `data` to the command's stdin. Output is read meanwhile, so neither side can block the other.

        If the command has ended or closed its stdin, the rest of `data` is dropped: its output and exit status tell
        why.

        Raises:
            HostError: the deadline passed, or the connection broke.
        """

    def receive(self, until: bytes = b"") -> bytes:
        """Return the next piece of stdout, at least one byte, or b"" once the far side has closed it.

        Stderr is drained meanwhile. The implementation may buffer until `until` has been received.

        Raises:
            HostError: the deadline passed, or the connection broke.
        """

    def receive_any(self) -> bytes | None:
        """Do the same as receive(), but return None as soon as only stderr has new data: for answering a prompt there.

        Raises:
            HostError: as receive().
        """

    def finish(self) -> int | None:
        """Close stdin after receive() has returned b"", wait for the command's end and return its exit status.

        None means that there is none, as after a signal.

        Raises:
            HostError: the deadline passed.
        """

    @property
    def stderr(self) -> bytes:
        """Stderr so far, from its beginning, at most STDERR_LIMIT bytes."""

    @property
    def deadline(self) -> Deadline:
        """The bound of every blocking call."""

    def renew(self, deadline: Deadline) -> None:
        """Replace the deadline for all calls from now on."""

    def close(self) -> None:
        """End the command, running or not. Safe to call twice."""


class Transport(Closing, Protocol):
    """An open way to one host. Leaving its `with` block closes the connection, its threads and its sockets."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the route for the user (went by openssh, accepted a host key, …)."""

    @property
    def is_root(self) -> bool:
        """True if the login is root's, so sudo is not needed."""

    def run(self, command: str) -> Channel:
        """Start `command`: plain words that every login shell takes literally.

        Raises:
            HostError: the command could not be started.
        """

    def renew(self, deadline: Deadline) -> None:
        """Replace the deadline for all calls from now on. A channel that is already open keeps its own."""

    def close(self) -> None:
        """Close everything. Safe to call twice."""
