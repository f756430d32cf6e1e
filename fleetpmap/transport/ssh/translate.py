"""Foreign exceptions to ours.   paramiko, socket ─► [translate] ─► errors.HostError

The first matching row of the table decides. Every exception that a hostile or broken server causes in paramiko ends
here too, so one host cannot end the run.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import paramiko
from cryptography.exceptions import InvalidSignature, InvalidTag
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import IncompatiblePeer

from fleetpmap.errors import (
    AuthError,
    HostError,
    HostKeyError,
    ProtocolError,
    RefusedError,
    RemoteError,
    ResolveError,
    UnreachableError,
)
from fleetpmap.transport.base import Deadline, out_of_time, printable
from fleetpmap.unexpected import exhausted

FOREIGN = (
    OSError,
    EOFError,
    paramiko.SSHException,
    UnknownKeyType,
    InvalidSignature,  # a packet of the key exchange that is not what it says
    InvalidTag,  # an encrypted packet that was changed on its way
    struct.error,  # a message shorter than its own length fields say
    ValueError,  # text that is not UTF-8, numbers out of range
    IndexError,  # an empty message
)
"""Exceptions of paramiko and of sockets that a network or a server can cause."""


_HUNG_UP = "the host hung up"


class NothingInCommonError(IncompatiblePeer):
    """The two sides have no algorithm of a kind in common; `advice` lists those of each side."""

    def __init__(self, words: str, advice: str) -> None:
        super().__init__(words)
        self.advice = advice


_KINDS = {
    "kex": ("KexAlgorithms", "kex_algo_list", "preferred_kex"),
    "host key": ("HostKeyAlgorithms", "server_key_algo_list", "preferred_keys"),
    "cipher": ("Ciphers", "server_encrypt_algo_list", "preferred_ciphers"),
    "mac": ("MACs", "server_mac_algo_list", "preferred_macs"),
}
"""By a word of paramiko's message: the option of ssh_config, and paramiko's names for the host's list and for ours."""


def nothing_in_common(
    error: IncompatiblePeer, theirs: Mapping[str, Sequence[str]], session: object
) -> IncompatiblePeer:
    """Return the error with the algorithms of both sides; `theirs` is keyed by paramiko's name of the list."""
    kind = next((kind for kind in _KINDS if kind in str(error)), None)
    if kind is None:
        return error
    option, list_name, preferred = _KINDS[kind]
    their_names = printable(", ".join(theirs[list_name]))
    our_names = ", ".join(getattr(session, preferred))
    advice = (
        f"it has {their_names or 'none'}; fleetpmap has {our_names}; "
        f"ssh_config can allow what the host has, as `{option} +NAME`"
    )
    return NothingInCommonError(str(error), advice)


_BEFORE_LOGIN = frozenset({"dns", "tcp", "banner", "kex"})


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection, for messages."""

    host: str
    """Name in the inventory."""
    hostname: str
    port: int
    user: str
    jump: str = ""
    """The bastions on the way in the form of ssh's -J; empty if there are none."""

    @property
    def where(self) -> str:
        """The address as ssh prints it: `10.0.0.13 port 22`."""
        return f"{self.hostname} port {self.port}"

    @property
    def ssh_command(self) -> str:
        """The command that tries the same by hand."""
        jump = f"-J {self.jump} " if self.jump else ""
        port = "" if self.port == 22 else f"-p {self.port} "
        return f"ssh {jump}{port}{self.user}@{self.hostname} true"


@dataclass(frozen=True, slots=True)
class _Row:
    foreign: type[BaseException] | tuple[type[BaseException], ...]
    ours: type[HostError]
    message: str
    hint: str = ""


_TABLE = (
    _Row(
        socket.gaierror,
        ResolveError,
        "no address for {peer.hostname}: {error}",
        "check the name, or set address for this host",
    ),
    _Row(
        ConnectionRefusedError,
        RefusedError,
        "{peer.where} refused the connection",
        "is sshd running there, and on that port?",
    ),
    _Row(
        paramiko.BadHostKeyException,
        HostKeyError,
        "{peer.where} has another host key than expected",
        "run `{peer.ssh_command}` and see what it says",
    ),
    _Row(
        paramiko.AuthenticationException,
        AuthError,
        'cannot log in as "{peer.user}": {error}',
        "run `{peer.ssh_command}`, or set user/identity_file for this host",
    ),
    _Row(
        paramiko.ChannelException,
        RemoteError,
        "{peer.where} opens no session: {error}",
        "see MaxSessions (0 allows no command at all) and the account's restrictions in the host's sshd_config",
    ),
    _Row(
        IncompatiblePeer,
        ProtocolError,
        "no common ground with {peer.where}: {error}",
        "it is too old, or allows too little; ssh_config can allow what it offers, as `KexAlgorithms +NAME` "
        "(`ssh -v` shows what that is)",
    ),
    _Row(
        (OSError, EOFError),
        UnreachableError,
        "the connection to {peer.where} failed: {error}",
        "check the address, the route and the firewall",
    ),
    _Row(
        FOREIGN,
        ProtocolError,
        "{peer.where} does not speak SSH as it should: {error}",
        'check address and port; transport = "openssh" may get on with it',
    ),
)


def translate(error: BaseException, peer: Peer, *, stage: str, deadline: Deadline) -> HostError:
    """Return our error for a foreign one raised at `stage`. If the time is over, that is the reason."""
    if isinstance(error, HostError):
        return error
    # The kernel's own ETIMEDOUT has an errno: it gave the connection up before our deadline did.
    timed_out = isinstance(error, TimeoutError) and error.errno is None
    if timed_out or deadline.remaining() == 0:
        return out_of_time(peer.host, stage, deadline)
    if out_of_resources := exhausted(error, peer.host, stage):
        return out_of_resources
    row = next((row for row in _TABLE if isinstance(error, row.foreign)), _TABLE[-1])
    message = row.message.format(peer=peer, error=_words(error))
    ours = row.ours(message, host=peer.host, stage=stage, hint=row.hint.format(peer=peer))
    ours.may_pass = stage in _BEFORE_LOGIN and _may_pass(error)
    if isinstance(error, IncompatiblePeer):
        ours.hint = error.advice if isinstance(error, NothingInCommonError) else ours.hint
        ours.openssh_can = "knows other algorithms"
    return ours


def quoted(error: HostError, texts: Sequence[str]) -> HostError:
    """Append the host's messages on the login to its error: a banner, or its reason for hanging up."""
    words = [printable(" ".join(text.split())) for text in texts]
    new = [f'"{text}"' for text in words if text and text not in error.message]
    if new:
        how = ", and said" if error.message.endswith(_HUNG_UP) else "; the host said"
        error.message += f"{how} {' and '.join(new)}"
        error.args = (error.message,)
        error.said = "\n".join(words)
        if _HUNG_UP in error.message and isinstance(error, AuthError):
            error.hint = f"that is the host's own reason, and for its administrator to lift; {error.hint}"
    return error


@contextlib.contextmanager
def translated(peer: Peer, *, stage: str, deadline: Deadline) -> Iterator[None]:
    """Translate the exceptions of a block that calls only paramiko and sockets."""
    try:
        yield
    except FOREIGN as error:
        raise translate(error, peer, stage=stage, deadline=deadline) from error


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    return isinstance(error, EOFError | ConnectionResetError)


def _words(error: BaseException) -> str:
    if isinstance(error, paramiko.AuthenticationException) and "saw EOF" in str(error):
        return _HUNG_UP
    if isinstance(error, paramiko.ChannelException):
        return printable(error.text)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(str(error)) or (_HUNG_UP if isinstance(error, EOFError) else type(error).__name__)
