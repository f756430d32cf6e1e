"""transport.ssh.packets and the buffers of channels: what a host announces and sends is bounded."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import paramiko
import pytest
from paramiko.common import MSG_CHANNEL_DATA, MSG_IGNORE, MSG_KEXINIT

from bounded import within
from fleetpmap.transport.ssh.channel import WINDOW, _Inbox
from fleetpmap.transport.ssh.jump import _Pieces
from fleetpmap.transport.ssh.packets import BoundedMessage, BoundedPacketizer, LimitError


@pytest.fixture
def ends() -> Iterator[tuple[BoundedPacketizer, socket.socket]]:
    """Our side of a connection, and the socket of the other."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(60)
        yield BoundedPacketizer(ours), theirs


def repeat(times: int, what: Callable[..., object], *arguments: object) -> None:
    for _ in range(times):
        what(*arguments)


def test_a_packet_of_four_gibibytes_is_refused_before_it_is_read(ends: tuple[BoundedPacketizer, socket.socket]) -> None:
    """Its length is all that has come."""
    packetizer, theirs = ends
    theirs.sendall(struct.pack(">I", 0xFFFFFFFC) + bytes(4))
    with within(40), pytest.raises(LimitError, match="a packet of"):
        packetizer.read_message()


def test_a_banner_without_end_is_refused(ends: tuple[BoundedPacketizer, socket.socket]) -> None:
    """After 64 KiB, with time left."""
    packetizer, theirs = ends
    flood = threading.Thread(target=theirs.sendall, args=(b"x" * 70_000,))
    flood.start()
    with within(40), pytest.raises(LimitError, match="none in 65,536 bytes"):
        packetizer.readline(60)
    flood.join()


@pytest.mark.parametrize("read", [paramiko.Message.get_int, paramiko.Message.get_text, paramiko.Message.get_boolean])
def test_a_count_without_its_items_ends(read) -> None:
    """A message that announces 2**32 - 1 extensions, questions or names, and has none of them."""
    message = BoundedMessage(b"\xff\xff\xff\xff")
    with within(40), pytest.raises(LimitError, match="less in it than it announces"):
        repeat(message.get_int(), read, message)


def test_fields_that_an_old_server_leaves_out_are_zeros() -> None:
    """As paramiko has it: a refusal without its language."""
    message = BoundedMessage(b"\x00\x00\x00\x01a")
    assert (message.get_text(), message.get_text(), message.get_boolean()) == ("a", "", False)


@pytest.mark.parametrize("number", [0, 1, -1, 255, 2**2047 + 5, -(2**64)])
def test_a_large_number_is_read_as_paramiko_reads_it(number: int) -> None:
    """In a time that grows with its length."""
    content = paramiko.Message().add_mpint(number).asbytes()
    assert BoundedMessage(content).get_mpint() == paramiko.Message(content).get_mpint() == number


def test_messages_without_data_are_counted(ends: tuple[BoundedPacketizer, socket.socket]) -> None:
    """Four thousand are taken at once, and no more."""
    packetizer, _ = ends
    for _ in range(4000):
        packetizer._count(MSG_IGNORE, 0)
    with pytest.raises(LimitError, match="bring no data"):
        repeat(100, packetizer._count, MSG_CHANNEL_DATA, 8)


def test_key_exchanges_without_data_between_them_are_counted(ends: tuple[BoundedPacketizer, socket.socket]) -> None:
    """Eight in a row; a megabyte between two makes them no fault."""
    packetizer, _ = ends
    for _ in range(20):
        packetizer._count(MSG_KEXINIT, 1000)
        packetizer._count(MSG_CHANNEL_DATA, 1 << 20)
    with pytest.raises(LimitError, match="key exchanges without end"):
        repeat(12, packetizer._count, MSG_KEXINIT, 1000)


def test_data_beyond_the_window_is_an_error() -> None:
    """For a host that is not being read from, as between two rounds of watch."""
    inbox = _Inbox(threading.Event())
    with pytest.raises(LimitError, match="more data than its window allows"):
        repeat(1000, inbox.feed, bytes(32 << 10))
    assert WINDOW <= len(inbox) < WINDOW + (1 << 20)


@pytest.mark.parametrize("size", [1, 32 << 10])
def test_data_beyond_a_tunnels_window_is_an_error(size: int) -> None:
    """Also in pieces of a byte, each of which takes more memory than its byte."""
    pieces = _Pieces()
    with pytest.raises(LimitError, match="a tunnel's window"):
        repeat(70_000, pieces.feed, bytes(size))


def test_a_tunnel_that_is_read_from_takes_any_amount() -> None:
    """Data that was taken out makes room."""
    pieces = _Pieces()
    for _ in range(3000):
        pieces.feed(bytes(32 << 10))
        assert len(pieces.read(32 << 10)) == 32 << 10


def test_the_end_of_a_phase_is_news_wherever_it_is_split() -> None:
    """The reader waits for a shorter text first, then for a longer one that began before."""
    news = threading.Event()
    inbox = _Inbox(news)
    inbox.until = b"0123456789abcdef"
    inbox.feed(b"0123456789abcdef ov")
    news.clear()
    inbox.until = b"0123456789abcdef over\n"
    inbox.feed(b"er\n")
    assert news.is_set()
