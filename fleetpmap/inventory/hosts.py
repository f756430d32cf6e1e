"""The types Host and Inventory.   inventory.toml ─► [hosts] ─► selection ─► transport

A Host is complete: each setting has its final value, after defaults, groups and the host's own table were merged.
None means "not set": ssh_config or the transport decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

TransportName = Literal["ssh", "openssh", "local"]
LOCAL = "local"
"""The name of this machine in -H: reached without SSH."""


@dataclass(frozen=True, slots=True)
class Host:
    """One host and how to reach it.

    Every attribute but `name` and `groups` is a key of `[defaults]`, `[groups.NAME]` and `[hosts.NAME]`.
    """

    name: str
    """Its name in reports, as written in the inventory or after -H, in lower case as ssh does."""
    address: str | None = None
    """Name or IP to connect to; None: the name itself, or ssh_config's HostName."""
    user: str | None = None
    port: int | None = None
    identity_file: tuple[str, ...] = ()
    """Private keys to try, in this order; `~` is the home directory. Empty: ssh_config's, then the usual names."""
    known_hosts: tuple[str, ...] = ()
    """Files of host keys; empty: ssh_config's, else ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts."""
    transport: TransportName = "ssh"
    proxy_jump: str | None = None
    """`[user@]host[:port]`, comma-separated for a chain; `none` switches ssh_config's off."""
    sudo: bool = False
    proc_root: str = "/proc"
    """Path of the host's procfs (`/host/proc` in a container), or of a recorded tree."""
    connect_timeout_s: float | None = None
    """Seconds for connecting and login. None: ssh_config's ConnectTimeout, else 10."""
    timeout_s: float = 60.0
    """Seconds for the whole host, connecting included."""
    zone: str | None = None
    """Where it is, for a run on a cluster (--on): only workers that offer this zone ask it. None: any worker."""
    labels: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    """Every group the host belongs to, nearest first."""

    @property
    def is_here(self) -> bool:
        """True for this machine itself, reached without SSH: its processes include our own."""
        return self.transport == "local"

    @property
    def is_ssh(self) -> bool:
        """True if the host is reached over SSH, by either client: user, port and keys have a meaning."""
        return self.transport in ("ssh", "openssh")


SETTINGS = tuple(f.name for f in fields(Host) if f.name not in ("name", "groups"))
"""The keys an inventory may set, in the order of the documentation."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Hosts in the file's order, groups as tuples of host names, and the defaults that an ad-hoc host gets."""

    hosts: Mapping[str, Host]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Host names of each group: its own, then its children's, each in the order written."""
    defaults: Host = field(default_factory=lambda: Host(name=""))
    """Settings of `[defaults]`, as a nameless host: the pattern for a host after `-H` that the inventory lacks."""
    path: str | None = None
    """File that it was loaded from; None: no file."""
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Notes about unused parts of the file, each with the hosts or groups that it concerns."""
