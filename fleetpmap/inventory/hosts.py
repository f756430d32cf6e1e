"""What a fleet is.   inventory.toml ─► [model] ─► selection ─► transport

A Host is complete: every setting has its final value, after defaults, groups and the host's own table were laid over
each other. None means "nobody said", and leaves the choice to ssh_config or the transport.
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
    """As written in the inventory or after -H: what reports call it, lower case as ssh does."""
    address: str | None = None
    """Name or IP to connect to; None: the name itself (or what ssh_config says)."""
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
    """Where the host's procfs is mounted (`/host/proc` in a container), or a recorded tree."""
    connect_timeout_s: float | None = None
    """Until the login is done, in seconds. None: ssh_config's ConnectTimeout, else 10."""
    timeout_s: float = 60.0
    """All of one host, connecting included, in seconds."""
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
    """What `[defaults]` says, as a nameless host: the pattern for `-H` of a name the inventory does not have."""
    path: str | None = None
    """The file it came from; None: no file."""
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What of the file is not used: a sentence, and the hosts or groups it is about."""
