"""Ways to a host.   inventory.Host ─► [open_transport: local | ssh | openssh] ─► base.Transport

base          the seam: Transport, Channel, Deadline
local         this machine, by a process                        ┐ pipes
openssh       the system's ssh, by a process                    ┘
ssh/          inside this process, by paramiko                    tcp, known_hosts
ssh_config    what `ssh -G` says about a host
"""

from __future__ import annotations

from fleetpmap.inventory.model import Host
from fleetpmap.transport import ssh_config
from fleetpmap.transport.base import Channel, Deadline, SshOptions, Transport
from fleetpmap.transport.local import LocalTransport
from fleetpmap.transport.openssh import OpensshTransport
from fleetpmap.transport.ssh_config import SshSettings

__all__ = ["Channel", "Deadline", "SshOptions", "Transport", "open_transport"]


def open_transport(host: Host, *, deadline: Deadline, options: SshOptions = SshOptions()) -> Transport:  # noqa: B008 - frozen
    """The way to a host that its `transport` names, open until it is closed or the deadline passes.

    A host of transport `ssh` that needs what paramiko does not do here (a jump host, a ProxyCommand, certificates) goes
    by `openssh`, and a note says so.

    Raises:
        HostError: the host cannot be reached, is not the one we know, or does not let us in.
        UsageError: ssh does not accept its configuration.
    """
    if host.transport == "local":
        return LocalTransport(host, deadline=deadline)
    settings = ssh_config.resolve(host.address or host.name, options, user=host.user, port=host.port)
    reason = _needs_openssh(host, settings)
    if host.transport == "openssh" or reason:
        notes = (f"{host.name} goes by the system's ssh: {reason}",) if reason and host.transport == "ssh" else ()
        return OpensshTransport(host, settings, deadline=deadline, options=options, notes=notes)
    from fleetpmap.transport import ssh  # importing paramiko takes a quarter of a second: only for who needs it

    return ssh.connect(host, settings, deadline=deadline, options=options)


def _needs_openssh(host: Host, settings: SshSettings) -> str:
    """Why this host cannot go by paramiko; empty if it can. `proxy_jump = "none"` in the inventory turns both off."""
    if host.proxy_jump and host.proxy_jump != "none":
        return f"the inventory names the jump host {host.proxy_jump}"
    if settings.proxy_jump and not host.proxy_jump:
        return f"ssh_config names the jump host {settings.proxy_jump}"
    if settings.proxy_command and not host.proxy_jump:
        return "ssh_config names a ProxyCommand"
    return "ssh_config names a certificate" if settings.certificate_files else ""
