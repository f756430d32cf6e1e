"""The keys to offer.   identity files, certificates, agent ─► [keys] ─► login

In the order of OpenSSH's client (pubkey_prepare in sshconnect2.c):

    1. the certificates that CertificateFile names
    2. the agent's keys that are in an identity file, in the agent's order, not the files'
    3. the agent's other keys, unless IdentitiesOnly
    4. the other identity files, in their order; where no CertificateFile is named, each before its KEY-cert.pub

and without those whose algorithm PubkeyAcceptedAlgorithms excludes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import paramiko
from paramiko.pkey import PublicBlob

from fleetpmap.inventory.hosts import Host
from fleetpmap.transport.base import Deadline, printable
from fleetpmap.transport.secret import Secret
from fleetpmap.transport.ssh.agent import Agent, AgentError, AgentKey
from fleetpmap.transport.ssh.certificate import validity
from fleetpmap.transport.ssh.key_file import CERTIFICATE, LOCKED, PrivateKey, load_key, public_half
from fleetpmap.transport.ssh.translate import FOREIGN
from fleetpmap.transport.ssh_config import SshSettings
from fleetpmap.transport.ssh_config.keywords import RSA_SIGNATURES

__all__ = ["LOCKED", "Key", "Keys", "load_key", "locked_files"]

Sign = Callable[[bytes, str], bytes]
"""Function that signs bytes by an algorithm."""
_SECURITY_KEY = "sk-"
"""Beginning of a security key's type (FIDO)."""
_USUAL_NAMES = frozenset({"id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"})
_AGENT_S = 2.0
"""Seconds to wait for an agent before the run, when no host's deadline has begun."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key or certificate that can be offered."""

    name: str
    """Name in messages, as the user wrote it."""
    blob: bytes
    """The public key or certificate, in wire format."""
    sign: Sign | None
    """Function that signs; None if the private half cannot be used here."""
    at_hand: bool = False
    """True if the private half is in this process, so signing needs neither an agent nor a confirmation by the user."""
    obstacle: str = ""
    """Reason why it cannot sign."""

    @property
    def type(self) -> str:
        """Name of the type, as `ssh-rsa-cert-v01@openssh.com`."""
        return paramiko.Message(self.blob).get_text()

    @property
    def is_in_security_key_file(self) -> bool:
        """True if only a library for security keys could sign with it."""
        return self.sign is None and self.type.startswith(_SECURITY_KEY)

    def algorithms(self, accepted: Sequence[str]) -> tuple[str, ...]:
        """Return its signature algorithms among those that ssh_config accepts (empty: ssh's own choice)."""
        bare, certificate, _ = self.type.partition(CERTIFICATE)
        if not bare.endswith("ssh-rsa"):
            own: tuple[str, ...] = (self.type,)
            return own if not accepted or self.type in accepted else ()
        own = tuple(f"{name}{certificate}" for name in (*RSA_SIGNATURES, "ssh-rsa"))
        return tuple(name for name in accepted if name in own) if accepted else own[:-1]


class Keys:
    """The keys for one host, in the order in which to offer them.

    Attributes:
        left_out: keys that cannot be offered, each with the reason.
        agent_failure: reason why the agent's keys are unknown; empty if they are known.
    """

    agent_failure = ""

    def __init__(
        self, host: Host, settings: SshSettings, passphrases: Mapping[str, Secret], deadline: Deadline
    ) -> None:
        self.left_out: list[str] = []
        self._named_by_inventory = bool(host.identity_file)
        self._only_files = settings.identities_only or self._named_by_inventory
        self._agent = Agent(settings.identity_agent, deadline)
        named_files = [(name, self._file(name, passphrases)) for name in host.identity_file or settings.identity_files]
        files = [key for _, key in named_files if key]
        held = self._held()
        # By public half. A file replaces the agent's copy of the same key, since the agent may ask its user to confirm.
        signers = {key.blob: key for key in (*held, *files) if key.sign}
        pool = [*files, *held]
        named = [self._certified(path, signers, pool, is_named=True) for path in settings.certificate_files]
        if not named:
            pairs = ((key, self._certified(f"{name}-cert.pub", signers, pool)) for name, key in named_files)
            files = [key for pair in pairs for key in pair if key]
        in_order = [*filter(None, named), *self._agents_and_files(held, files)]
        once: dict[bytes, Key] = {}
        for key in in_order:
            once.setdefault(key.blob, key)
        self._keys = [key for key in once.values() if self._is_accepted(key, settings.pubkey_algorithms)]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def _file(self, name: str, passphrases: Mapping[str, Secret]) -> Key | None:
        """Return the key in an identity file, if at least its public half can be read."""
        key = load_key(name, passphrases.get(str(Path(name).expanduser())))
        if isinstance(key, PrivateKey):
            return Key(name, key.blob, key.sign, at_hand=True)
        blob = public_half(name) or b""
        can_be_named = key in ("", LOCKED) or name.endswith(".pub") or _type_of(blob).startswith(_SECURITY_KEY)
        if _type_of(blob) and can_be_named:
            return Key(name, blob, None, obstacle=f"{name}: {key or 'its private half is not there'}")
        if key or self._named_by_inventory:
            self.left_out.append(f"{name}: {key or 'no such file'}")
        return None

    def _held(self) -> list[Key]:
        """Return the agent's keys."""
        try:
            return [
                Key(
                    f"agent's {printable(key.comment) or _type_of(key.blob)}{_when(key.blob)}",
                    key.blob,
                    partial(self._agent.sign, key.blob),
                )
                for key in self._agent.fetch()
                if _type_of(key.blob)
            ]
        except FOREIGN as error:
            self.agent_failure = f"the agent at {self._agent.path} {printable(str(error))}"
            self.left_out.append(self.agent_failure)
            return []

    def _certified(
        self, path: str, signers: Mapping[bytes, Key], keys: Sequence[Key], *, is_named: bool = False
    ) -> Key | None:
        """Return the certificate in a file with the key that signs for it. Other files are skipped, as in ssh."""
        certificate = _certificate(path)
        certified = [key for key in keys if certificate and certifies(certificate, key.blob)]
        key = next((signers[key.blob] for key in certified if key.blob in signers), certified[0] if certified else None)
        if certificate and key:
            return Key(f"{key.name} with {path}{_when(certificate)}", certificate, key.sign, key.at_hand, key.obstacle)
        if certificate and is_named:
            self.left_out.append(f"{path}: its key is neither in an identity file nor in the agent")
        return None

    def _agents_and_files(self, held: Sequence[Key], files: Sequence[Key]) -> Iterator[Key]:
        """Return the agent's keys that are in files, its other keys, and the files that the agent does not hold."""
        in_file = {file.blob: file for file in reversed(files)}
        for key in held:
            if key.blob in in_file:
                file = in_file[key.blob]
                yield file if file.sign else key
        if not self._only_files:
            yield from (key for key in held if key.blob not in in_file)
        in_agent = {key.blob for key in held}
        yield from (file for file in files if file.blob not in in_agent)

    def _is_accepted(self, key: Key, accepted: Sequence[str]) -> bool:
        if key.algorithms(accepted):
            return True
        self.left_out.append(f"{key.name}: PubkeyAcceptedAlgorithms leaves it out")
        return False


def certifies(certificate: bytes, key: bytes) -> bool:
    """True if the certificate is for this public key: it holds the type, a nonce, and then the key's own fields."""
    signed, bare = paramiko.Message(certificate), paramiko.Message(key)
    signed_type, _ = signed.get_text(), signed.get_binary()
    bare_type = bare.get_text().removesuffix("@openssh.com")  # of a security key
    return signed_type == bare_type + CERTIFICATE and signed.get_remainder().startswith(bare.get_remainder())


def _certificate(path: str) -> bytes | None:
    """Return the certificate in a file."""
    with contextlib.suppress(OSError, *FOREIGN):
        certificate = PublicBlob.from_file(os.path.expanduser(path))  # noqa: PTH111 - for each host
        if certificate.key_type.endswith(CERTIFICATE):
            return bytes(certificate.key_blob)
    return None


def _when(blob: bytes) -> str:
    """Return the suffix of a certificate's name, such as ` (expired 3 h ago)`; empty if it is valid."""
    trouble = validity(blob)
    return f" ({trouble})" if trouble else ""


def _type_of(blob: bytes) -> str:
    """Return the type's name; empty if the blob is no public key."""
    with contextlib.suppress(*FOREIGN):
        return paramiko.Message(blob).get_text()
    return ""


def locked_files(ways: Iterable[tuple[Host, SshSettings]]) -> tuple[str, ...]:
    """Return the encrypted key files, by absolute path, whose passphrases a login needs.

    A file counts if no agent holds its key. If the inventory or ssh_config names it, it is needed. Of ssh's default
    names only the first is, and only for a host with neither an unencrypted file nor a key in the agent.
    """
    held_by: dict[str, tuple[AgentKey, ...]] = {}
    needed: dict[str, None] = {}
    for host, settings in ways:
        files = {name: load_key(name) for name in (host.identity_file or settings.identity_files)}
        locked = [name for name, key in files.items() if key == LOCKED]
        if not locked:
            continue
        if settings.identity_agent not in held_by:
            held_by[settings.identity_agent] = _held(settings.identity_agent)
        held = held_by[settings.identity_agent]
        shut = [name for name in locked if public_half(name) not in {key.blob for key in held}]
        if not host.identity_file and _are_ssh_own(settings.identity_files):
            at_hand = len(shut) < len(locked) or held or any(isinstance(key, PrivateKey) for key in files.values())
            shut = [] if at_hand else shut[:1]
        needed.update(dict.fromkeys(str(Path(name).expanduser()) for name in shut))
    return tuple(needed)


def _are_ssh_own(files: Sequence[str]) -> bool:
    """True if these are the names that ssh tries by default."""
    return len(files) > 2 and all(Path(file).name in _USUAL_NAMES for file in files)


def _held(agent_path: str) -> tuple[AgentKey, ...]:
    try:
        return Agent(agent_path, Deadline.after(_AGENT_S)).fetch()
    except AgentError:
        return ()
