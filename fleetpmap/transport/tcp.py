"""A TCP connection, under a deadline.   hostname, port ─► [tcp] ─► ssh

Every address of the name is tried in the resolver's order, and each gets an equal share of the time that is left, so an
IPv6 address that swallows packets does not keep us from IPv4.
"""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any, Literal

from fleetpmap.transport.base import Deadline

AddressFamily = Literal["any", "inet", "inet6"]
Address = tuple[socket.AddressFamily, Any]
"""A family and the address in its form."""

_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


class DeadlineSocket(socket.socket):
    """A socket that sends nothing after its deadline.

    paramiko repeats a send for as long as the peer takes nothing; this is what ends that.
    """

    deadline: Deadline

    def send(self, data: bytes, flags: int = 0, /) -> int:  # type: ignore[override]  # bytes is all we are given
        """As socket.send.

        Raises:
            ConnectionAbortedError: the deadline passed. (A TimeoutError would only make paramiko try again.)
        """
        if self.deadline.remaining() == 0:
            raise ConnectionAbortedError("the deadline passed")
        return super().send(data, flags)


def resolve(hostname: str, port: int, family: AddressFamily, deadline: Deadline) -> list[Address]:
    """The addresses of a name, in the order to try them.

    Raises:
        socket.gaierror: there are none.
        TimeoutError: the resolver did not answer in time. Its thread lives on until it gives up: getaddrinfo cannot
            be interrupted.
    """
    if _is_address(hostname):
        return _look_up(hostname, port, family)
    answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_look_up(hostname, port, family))
        except OSError as error:
            answers.put(error)
        except UnicodeError:  # a label that is empty or too long for IDNA
            answers.put(socket.gaierror(socket.EAI_NONAME, "not a host name"))

    thread = threading.Thread(target=ask, name=f"fleetpmap-dns-{hostname}", daemon=True)
    thread.start()
    try:
        answer = answers.get(timeout=deadline.remaining())
    except queue.Empty:
        raise TimeoutError from None
    thread.join()
    if isinstance(answer, OSError):
        raise answer
    return answer


def connect(addresses: list[Address], deadline: Deadline) -> DeadlineSocket:
    """A connection to the first address that takes one, with Nagle's algorithm off.

    Raises:
        OSError: none did; the most telling of the addresses' errors (refused, then timed out, then the rest).
    """
    errors: list[OSError] = []
    for left, (family, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        with _closed_on_error(DeadlineSocket(family, socket.SOCK_STREAM)) as sock:
            sock.deadline = deadline
            try:
                sock.settimeout(max(deadline.remaining() / left, 0.001))
                sock.connect(address)
            except OSError as error:
                errors.append(error)
                sock.close()
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise min(errors, key=_rank)


def _look_up(hostname: str, port: int, family: AddressFamily) -> list[Address]:
    found = socket.getaddrinfo(hostname, port, _FAMILIES[family], socket.SOCK_STREAM)
    return [(kind, address) for kind, _, _, _, address in found]


def _is_address(hostname: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(hostname)
        return True
    return False


def _rank(error: OSError) -> int:
    return 0 if isinstance(error, ConnectionRefusedError) else 1 if isinstance(error, TimeoutError) else 2


@contextlib.contextmanager
def _closed_on_error(sock: DeadlineSocket) -> Iterator[DeadlineSocket]:
    try:
        yield sock
    except BaseException:
        sock.close()
        raise
