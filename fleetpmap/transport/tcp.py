"""A TCP connection, under a deadline.   hostname, port ─► [tcp] ─► ssh

Happy eyeballs (RFC 8305): IPv6 and IPv4 addresses of a name take turns. Each attempt starts a quarter of a second after
the one before, or when that one failed, and the first to connect wins. An address that swallows packets therefore costs
a quarter of a second, of either family.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import math
import os
import queue
import select
import socket
import threading
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, Literal

from fleetpmap.transport.base import Deadline

AddressFamily = Literal["any", "inet", "inet6"]
Address = tuple[socket.AddressFamily, Any]
"""An address family, and an address in its format."""
LookUp = Callable[[str, int, socket.AddressFamily, socket.SocketKind], list[tuple[Any, ...]]]
"""A resolver with the signature of socket.getaddrinfo."""
STAGGER_S = 0.25
"""Seconds until the next address is tried, as RFC 8305 recommends."""

_AHEAD = 4 << 10
"""Bytes to request from the kernel at least: most packets are smaller. Python allocates that many and returns the
unused part; with 64 KiB, a run over 1,000 hosts leaves holes of 24 MB in the heap."""
_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


class DeadlineSocket(socket.socket):
    """A socket for paramiko that sends nothing after its deadline, and reads ahead.

    paramiko 5.1 repeats a send for as long as the peer takes nothing; only the deadline ends that. It also reads each
    packet in two pieces, each of which would wait for the kernel and for the other threads; reading ahead makes it one.
    """

    deadline: Deadline
    _ahead = b""
    _taken = 0
    """Bytes of the buffer that have been handed out."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Do the same as socket.recv, from a single thread."""
        if self._taken == len(self._ahead):
            self._ahead, self._taken = self.wait_for(max(size, _AHEAD)), 0
        piece = self._ahead[self._taken : self._taken + size]
        self._taken += len(piece)
        return piece

    def wait_for(self, size: int) -> bytes:
        """Wait for the peer's next bytes, at most `size`."""
        return super().recv(size)

    def send(self, data: bytes, flags: int = 0, /) -> int:  # type: ignore[override]  # bytes is all we are given
        """Do the same as socket.send.

        Raises:
            ConnectionAbortedError: the deadline passed. (A TimeoutError would only make paramiko try again.)
        """
        if self.deadline.remaining() == 0:
            raise ConnectionAbortedError("the deadline passed")
        return super().send(data, flags)


def resolve(
    hostname: str, port: int, family: AddressFamily, deadline: Deadline, *, look_up: LookUp = socket.getaddrinfo
) -> list[Address]:
    """Return the addresses of a name in the order to try them: families in turns, the resolver's first choice first.

    Raises:
        socket.gaierror: the name has none.
        TimeoutError: the resolver did not reply in time. Its thread lives on until the resolver gives up: getaddrinfo
            cannot be interrupted.
    """
    answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            records = look_up(hostname, port, _FAMILIES[family], socket.SOCK_STREAM)
            answers.put([(kind, address) for kind, _, _, _, address in records])
        except OSError as error:
            answers.put(error)
        except UnicodeError:  # a label that is empty or too long for IDNA
            answers.put(socket.gaierror(socket.EAI_NONAME, "not a host name"))

    if _is_address(hostname):
        ask()
    else:
        thread = threading.Thread(target=ask, name=f"fleetpmap-dns-{hostname}", daemon=True)
        thread.start()
        thread.join(deadline.remaining())
    try:
        answer = answers.get_nowait()
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return _in_turns(answer)


def connect(
    addresses: Sequence[Address], deadline: Deadline, *, bind_to: Sequence[Address] = (), stagger_s: float = STAGGER_S
) -> DeadlineSocket:
    """Return a connection to the first address that accepts one, with Nagle's algorithm off. All others are closed.

    Args:
        addresses: in the order to try them. The next one starts when the last one failed, or has not replied for
            `stagger_s`; that one stays in the race (RFC 8305).
        bind_to: our own addresses; the first of the right family becomes our end. Empty: the kernel's choice.

    Raises:
        OSError: no address accepted; the most telling error of all (refused, then timed out, then the rest).
    """
    race = _Race(deadline, bind_to)
    try:
        for address in addresses:
            race.enter(address)
            if winner := race.winner(stagger_s):
                return winner
        while race.is_on():
            if winner := race.winner(deadline.remaining()):
                return winner
        raise min(race.errors, key=_rank, default=TimeoutError())
    finally:
        race.close()


class _Race:
    """Connection attempts in progress. All but the winner are closed in the end."""

    def __init__(self, deadline: Deadline, bind_to: Sequence[Address]) -> None:
        self.errors: list[OSError] = []
        self._deadline = deadline
        self._bind_to = bind_to
        self._sockets: dict[int, DeadlineSocket] = {}
        self._poll = select.poll()  # not select(), which ends at descriptor 1024

    def is_on(self) -> bool:
        """True while an attempt may still succeed."""
        if self._sockets and self._deadline.remaining() == 0:
            self.errors.append(TimeoutError())
            return False
        return bool(self._sockets)

    def enter(self, address: Address) -> None:
        """Start to connect to one more address."""
        family, where = address
        try:
            sock = DeadlineSocket(family, socket.SOCK_STREAM)
        except OSError as error:  # no IPv6 in this kernel, or no descriptor left
            self.errors.append(error)
            return
        sock.deadline = self._deadline
        sock.setblocking(False)
        self._sockets[sock.fileno()] = sock
        self._poll.register(sock, select.POLLOUT)
        try:
            self._bind(sock)
            sock.connect(where)
        except BlockingIOError:
            pass  # it has begun
        except OSError as error:
            self._failed(sock, error)

    def winner(self, seconds: float) -> DeadlineSocket | None:
        """Return the attempt that connects within `seconds`; None if one fails, none is left, or the time is over."""
        seconds = min(seconds, self._deadline.remaining())
        for descriptor, _ in self._poll.poll(math.ceil(seconds * 1000)) if self._sockets else ():
            sock = self._sockets[descriptor]
            if number := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._failed(sock, _error(number))
                continue
            self._leave(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(max(self._deadline.remaining(), 0.001))
            return sock
        return None

    def close(self) -> None:
        """Close the attempts still in progress."""
        for sock in list(self._sockets.values()):
            self._leave(sock)
            sock.close()

    def _bind(self, sock: DeadlineSocket) -> None:
        ours = [address for family, address in self._bind_to if family == sock.family]
        if ours:
            sock.bind(ours[0])
        elif self._bind_to:
            raise OSError(errno.EADDRNOTAVAIL, "the address to bind to is of another family")

    def _failed(self, sock: DeadlineSocket, error: OSError) -> None:
        self.errors.append(error)
        self._leave(sock)
        sock.close()

    def _leave(self, sock: DeadlineSocket) -> None:
        self._poll.unregister(sock)
        del self._sockets[sock.fileno()]


def _error(number: int) -> OSError:
    """Return the error of a number; OSError chooses its own subclass."""
    return OSError(number, os.strerror(number))


def _in_turns(addresses: list[Address]) -> list[Address]:
    """Alternate the two families, each in its own order, beginning with the family of the first address."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    pairs = zip_longest(first, others)
    return [address for pair in pairs for address in pair if address is not None]


def _is_address(hostname: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(hostname)
        return True
    return False


def _rank(error: OSError) -> int:
    return 0 if isinstance(error, ConnectionRefusedError) else 1 if isinstance(error, TimeoutError) else 2
