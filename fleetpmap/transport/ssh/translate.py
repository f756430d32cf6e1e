"""Foreign exceptions into ours.   paramiko, socket ─► [translate] ─► errors.HostError

The first row of the table that fits decides. Whatever a hostile or broken server makes paramiko raise ends up here as
well, so that one host cannot end the run.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
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
"""What paramiko and the socket module raise because of what a network or a server does."""


_BEFORE_LOGIN = frozenset({"dns", "tcp", "banner", "kex"})


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end, for messages."""

    host: str
    """The inventory's name."""
    hostname: str
    port: int
    user: str
    jump: str = ""
    """The bastions on the way, as ssh's -J takes them; empty if there are none."""

    @property
    def where(self) -> str:
        """`10.0.0.13 port 22`, as ssh says it."""
        return f"{self.hostname} port {self.port}"

    @property
    def ssh_command(self) -> str:
        """What to type to try the same by hand."""
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
        "see MaxSessions and the account's restrictions in the host's sshd_config",
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
    """Our error for a foreign one that came up at `stage`. When the time is up, that is the reason."""
    if isinstance(error, HostError):
        return error
    # The kernel's own ETIMEDOUT has an errno: it gave the connection up before our deadline did.
    timed_out = isinstance(error, TimeoutError) and error.errno is None
    if timed_out or deadline.remaining() == 0:
        return out_of_time(peer.host, stage, deadline.seconds)
    row = next((row for row in _TABLE if isinstance(error, row.foreign)), _TABLE[-1])
    message = row.message.format(peer=peer, error=_words(error))
    ours = row.ours(message, host=peer.host, stage=stage, hint=row.hint.format(peer=peer))
    ours.may_pass = stage in _BEFORE_LOGIN and _may_pass(error)
    if isinstance(error, IncompatiblePeer):
        ours.openssh_can = f"knows older algorithms: {message}"
    return ours


@contextlib.contextmanager
def translated(peer: Peer, *, stage: str, deadline: Deadline) -> Iterator[None]:
    """A block in which only paramiko and sockets are at work, and whose exceptions are theirs."""
    try:
        yield
    except FOREIGN as error:
        raise translate(error, peer, stage=stage, deadline=deadline) from error


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    return isinstance(error, EOFError | ConnectionResetError)


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(str(error)) or ("the host hung up" if isinstance(error, EOFError) else type(error).__name__)
