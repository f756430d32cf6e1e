"""TCP under a deadline: names, the race of a name's addresses, our own end."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetpmap.transport import tcp
from fleetpmap.transport.base import Deadline
from ports import refused_port

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def listener_v6() -> Iterator[socket.socket]:
    try:
        server = socket.create_server(("::1", 0), family=V6)
    except OSError:
        pytest.skip(reason="no IPv6 loopback on this machine")
    with server:
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
        yield V4, server.getsockname()


@pytest.fixture
def refusing() -> Iterator[tcp.Address]:
    with refused_port() as port:
        yield V4, ("127.0.0.1", port)


def _descriptors() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir() if entry.exists())


def test_numeric_address_needs_no_resolver():
    """An address is itself."""
    found = tcp.resolve("127.0.0.1", 2222, "any", Deadline.after(5))
    assert found == [(V4, ("127.0.0.1", 2222))]


def test_ipv6_address_with_a_zone(listener_v6):
    """fe80::1%lo is meant on that interface."""
    found = tcp.resolve("fe80::1%lo", 22, "any", Deadline.after(5))
    assert found == [(V6, ("fe80::1", 22, 0, socket.if_nametoindex("lo")))]


def test_family_is_honoured():
    """AddressFamily inet6 has no IPv4 address."""
    with pytest.raises(socket.gaierror):
        tcp.resolve("127.0.0.1", 22, "inet6", Deadline.after(5))


def test_families_take_turns():
    """In any order within a family, the other family is never far behind (RFC 8305)."""
    answer = [(V6, "a"), (V6, "b"), (V6, "c"), (V4, "d"), (V4, "e")]

    def look_up(*_: object) -> list[tuple]:
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in answer]

    found = tcp.resolve("web", 22, "any", Deadline.after(5), look_up=look_up)
    assert [address for _, address in found] == ["a", "d", "b", "e", "c"]


def test_resolver_that_hangs_ends_with_the_deadline():
    """The resolver's thread stays until the resolver gives up, but nothing waits for it, not even the program's end."""
    over = threading.Event()

    def look_up(*_: object) -> list[tuple]:
        over.wait(20)
        return []

    with pytest.raises(TimeoutError):
        tcp.resolve("hanging", 22, "any", Deadline.after(0.1), look_up=look_up)
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "fleetpmap-dns-hanging")
    assert thread.daemon
    over.set()
    thread.join()


def test_resolver_that_fails():
    """Its own error comes through."""

    def look_up(*_: object) -> list[tuple]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with pytest.raises(socket.gaierror):
        tcp.resolve("web", 22, "any", Deadline.after(5), look_up=look_up)


def test_refused_address_falls_back_to_the_next_at_once(listener, refusing):
    """The second address is not kept waiting."""
    addresses = [refusing, (V4, listener.getsockname())]
    with tcp.connect(addresses, Deadline.after(20), stagger_s=60) as sock:
        assert sock.getpeername() == listener.getsockname()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_silent_address_does_not_keep_the_next_waiting(listener):
    """After the stagger the next one starts, and wins; the silent one is closed."""
    with _black_hole() as silent:
        before = _descriptors()
        with tcp.connect([silent, (V4, listener.getsockname())], Deadline.after(60), stagger_s=0.01) as sock:
            assert sock.getpeername() == listener.getsockname()
        assert _descriptors() == before


def test_one_family_that_is_silent_leaves_the_other(listener_v6):
    """IPv4 swallows packets, IPv6 answers."""
    with _black_hole() as silent, tcp.connect([silent, (V6, listener_v6.getsockname())], Deadline.after(60)) as sock:
        assert sock.family == V6


def test_silent_address_ends_with_the_deadline():
    """No answer at all is a timeout, in time, and leaves no descriptor."""
    with _black_hole() as silent:
        before = _descriptors()
        with pytest.raises(TimeoutError):
            tcp.connect([silent, silent], Deadline.after(0.3), stagger_s=0.01)
        assert _descriptors() == before


def test_refusal_is_more_telling_than_silence(refusing):
    """Of several failures the most telling one is raised."""
    with _black_hole() as silent, pytest.raises(ConnectionRefusedError):
        tcp.connect([silent, refusing], Deadline.after(0.4), stagger_s=0.01)


def test_our_end_is_bound(listener):
    """BindAddress: the address of the right family is taken."""
    ours = [(V6, ("::1", 0, 0, 0)), (V4, ("127.0.0.9", 0))]
    with tcp.connect([(V4, listener.getsockname())], Deadline.after(5), bind_to=ours) as sock:
        assert sock.getsockname()[0] == "127.0.0.9"


def test_our_end_of_another_family(refusing):
    """An IPv6 address of ours reaches no IPv4 address."""
    with pytest.raises(OSError, match="of another family"):
        tcp.connect([refusing], Deadline.after(5), bind_to=[(V6, ("::1", 0, 0, 0))])


def test_descriptors_beyond_1024(listener):
    """A big fleet has more of them than select() can take."""
    resource = pytest.importorskip("resource", reason="no resource limits on this platform")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1100:
        pytest.skip(reason="the limit of open files is too low here")
    with contextlib.ExitStack() as held:
        while held.enter_context(Path(os.devnull).open()).fileno() < 1030:
            pass
        with tcp.connect([(V4, listener.getsockname())], Deadline.after(5)) as sock:
            assert sock.fileno() > 1024


def test_nothing_is_sent_after_the_deadline(listener):
    """This keeps paramiko from repeating a send for ever."""
    with tcp.connect([(V4, listener.getsockname())], Deadline.after(5)) as sock:
        assert sock.send(b"in time") == 7
        sock.deadline = Deadline.after(0)
        with pytest.raises(ConnectionAbortedError):
            sock.send(b"too late")
