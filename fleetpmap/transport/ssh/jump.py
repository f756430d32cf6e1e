"""Through a bastion.   a logged-in session ─► [jump] ─► the socket of the next session

A direct-tcpip channel (RFC 4254, 7.2), which paramiko's next Transport takes for a socket. The bastion's own thread
puts the pieces into a queue as they come, and the next session's thread takes them out: no pump in between.
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
"""Bytes on their way from the bastion before it waits: at 100 ms round trip 40 MB/s for each host behind it."""
_PIECE_COSTS = 128
"""Bytes of memory that a piece takes beside its own: a bastion may send them one by one."""
_PACKET = 32 << 10
_PROHIBITED = 1
"""SSH_OPEN_ADMINISTRATIVELY_PROHIBITED."""
_NO_ADDRESS = re.compile(r"[Nn]ame .*not known|name resolution|[Nn]o address|nodename nor servname|does not resolve")


class Refusal(NamedTuple):
    """Why the bastion did not connect us, in its own words."""

    code: int
    text: str


class Tunnel(paramiko.Channel):
    """A connection from the bastion to somewhere, with as much of a socket's interface as paramiko uses."""

    deadline: Deadline
    refusal: Refusal | None = None
    """Set instead of opening, by the session's thread."""
    cut = False
    """Whether it ended because the bastion's connection did."""

    def __init__(self, chanid: int, session: paramiko.Transport, broke: Callable[[], HostError | None]) -> None:
        super().__init__(chanid)
        self._pieces = _Pieces()
        self.in_buffer = self._pieces  # type: ignore[assignment]  # as much of BufferedPipe as a channel uses
        self.in_stderr_buffer = _Dropped()  # type: ignore[assignment]  # the same
        self._session = session
        self._sending = threading.Lock()
        self._to_close = False
        self._broke = broke

    def send(self, s: bytes | bytearray) -> int:
        """As DeadlineSocket.send: paramiko would go on for ever where the bastion takes nothing."""
        if self.deadline.remaining() == 0:
            raise ConnectionAbortedError("the deadline passed")
        with self._busy():
            return super().send(s)

    def recv(self, nbytes: int) -> bytes:
        """As Channel.recv."""
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
        """Close it at once, or when whoever is sending has done so: that thread does it then."""
        self._to_close = True
        if self._sending.acquire(blocking=False):
            try:
                super().close()
            finally:
                self._sending.release()

    def shutdown(self, how: int) -> None:
        """Wake whoever waits in recv(); close(), which follows, tells the bastion."""
        self._pieces.close()

    def failure(self) -> HostError | None:
        """The bastion's error, if that is what ended this."""
        if not self.cut:
            return None
        self._session.join(END_GRACE_S)
        return self._broke()

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        """Keeps close() away while something is sent.

        paramiko looks whether the channel is open and sends a moment later. What then comes after the close makes sshd
        hang up on the whole connection, and so on everybody who goes through. close() must not wait for its turn: the
        session's thread, which calls it too, is the one that ends a key exchange that a send may be waiting for.
        """
        try:
            with self._sending:
                yield
        finally:
            if self._to_close:
                self.close()

    def _handle_close(self, m: paramiko.Message) -> None:
        self._session._unlink_channel(self.chanid)  # type: ignore[attr-defined]  # private, so not in the stubs
        self.close()

    def _unlink(self) -> None:
        # Called when the session ends, where _handle_close is called when the far side closes the channel.
        self.cut = True
        super()._unlink()  # type: ignore[misc]  # private, so not in the stubs


class _Pieces:
    """What came and was not read. paramiko's own buffer moves all that is left with each small read of a packet."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._rest = memoryview(b"")
        self._bytes_in = self._bytes_out = 0
        """Bytes that were put into the queue and taken out of it, ever, with what each piece costs besides. Either is
        changed by one thread alone."""

    def feed(self, piece: bytes) -> None:
        """Called by the bastion's thread, which ends with the error of one that ignores its window."""
        if piece:
            self._bytes_in += len(piece) + _PIECE_COSTS
            if self._bytes_in - self._bytes_out > 2 * _WINDOW:
                raise LimitError("more data than a tunnel's window allows")
            self._queue.put(piece)

    def read(self, nbytes: int, timeout: float | None = None) -> bytes:
        """Called by the one thread that reads; b"" at the end; queue.Empty where nothing comes in time."""
        if not self._rest:
            self._rest = memoryview(self._queue.get(timeout=timeout))
            self._bytes_out += len(self._rest) + _PIECE_COSTS
            if not self._rest:
                self.close()  # for the next read
        piece, self._rest = self._rest[:nbytes], self._rest[nbytes:]
        return bytes(piece)

    def close(self) -> None:
        """The end, after what came before it."""
        self._queue.put(b"")


class _Dropped:
    """The stderr of a tunnel, which has none."""

    def feed(self, piece: bytes) -> None:
        """Drop it."""

    def close(self) -> None:
        """Nothing more comes."""


def open_tunnel(
    session: paramiko.Transport,
    peer: Peer,
    bastion: str,
    *,
    broke: Callable[[], HostError | None],
    deadline: Deadline,
) -> Tunnel:
    """Have the bastion connect to the peer. As Transport.open_channel, with a channel of our own.

    Args:
        broke: tells why the session is over, once it is.

    Raises:
        TimeoutError: the bastion did not get through in time.
        HostError: it refuses, or cannot; or its own connection broke.
    """
    opened = threading.Event()
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
    message.add_string("127.0.0.1")  # where the connection came from: nowhere, as with ssh -W
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
