"""The way to a host.   inventory.Host ─► [open_transport: local | ssh | openssh] ─► base.Transport

base          the seam: Transport, Channel, Deadline
local         this machine, by a process                        ┐ pipes
openssh       the system's ssh, by a process                    ┘
bastions      the jump hosts on the way; one connection to each of them
ssh/          inside this process, by paramiko                    tcp, known_hosts
ssh_config/   the settings that `ssh -G` prints for a host
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

from fleetpmap.errors import AuthError, HostError
from fleetpmap.inventory.hosts import Host, TransportName
from fleetpmap.transport import ssh_config
from fleetpmap.transport.base import Channel, Deadline, SshOptions, Transport
from fleetpmap.transport.bastions import Bastions, Hop, Turn, Way
from fleetpmap.transport.bastions import way as way_to
from fleetpmap.transport.known_hosts import Lookup
from fleetpmap.transport.local import LocalTransport
from fleetpmap.transport.openssh import OpensshTransport
from fleetpmap.transport.secret import Secret
from fleetpmap.transport.ssh_config import SshSettings

__all__ = [
    "Bastions",
    "Channel",
    "Deadline",
    "Hop",
    "Route",
    "Secret",
    "SshOptions",
    "Transport",
    "Way",
    "get_ready",
    "open_transport",
    "route",
]


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a host, as the inventory and ssh_config describe it. Making one contacts no host."""

    transport: TransportName
    settings: SshSettings | None
    """Address, user, port and the rest, from the inventory and ssh_config; None for this machine."""
    way: Way
    """The bastions in between, or the ProxyCommand."""
    note: str
    """Reason for another transport than the host's own; empty if its own is used."""

    @property
    def via(self) -> str:
        """The bastions in between in the form of ssh's -J, or the ProxyCommand; empty for neither."""
        return ",".join(hop.jump for hop in self.way.hops) or self.way.proxy_command or ""


def route(host: Host, options: SshOptions) -> Route:
    """Return the way to a host for the `transport` in its inventory entry.

    A host of transport `ssh` whose ssh_config needs something that only the system's ssh can do goes by `openssh`, and
    the note says so.

    Raises:
        UsageError: ssh rejects its configuration.
        HostError: ssh rejects the name or does not reply, or the jump hosts form no valid way.
    """
    if host.is_here:
        return Route("local", None, Way(), "")
    name = host.address or host.name
    settings = ssh_config.resolve(
        name, options, user=host.user, port=host.port, host=host.name, seconds=host.connect_timeout_s
    )
    way = way_to(host, settings, options)
    reason = _needs_openssh(host, settings, way, options) if host.transport == "ssh" else ""
    if reason:
        return Route("openssh", settings, way, f"goes by the system's ssh: {reason}")
    return Route(host.transport, settings, way, "")


def get_ready(hosts: Iterable[Host]) -> None:
    """Import the modules for these hosts now: 32 threads that import them at once would wait for each other."""
    if any(host.transport == "ssh" for host in hosts):
        import_module("fleetpmap.transport.ssh")


def open_transport(
    host: Host,
    *,
    deadline: Deadline,
    options: SshOptions = SshOptions(),  # noqa: B008 - frozen
    bastions: Bastions | None = None,
) -> Transport:
    """Open the way to a host (see route). It stays open until it is closed or the deadline passes.

    `bastions` holds the connections to jump hosts that several hosts share; they outlive the transport. Without it, the
    transport opens its own and closes them with itself.

    Raises:
        HostError: the host cannot be reached, shows a wrong host key, or rejects the login.
        UsageError: ssh rejects its configuration.
    """
    taken = route(host, options)
    if taken.settings is None:
        return LocalTransport(host, deadline=deadline)
    by_openssh = partial(
        OpensshTransport,
        host,
        taken.settings,
        deadline=deadline,
        options=options,
        hops=taken.way.hops,
        turn=_turn(taken.way, bastions),
    )
    if taken.transport == "openssh":
        return by_openssh(notes=(taken.note,) if taken.note else ())
    from fleetpmap.transport import ssh  # importing paramiko takes a quarter of a second

    try:
        return ssh.connect(host, taken.settings, deadline=deadline, options=options, way=taken.way, bastions=bastions)
    except HostError as error:
        if isinstance(error, AuthError) and error.host == host.name and taken.settings.has_open_master:
            error.openssh_can = "has a connection open (ControlPath)"
        if not error.openssh_can:
            raise
        note = f"goes by the system's ssh, which {error.openssh_can}: {error.message}"
        return by_openssh(notes=(note,), instead_of=error)


def _turn(way: Way, bastions: Bastions | None) -> Callable[[Deadline], Turn]:
    """Return the function that waits for the host's turn at its bastion; without a bastion it does not wait."""
    bastion = way.proxy_command or ",".join(hop.jump for hop in way.hops)
    if bastions is None or not bastion:
        return lambda _: Turn()
    return partial(bastions.turn, bastion)


def _needs_openssh(host: Host, settings: SshSettings, way: Way, options: SshOptions) -> str:
    """Return the reason why this host, or a bastion on its way, cannot go by paramiko; empty if all can."""
    for hop in (*way.hops, Hop(host, settings)):
        for reason in hop.settings.only_openssh:
            return f"ssh_config says {reason}"
        if reason := Lookup.of(hop.host, hop.settings, options).openssh_reason():
            return reason
    return ""
