"""Is it the right host?   a host's key, known_hosts ─► [host_keys] ─► nothing, or HostKeyError

Asked after the key exchange and before anything about us is said. Strict: only a known key will do. accept-new: a host
nobody knows is written down and believed; one that is known by another key is refused all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fleetpmap.errors import HostKeyError
from fleetpmap.inventory.model import Host
from fleetpmap.transport import known_hosts
from fleetpmap.transport.base import SshOptions
from fleetpmap.transport.ssh.translate import Peer
from fleetpmap.transport.ssh_config import SshSettings


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where a host's key is looked up: the name and port as known_hosts has them, and the files, in order."""

    name: str
    port: int
    files: tuple[str, ...]

    @classmethod
    def of(cls, host: Host, settings: SshSettings, options: SshOptions) -> Lookup:
        """The command line's files beat the inventory's, which beat ssh's. An alias has no port, as for ssh."""
        files = options.known_hosts or host.known_hosts or (*settings.user_known_hosts, *settings.global_known_hosts)
        files = tuple(str(Path(file).expanduser()) for file in files)
        if settings.host_key_alias:
            return cls(settings.host_key_alias, known_hosts.SSH_PORT, files)
        return cls(settings.hostname, settings.port, files)

    def load(self) -> known_hosts.KnownHosts:
        """The files' entries as they are now."""
        return known_hosts.load(self.files)


def verify(lookup: Lookup, peer: Peer, key_type: str, key: bytes, options: SshOptions) -> tuple[str, ...]:
    """Check the key that the host showed; notes for the user.

    Raises:
        HostKeyError: it is unknown (and not accepted), another than expected, or revoked.
    """
    known = lookup.load()
    verdict = known.check(lookup.name, lookup.port, key)
    shown = f"{key_type} {known_hosts.fingerprint(key)}"
    if verdict.status == "known":
        return known.warnings
    if verdict.status == "unknown":
        if options.host_key == "accept-new":
            return (*known.warnings, _accept(lookup, key_type, key, shown))
        raise _error(
            peer,
            f"the host key of {peer.where} is unknown: {shown}",
            f"compare it with the host's own (ssh-keygen -lf), then run `{peer.ssh_command}` once and answer yes, "
            "add the output of ssh-keyscan to known_hosts, or use --host-key accept-new",
        )
    if verdict.status == "revoked":
        raise _error(
            peer,
            f"the host key of {peer.where} is revoked at {verdict.where}: {shown}",
            "somebody withdrew that key: give the host a new one before you trust it",
        )
    raise _error(
        peer,
        f"the host key of {peer.where} is not the one at {verdict.where}: {shown}",
        "if the host was set up anew, remove that line; if not, somebody may be listening in between",
    )


def _accept(lookup: Lookup, key_type: str, key: bytes, shown: str) -> str:
    try:
        known_hosts.append(lookup.files[0], lookup.name, lookup.port, key_type, key)
    except (OSError, IndexError) as error:
        # ssh goes on as well: the user asked to believe new hosts, and will be told that this one was not remembered.
        return f"accepted the new host key {shown}, but could not write it down: {error}"
    return f"accepted the new host key {shown}, written to {lookup.files[0]}"


def _error(peer: Peer, message: str, hint: str) -> HostKeyError:
    return HostKeyError(message, host=peer.host, stage="host-key", hint=hint)
