"""Ways to a host.   inventory.Host ─► [open_transport: local | ssh | openssh] ─► base.Transport

base          the seam: Transport, Channel, Deadline
local         this machine, by a process                        ┐ pipes
openssh       the system's ssh, by a process                    ┘
bastions      what lies on the way to a host; one connection to each bastion
ssh/          inside this process, by paramiko                    tcp, known_hosts
ssh_config    what `ssh -G` says about a host
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
    """How a host would be reached: nothing is contacted to know it."""

    transport: TransportName
    settings: SshSettings | None
    """Address, user, port and the rest, from the inventory and ssh_config; None for this machine."""
    way: Way
    """The bastions in between, or the command that connects."""
    note: str
    """Why another transport than the host's own is taken; empty if none is."""

    @property
    def via(self) -> str:
        """The bastions in between, as ssh's -J takes them, or the command that connects; empty for neither."""
        return ",".join(hop.jump for hop in self.way.hops) or self.way.proxy_command or ""


def route(host: Host, options: SshOptions) -> Route:
    """The way to a host that its `transport` names.

    A host of transport `ssh` for which ssh_config wants what only the system's ssh does goes by `openssh`, and the
    note says so.

    Raises:
        UsageError: ssh does not accept its configuration.
        HostError: ssh does not accept the name, or does not answer; or the jump hosts make no way.
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
    """Import what the ways to these hosts need: thirty-two threads that do so at once wait for each other."""
    if any(host.transport == "ssh" for host in hosts):
        import_module("fleetpmap.transport.ssh")


def open_transport(
    host: Host,
    *,
    deadline: Deadline,
    options: SshOptions = SshOptions(),  # noqa: B008 - frozen
    bastions: Bastions | None = None,
) -> Transport:
    """The way to a host, open until it is closed or the deadline passes (see route).

    `bastions` are the connections to jump hosts that hosts share, and stay open; without it, this host's bastions are
    its own, and closed with it.

    Raises:
        HostError: the host cannot be reached, is not the one we know, or does not let us in.
        UsageError: ssh does not accept its configuration.
    """
    taken = route(host, options)
    if taken.settings is None:
        return LocalTransport(host, deadline=deadline)
    by_openssh = partial(
        OpensshTransport, host, taken.settings, deadline=deadline, options=options, turn=_turn(taken.way, bastions)
    )
    if taken.transport == "openssh":
        return by_openssh(notes=(taken.note,) if taken.note else ())
    from fleetpmap.transport import ssh  # importing paramiko takes a quarter of a second: only for who needs it

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
    """The host's turn to connect through the bastion by a ssh of its own; at once where there is none."""
    bastion = way.proxy_command or ",".join(hop.jump for hop in way.hops)
    if bastions is None or not bastion:
        return lambda _: Turn()
    return partial(bastions.turn, bastion)


def _needs_openssh(host: Host, settings: SshSettings, way: Way, options: SshOptions) -> str:
    """Why this host, or a bastion on its way, cannot go by paramiko; empty if all can."""
    for hop in (*way.hops, Hop(host, settings)):
        for reason in hop.settings.only_openssh:
            return f"ssh_config says {reason}"
        if reason := Lookup.of(hop.host, hop.settings, options).openssh_reason():
            return reason
    return ""
