"""A TCP connection, under a deadline.   hostname, port ─► [tcp] ─► ssh

Happy eyeballs (RFC 8305): a name's IPv6 and IPv4 addresses take turns, each starts a quarter of a second after the one
before, or when that one failed, and the first to connect wins. So an address that swallows packets costs a quarter of a
second, whatever its family.
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
"""A family and the address in its form."""
LookUp = Callable[[str, int, socket.AddressFamily, socket.SocketKind], list[tuple[Any, ...]]]
"""A resolver, as socket.getaddrinfo."""
STAGGER_S = 0.25
"""Until the next address is tried, as RFC 8305 recommends."""

_AHEAD = 4 << 10
"""Bytes to read at least, if there are that many: most packets have fewer. With 64 KiB, which the interpreter asks of
malloc and gives back but for what came, a run over 1,000 hosts has holes of 24 MB in its heap."""
_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


class DeadlineSocket(socket.socket):
    """A socket for paramiko: it sends nothing after its deadline, and reads ahead.

    paramiko repeats a send for as long as the peer takes nothing; the deadline is what ends that. And it reads each
    packet in two pieces, of which each would wait for the kernel twice, and for the other threads.
    """

    deadline: Deadline
    _ahead = b""
    _taken = 0
    """How much of what was read ahead has been handed out."""

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As socket.recv, for one thread."""
        if self._taken == len(self._ahead):
            self._ahead, self._taken = self.wait_for(max(size, _AHEAD)), 0
        piece = self._ahead[self._taken : self._taken + size]
        self._taken += len(piece)
        return piece

    def wait_for(self, size: int) -> bytes:
        """The next bytes of the peer's, `size` at most."""
        return super().recv(size)

    def send(self, data: bytes, flags: int = 0, /) -> int:  # type: ignore[override]  # bytes is all we are given
        """As socket.send.

        Raises:
            ConnectionAbortedError: the deadline passed. (A TimeoutError would only make paramiko try again.)
        """
        if self.deadline.remaining() == 0:
            raise ConnectionAbortedError("the deadline passed")
        return super().send(data, flags)


def resolve(
    hostname: str, port: int, family: AddressFamily, deadline: Deadline, *, look_up: LookUp = socket.getaddrinfo
) -> list[Address]:
    """The addresses of a name, in the order to try them: IPv6 and IPv4 in turns, the resolver's first choice first.

    Raises:
        socket.gaierror: there are none.
        TimeoutError: the resolver did not answer in time. Its thread lives on until it gives up: getaddrinfo cannot
            be interrupted.
    """
    answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = look_up(hostname, port, _FAMILIES[family], socket.SOCK_STREAM)
            answers.put([(kind, address) for kind, _, _, _, address in found])
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
    """A connection to the address that takes one first, with Nagle's algorithm off; all others are closed.

    Args:
        addresses: in the order to try them. The next one is tried when the last one failed, or has not answered for
            `stagger_s`, while it goes on trying (RFC 8305).
        bind_to: addresses of ours, of which the first of the right family is our end. Empty: the kernel's choice.

    Raises:
        OSError: none did; the most telling of the addresses' errors (refused, then timed out, then the rest).
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
    """Connections that are being made, all but the winner's closed in the end."""

    def __init__(self, deadline: Deadline, bind_to: Sequence[Address]) -> None:
        self.errors: list[OSError] = []
        self._deadline = deadline
        self._bind_to = bind_to
        self._sockets: dict[int, DeadlineSocket] = {}
        self._poll = select.poll()  # not select(), which ends at descriptor 1024

    def is_on(self) -> bool:
        """Whether somebody may still win."""
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
        """Whoever connects within `seconds`. None as soon as one fails, or when nobody is left, or the time is over."""
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
        """Close all that are still at it."""
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
    """OSError chooses the class that belongs to the number."""
    return OSError(number, os.strerror(number))


def _in_turns(addresses: list[Address]) -> list[Address]:
    """The two families alternating, each in its order, from the family of the first."""
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
