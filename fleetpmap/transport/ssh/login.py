"""Who we are.   identity files, agent ─► [login] ─► an authenticated session, or AuthError

Identity files first, in their order, then the agent's keys, five at most: servers hang up after six, and newer ones
shut out an address that keeps trying. A failed login is not repeated.
"""

from __future__ import annotations

import base64
import contextlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH

from fleetpmap.errors import AuthError
from fleetpmap.inventory.model import Host
from fleetpmap.transport.base import Deadline, out_of_time, printable
from fleetpmap.transport.ssh.translate import FOREIGN, Peer, translate
from fleetpmap.transport.ssh_config import SshSettings

MAX_KEYS = 5


@dataclass(slots=True)
class _Attempts:
    """What was tried and what was left out, for the error."""

    tried: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def login(session: paramiko.Transport, peer: Peer, host: Host, settings: SshSettings, deadline: Deadline) -> None:
    """Log in with the first key that the host takes.

    Raises:
        AuthError: it takes none of ours; the message says what was tried.
        HostError: the connection broke, or the deadline passed.
    """
    attempts = _Attempts()
    with contextlib.closing(_Keys(host, settings, deadline, attempts)) as keys:
        for name, key in keys:
            if len(attempts.tried) == MAX_KEYS:
                attempts.left_out.append(f"{name} and what follows: {MAX_KEYS} keys are enough")
                break
            attempts.tried.append(name)
            if _takes(session, peer, key, deadline, attempts):
                return
            if not session.is_active():
                attempts.left_out.append("any other: the host hung up")
                break
    if deadline.remaining() == 0:  # an agent that did not answer
        raise out_of_time(peer.host, "auth", deadline.seconds)
    raise _error(peer, attempts)


def _takes(
    session: paramiko.Transport, peer: Peer, key: paramiko.PKey, deadline: Deadline, attempts: _Attempts
) -> bool:
    """Whether this key lets us in."""
    session.auth_timeout = deadline.remaining()
    try:
        still_wanted = session.auth_publickey(peer.user, key)
    except paramiko.BadAuthenticationType as error:
        attempts.left_out.append(f"keys: the host only takes {printable(', '.join(error.allowed_types))}")
        return False
    except FOREIGN as error:
        # Refused by the host, or by the agent that would not sign.
        refused = isinstance(error, paramiko.SSHException) and session.is_active()
        hung_up_on_us = len(attempts.tried) > 1 and not session.is_active()
        if deadline.remaining() > 0 and (refused or hung_up_on_us):
            return False
        raise translate(error, peer, stage="auth", deadline=deadline) from error
    if still_wanted:
        attempts.left_out.append(f"the second factor it asks for: {printable(', '.join(still_wanted))}")
    return not still_wanted


class _Keys:
    """The keys to offer, each with the name the user knows it by. Holds the agent's socket until it is closed."""

    def __init__(self, host: Host, settings: SshSettings, deadline: Deadline, attempts: _Attempts) -> None:
        self._named_by_inventory = bool(host.identity_file)
        self._files = host.identity_file or settings.identity_files
        self._only_files = settings.identities_only or self._named_by_inventory
        self._agent = _Agent(settings.identity_agent, deadline)
        self._attempts = attempts

    def __iter__(self) -> Iterator[tuple[str, paramiko.PKey]]:
        offered: set[bytes] = set()
        locked: list[bytes] = []
        """Public halves of files that we cannot open; the agent may hold them."""
        for name in self._files:
            key = load_key(str(Path(name).expanduser()))
            if isinstance(key, paramiko.PKey):
                offered.add(key.asbytes())
                yield name, key
            elif key or self._named_by_inventory:
                self._attempts.left_out.append(f"{name}: {key or 'no such file'}")
            if not isinstance(key, paramiko.PKey):
                locked += _public_half(str(Path(name).expanduser()))
        agent_keys = [key for key in self._agent.fetch() if key.asbytes() not in offered]
        agent_keys.sort(key=lambda key: key.blob not in locked)  # stable: the named ones first
        for agent_key in agent_keys:
            if agent_key.blob in locked or not self._only_files:
                yield f"agent's {printable(agent_key.comment) or agent_key.name}", agent_key

    def close(self) -> None:
        self._agent.close()


class _Agent(AgentSSH):
    """The agent at a socket of our choice, under our deadline; paramiko's own knows only $SSH_AUTH_SOCK and no time."""

    def __init__(self, path: str, deadline: Deadline) -> None:
        super().__init__()
        self._path = path
        self._deadline = deadline

    def fetch(self) -> tuple[AgentKey, ...]:
        """Its keys; none if there is no agent, or it does not answer as one."""
        if not self._path:
            return ()
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            agent.settimeout(max(self._deadline.remaining(), 0.001))
            agent.connect(self._path)
            self._connect(agent)  # type: ignore[attr-defined]  # private, so not in the stubs
        except FOREIGN:
            agent.close()
        return self.get_keys()

    def close(self) -> None:
        self._close()  # type: ignore[attr-defined]  # private, so not in the stubs


def load_key(path: str) -> paramiko.PKey | str:
    """The private key in a file, shared by the whole run; or in a few words why it cannot be used ("" if missing)."""
    try:
        stat = Path(path).stat()
    except OSError as error:
        return "" if isinstance(error, FileNotFoundError) else error.strerror or "cannot be read"
    return _load_key(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _load_key(path: str, mtime_ns: int, size: int) -> paramiko.PKey | str:
    # Time and size are the key of the cache: a file that was replaced is another key.
    try:
        return paramiko.PKey.from_path(path)
    except (paramiko.PasswordRequiredException, TypeError):  # cryptography says TypeError for a missing passphrase
        return "needs its passphrase (ssh-add it)"
    except OSError as error:
        return error.strerror or "cannot be read"
    except FOREIGN:
        return "not a private key that can be used here"


def _public_half(path: str) -> list[bytes]:
    """The public key beside a private one, or in the file itself if that is a public key; [] if there is none."""
    for candidate in (path.removesuffix(".pub") + ".pub", path):
        with contextlib.suppress(OSError, ValueError, IndexError):
            words = Path(candidate).read_text(encoding="utf-8").split()
            return [base64.b64decode(words[1], validate=True)]
    return []


def _error(peer: Peer, attempts: _Attempts) -> AuthError:
    tried = f"tried: {', '.join(attempts.tried)}" if attempts.tried else "there was no key to try"
    left_out = f"; not: {', '.join(attempts.left_out)}" if attempts.left_out else ""
    return AuthError(
        f'cannot log in as "{peer.user}" ({tried}{left_out})',
        host=peer.host,
        stage="auth",
        hint=f"run `{peer.ssh_command}`, or set user/identity_file for this host in inventory.toml",
    )
