"""An SSH session: paramiko's Transport, and the handshake.   a connected socket ─► [session] ─► login, channel"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterable

import paramiko
from paramiko.common import cMSG_SERVICE_REQUEST
from paramiko.ssh_exception import IncompatiblePeer
from paramiko.transport import ServiceRequestingTransport

from fleetpmap.errors import ProtocolError
from fleetpmap.transport import tcp
from fleetpmap.transport.base import Deadline, out_of_time, passed, printable
from fleetpmap.transport.ssh.auth_handler import AuthHandler
from fleetpmap.transport.ssh.jump import Refusal, Tunnel
from fleetpmap.transport.ssh.packets import BoundedPacketizer
from fleetpmap.transport.ssh.proxy_command import CommandSocket
from fleetpmap.transport.ssh.translate import FOREIGN, Peer, nothing_in_common, translate
from fleetpmap.transport.ssh_config import SshSettings
from fleetpmap.transport.ssh_config.keywords import CIPHERS, RSA_SIGNATURES

_TICK_S = 0.1
"""How often a wait looks whether the session is over."""
_PENALTY = "Not allowed at this time"
"""What sshd says in place of its banner to an address that has a penalty (sshd.c, since OpenSSH 9.8)."""
_JOIN_S = 2.0
"""How long to wait for paramiko's thread to notice that its socket is gone; it takes a millisecond."""

Carrier = tcp.DeadlineSocket | Tunnel
"""What a session goes over: TCP or a command's socket, or a bastion's channel."""

# paramiko prints tracebacks of its thread unless its logger has a handler; all that matters reaches us as exceptions.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class Session(ServiceRequestingTransport):
    """paramiko's side of the connection, with its thread."""

    _active_check_timeout = 0.5
    """Seconds after which the thread looks up from an idle socket; paramiko's 0.1 costs more than it is good for, since
    end() wakes the thread. A send that the host does not take is late for its deadline by as much."""

    sock: Carrier
    server_extensions: dict[str, bytes]
    disconnect_reason = ""
    """What the host said when it hung up."""

    def __init__(
        self, sock: Carrier, settings: SshSettings, known_types: tuple[str, ...], *, patient: bool = False
    ) -> None:
        super().__init__(sock, packetizer_class=BoundedPacketizer)
        self._patient = patient
        self._service_accepted = threading.Event()
        security = self.get_security_options()
        security.ciphers = settings.ciphers or CIPHERS
        security.kex = settings.kex_algorithms or security.kex
        security.digests = settings.macs or security.digests
        security.key_types = _known_first(known_types, settings.host_key_algorithms or security.key_types)

    def _parse_debug(self, message: paramiko.Message) -> None:
        """Drop it. sshd sends one with each login, and paramiko would escape it byte by byte for its log."""

    def _parse_channel_open_failure(self, message: paramiko.Message) -> None:
        """Keep the host's own words, which paramiko drops, with the channel that they are about."""
        channel = self._channels.get(message.get_int())  # type: ignore[attr-defined]  # private, so not in the stubs
        if isinstance(channel, Tunnel):
            channel.refusal = Refusal(message.get_int(), message.get_text())
        message.rewind()
        super()._parse_channel_open_failure(message)  # type: ignore[misc]  # private, so not in the stubs

    @property
    def first_line(self) -> str:
        """The first line that the host sent, be it a banner or not."""
        return self.packetizer.first_line if isinstance(self.packetizer, BoundedPacketizer) else ""

    @property
    def is_flooding(self) -> bool:
        """Whether the host sent much before its banner."""
        return isinstance(self.packetizer, BoundedPacketizer) and self.packetizer.is_flooded

    @property
    def was_too_quick(self) -> bool:
        """Whether the host hung up on a login request that did not wait: for the service, or the answer to `none`."""
        handler = self.auth_handler
        if not isinstance(handler, AuthHandler) or self._patient or self.is_active():
            return False
        return handler.was_hasty or not self._service_accepted.is_set()

    @property
    def takes_requests_ahead(self) -> bool:
        """Whether a login request may go out before the one before it is answered.

        A host that grants the first is to ignore the second (RFC 4252 section 5.1). OpenSSH does; Go's server, for one,
        hangs up.
        """
        return not self._patient and self.remote_version.startswith("SSH-2.0-OpenSSH_")

    def _parse_kex_init(self, message: paramiko.Message) -> None:
        """Keep what the host has, which paramiko drops, for the message where that is nothing of ours."""
        theirs = self._really_parse_kex_init(message)  # type: ignore[attr-defined]  # private, so not in the stubs
        message.rewind()
        try:
            super()._parse_kex_init(message)  # type: ignore[misc]  # private, so not in the stubs
        except IncompatiblePeer as error:
            raise nothing_in_common(error, theirs, self) from error

    def host_messages(self, *, timed_out: bool) -> tuple[str, ...]:
        """What the host said about the login: a banner, and why it hung up."""
        handler = self.auth_handler
        banner = ""
        # A banner before the first answer is a greeting (sshd's Banner), unless nothing came behind it.
        if isinstance(handler, AuthHandler) and (timed_out or handler.banner_answers):
            banner = handler.banner_text
        return (banner, self.disconnect_reason)

    def _parse_disconnect(self, message: paramiko.Message) -> None:
        """Keep why the host hangs up, which paramiko only logs."""
        message.get_int()
        self.disconnect_reason = message.get_text()

    def ensure_session(self) -> None:
        """Ask for the login service, once, and unless patient do not wait: the login request follows right behind.

        paramiko would sleep a tenth of a second here, and for ever if the host hung up. RFC 4253 section 10 wants an
        answer first only where the key exchange did not prove who the host is; ours did. It saves a round trip.
        """
        if self.auth_handler is None:
            message = paramiko.Message()
            message.add_byte(cMSG_SERVICE_REQUEST)
            message.add_string("ssh-userauth")
            self.auth_handler = self.get_auth_handler()
            self._send_message(message)  # type: ignore[attr-defined]  # private, so not in the stubs
            if self._patient:
                self._await_service(Deadline.after(self.auth_timeout))

    def _await_service(self, deadline: Deadline) -> None:
        while self.is_active() and deadline.remaining() > 0 and not self._service_accepted.wait(_TICK_S):
            pass

    def _parse_service_accept(self, message: paramiko.Message) -> None:
        super()._parse_service_accept(message)  # type: ignore[misc]  # private, so not in the stubs
        self._service_accepted.set()

    def get_exception(self) -> Exception | None:
        """Why the thread ended, once; whatever it is, as one of those that are known to come from paramiko.

        A host can make its thread fail anywhere, and in what waits for it each would be another kind of exception.
        """
        error = super().get_exception()
        if error is None or isinstance(error, FOREIGN):
            return error
        known = paramiko.SSHException(f"{type(error).__name__}: {error}")
        known.__cause__ = error
        return known

    def get_auth_handler(self) -> AuthHandler:
        """The handler that cannot miss a quick answer."""
        return AuthHandler(self)

    def end(self) -> None:
        """Close everything, and wait for the thread."""
        with contextlib.suppress(OSError):  # the other side, or the thread, may have closed it already
            self.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread at once, where close() would leave it to its tick
        self.close()
        self.sock.close()  # close() does nothing for a session that is over
        if self.is_alive():
            self.join(_JOIN_S)
        if isinstance(self.sock, CommandSocket):
            self.sock.end()


def _known_first(known: Iterable[str], all_types: Iterable[str]) -> tuple[str, ...]:
    """The host key algorithms to ask for: those whose key we know first, so that it is the one we are shown.

    Among those our own order holds, as for ssh: the quickest to sign and to check come first.
    """
    algorithms = {name for key_type in known for name in (RSA_SIGNATURES if key_type == "ssh-rsa" else (key_type,))}
    return tuple(sorted(all_types, key=lambda name: name not in algorithms))  # sorting is stable


def shake_hands(session: Session, peer: Peer, deadline: Deadline) -> paramiko.PKey:
    """Banner and key exchange; the host's key, which nobody has checked yet."""
    done = threading.Event()
    session.banner_timeout = session.clear_to_send_timeout = deadline.remaining()
    session.start_client(event=done)
    in_time = done.wait(deadline.remaining())
    stage = "kex" if session.remote_version else "banner"
    if not in_time:
        raise out_of_time(peer.host, stage, deadline.seconds)
    if session.is_active() and session.host_key is not None:
        passed(peer.host, "kex")
        return session.host_key
    error = session.get_exception() or EOFError()
    if stage == "banner" and deadline.remaining() > 0 and not session.is_flooding:
        raise _no_banner(peer, session.first_line) from error
    raise translate(error, peer, stage=stage, deadline=deadline) from error


def _no_banner(peer: Peer, first_line: str) -> ProtocolError:
    said = f'said "{printable(first_line)}" instead of' if first_line else "hung up before"
    hint = (
        "check the port; an sshd with too many new connections (MaxStartups) hangs up like this too, "
        "and since OpenSSH 9.8 one that shuts this address out for a while (PerSourcePenalties)"
    )
    if _PENALTY in first_line:
        hint = (
            "its sshd shuts this address out for a while after failed logins (PerSourcePenalties): wait some minutes, "
            "see its log, or name this address in PerSourcePenaltyExemptList"
        )
    error = ProtocolError(
        f"{peer.where} {said} an SSH banner",
        host=peer.host,
        stage="banner",
        hint=hint,
    )
    error.may_pass = not first_line or "MaxStartups" in first_line  # "Exceeded MaxStartups", and sshd hangs up
    return error
