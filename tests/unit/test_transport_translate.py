"""Every foreign exception has its place in our tree."""

from __future__ import annotations

import socket
import struct

import paramiko
import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import (
    CouldNotCanonicalize,
    IncompatiblePeer,
    MessageOrderError,
    NoValidConnectionsError,
    PartialAuthentication,
    UnableToAuthenticate,
)

from fleetpmap.errors import (
    AuthError,
    DeadlineError,
    ExhaustedError,
    HostKeyError,
    ProtocolError,
    RefusedError,
    RemoteError,
    ResolveError,
    UnreachableError,
)
from fleetpmap.transport.base import Deadline
from fleetpmap.transport.ssh.translate import FOREIGN, Peer, translate, translated

PEER = Peer("web-03", "10.0.0.13", 2222, "ops")
KEY = paramiko.ECDSAKey.generate()

CASES = [
    (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), ResolveError),
    (ConnectionRefusedError(111, "Connection refused"), RefusedError),
    (TimeoutError("timed out"), DeadlineError),
    (TimeoutError(110, "Connection timed out"), UnreachableError),
    (OSError(113, "No route to host"), UnreachableError),
    (OSError(24, "Too many open files"), ExhaustedError),
    (OSError(23, "Too many open files in system"), ExhaustedError),
    (OSError(12, "Cannot allocate memory"), ExhaustedError),
    (OSError(101, "Network is unreachable"), UnreachableError),
    (ConnectionResetError(104, "Connection reset by peer"), UnreachableError),
    (BrokenPipeError(32, "Broken pipe"), UnreachableError),
    (ConnectionAbortedError("aborted"), UnreachableError),
    (NoValidConnectionsError({("10.0.0.13", 22): OSError()}), UnreachableError),
    (EOFError(), UnreachableError),
    (paramiko.AuthenticationException("no"), AuthError),
    (paramiko.PasswordRequiredException("locked"), AuthError),
    (paramiko.BadAuthenticationType("not so", ["password"]), AuthError),
    (PartialAuthentication(["keyboard-interactive"]), AuthError),
    (UnableToAuthenticate("no"), AuthError),
    (paramiko.BadHostKeyException("10.0.0.13", KEY, KEY), HostKeyError),
    (paramiko.ChannelException(1, "Administratively prohibited"), RemoteError),
    (IncompatiblePeer("no acceptable kex algorithm"), ProtocolError),
    (MessageOrderError("out of order"), ProtocolError),
    (CouldNotCanonicalize("no"), ProtocolError),
    (paramiko.ProxyCommandFailure("nc", "gone"), ProtocolError),
    (paramiko.ConfigParseError("bad"), ProtocolError),
    (paramiko.SSHException("Invalid packet blocking"), ProtocolError),
    (UnknownKeyType("ssh-new", b""), ProtocolError),
    (InvalidSignature(), ProtocolError),
    (InvalidTag(), ProtocolError),
    (struct.error("unpack requires a buffer of 4 bytes"), ProtocolError),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), ProtocolError),
    (ValueError("out of range"), ProtocolError),
    (IndexError("list index out of range"), ProtocolError),
]


@pytest.mark.parametrize(("foreign", "ours"), CASES, ids=lambda case: getattr(case, "__name__", type(case).__name__))
def test_every_foreign_exception_is_translated(foreign, ours):
    """The class gives the blame; host, stage, a message and a hint are there; the cause is chained."""
    with pytest.raises(ours) as caught, translated(PEER, stage="kex", deadline=Deadline.after(60)):
        raise foreign
    error = caught.value
    assert type(error) is ours
    assert (error.host, error.stage) == ("web-03", "kex")
    assert error.message
    assert error.hint
    assert "{" not in str(error)
    assert error.__cause__ is foreign


def test_every_exception_of_paramiko_is_in_the_list():
    """A new exception in a new paramiko makes this fail, so that a developer decides on its row."""
    tested = {type(foreign) for foreign, _ in CASES}
    exceptions = {
        thing
        for thing in vars(paramiko.ssh_exception).values()
        if isinstance(thing, type) and issubclass(thing, Exception)
    }
    assert exceptions <= tested


def test_time_that_is_up_is_the_reason():
    """Closing at the deadline makes all sorts of errors; they all mean the deadline."""
    error = translate(EOFError(), PEER, stage="auth", deadline=Deadline.after(0))
    assert type(error) is DeadlineError
    assert error.message == "no time left after 0 s, while logging in"


def test_our_own_error_passes():
    """An error of ours is returned as it is."""
    ours = HostKeyError("no", host="web-03", stage="host-key")
    assert translate(ours, PEER, stage="kex", deadline=Deadline.after(60)) is ours


def test_a_bug_is_not_translated():
    """An exception outside the list is ours to mend, and ends the run."""
    assert not issubclass(KeyError, FOREIGN)
    with pytest.raises(KeyError), translated(PEER, stage="kex", deadline=Deadline.after(60)):
        raise KeyError("a bug")


def test_what_a_server_says_is_made_harmless():
    """Control characters of the far side never reach the terminal."""
    error = translate(paramiko.SSHException("\x1b[2Jgone\u202e"), PEER, stage="kex", deadline=Deadline.after(60))
    assert error.message == "10.0.0.13 port 2222 does not speak SSH as it should: ?[2Jgone?"
