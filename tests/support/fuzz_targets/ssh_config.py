"""ssh_config as it is read on a machine without ssh, and the settings that it comes to."""

from __future__ import annotations

from fleetpmap.inventory.hosts import Host
from fleetpmap.transport import ssh_config
from fleetpmap.transport.base import SshOptions
from fleetpmap.transport.known_hosts import Lookup
from fleetpmap.transport.ssh_config import config_files as ssh_config_file

SEEDS = (
    b'Host web-* !web-9\n  HostName %h.example.com\n  User ops\n  Port 2222\n  IdentityFile "~/.ssh/fleet key"\n'
    b"  IdentityFile /keys/%r@%h:%p\nMatch host web-01,db-* user ops\n  ProxyJump ops@gate:22,[::1]:2222\n",
    b"Ciphers +aes256-cbc,*gcm*\nPubkeyAcceptedAlgorithms ^ssh-rsa\nHostKeyAlgorithms -ssh-*\nConnectTimeout 1m30s\n"
    b"UserKnownHostsFile ~/a '/b c' none\nIdentityAgent ${HOME}/agent\nPreferredAuthentications publickey,none\n",
    b"IgnoreUnknown Use*\nUseKeychain=yes # a comment\nHost *\n\tProxyCommand nc %h %p\n\tStrictHostKeyChecking no\n",
)
WORDS = (b"Host ", b"Match ", b"all", b"host=", b"exec ", b"IdentityFile ", b"Port ", b"%", b"%C", b"${", b"}", b"$X",
         b"*", b"?", b"!", b",", b'"', b"'", b"\\", b"=", b"#", b"\n", b"\r", b"\0", b"\xff", b"*a" * 50, b"none",
         b"~x/", b"ConnectTimeout 1m", b"NumberOfPasswordPrompts ", b"HostKeyAlias ", b"Include x")  # fmt: skip
_OPTIONS = SshOptions()
_NAMES = ("web-01", "web-01." + "a" * 200)


def read(data: bytes) -> object:
    """What it says of one of two hosts."""
    name = _NAMES[len(data) % len(_NAMES)]
    said = ssh_config_file.parse(name, data.decode(errors="surrogateescape"), "/nonexistent/config")
    settings = ssh_config.settings_from(name, said, _OPTIONS)
    return settings, Lookup.of(Host(name), settings, _OPTIONS)
