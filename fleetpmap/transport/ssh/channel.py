"""One command over SSH.   session ─► [channel] ─► base.Channel

paramiko's thread fills two buffers, stdout's and stderr's. They share one flow-control window, so reading one of them
to its end hangs as soon as the other has filled the window. Therefore a single loop empties both.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import paramiko
from paramiko.buffered_pipe import BufferedPipe
from paramiko.common import cMSG_CHANNEL_REQUEST

from fleetpmap.errors import HostError, ProtocolError, RemoteError, UnreachableError
from fleetpmap.transport.base import Backlog, Channel, Deadline, Head, out_of_time
from fleetpmap.transport.bastions import seen_from
from fleetpmap.transport.ssh.packets import PACKET_LIMIT, LimitError
from fleetpmap.transport.ssh.translate import FOREIGN, Peer, translated

WINDOW = 4 << 20
"""Bytes that a host may send before it waits for us: 35 MB/s of packed data at a round trip of 100 ms, against 17 with
paramiko's 2 MiB. Up to this much is held for each host that is not being read, as between two rounds of `watch`.
Packets larger than the usual 32 KiB gain nothing."""
_PIECE = 32 << 10
_PLENTY = 256 << 10
"""Bytes after which the reader is woken even if it waits for more."""
END_GRACE_S = 0.5
"""Seconds that an ended session may take to report so: its thread closes the channels a moment before."""
_TAIL = 64
"""Bytes searched again together with the next piece: longer than any text that a reader waits for."""
_TICK_S = 0.01
"""Seconds between two looks at conditions that paramiko has no event for: room to send, the exit status."""


class SshChannel(Channel):
    """A command running on the host.

    Raises:
        HostError: the host did not start it.
    """

    def __init__(
        self,
        session: paramiko.Transport,
        command: str,
        *,
        peer: Peer,
        broke: Callable[[], HostError | None],
        deadline: Deadline,
    ) -> None:
        self._session = session
        self._peer = peer
        self._broke = broke
        """Returns the reason why the session is over; None while it is open."""
        self._deadline = deadline
        self._kept_stderr = Head()
        self._waiting = Backlog()
        """Stdout that arrived during a send."""
        self._arrived = threading.Event()
        self._stdout, self._stderr = _Inbox(self._arrived), _Inbox(self._arrived)
        try:
            with translated(peer, stage="exec", deadline=deadline):
                self._channel = session.open_session(window_size=WINDOW, timeout=deadline.remaining())
                self._channel.settimeout(0.0)
                # Our own buffers, before the command starts: until then no data of this channel can have arrived.
                self._channel.in_buffer = self._stdout
                self._channel.in_stderr_buffer = self._stderr
                started = self._exec(command)
        except UnreachableError as error:
            raise self._fault(error) from error.__cause__
        if not started:
            raise self._not_started()

    def send(self, data: bytes) -> None:
        """Write all of `data`, reading meanwhile (see Channel.send)."""
        sent = 0
        while sent < len(data):
            self._check_deadline()
            self._arrived.clear()
            self._drain()
            self._waiting.check(self._peer.host, sent)
            if self._channel.closed:
                self._check_connection()
                return
            if self._channel.send_ready():
                with translated(self._peer, stage="read", deadline=self._deadline):
                    sent += self._send_piece(data[sent : sent + _PIECE])
            else:
                self._arrived.wait(min(_TICK_S, self._deadline.remaining()))

    def receive(self, until: bytes = b"") -> bytes:
        """Return the next piece of stdout (see Channel.receive)."""
        self._stdout.until = until
        while (piece := self._receive_any()) is None:
            pass
        return piece

    def receive_any(self) -> bytes | None:
        """Return a piece of stdout, or None for stderr (see Channel.receive_any)."""
        self._stdout.until = b""
        return self._receive_any()

    def _receive_any(self) -> bytes | None:
        while True:
            self._check_deadline()
            self._arrived.clear()
            # In this order: an end seen before the buffers are emptied has all of its data in them.
            at_end = self._channel.eof_received or self._channel.closed
            stderr_arrived = self._drain()
            if self._waiting:
                return self._waiting.take()
            if at_end:
                self._check_connection()
                return b""
            if stderr_arrived:
                return None
            if not self._arrived.wait(self._deadline.remaining()):
                self._drain()
                if self._waiting:  # not `until`, but it may hold the reason
                    return self._waiting.take()

    def finish(self) -> int | None:
        """Close stdin and wait; None if a signal ended the command or the host sends no status."""
        with contextlib.suppress(*FOREIGN):  # the far side may have closed the channel
            self._channel.shutdown_write()
        while not self._channel.status_event.wait(min(_TICK_S, self._deadline.remaining())):
            self._check_deadline()
            self._drain()
            self._waiting.clear()  # no reader is left
        self._drain()
        return self._channel.exit_status if self._channel.exit_status >= 0 else None

    @property
    def stderr(self) -> bytes:
        """Stderr so far, at most STDERR_LIMIT bytes."""
        return bytes(self._kept_stderr)

    @property
    def deadline(self) -> Deadline:
        """The bound of every wait (see Channel.deadline)."""
        return self._deadline

    def renew(self, deadline: Deadline) -> None:
        """Replace the deadline (see Channel.renew)."""
        self._deadline = deadline

    def close(self) -> None:
        """Close the channel, which the host learns at once."""
        with contextlib.suppress(*FOREIGN):
            self._channel.close()

    def _exec(self, command: str) -> bool:
        """Request the command; returns True if the host starts it. paramiko's exec_command waits without a bound."""
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(self._channel.remote_chanid)
        message.add_string("exec")
        message.add_boolean(True)
        message.add_string(command)
        # paramiko 5.1 sets `event` for a granted and for a refused request, `event_ready` for a granted one only. The
        # event has to be cleared before the request is sent, since the reply arrives in another thread.
        self._channel._event_pending()  # type: ignore[attr-defined]  # private, so not in the stubs
        self._session._send_user_message(message)  # type: ignore[attr-defined]  # the same
        if not self._channel.event.wait(self._deadline.remaining()):
            raise TimeoutError
        return self._channel.event_ready

    def _send_piece(self, piece: bytes) -> int:
        try:
            return self._channel.send(piece)
        except TimeoutError:  # the window has filled up since send_ready()
            return 0
        except OSError:
            if self._channel.closed:
                return 0
            raise

    def _drain(self) -> bool:
        """Move the data of both streams out of paramiko's buffers; returns True if there was any stderr."""
        stderr_arrived = self._stderr.read_ready()
        with translated(self._peer, stage="read", deadline=self._deadline):
            if stderr_arrived:
                self._kept_stderr.add(self._channel.recv_stderr(WINDOW))
            if self._stdout.read_ready():
                self._waiting.add(self._channel.recv(WINDOW))
        return stderr_arrived

    def _check_deadline(self) -> None:
        if self._deadline.remaining() == 0:
            raise out_of_time(self._peer.host, "read", self._deadline)

    def _check_connection(self) -> None:
        # When its thread ends, paramiko 5.1 closes the channels before it marks the session as inactive: broke() would
        # find it open, so wait for the thread.
        if self._channel.eof_received:
            return
        self._session.join(END_GRACE_S)
        if error := self._broke():
            raise seen_from(self._peer.host, error)

    def _fault(self, error: HostError) -> HostError:
        """Return the host's fault that ended the connection, or `error` if the host is not to blame."""
        self._session.join(END_GRACE_S)  # only its thread has the reason; the caller has just seen the end
        reason = self._broke()
        return reason if isinstance(reason, ProtocolError) else error

    def _not_started(self) -> HostError:
        if not self._session.is_active():
            message = f"{self._peer.where} hung up instead of starting the command"
            return self._fault(UnreachableError(message, host=self._peer.host, stage="exec"))
        return RemoteError(
            f"{self._peer.where} does not run commands for this account",
            host=self._peer.host,
            stage="exec",
            hint="see ForceCommand and the account's restrictions in the host's sshd_config and authorized_keys",
        )


class _Inbox(BufferedPipe):  # type: ignore[type-arg]  # generic in the stubs only
    """Buffer of one stream. It wakes the reader once `until` has arrived, or a lot of data, or the end.

    paramiko's thread is woken for every message anyway; this spares the reader's thread. paramiko's own buffer also
    clears its event when it is emptied, so a shared event would lose the arrival of the other stream.
    """

    until = b""

    def __init__(self, arrived: threading.Event) -> None:
        super().__init__()
        self._arrived = arrived
        self._tail = b""
        """The last bytes, which may be the beginning of `until`, or of the next one."""

    def feed(self, data: bytes) -> None:
        """Append data, in paramiko's thread.

        Raises:
            LimitError: the host exceeds its window. paramiko 5.1 does not check that; the error ends the connection.
        """
        if len(self) + len(data) > WINDOW + PACKET_LIMIT:
            raise LimitError("more data than its window allows")
        super().feed(data)
        text = self._tail + data
        if self.until in text or len(self) > _PLENTY:
            self._arrived.set()
        self._tail = text[-_TAIL:]

    def close(self) -> None:
        """Mark the end of the stream."""
        super().close()
        self._arrived.set()
