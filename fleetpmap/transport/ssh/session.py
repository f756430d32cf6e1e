"""A connection to one host.   tcp | jump | proxy_command ─► [session: banner, kex, host key, login] ─► channel

paramiko's Transport used as it is, without SSHClient, whose defaults wait for an hour and read neither ssh_config nor
all of known_hosts. Small subclasses mend what hurts; each says why.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterable
from functools import partial

import paramiko
from paramiko.common import cMSG_SERVICE_REQUEST
from paramiko.ssh_exception import IncompatiblePeer
from paramiko.transport import ServiceRequestingTransport

from fleetpmap.errors import DeadlineError, HostError, ProtocolError, UnreachableError
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import tcp
from fleetpmap.transport.base import Channel, Deadline, SshOptions, Transport, out_of_time, passed, printable
from fleetpmap.transport.bastions import Bastions, Way, seen_from
from fleetpmap.transport.retry import retried
from fleetpmap.transport.ssh import host_keys
from fleetpmap.transport.ssh.auth_handler import AuthHandler
from fleetpmap.transport.ssh.channel import SshChannel
from fleetpmap.transport.ssh.jump import Refusal, Tunnel, open_tunnel
from fleetpmap.transport.ssh.login import login
from fleetpmap.transport.ssh.packets import BoundedPacketizer, LimitError
from fleetpmap.transport.ssh.proxy_command import CommandSocket, expand
from fleetpmap.transport.ssh.translate import FOREIGN, Peer, nothing_in_common, quoted, translate, translated
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


class SshTransport(Transport):
    """A logged-in connection."""

    bastion: SshTransport | None = None
    """What it goes through."""
    own_bastions = contextlib.ExitStack()
    """What is closed with it: bastions that nobody else goes through."""

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
        return SshChannel(self._session, command, peer=self._peer, broke=self.broke, deadline=self._deadline)

    def tunnel(self, to: Peer, deadline: Deadline) -> Tunnel:
        """A connection from that host onward (see jump.open_tunnel)."""
        return open_tunnel(self._session, to, self._peer.host, broke=self.broke, deadline=deadline)

    def renew(self, deadline: Deadline) -> None:
        """Give the connection, and the bastions before it, another deadline (see Transport.renew)."""
        self._deadline = self._session.sock.deadline = deadline
        if self.bastion:
            self.bastion.last_until(deadline)

    def last_until(self, deadline: Deadline) -> None:
        """Stay, with all the bastions before it, as long as somebody who goes through needs it."""
        self._session.sock.deadline = max(self._session.sock.deadline, deadline, key=lambda one: one.at)
        if self.bastion:
            self.bastion.last_until(deadline)

    def broke(self) -> HostError | None:
        """Why the connection is over; None while it is not. A bastion that took it along is the error's `host`."""
        if self._session.is_active():
            return None
        if failure := _carriers_failure(self._session.sock, "read"):
            return failure
        if isinstance(error := self._session.saved_exception, paramiko.SSHException):
            return translate(error, self._peer, stage="read", deadline=self._deadline)
        return UnreachableError(
            f"the connection to {self._peer.where} broke", host=self._peer.host, stage="read", hint="try again"
        )

    def close(self) -> None:
        """Close the connection and wait until its thread is gone."""
        self._session.end()
        self.own_bastions.close()


def connect(
    host: Host,
    settings: SshSettings,
    *,
    deadline: Deadline,
    options: SshOptions,
    way: Way = Way(),  # noqa: B008 - frozen
    bastions: Bastions | None = None,
) -> SshTransport:
    """Connect to a host and log in; all of it within the host's connect_timeout_s, and each bastion within its own.

    Args:
        way: what lies in between.
        bastions: keeps the connections to bastions; None: they are closed with this one.

    Raises:
        HostError: the stage says how far we came.
    """
    with contextlib.ExitStack() as own:
        kept = bastions if bastions is not None else own.enter_context(Bastions())
        try:
            transport = _connect(host, settings, way, deadline=deadline, options=options, bastions=kept)
        except HostError as error:
            raise seen_from(host.name, error) from error.__cause__
        transport.own_bastions = own.pop_all()
        return transport


def _connect(
    host: Host,
    settings: SshSettings,
    way: Way,
    *,
    deadline: Deadline,
    options: SshOptions,
    bastions: Bastions,
) -> SshTransport:
    """A host or a bastion, logged in. The `host` of a HostError is the bastion that is at fault, if one is."""
    peer = Peer(host.name, settings.hostname, settings.port, settings.user, ",".join(hop.jump for hop in way.hops))
    bastion = _bastion(way, bastions, deadline=deadline, options=options)
    login_by = deadline.sooner(host.connect_timeout_s or settings.connect_timeout_s)
    lookup = host_keys.Lookup.of(host, settings, options)
    known_types = lookup.load().key_types(lookup.name, lookup.port)

    def introduced(patient: bool) -> tuple[_Session, paramiko.PKey]:
        carrier = _carrier(bastion, bastions, way, host, settings, peer, login_by)
        return _introduced(_Session(carrier, settings, known_types, patient=patient), peer, login_by)

    def logged_in(patient: bool = False) -> tuple[_Session, tuple[str, ...]]:
        session, key = retried(partial(introduced, patient), settings.retries, login_by)
        try:
            notes = host_keys.verify(lookup, peer, key.get_name(), key.asbytes())
            login(session, peer, host, settings, login_by, options)
        except BaseException as error:
            cause, too_quick = _cause(error, session, peer), session.was_too_quick
            words = session.last_words(timed_out=isinstance(cause, DeadlineError))
            session.end()
            if too_quick and isinstance(error, HostError):
                return logged_in(patient=True)
            if isinstance(cause, HostError) and cause.stage == "auth":
                cause = quoted(cause, words)
            raise cause from error.__cause__
        return session, notes

    session, notes = logged_in()
    passed(peer.host, "auth")
    session.sock.deadline = deadline
    transport = SshTransport(session, peer, deadline, notes)
    transport.bastion = bastion
    return transport


def _bastion(way: Way, bastions: Bastions, *, deadline: Deadline, options: SshOptions) -> SshTransport | None:
    """The connection to the last bastion of the way, and so to all before it; None if there is none."""
    if not way.hops:
        return None
    hop, before = way.hops[-1], way.before()

    def reach() -> SshTransport:
        return _connect(hop.host, hop.settings, before, deadline=deadline, options=options, bastions=bastions)

    bastion = bastions.connection(way, reach, deadline)
    bastion.last_until(deadline)
    return bastion


def _carrier(
    bastion: SshTransport | None,
    bastions: Bastions,
    way: Way,
    host: Host,
    settings: SshSettings,
    peer: Peer,
    deadline: Deadline,
) -> Carrier:
    """What the session goes over."""
    passed(peer.host, "config")
    if bastion:
        with translated(peer, stage="tcp", deadline=deadline):
            return bastion.tunnel(peer, deadline)
    if way.proxy_command:
        command = expand(way.proxy_command, peer, host.address or host.name)
        return CommandSocket(command, peer, deadline, bastions.turn(way.proxy_command, deadline))
    with translated(peer, stage="dns", deadline=deadline):
        addresses = tcp.resolve(settings.hostname, settings.port, settings.address_family, deadline)
        ours = tcp.resolve(settings.bind_address, 0, "any", deadline) if settings.bind_address else ()
    passed(peer.host, "dns")
    with translated(peer, stage="tcp", deadline=deadline):
        return tcp.connect(addresses, deadline, bind_to=ours)


def _carriers_failure(carrier: Carrier, stage: str) -> HostError | None:
    match carrier:
        case Tunnel():
            return carrier.failure()
        case CommandSocket():
            return carrier.failure(stage)
        case _:
            return None


def _cause(error: BaseException, session: _Session, peer: Peer) -> BaseException:
    """The failure of what the session goes over, or a fault of the host that ended it, if that is why it failed."""
    if not isinstance(error, UnreachableError | ProtocolError):
        return error
    if failure := _carriers_failure(session.sock, error.stage):
        return failure
    if isinstance(fault := session.saved_exception, LimitError):  # we only saw that the connection was gone
        return translate(fault, peer, stage=error.stage, deadline=session.sock.deadline)
    return error


def _introduced(session: _Session, peer: Peer, deadline: Deadline) -> tuple[_Session, paramiko.PKey]:
    """The session, and the host's key, which nobody has checked yet."""
    passed(peer.host, "tcp")
    try:
        return session, _shake_hands(session, peer, deadline)
    except BaseException as error:
        cause = _cause(error, session, peer)
        session.end()
        raise cause from error.__cause__


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


class _Session(ServiceRequestingTransport):
    """paramiko's side of the connection, with its thread."""

    _active_check_timeout = 0.5
    """Seconds after which the thread looks up from an idle socket; paramiko's 0.1 costs more than it is good for, since
    end() wakes the thread. A send that the host does not take is late for its deadline by as much."""

    sock: Carrier
    server_extensions: dict[str, bytes]
    farewell = ""
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

    def _filter_algorithm(self, type_: str) -> tuple[str, ...]:
        """All those of a kind: we name what we want, and disable nothing. paramiko looks through them 16 times."""
        return tuple(getattr(self, f"_preferred_{type_}"))

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

    def last_words(self, *, timed_out: bool) -> tuple[str, ...]:
        """What the host said about the login: a banner, and why it hung up."""
        handler = self.auth_handler
        banner = ""
        # A banner before the first answer is a greeting (sshd's Banner), unless nothing came behind it.
        if isinstance(handler, AuthHandler) and (timed_out or handler.banner_answers):
            banner = handler.banner_text
        return (banner, self.farewell)

    def _parse_disconnect(self, message: paramiko.Message) -> None:
        """Keep why the host hangs up, which paramiko only logs."""
        message.get_int()
        self.farewell = message.get_text()

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
