"""An SSH session: paramiko's Transport, and the handshake.   a connected socket ─► [session] ─► login, channel

paramiko's Transport is used without SSHClient, which waits up to an hour by default and reads neither ssh_config nor
all of known_hosts. Session overrides the methods of paramiko 5.1 that lose what a host sends, wait without a bound, or
cost too much; each override gives its reason. tests/unit/test_paramiko_names.py checks that all overridden names still
exist.
"""

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
"""Seconds between two looks at whether the session is over, during a wait."""
_PENALTY = "Not allowed at this time"
"""The text that sshd sends in place of its banner to an address with a penalty (sshd.c, since OpenSSH 9.8)."""
_JOIN_S = 2.0
"""Seconds to wait for paramiko's thread to notice its closed socket; it takes a millisecond."""

Carrier = tcp.DeadlineSocket | Tunnel
"""The socket under a session: TCP, a ProxyCommand's socket, or a bastion's channel."""

# Without a handler on its logger, paramiko prints the tracebacks of its thread to stderr; their exceptions reach us by
# other ways.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class Session(ServiceRequestingTransport):
    """paramiko's Transport with its thread, which reads every packet of the connection."""

    _active_check_timeout = 0.5
    """Seconds between two wake-ups of the thread on an idle socket. With paramiko's 0.1, 1,000 idle connections (as
    between two rounds of `watch`) take 20 % of a core, with 0.5 they take 4 %. Nothing waits for a wake-up, since end()
    shuts the socket down. A send that the host does not take is late for its deadline by as much."""

    sock: Carrier
    server_extensions: dict[str, bytes]
    disconnect_reason = ""
    """The host's own reason for hanging up."""

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
        """Drop the message.

        paramiko 5.1 escapes its text for a log, byte by byte: 28 ms for 256 KiB, during which no other thread runs, and
        a host may send 4,000 such messages (packets.FREE).
        """

    def _parse_channel_open_failure(self, message: paramiko.Message) -> None:
        """Keep the host's own words, which paramiko 5.1 drops, in the tunnel that they are about."""
        channel = self._channels.get(message.get_int())  # type: ignore[attr-defined]  # private, so not in the stubs
        if isinstance(channel, Tunnel):
            channel.refusal = Refusal(message.get_int(), message.get_text())
        message.rewind()
        super()._parse_channel_open_failure(message)  # type: ignore[misc]  # private, so not in the stubs

    @property
    def first_line(self) -> str:
        """The first line that the host sent, whether or not it was a banner."""
        return self.packetizer.first_line if isinstance(self.packetizer, BoundedPacketizer) else ""

    @property
    def is_flooding(self) -> bool:
        """True if the host sent too much before its banner."""
        return isinstance(self.packetizer, BoundedPacketizer) and self.packetizer.is_flooded

    @property
    def was_too_quick(self) -> bool:
        """True if the host hung up on a login request that did not wait for the service, or for the reply to `none`."""
        handler = self.auth_handler
        if not isinstance(handler, AuthHandler) or self._patient or self.is_active():
            return False
        return handler.was_hasty or not self._service_accepted.is_set()

    @property
    def takes_requests_ahead(self) -> bool:
        """True if a login request may be sent before the previous one is answered.

        A host that grants the first request must ignore the second (RFC 4252 section 5.1). OpenSSH does; Go's server,
        for one, hangs up.
        """
        return not self._patient and self.remote_version.startswith("SSH-2.0-OpenSSH_")

    def _parse_kex_init(self, message: paramiko.Message) -> None:
        """Keep the host's algorithms, which paramiko drops, for the error if none of them is ours."""
        try:
            super()._parse_kex_init(message)  # type: ignore[misc]  # private, so not in the stubs
        except IncompatiblePeer as error:
            message.rewind()  # to parse again: paramiko keeps the lists in local variables
            theirs = self._really_parse_kex_init(message)  # type: ignore[attr-defined]  # the same
            raise nothing_in_common(error, theirs, self) from error

    def host_messages(self, *, timed_out: bool) -> tuple[str, ...]:
        """Return the host's messages on the login: its banner, and its reason for hanging up. Either may be empty."""
        handler = self.auth_handler
        banner = ""
        # A banner before the first reply is a greeting (sshd's Banner), unless no reply followed it.
        if isinstance(handler, AuthHandler) and (timed_out or handler.banner_answers):
            banner = handler.banner_text
        return (banner, self.disconnect_reason)

    def _parse_disconnect(self, message: paramiko.Message) -> None:
        """Keep the host's reason for hanging up, which paramiko only logs."""
        message.get_int()
        self.disconnect_reason = message.get_text()

    def ensure_session(self) -> None:
        """Request the login service once. Unless patient, do not wait for the reply: the login request follows at once.

        paramiko 5.1 polls for the reply every 0.1 s, and for ever if the host has hung up. RFC 4253 section 10 requires
        the wait only if the key exchange did not authenticate the host; ours did. Not waiting saves a round trip.
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
        # paramiko only sets a flag, for ensure_session to poll; ours waits for an event.
        super()._parse_service_accept(message)  # type: ignore[misc]  # private, so not in the stubs
        self._service_accepted.set()

    def get_exception(self) -> Exception | None:
        """Return the error that ended the thread, once, as a type that translate.FOREIGN lists.

        A host can make paramiko's thread fail at any place with any exception (paramiko 5.1 catches them all); a caller
        that waits for the thread then sees an SSHException.
        """
        error = super().get_exception()
        if error is None or isinstance(error, FOREIGN):
            return error
        known = paramiko.SSHException(f"{type(error).__name__}: {error}")
        known.__cause__ = error
        return known

    def get_auth_handler(self) -> AuthHandler:
        """Return our handler, which cannot miss a quick reply."""
        return AuthHandler(self)

    def end(self) -> None:
        """Close everything, and wait for the thread to end."""
        # shutdown() wakes the thread at once; close() alone would leave it asleep until its next wake-up. The other
        # side, or the thread, may have closed the socket already.
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.close()
        self.sock.close()  # paramiko's close() returns at once if the session is over, and leaves the socket open
        if self.is_alive():
            self.join(_JOIN_S)
        if isinstance(self.sock, CommandSocket):
            self.sock.end()


def _known_first(known: Iterable[str], all_types: Iterable[str]) -> tuple[str, ...]:
    """Sort the host key algorithms: first those with a known key, so the host shows a key that we can check.

    Otherwise our own order holds, as in ssh: the quickest to sign and to check come first.
    """
    algorithms = {name for key_type in known for name in (RSA_SIGNATURES if key_type == "ssh-rsa" else (key_type,))}
    return tuple(sorted(all_types, key=lambda name: name not in algorithms))  # sorting is stable


def shake_hands(session: Session, peer: Peer, deadline: Deadline) -> paramiko.PKey:
    """Exchange banners and keys. Returns the host's key, not yet checked against known_hosts."""
    done = threading.Event()
    session.banner_timeout = session.clear_to_send_timeout = deadline.remaining()
    session.start_client(event=done)
    in_time = done.wait(deadline.remaining())
    stage = "kex" if session.remote_version else "banner"
    if not in_time:
        raise out_of_time(peer.host, stage, deadline)
    if session.is_active() and session.host_key is not None:
        passed(peer.host, "kex")
        return session.host_key
    error = session.get_exception() or EOFError()
    if stage == "banner" and deadline.remaining() > 0 and not session.is_flooding:
        raise _no_banner(peer, session.first_line) from error
    raise translate(error, peer, stage=stage, deadline=deadline) from error


def _no_banner(peer: Peer, first_line: str) -> ProtocolError:
    behaviour = f'said "{printable(first_line)}" instead of' if first_line else "hung up before"
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
        f"{peer.where} {behaviour} an SSH banner",
        host=peer.host,
        stage="banner",
        hint=hint,
    )
    error.may_pass = not first_line or "MaxStartups" in first_line  # "Exceeded MaxStartups", and sshd hangs up
    return error
