"""The keys of an ssh-agent.   IdentityAgent ─► [agent] ─► keys

This module speaks the agent's protocol (draft-ietf-sshm-ssh-agent) itself: paramiko's agent has no deadline, and one
key of an unknown type makes it fail as a whole. Each request has a connection of its own, and few are open at once,
since gpg-agent resets connections when more requests to sign arrive than it has room for.
"""

from __future__ import annotations

import socket
import struct
import time
from collections import defaultdict
from threading import BoundedSemaphore, Lock
from typing import NamedTuple

import paramiko

from fleetpmap.transport.base import Deadline
from fleetpmap.transport.ssh.translate import FOREIGN

AT_ONCE = 4
"""Requests to one agent at a time, over the whole run."""
_TRIES = 5
"""Attempts at a request to an agent that hangs up or has no room."""
_PAUSE_S = 0.05
_LIMIT = 256 << 10
"""Bytes of a reply, at most, as in ssh."""
_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14
_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}
"""Flag of a signing request: the hash of an RSA key's signature. SHA-1 without a flag."""

_ROOM: defaultdict[str, BoundedSemaphore] = defaultdict(lambda: BoundedSemaphore(AT_ONCE))
_MAKING_ROOM = Lock()


class AgentError(paramiko.SSHException):
    """The agent failed at a request; the message begins with a verb."""


class AgentKey(NamedTuple):
    """A key or certificate that the agent holds."""

    blob: bytes
    """The public half, in wire format."""
    comment: str


class Agent:
    """The agent at a socket; `path` is empty if there is none."""

    def __init__(self, path: str, deadline: Deadline) -> None:
        self.path = path
        self._deadline = deadline
        with _MAKING_ROOM:
            self._room = _ROOM[path]

    def fetch(self) -> tuple[AgentKey, ...]:
        """Return the agent's keys and certificates, in its order.

        Raises:
            AgentError: the reply is missing or malformed. A missing socket means that there is no agent, and is no
                error.
        """
        if not self.path:
            return ()
        message = paramiko.Message()
        message.add_byte(bytes([_REQUEST_IDENTITIES]))
        try:
            answer = self._ask(message, _IDENTITIES_ANSWER)
        except (FileNotFoundError, ConnectionRefusedError):
            return ()
        except FOREIGN as error:
            raise AgentError(f"did not tell its keys: {_words(error)}") from error
        keys = []
        for _ in range(answer.get_int()):
            blob, comment = answer.get_binary(), answer.get_binary().decode(errors="replace")
            if not blob:
                raise AgentError("did not tell its keys: an empty one is among them")
            keys.append(AgentKey(blob, comment))
        return tuple(keys)

    def sign(self, blob: bytes, data: bytes, algorithm: str) -> bytes:
        """Return a signature by the key with this public half.

        Raises:
            AgentError: the agent refused or did not reply.
        """
        message = paramiko.Message()
        message.add_byte(bytes([_SIGN_REQUEST]))
        message.add_string(blob)
        message.add_string(data)
        message.add_int(_FLAGS.get(algorithm.removesuffix("-cert-v01@openssh.com"), 0))
        try:
            return self._ask(message, _SIGN_RESPONSE).get_binary()
        except FOREIGN as error:
            raise AgentError(f"did not sign: {_words(error)}") from error

    def _ask(self, message: paramiko.Message, expected: int) -> paramiko.Message:
        """Return the reply to a request, which is repeated if the agent hangs up or has no room."""
        if not self._room.acquire(timeout=self._deadline.remaining()):
            raise TimeoutError
        try:
            for attempt in range(1, _TRIES + 1):
                try:
                    return self._exchange(message.asbytes(), expected)
                except (ConnectionError, BlockingIOError, EOFError) as error:
                    if isinstance(error, ConnectionRefusedError) or attempt == _TRIES:
                        raise
                    time.sleep(min(attempt * _PAUSE_S, self._deadline.remaining()))
            raise AssertionError
        finally:
            self._room.release()

    def _exchange(self, request: bytes, expected: int) -> paramiko.Message:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(max(self._deadline.remaining(), 0.001))
            connection.connect(self.path)
            connection.sendall(struct.pack(">I", len(request)) + request)
            (length,) = struct.unpack(">I", self._receive(connection, 4))
            if not 0 < length <= _LIMIT:
                raise AgentError(f"an answer of {length:,} bytes")
            answer = paramiko.Message(self._receive(connection, length))
        if answer.get_byte() != bytes([expected]):
            raise AgentError("it refused")
        return answer

    def _receive(self, connection: socket.socket, wanted: int) -> bytes:
        received = bytearray()
        while len(received) < wanted:
            connection.settimeout(max(self._deadline.remaining(), 0.001))
            piece = connection.recv(wanted - len(received))
            if not piece:
                raise EOFError("it hung up")
            received += piece
        return bytes(received)


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and error.errno is None:
        return "it did not answer in time"
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
