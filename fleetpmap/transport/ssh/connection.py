"""A connection to one host.   tcp | jump | proxy_command ─► session ─► host_keys ─► login ─► [connection] ─► channel

`connect` takes the steps in this order: a carrier (socket, ProxyCommand, or a channel of the bastion, which is itself
connected first), banner and key exchange, host key, login. An error tells the step by its `stage`.
"""

from __future__ import annotations

import contextlib
from functools import partial

import paramiko

from fleetpmap.errors import DeadlineError, HostError, ProtocolError, UnreachableError
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import tcp
from fleetpmap.transport.base import Channel, Deadline, SshOptions, Transport, passed
from fleetpmap.transport.bastions import Bastions, Way, seen_from
from fleetpmap.transport.retry import retried
from fleetpmap.transport.ssh import host_keys
from fleetpmap.transport.ssh.channel import SshChannel
from fleetpmap.transport.ssh.jump import Tunnel, open_tunnel
from fleetpmap.transport.ssh.login import login
from fleetpmap.transport.ssh.packets import LimitError
from fleetpmap.transport.ssh.proxy_command import CommandSocket, expand
from fleetpmap.transport.ssh.session import Carrier, Session, shake_hands
from fleetpmap.transport.ssh.translate import Peer, quoted, translate, translated
from fleetpmap.transport.ssh_config import SshSettings


class SshTransport(Transport):
    """A logged-in connection."""

    bastion: SshTransport | None = None
    """The bastion that the connection goes through."""
    own_bastions = contextlib.ExitStack()
    """Bastions that only this connection goes through; closed with it."""

    def __init__(self, session: Session, peer: Peer, deadline: Deadline, notes: tuple[str, ...]) -> None:
        self._session = session
        self._peer = peer
        self._deadline = deadline
        self._notes = notes

    @property
    def notes(self) -> tuple[str, ...]:
        """Accepted host keys, and skipped lines of known_hosts."""
        return self._notes

    @property
    def is_root(self) -> bool:
        """True if we logged in as root."""
        return self._peer.user == "root"

    def run(self, command: str) -> Channel:
        """Start `command` (see Transport.run)."""
        return SshChannel(self._session, command, peer=self._peer, broke=self.broke, deadline=self._deadline)

    def tunnel(self, to: Peer, deadline: Deadline) -> Tunnel:
        """Open a connection from that host onward (see jump.open_tunnel)."""
        return open_tunnel(self._session, to, self._peer.host, broke=self.broke, deadline=deadline)

    def renew(self, deadline: Deadline) -> None:
        """Replace the deadline of the connection and of its bastions (see Transport.renew)."""
        self._deadline = self._session.sock.deadline = deadline
        if self.bastion:
            self.bastion.last_until(deadline)

    def last_until(self, deadline: Deadline) -> None:
        """Extend the deadline of the connection and its bastions to this one, as a host behind them needs it."""
        self._session.sock.deadline = max(self._session.sock.deadline, deadline, key=lambda candidate: candidate.at)
        if self.bastion:
            self.bastion.last_until(deadline)

    def broke(self) -> HostError | None:
        """Return the reason why the connection is over; None while it is open.

        If a bastion failed, it is the error's `host`.
        """
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
        """Close the connection and wait until its thread has ended."""
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
    """Connect to a host and log in, within the host's connect_timeout_s; each bastion has a connect timeout of its own.

    Args:
        way: the bastions or the ProxyCommand in between.
        bastions: keeps the connections to bastions. None: they are closed with this connection.

    Raises:
        HostError: its stage is the step that failed; `bastion` if that is not the host's own.
    """
    with contextlib.ExitStack() as own:
        kept = bastions if bastions is not None else own.enter_context(Bastions())
        try:
            transport = _connect(host, settings, way, deadline=deadline, options=options, bastions=kept)
        except HostError as error:
            seen = seen_from(host.name, error)
            if seen is not error:
                seen.stage = "bastion"
            raise seen from error.__cause__
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
    """Connect and log in to a host or a bastion. The `host` of a HostError is the bastion at fault, if any."""
    peer = Peer(host.name, settings.hostname, settings.port, settings.user, ",".join(hop.jump for hop in way.hops))
    bastion = _bastion(way, bastions, deadline=deadline, options=options)
    login_by = deadline.sooner(host.connect_timeout_s or settings.connect_timeout_s, "--connect-timeout")
    lookup = host_keys.Lookup.of(host, settings, options)
    known_types = lookup.load().key_types(lookup.name, lookup.port)

    def open_session(patient: bool) -> tuple[Session, paramiko.PKey]:
        carrier = _carrier(bastion, bastions, way, host, settings, peer, login_by)
        return _open_session(Session(carrier, settings, known_types, patient=patient), peer, login_by)

    def log_in(patient: bool = False) -> tuple[Session, tuple[str, ...]]:
        session, key = retried(partial(open_session, patient), settings.retries, login_by)
        try:
            notes = host_keys.verify(lookup, peer, key.get_name(), key.asbytes())
            login(session, peer, host, settings, login_by, options)
        except BaseException as error:
            cause, too_quick = _cause(error, session, peer), session.was_too_quick
            words = session.host_messages(timed_out=isinstance(cause, DeadlineError))
            session.end()
            if too_quick and isinstance(error, HostError):
                return log_in(patient=True)
            if isinstance(cause, HostError) and cause.stage == "auth":
                cause = quoted(cause, words)
            raise cause from error.__cause__
        return session, notes

    session, notes = log_in()
    passed(peer.host, "auth")
    session.sock.deadline = deadline
    transport = SshTransport(session, peer, deadline, notes)
    transport.bastion = bastion
    return transport


def _bastion(way: Way, bastions: Bastions, *, deadline: Deadline, options: SshOptions) -> SshTransport | None:
    """Return the connection to the last bastion of the way, opened through all before it; None without one."""
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
    """Open the socket that the session runs over."""
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


def _cause(error: BaseException, session: Session, peer: Peer) -> BaseException:
    """Return the failure behind a connection error (the carrier's, or an exceeded limit), or the error itself."""
    if not isinstance(error, UnreachableError | ProtocolError):
        return error
    if failure := _carriers_failure(session.sock, error.stage):
        return failure
    # The caller only saw the end of the connection; the thread has the reason.
    if isinstance(fault := session.saved_exception, LimitError):
        return translate(fault, peer, stage=error.stage, deadline=session.sock.deadline)
    return error


def _open_session(session: Session, peer: Peer, deadline: Deadline) -> tuple[Session, paramiko.PKey]:
    """Shake hands. Returns the session and the host's key, not yet checked against known_hosts."""
    passed(peer.host, "tcp")
    try:
        return session, shake_hands(session, peer, deadline)
    except BaseException as error:
        cause = _cause(error, session, peer)
        session.end()
        raise cause from error.__cause__
