"""A connection through a bastion.   a logged-in session ─► [jump] ─► the socket of the next session

A direct-tcpip channel (RFC 4254, 7.2), which paramiko's next Transport uses as a socket. The thread of the bastion's
session queues the pieces as they arrive, and the next session's thread takes them out; no third thread copies.
"""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import paramiko
from paramiko.common import cMSG_CHANNEL_OPEN, cMSG_CHANNEL_WINDOW_ADJUST

from fleetpmap.errors import HostError, RefusedError, ResolveError, UnreachableError
from fleetpmap.transport.base import Deadline, printable
from fleetpmap.transport.ssh.channel import END_GRACE_S
from fleetpmap.transport.ssh.packets import LimitError
from fleetpmap.transport.ssh.translate import Peer

_WINDOW = 4 << 20
"""Bytes that a bastion may send before it waits: at a round trip of 100 ms, 40 MB/s for each host behind it."""
_PIECE_COSTS = 128
"""Bytes of memory per piece besides its data: a bastion may send bytes one by one."""
_PACKET = 32 << 10
_PROHIBITED = 1
"""SSH_OPEN_ADMINISTRATIVELY_PROHIBITED."""
_NO_ADDRESS = re.compile(r"[Nn]ame .*not known|name resolution|[Nn]o address|nodename nor servname|does not resolve")


class Refusal(NamedTuple):
    """The bastion's reason for not opening the connection, in its own words."""

    code: int
    text: str


class Tunnel(paramiko.Channel):
    """A connection from the bastion onward, with the part of a socket's interface that paramiko uses."""

    deadline: Deadline
    refusal: Refusal | None = None
    """Set by the session's thread if the bastion does not open the channel."""
    cut = False
    """True if the channel ended because the bastion's connection did."""

    def __init__(self, chanid: int, session: paramiko.Transport, broke: Callable[[], HostError | None]) -> None:
        super().__init__(chanid)
        self._pieces = _Pieces()
        self.in_buffer = self._pieces  # type: ignore[assignment]  # the part of BufferedPipe that a channel uses
        self.in_stderr_buffer = _Dropped()  # type: ignore[assignment]  # the same
        self._session = session
        self._sending = threading.Lock()
        self._to_close = False
        self._broke = broke

    def send(self, s: bytes | bytearray) -> int:
        """Send as DeadlineSocket.send does: paramiko 5.1 would repeat for ever while the bastion takes nothing."""
        if self.deadline.remaining() == 0:
            raise ConnectionAbortedError("the deadline passed")
        with self._busy():
            return super().send(s)

    def recv(self, nbytes: int) -> bytes:
        """Receive as Channel.recv does."""
        try:
            piece = self._pieces.read(nbytes, self.timeout)
        except queue.Empty:
            raise TimeoutError from None
        with self._busy():
            if taken := self._check_add_window(len(piece)):  # type: ignore[attr-defined]  # private, so not in the stubs
                message = paramiko.Message()
                message.add_byte(cMSG_CHANNEL_WINDOW_ADJUST)
                message.add_int(self.remote_chanid)
                message.add_int(taken)
                self._session._send_user_message(message)  # type: ignore[attr-defined]  # the same
        return piece

    def close(self) -> None:
        """Close the channel at once, or if a thread is sending, leave it to that thread."""
        self._to_close = True
        if self._sending.acquire(blocking=False):
            try:
                super().close()
            finally:
                self._sending.release()

    def shutdown(self, how: int) -> None:
        """Wake the thread that waits in recv(); the close() that follows notifies the bastion."""
        self._pieces.close()

    def failure(self) -> HostError | None:
        """Return the bastion's error, if that ended the channel."""
        if not self.cut:
            return None
        self._session.join(END_GRACE_S)
        return self._broke()

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        """Hold close() off during a send.

        paramiko 5.1 checks that the channel is open and sends a moment later. Data that follows the close message makes
        sshd hang up the whole connection, and with it every other host behind the bastion. close() must not block here:
        the session's thread calls it too, and only that thread can end a key exchange that the send may be waiting for.
        """
        try:
            with self._sending:
                yield
        finally:
            if self._to_close:
                self.close()

    def _handle_close(self, m: paramiko.Message) -> None:
        # paramiko's version replies with a close of its own at once, even in the middle of a send (see _busy).
        self._session._unlink_channel(self.chanid)  # type: ignore[attr-defined]  # private, so not in the stubs
        self.close()

    def _unlink(self) -> None:
        # Called if the session ends, while _handle_close is called if the far side closes this channel.
        self.cut = True
        super()._unlink()  # type: ignore[misc]  # private, so not in the stubs


class _Pieces:
    """Queue of received pieces. paramiko's own buffer moves all remaining bytes at each small read of a packet."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._rest = memoryview(b"")
        self._bytes_in = self._bytes_out = 0
        """Bytes ever put into the queue and taken out of it, with the cost of each piece. Each of the two is changed by
        one thread alone."""

    def feed(self, piece: bytes) -> None:
        """Append a piece, in the thread of the bastion's session.

        Raises:
            LimitError: the bastion exceeds its window. paramiko 5.1 does not check that; the error ends the connection.
        """
        if piece:
            self._bytes_in += len(piece) + _PIECE_COSTS
            if self._bytes_in - self._bytes_out > 2 * _WINDOW:
                raise LimitError("more data than a tunnel's window allows")
            self._queue.put(piece)

    def read(self, nbytes: int, timeout: float | None = None) -> bytes:
        """Return up to `nbytes`, or b"" at the end. Only one thread may call it.

        Raises:
            queue.Empty: nothing arrived in time.
        """
        if not self._rest:
            self._rest = memoryview(self._queue.get(timeout=timeout))
            self._bytes_out += len(self._rest) + _PIECE_COSTS
            if not self._rest:
                self.close()  # queue the end once more, for the next read
        piece, self._rest = self._rest[:nbytes], self._rest[nbytes:]
        return bytes(piece)

    def close(self) -> None:
        """Mark the end, behind all pieces so far."""
        self._queue.put(b"")


class _Dropped:
    """The unused stderr of a tunnel."""

    def feed(self, piece: bytes) -> None:
        """Drop the piece."""

    def close(self) -> None:
        """Do nothing."""


def open_tunnel(
    session: paramiko.Transport,
    peer: Peer,
    bastion: str,
    *,
    broke: Callable[[], HostError | None],
    deadline: Deadline,
) -> Tunnel:
    """Have the bastion connect to the peer: Transport.open_channel with a channel class of our own.

    Args:
        broke: returns the reason why the session is over; None while it is open.

    Raises:
        TimeoutError: the bastion did not connect in time.
        HostError: the bastion refuses or fails to connect, or its own connection broke.
    """
    opened = threading.Event()
    # What Transport.open_channel of paramiko 5.1 does, with a Tunnel in place of its Channel. All is registered before
    # the request is sent, since the reply comes in the session's thread, which sets the event.
    with session.lock:
        number = session._next_channel()  # type: ignore[attr-defined]  # private, so not in the stubs
        tunnel = Tunnel(number, session, broke)
        tunnel.deadline = deadline
        session._channels.put(number, tunnel)  # type: ignore[attr-defined]  # the same
        session.channel_events[number] = opened
        session.channels_seen[number] = True
        tunnel._set_transport(session)  # type: ignore[attr-defined]  # the same
        tunnel._set_window(_WINDOW, _PACKET)  # type: ignore[attr-defined]  # the same
    session._send_user_message(_request(number, peer))  # type: ignore[attr-defined]  # the same
    if session.is_active() and not opened.wait(deadline.remaining()):
        session.channel_events.pop(number, None)
        raise TimeoutError
    if tunnel.refusal:
        raise _refused(peer, bastion, tunnel.refusal)
    if tunnel.closed or not session.is_active():
        raise broke() or EOFError()
    return tunnel


def _request(number: int, peer: Peer) -> paramiko.Message:
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_OPEN)
    message.add_string("direct-tcpip")
    message.add_int(number)
    message.add_int(_WINDOW)
    message.add_int(_PACKET)
    message.add_string(peer.hostname)
    message.add_int(peer.port)
    message.add_string("127.0.0.1")  # the originator (RFC 4254, 7.2); ssh -W sends this too
    message.add_int(0)
    return message


def _refused(peer: Peer, bastion: str, refusal: Refusal) -> HostError:
    text = printable(refusal.text)
    if refusal.code == _PROHIBITED:
        return UnreachableError(
            f"bastion {bastion} refuses to forward to {peer.where}: {text}",
            host=peer.host,
            stage="tcp",
            hint=f"set AllowTcpForwarding yes (and see PermitOpen) in the sshd_config of {bastion}",
        )
    if "refused" in text:
        message, hint = f"{peer.where} refused the connection", "is sshd running there, and on that port?"
        return RefusedError(f"{message}, seen from {bastion}", host=peer.host, stage="tcp", hint=hint)
    if _NO_ADDRESS.search(text):
        message, hint = f"no address for {peer.hostname}", f"check the name: {bastion} has to know it"
        return ResolveError(f"{message}, seen from {bastion}: {text}", host=peer.host, stage="dns", hint=hint)
    return UnreachableError(
        f"no connection to {peer.where}, seen from {bastion}: {text}",
        host=peer.host,
        stage="tcp",
        hint=f"check the address, the route and the firewall, from {bastion} on",
    )
