"""Bounds on a host's messages, before paramiko parses them.   tcp | jump | proxy_command ─► [packets] ─► session

paramiko 5.1 allocates the length that a packet announces (up to 4 GiB), iterates over as many items as a message
announces, even if they are missing (up to an hour), and reads a banner until its line ends (for ever). Here each of
these is an error that ends the connection. Source of the numbers: OpenSSH's packet.c and sshconnect.c; RFC 4253,
sections 4.2 and 6.1.
"""

from __future__ import annotations

import os
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
"""Bytes of a packet, as in OpenSSH (PACKET_MAX_SIZE). We request channel data in packets of 32 KiB."""
HANDSHAKE_LIMIT = 64 << 10
"""Bytes of a packet during a key exchange, and of everything before it: the banner and the lines ahead of it. The
longest that RFC 4253 requires has 35,000. paramiko takes quadratic time to read large numbers."""
_PAST_END = 64
"""Reads beyond a message's end that yield zeros, as all do in paramiko: old servers leave fields out."""

FREE = 4000
FREE_PER_S = 50
FREE_PER_SENT = 8
"""Messages without data that a connection accepts: at its start, per second since then, and per message of ours with
data or a new channel. A login takes about twenty, and a keepalive is one now and then."""
_REKEYS = 8
_REKEY_S = 10.0
_REKEY_BYTES = 1 << 20
"""Key exchanges that a connection accepts besides the first one and those that follow the previous one by so many
seconds or bytes. Each costs us up to a second, in which no other thread runs."""

_DATA = frozenset({MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA})
_OURS = frozenset({MSG_CHANNEL_DATA, MSG_CHANNEL_OPEN})
_OF_KEX = range(MSG_KEXINIT, 50)
"""Message kinds of the key exchange and of its methods (RFC 4250 section 4.1.2)."""
_EMPTY = 12
"""Upper bound of the size of a data message without data: the channel, perhaps the kind, and the length."""


class LimitError(paramiko.SSHException):
    """The host exceeded a limit of the connection."""


class BoundedMessage(paramiko.Message):
    """A message that cannot be read far beyond its end."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._past_end = 0

    def get_bytes(self, n: int) -> bytes:
        """Return the next bytes. Like paramiko, fill up with zeros at the end, but only _PAST_END times."""
        content: bytes = self.packet.read(n)
        if len(content) == n:
            return content
        self._past_end += 1
        if self._past_end > _PAST_END:
            raise LimitError("a message has less in it than it announces")
        self.packet.seek(-len(content), os.SEEK_CUR)
        return super().get_bytes(n)

    def get_mpint(self) -> int:
        """Return the next number. paramiko's version takes quadratic time."""
        return int.from_bytes(self.get_binary(), "big", signed=True)


class BoundedPacketizer(Packetizer):
    """paramiko's Packetizer with bounds, which also keeps the first line.

    paramiko's handshake timer is a thread that outlives a failed handshake; it is not started, since our deadline
    covers it.
    """

    first_line = ""
    _initial_kex_done: bool

    def __init__(self, socket: socket.socket) -> None:
        super().__init__(socket)
        self._before_banner = 0
        """Bytes received up to the end of the banner."""
        self._free = float(FREE)
        """Number of messages without data that are still accepted."""
        self._counted_at = time.monotonic()
        self._rekeys = -1
        """Number of key exchanges that followed the previous one too soon; the first does not count."""
        self._rekeyed_at = -_REKEY_S
        self._since_rekey = 0
        """Bytes of data since the last key exchange."""

    @property
    def is_flooded(self) -> bool:
        """True if more arrived before the banner than the limit."""
        return self._before_banner > HANDSHAKE_LIMIT

    def start_handshake(self, timeout: float) -> None:
        """Start no timer (see the class)."""

    def readline(self, timeout: float) -> str:
        """Read one line of the banner phase."""
        line = super().readline(timeout)
        self.first_line = self.first_line or line
        return line

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """Read `n` bytes, if a packet may have that many."""
        if n > PACKET_LIMIT or (n > HANDSHAKE_LIMIT and not self._initial_kex_done):
            raise LimitError(f"a packet of {n:,} bytes")
        return super().read_all(n, check_rekey)

    def send_message(self, data: paramiko.Message) -> None:
        """Send a message. One with data or a new channel allows the host some more messages without data."""
        if data.asbytes()[0] in _OURS:
            self._free += FREE_PER_SENT
        super().send_message(data)

    def read_message(self) -> tuple[int, paramiko.Message]:
        """Return the next message of a kind that paramiko has a name for.

        A message of another kind is answered with UNIMPLEMENTED (RFC 4253 section 11.4). paramiko 5.1 would look the
        kind up in MSG_NAMES for its log, and fail with a KeyError.
        """
        while True:
            kind, read = super().read_message()
            content = read.asbytes()
            self._count(kind, len(content))
            message = BoundedMessage(content)  # paramiko's own Message yields zeros without end
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
        """Read the next bytes of the banner phase."""
        piece: bytes = super()._read_timeout(timeout)  # type: ignore[misc]  # private, so not in the stubs
        self._before_banner += len(piece)
        if self._before_banner > HANDSHAKE_LIMIT:
            raise LimitError(f": none in {HANDSHAKE_LIMIT:,} bytes")
        return piece

    def _count(self, kind: int, size: int) -> None:
        """Count a message against the limits.

        Raises:
            LimitError: a message without data, or a key exchange, too many.
        """
        if kind in _DATA and size > _EMPTY:
            self._since_rekey += size
            return
        # A token bucket: it starts with FREE tokens, gains some per second and per message sent, and each message that
        # brings no data takes one.
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
