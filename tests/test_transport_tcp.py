"""TCP under a deadline: names, addresses one after the other, time shared among them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from fleetpmap.transport import tcp
from fleetpmap.transport.base import Deadline


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@contextlib.contextmanager
def _black_hole() -> Iterator[tcp.Address]:
    """An address that swallows connections: a listener whose queue is full."""
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        time.sleep(0.05)
        yield socket.AF_INET, server.getsockname()


def _refusing() -> tcp.Address:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return socket.AF_INET, server.getsockname()


def test_numeric_address_needs_no_resolver():
    """An address is itself."""
    found = tcp.resolve("127.0.0.1", 2222, "any", Deadline.after(5))
    assert found == [(socket.AF_INET, ("127.0.0.1", 2222))]


def test_family_is_honoured():
    """AddressFamily inet6 has no IPv4 address."""
    with pytest.raises(socket.gaierror):
        tcp.resolve("127.0.0.1", 22, "inet6", Deadline.after(5))


def test_refused_address_falls_back_to_the_next(listener):
    """The second address answers."""
    with tcp.connect([_refusing(), (socket.AF_INET, listener.getsockname())], Deadline.after(5)) as sock:
        assert sock.getpeername() == listener.getsockname()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_silent_address_takes_only_its_share_of_the_time(listener):
    """An address that swallows packets leaves half of the time for the other."""
    with _black_hole() as silent:
        deadline = Deadline.after(2)
        with tcp.connect([silent, (socket.AF_INET, listener.getsockname())], deadline) as sock:
            assert sock.getpeername() == listener.getsockname()
        assert deadline.remaining() > 0


def test_silent_address_ends_with_the_deadline():
    """No answer at all is a timeout, in time."""
    with _black_hole() as silent, pytest.raises(TimeoutError):
        tcp.connect([silent], Deadline.after(0.3))


def test_refusal_is_more_telling_than_silence():
    """Of several failures the one that says most is told."""
    with _black_hole() as silent, pytest.raises(ConnectionRefusedError):
        tcp.connect([silent, _refusing()], Deadline.after(0.6))


def test_nothing_is_sent_after_the_deadline(listener):
    """What keeps paramiko from repeating a send for ever."""
    with tcp.connect([(socket.AF_INET, listener.getsockname())], Deadline.after(5)) as sock:
        assert sock.send(b"in time") == 7
        sock.deadline = Deadline.after(0)
        with pytest.raises(ConnectionAbortedError):
            sock.send(b"too late")
