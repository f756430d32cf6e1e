"""Ways to a host.   inventory.Host ─► [open_transport: local | ssh | openssh] ─► base.Transport

base          the seam: Transport, Channel, Deadline
local         this machine, by a process                        ┐ pipes
openssh       the system's ssh, by a process                    ┘
ssh/          inside this process, by paramiko                    tcp, known_hosts
ssh_config    what `ssh -G` says about a host
"""

from __future__ import annotations

from dataclasses import dataclass

from fleetpmap.inventory.model import Host, TransportName
from fleetpmap.transport import ssh_config
from fleetpmap.transport.base import Channel, Deadline, SshOptions, Transport
from fleetpmap.transport.local import LocalTransport
from fleetpmap.transport.openssh import OpensshTransport
from fleetpmap.transport.ssh_config import SshSettings

__all__ = ["Channel", "Deadline", "Route", "SshOptions", "Transport", "open_transport", "route"]


@dataclass(frozen=True, slots=True)
class Route:
    """How a host would be reached: nothing is contacted to know it."""

    transport: TransportName
    settings: SshSettings | None
    """Address, user, port and the rest, from the inventory and ssh_config; None for this machine."""
    note: str
    """Why another transport than the host's own is taken; empty if none is."""


def route(host: Host, options: SshOptions) -> Route:
    """The way to a host that its `transport` names.

    A host of transport `ssh` that needs what paramiko does not do here (a jump host, a ProxyCommand, certificates) goes
    by `openssh`, and the note says so.

    Raises:
        UsageError: ssh does not accept its configuration.
        HostError: ssh does not accept the name, or does not answer.
    """
    if host.transport == "local":
        return Route("local", None, "")
    settings = ssh_config.resolve(host.address or host.name, options, user=host.user, port=host.port)
    reason = _needs_openssh(host, settings)
    if host.transport == "ssh" and reason:
        return Route("openssh", settings, f"goes by the system's ssh: {reason}")
    return Route(host.transport, settings, "")


def open_transport(host: Host, *, deadline: Deadline, options: SshOptions = SshOptions()) -> Transport:  # noqa: B008 - frozen
    """The way to a host, open until it is closed or the deadline passes (see route).

    Raises:
        HostError: the host cannot be reached, is not the one we know, or does not let us in.
        UsageError: ssh does not accept its configuration.
    """
    way = route(host, options)
    if way.settings is None:
        return LocalTransport(host, deadline=deadline)
    if way.transport == "openssh":
        notes = (way.note,) if way.note else ()
        return OpensshTransport(host, way.settings, deadline=deadline, options=options, notes=notes)
    from fleetpmap.transport import ssh  # importing paramiko takes a quarter of a second: only for who needs it

    return ssh.connect(host, way.settings, deadline=deadline, options=options)


def _needs_openssh(host: Host, settings: SshSettings) -> str:
    """Why this host cannot go by paramiko; empty if it can. `proxy_jump = "none"` in the inventory turns both off."""
    if host.proxy_jump and host.proxy_jump != "none":
        return f"the inventory names the jump host {host.proxy_jump}"
    if settings.proxy_jump and not host.proxy_jump:
        return f"ssh_config names the jump host {settings.proxy_jump}"
    if settings.proxy_command and not host.proxy_jump:
        return "ssh_config names a ProxyCommand"
    return "ssh_config names a certificate" if settings.certificate_files else ""
