"""Bounds on what a host sends, before paramiko takes it apart.   tcp | jump | proxy_command ─► [packets] ─► session

paramiko allocates what a packet announces, runs through as many items as a message announces, whether it has them or
not, and reads a banner until its line ends: 4 GiB, an hour, and for ever. Each is an error here, which ends the
connection. Source of the numbers: OpenSSH's packet.c and sshconnect.c; RFC 4253, sections 4.2 and 6.1.
"""

from __future__ import annotations

import socket
import time

import paramiko
from paramiko.common import (
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_OPEN,
    MSG_KEXINIT,
    MSG_NAMES,
    cMSG_UNIMPLEMENTED,
)
from paramiko.packet import Packetizer

PACKET_LIMIT = 256 << 10
"""Bytes of a packet, as OpenSSH has it (PACKET_MAX_SIZE). We ask for channel data in packets of 32 KiB."""
HANDSHAKE_LIMIT = 64 << 10
"""Bytes of a packet of a key exchange, and of all that comes before it: banner and what a server says ahead of that.
The longest that RFC 4253 wants supported has 35,000. paramiko's reading of large numbers is quadratic."""
_PAST_END = 64
"""Reads behind a message's end that are answered with zeros, as paramiko answers all: old servers leave fields out."""

FREE = 4000
FREE_PER_S = 50
FREE_PER_SENT = 8
"""Messages without data that a connection takes: at its beginning, for each second since, and for each of ours with
data or a new channel in it. A login takes some twenty, a keepalive is one now and then."""
_REKEYS = 8
_REKEY_S = 10.0
_REKEY_BYTES = 1 << 20
"""Key exchanges after the first that a connection takes, beside those that come so many seconds or so many bytes after
the one before. Each costs us up to a second, in which no other thread runs."""

_DATA = frozenset({MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA})
_OURS = frozenset({MSG_CHANNEL_DATA, MSG_CHANNEL_OPEN})
_OF_KEX = range(MSG_KEXINIT, 50)
_EMPTY = 12
"""Bytes of a data message without data, at most: the channel, perhaps the kind, the length."""


class LimitError(paramiko.SSHException):
    """The host sent more than a connection takes."""


class BoundedMessage(paramiko.Message):
    """A message whose end is an end, so that nothing is read from it a billion times."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._length = len(content)
        self._past_end = 0

    def get_bytes(self, n: int) -> bytes:
        """As paramiko's: what is missing is zeros, but not again and again."""
        found = super().get_bytes(n)
        if n and self.packet.tell() == self._length:
            self._past_end += 1
            if self._past_end > _PAST_END:
                raise LimitError("a message has less in it than it announces")
        return found

    def get_mpint(self) -> int:
        """As paramiko's, whose time grows with the square of the length."""
        return int.from_bytes(self.get_binary(), "big", signed=True)


class BoundedPacketizer(Packetizer):
    """paramiko's, with bounds. It remembers the first line, and keeps no time of its own.

    paramiko's handshake timer is a thread that outlives a failed handshake; our deadline does its work.
    """

    first_line = ""
    _initial_kex_done: bool

    def __init__(self, socket: socket.socket) -> None:
        super().__init__(socket)
        self._before_banner = 0
        """Bytes that came up to the end of the banner."""
        self._free = float(FREE)
        """Messages without data that are still taken."""
        self._counted_at = time.monotonic()
        self._rekeys = -1
        """Key exchanges that came too soon after the one before; the first is none of them."""
        self._rekeyed_at = -_REKEY_S
        self._since_rekey = 0
        """Bytes of data since then."""

    @property
    def is_flooded(self) -> bool:
        """Whether more came before the banner than is taken."""
        return self._before_banner > HANDSHAKE_LIMIT

    def start_handshake(self, timeout: float) -> None:
        """Start no timer."""

    def readline(self, timeout: float) -> str:
        """One line of the banner phase."""
        line = super().readline(timeout)
        self.first_line = self.first_line or line
        return line

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """So many bytes, if a packet may have them."""
        if n > PACKET_LIMIT or (n > HANDSHAKE_LIMIT and not self._initial_kex_done):
            raise LimitError(f"a packet of {n:,} bytes")
        return super().read_all(n, check_rekey)

    def send_message(self, data: paramiko.Message) -> None:
        """Send a message; data and new channels are answered with some that have no data in them."""
        if data.asbytes()[0] in _OURS:
            self._free += FREE_PER_SENT
        super().send_message(data)

    def read_message(self) -> tuple[int, paramiko.Message]:
        """The next message of a kind that paramiko knows; the host is told of any other (RFC 4253, section 11.4)."""
        while True:
            kind, read = super().read_message()
            content = read.asbytes()
            self._count(kind, len(content))
            message = BoundedMessage(content)
            message.seqno = read.seqno
            if kind in MSG_NAMES:
                return kind, message
            if not self._initial_kex_done:
                raise paramiko.SSHException(f"a message of the unknown kind {kind} during the key exchange")
            reply = paramiko.Message()
            reply.add_byte(cMSG_UNIMPLEMENTED)
            reply.add_int(read.seqno)
            self.send_message(reply)

    def _read_timeout(self, timeout: float) -> bytes:
        """The next bytes of the banner phase."""
        piece: bytes = super()._read_timeout(timeout)  # type: ignore[misc]  # private, so not in the stubs
        self._before_banner += len(piece)
        if self._before_banner > HANDSHAKE_LIMIT:
            raise LimitError(f": none in {HANDSHAKE_LIMIT:,} bytes")
        return piece

    def _count(self, kind: int, size: int) -> None:
        """Take a message into account.

        Raises:
            LimitError: it is one too many of those that bring nothing.
        """
        if kind in _DATA and size > _EMPTY:
            self._since_rekey += size
            return
        now = time.monotonic()
        self._free += (now - self._counted_at) * FREE_PER_S - 1
        self._counted_at = now
        if self._free < 0:
            raise LimitError("messages without end that bring no data")
        if kind in _OF_KEX and size > HANDSHAKE_LIMIT:
            raise LimitError(f"a key exchange of {size:,} bytes")
        if kind == MSG_KEXINIT:
            if now < self._rekeyed_at + _REKEY_S and self._since_rekey < _REKEY_BYTES:
                self._rekeys += 1
            if self._rekeys > _REKEYS:
                raise LimitError("key exchanges without end")
            self._rekeyed_at, self._since_rekey = now, 0
