"""The keys to offer.   identity files, certificates, agent ─► [keys] ─► login

Identity files first, in their order, then the agent's keys; each key's certificates go before the key itself. A file
is loaded once and shared by the whole run: deriving a key from a passphrase takes a tenth of a second.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey
from paramiko.pkey import PublicBlob

from fleetpmap.inventory.model import Host
from fleetpmap.transport.base import Deadline, printable
from fleetpmap.transport.secret import Secret
from fleetpmap.transport.ssh.agent import Agent
from fleetpmap.transport.ssh.translate import FOREIGN
from fleetpmap.transport.ssh_config import SshSettings
from fleetpmap.transport.ssh_keywords import RSA_SIGNATURES

LOCKED = "needs its passphrase (ssh-add it)"
_MAGIC = b"openssh-key-v1\0"
_USUAL_NAMES = frozenset({"id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"})
_AGENT_S = 2.0
"""How long to wait for an agent before the run, where no host's deadline counts yet."""


class Keys:
    """The keys for one host, each with the name the user knows it by. Holds the agent's socket until it is closed.

    Attributes:
        left_out: what cannot be offered and why, once all was iterated over.
    """

    def __init__(
        self, host: Host, settings: SshSettings, passphrases: Mapping[str, Secret], deadline: Deadline
    ) -> None:
        self.left_out: list[str] = []
        self._named_by_inventory = bool(host.identity_file)
        self._files = host.identity_file or settings.identity_files
        self._only_files = settings.identities_only or self._named_by_inventory
        self._algorithms = settings.pubkey_algorithms
        self._passphrases = passphrases
        self._certificates = _certificates(self._files, settings.certificate_files)
        self._agent = Agent(settings.identity_agent, deadline)

    def __iter__(self) -> Iterator[tuple[str, paramiko.PKey]]:
        offered: set[bytes] = set()
        locked: dict[str, bytes | None] = {}
        """Files that we cannot open, with their public halves: the agent may hold them."""
        for name in self._files:
            key = load_key(name, self._passphrases.get(str(Path(name).expanduser())))
            if isinstance(key, paramiko.PKey):
                offered.add(key.asbytes())
                yield from self._with_certificates(name, key)
                continue
            locked[name] = public_half(name)
            if key != LOCKED and (key or self._named_by_inventory):
                self.left_out.append(f"{name}: {key or 'no such file'}")
        held = [key for key in self._agent.fetch() if key.blob not in offered]
        for agent_key in sorted(held, key=lambda key: not _is_one_of(key, locked.values())):  # stable: the named first
            if not self._only_files or _is_one_of(agent_key, locked.values()):
                yield from self._with_certificates(
                    f"agent's {printable(agent_key.comment) or agent_key.name}", agent_key
                )
        for name, public in locked.items():
            if load_key(name) == LOCKED and public not in {key.blob for key in held}:
                self.left_out.append(f"{name}: {LOCKED}")

    def close(self) -> None:
        """Let go of the agent."""
        self._agent.close()

    def _with_certificates(self, name: str, key: paramiko.PKey) -> Iterator[tuple[str, paramiko.PKey]]:
        """The key behind those certificates that are for it; nothing, if ssh_config does not allow its algorithm."""
        signatures = RSA_SIGNATURES if key.get_name() == "ssh-rsa" else (key.get_name(),)
        if self._algorithms and not set(signatures) & set(self._algorithms):
            self.left_out.append(f"{name}: PubkeyAcceptedAlgorithms leaves it out")
            return
        for path, certificate in self._certificates:
            if certifies(certificate.key_blob, key.asbytes()):
                certified = copy.copy(key)
                certified.public_blob = certificate
                yield f"{name} with {path}", certified
        yield name, key


def load_key(path: str, passphrase: Secret | None = None) -> paramiko.PKey | str:
    """The private key in a file, shared by the whole run; or in a few words why it cannot be used ("" if missing)."""
    file = os.path.expanduser(path)  # noqa: PTH111 - for each host, and a Path takes ten times as long
    try:
        stat = os.stat(file)  # noqa: PTH116 - the same
    except OSError as error:
        return "" if isinstance(error, FileNotFoundError) else error.strerror or "cannot be read"
    return _load_key(file, stat.st_mtime_ns, stat.st_size, passphrase)


@lru_cache(maxsize=256)
def _load_key(file: str, mtime_ns: int, size: int, passphrase: Secret | None) -> paramiko.PKey | str:
    # Time and size are the key of the cache: a file that was replaced is another key.
    password = passphrase.reveal().encode() if passphrase else None
    try:
        key = paramiko.PKey.from_path(file, password)  # type: ignore[arg-type]  # cryptography, behind it, wants bytes
    except (paramiko.PasswordRequiredException, TypeError):  # cryptography says TypeError for a missing passphrase
        return LOCKED
    except OSError as error:
        return error.strerror or "cannot be read"
    except FOREIGN:
        return LOCKED if passphrase else "not a private key that can be used here"
    key.public_blob = None  # the certificate beside it is offered on its own
    return key


def public_half(path: str) -> bytes | None:
    """The public key beside a private one, or in the file itself; None if there is none to read."""
    private = Path(path).expanduser()
    for file in (Path(str(private).removesuffix(".pub") + ".pub"), private):
        with contextlib.suppress(OSError, ValueError, IndexError):
            return base64.b64decode(file.read_text(encoding="utf-8").split()[1], validate=True)
    with contextlib.suppress(OSError, *FOREIGN):
        return _embedded(private.read_text(encoding="ascii"))
    return None


def _embedded(text: str) -> bytes | None:
    """OpenSSH's own format keeps the public half in the clear (PROTOCOL.key)."""
    body = base64.b64decode("".join(text.split("-----")[2].split()))
    if not body.startswith(_MAGIC):
        return None
    message = paramiko.Message(body[len(_MAGIC) :])
    for _ in ("cipher", "kdf", "kdf options"):
        message.get_binary()
    message.get_int()  # how many keys: 1
    return message.get_binary()


def certifies(certificate: bytes, key: bytes) -> bool:
    """Whether a certificate is for this public key: it holds the type, a nonce, and then the key's own fields."""
    signed, bare = paramiko.Message(certificate), paramiko.Message(key)
    signed_type, _ = signed.get_text(), signed.get_binary()
    return signed_type.startswith(bare.get_text()) and signed.get_remainder().startswith(bare.get_remainder())


def _certificates(files: Sequence[str], named: Iterable[str]) -> list[tuple[str, PublicBlob]]:
    """The certificates of ssh_config, and KEY-cert.pub beside each key; what is none is passed over, as by ssh."""
    found: dict[bytes, tuple[str, PublicBlob]] = {}
    for path in (*named, *(f"{name}-cert.pub" for name in files)):
        with contextlib.suppress(OSError, *FOREIGN):
            certificate = PublicBlob.from_file(os.path.expanduser(path))  # noqa: PTH111 - the same
            if "-cert-" in certificate.key_type:
                found.setdefault(certificate.key_blob, (path, certificate))
    return list(found.values())


def _is_one_of(agent_key: AgentKey, publics: Iterable[bytes | None]) -> bool:
    """Whether the agent's key, or certificate, is one of these."""
    certificate = agent_key.public_blob is not None
    return any(
        public and (certifies(agent_key.blob, public) if certificate else agent_key.blob == public)
        for public in publics
    )


def locked_files(ways: Iterable[tuple[Host, SshSettings]]) -> tuple[str, ...]:
    """Encrypted key files, by absolute path, that a login needs: no agent holds them, and nothing else is at hand.

    A file that the inventory or ssh_config names is needed. Of ssh's usual names the first is, where the host has
    neither an open file nor a key in the agent.
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
        shut = [name for name in locked if not any(_is_one_of(key, [public_half(name)]) for key in held)]
        if not host.identity_file and _are_ssh_own(settings.identity_files):
            at_hand = len(shut) < len(locked) or held or any(isinstance(key, paramiko.PKey) for key in files.values())
            shut = [] if at_hand else shut[:1]
        needed.update(dict.fromkeys(str(Path(name).expanduser()) for name in shut))
    return tuple(needed)


def _are_ssh_own(files: Sequence[str]) -> bool:
    """Whether these are the names that ssh tries where nobody names one."""
    return len(files) > 2 and all(Path(file).name in _USUAL_NAMES for file in files)


def _held(agent_path: str) -> tuple[AgentKey, ...]:
    with contextlib.closing(Agent(agent_path, Deadline.after(_AGENT_S))) as agent:
        return agent.fetch()
