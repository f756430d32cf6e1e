"""The check of a host key.   a host's key, known_hosts ─► [host_keys] ─► nothing, or HostKeyError

It runs after the key exchange and before the login, so an impostor gets neither user name nor key. Strict mode accepts
only a known key. accept-new also trusts and stores the key of an unknown host, and still rejects a host that is known
by another key.
"""

from __future__ import annotations

import shlex

from fleetpmap.errors import HostKeyError
from fleetpmap.transport import known_hosts
from fleetpmap.transport.known_hosts import Lookup
from fleetpmap.transport.ssh.translate import Peer

__all__ = ["Lookup", "verify"]


def verify(lookup: Lookup, peer: Peer, key_type: str, key: bytes) -> tuple[str, ...]:
    """Check the host's key. Returns notes for the user.

    Raises:
        HostKeyError: the key is unknown (and not accepted), another than expected, or revoked.
    """
    known = lookup.load()
    verdict = known.check(lookup.name, lookup.port, key)
    shown = f"{key_type} {known_hosts.fingerprint(key)}"
    if verdict.status == "known":
        return known.warnings
    if verdict.status == "revoked":
        raise _error(
            peer,
            f"the host key of {peer.where} is revoked at {verdict.where}: {shown}",
            "somebody withdrew that key: give the host a new one before you trust it",
        )
    authority = known.authority(lookup.name, lookup.port)
    if verdict.status == "unknown" and lookup.accepts_new_keys and lookup.own_file is not None and not authority:
        return (*known.warnings, _accept(lookup, lookup.own_file, key_type, key, shown))
    error = _unknown(lookup, peer, shown) if verdict.status == "unknown" else _changed(verdict.where, peer, shown)
    if authority:
        error.openssh_can = f"checks the certificate that {authority} trusts an authority for"
    raise error


def _unknown(lookup: Lookup, peer: Peer, shown: str) -> HostKeyError:
    hint = f"compare it with the host's own (ssh-keygen -lf), then {_trust(lookup, peer)}"
    if lookup.accepts_new_keys:
        hint += "; it cannot be accepted, since UserKnownHostsFile none names no file to write it to"
    else:
        hint += "; or trust every host that is new: --host-key accept-new"
    return _error(peer, f"the host key of {peer.where} is unknown: {shown}", hint)


def _changed(where: str, peer: Peer, shown: str) -> HostKeyError:
    return _error(
        peer,
        f"the host key of {peer.where} is not the one at {where}: {shown}",
        "if the host was set up anew, remove that line; if not, somebody may be listening in between",
    )


def _accept(lookup: Lookup, own_file: str, key_type: str, key: bytes, shown: str) -> str:
    try:
        known_hosts.append(own_file, lookup.name, lookup.port, key_type, key)
    except OSError as error:
        # ssh continues as well: the user chose to trust new hosts, and the note says that this one was not stored.
        return f"accepted the new host key {shown}, but could not write it down: {error}"
    return f"accepted the new host key {shown}, written to {own_file}"


def _trust(lookup: Lookup, peer: Peer) -> str:
    """Return the hint for storing the host's key. Behind a bastion, and for an alias, ssh-keyscan cannot fetch it."""
    if lookup.own_file is None:
        return f"have it added to {' or '.join(lookup.files)}" if lookup.files else "add it to a file of --known-hosts"
    if peer.jump or lookup.name != peer.hostname:
        return f"run `{peer.ssh_command}` and answer yes"
    port = "" if lookup.port == known_hosts.SSH_PORT else f"-p {lookup.port} "
    return f"run `ssh-keyscan {port}{lookup.name} >> {shlex.quote(lookup.own_file)}`"


def _error(peer: Peer, message: str, hint: str) -> HostKeyError:
    return HostKeyError(message, host=peer.host, stage="host-key", hint=hint)
