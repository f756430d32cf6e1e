"""A connection to one host.   tcp ─► [session: banner, key exchange, host key, login] ─► channel

paramiko's Transport used as it is, without SSHClient, whose defaults wait for an hour and read neither ssh_config nor
all of known_hosts. Three small subclasses mend what hurts; each says why.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterable

import paramiko
from paramiko.auth_handler import AuthOnlyHandler
from paramiko.common import cMSG_SERVICE_REQUEST, cMSG_USERAUTH_REQUEST
from paramiko.packet import Packetizer
from paramiko.transport import ServiceRequestingTransport

from fleetpmap.errors import ProtocolError
from fleetpmap.inventory.model import Host
from fleetpmap.transport import tcp
from fleetpmap.transport.base import Channel, Deadline, SshOptions, Transport, out_of_time, printable
from fleetpmap.transport.ssh import host_keys
from fleetpmap.transport.ssh.channel import SshChannel
from fleetpmap.transport.ssh.login import login
from fleetpmap.transport.ssh.translate import Peer, translate, translated
from fleetpmap.transport.ssh_config import SshSettings

_CIPHERS = (
    "aes128-gcm@openssh.com",  # first: a third faster here than aes128-ctr with its separate MAC
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")
_JOIN_S = 2.0
"""How long to wait for paramiko's thread to notice that its socket is gone; it takes a millisecond."""

# paramiko prints tracebacks of its thread unless its logger has a handler; all that matters reaches us as exceptions.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class SshTransport(Transport):
    """A logged-in connection."""

    def __init__(self, session: _Session, peer: Peer, deadline: Deadline, notes: tuple[str, ...]) -> None:
        self._session = session
        self._peer = peer
        self._deadline = deadline
        self._notes = notes

    @property
    def notes(self) -> tuple[str, ...]:
        """A key that was accepted, lines of known_hosts that were skipped."""
        return self._notes

    @property
    def is_root(self) -> bool:
        """Whether we logged in as root."""
        return self._peer.user == "root"

    def run(self, command: str) -> Channel:
        """Start `command` (see Transport.run)."""
        return SshChannel(self._session, command, peer=self._peer, deadline=self._deadline)

    def close(self) -> None:
        """Close the connection and wait until its thread is gone."""
        self._session.end()


def connect(host: Host, settings: SshSettings, *, deadline: Deadline, options: SshOptions) -> SshTransport:
    """Connect to a host and log in; all of it within the host's connect_timeout_s.

    Raises:
        HostError: the stage says how far we came.
    """
    login_by = deadline.sooner(host.connect_timeout_s)
    peer = Peer(host.name, settings.hostname, settings.port, settings.user)
    lookup = host_keys.Lookup.of(host, settings, options)
    known_types = lookup.load().key_types(lookup.name, lookup.port)
    with translated(peer, stage="dns", deadline=login_by):
        addresses = tcp.resolve(settings.hostname, settings.port, settings.address_family, login_by)
    with translated(peer, stage="tcp", deadline=login_by):
        sock = tcp.connect(addresses, login_by)
    session = _Session(sock, known_types)
    try:
        key = _shake_hands(session, peer, login_by)
        notes = host_keys.verify(lookup, peer, key.get_name(), key.asbytes(), options)
        login(session, peer, host, settings, login_by)
    except BaseException:
        session.end()
        raise
    sock.deadline = deadline
    return SshTransport(session, peer, deadline, notes)


def _shake_hands(session: _Session, peer: Peer, deadline: Deadline) -> paramiko.PKey:
    """Banner and key exchange; the host's key, which nobody has checked yet."""
    done = threading.Event()
    session.banner_timeout = session.clear_to_send_timeout = deadline.remaining()
    session.start_client(event=done)
    in_time = done.wait(deadline.remaining())
    stage = "kex" if session.remote_version else "banner"
    if not in_time:
        raise out_of_time(peer.host, stage, deadline.seconds)
    if session.is_active() and session.host_key is not None:
        return session.host_key
    error = session.get_exception() or EOFError()
    if stage == "banner" and deadline.remaining() > 0:
        raise _no_banner(peer, session.first_line) from error
    raise translate(error, peer, stage=stage, deadline=deadline) from error


def _no_banner(peer: Peer, first_line: str) -> ProtocolError:
    said = f'said "{printable(first_line)}" instead of' if first_line else "hung up before"
    return ProtocolError(
        f"{peer.where} {said} an SSH banner",
        host=peer.host,
        stage="banner",
        hint="check the port; an sshd with too many new connections (MaxStartups) hangs up like this too",
    )


class _Session(ServiceRequestingTransport):
    """paramiko's side of the connection, with its thread."""

    _active_check_timeout = 0.5
    """Seconds after which the thread looks up from an idle socket; paramiko's 0.1 costs more than it is good for, since
    end() wakes the thread. A send that the host does not take is late for its deadline by as much."""

    def __init__(self, sock: socket.socket, known_types: tuple[str, ...]) -> None:
        super().__init__(sock, packetizer_class=_Packetizer)
        security = self.get_security_options()
        security.ciphers = _CIPHERS
        security.key_types = _known_first(known_types, security.key_types)

    def _parse_debug(self, message: paramiko.Message) -> None:
        """Drop it. sshd sends one with each login, and paramiko would escape it byte by byte for its log."""

    @property
    def first_line(self) -> str:
        """The first line that the host sent, be it a banner or not."""
        return self.packetizer.first_line if isinstance(self.packetizer, _Packetizer) else ""

    def ensure_session(self) -> None:
        """Ask for the login service, once, and do not wait: the login request follows right behind.

        paramiko would sleep a tenth of a second here, and for ever if the host hung up. RFC 4253 section 10 wants an
        answer first only where the key exchange did not prove who the host is; ours did. It saves a round trip.
        """
        if self.auth_handler is None:
            message = paramiko.Message()
            message.add_byte(cMSG_SERVICE_REQUEST)
            message.add_string("ssh-userauth")
            self.auth_handler = self.get_auth_handler()
            self._send_message(message)  # type: ignore[attr-defined]  # private, so not in the stubs

    def get_auth_handler(self) -> AuthOnlyHandler:
        """The handler that cannot miss a quick answer."""
        return _AuthHandler(self)

    def end(self) -> None:
        """Close everything, and wait for the thread."""
        with contextlib.suppress(OSError):  # the other side, or the thread, may have closed it already
            self.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread at once, where close() would leave it to its tick
        self.close()
        self.sock.close()  # close() does nothing for a session that is over
        if self.is_alive():
            self.join(_JOIN_S)


class _Packetizer(Packetizer):
    """Remembers the first line, and keeps no time of its own.

    paramiko's handshake timer is a thread that outlives a failed handshake; our deadline does its work.
    """

    first_line = ""

    def start_handshake(self, timeout: float) -> None:
        """Start no timer."""

    def readline(self, timeout: float) -> str:
        """One line of the banner phase."""
        line = super().readline(timeout)
        self.first_line = self.first_line or line
        return line


class _AuthHandler(AuthOnlyHandler):
    """Makes its event before it sends.

    paramiko 5.1 makes it after: a quick host answers in between, nobody hears it, and the login hangs.
    """

    def send_auth_request(
        self, username: str, method: str, finish_message: Callable[[paramiko.Message], None] | None = None
    ) -> list[str]:
        """Send one login request and wait for the answer: what the host still wants, [] for nothing."""
        self.auth_method = method
        self.username = username
        message = paramiko.Message()
        message.add_byte(cMSG_USERAUTH_REQUEST)
        message.add_string(username)
        message.add_string("ssh-connection")
        message.add_string(method)
        if finish_message is not None:
            finish_message(message)
        self.auth_event = event = threading.Event()
        with self.transport.lock:
            self.transport._send_message(message)  # type: ignore[attr-defined]  # private, so not in the stubs
        return self.wait_for_response(event)


def _known_first(known: Iterable[str], all_types: Iterable[str]) -> tuple[str, ...]:
    """The host key algorithms to ask for: those whose key we know first, so that it is the one we are shown."""
    algorithms = [name for key_type in known for name in (_RSA_SIGNATURES if key_type == "ssh-rsa" else (key_type,))]
    return tuple(dict.fromkeys([*(name for name in algorithms if name in all_types), *all_types]))
