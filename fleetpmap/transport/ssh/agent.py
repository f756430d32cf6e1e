"""The agent's keys.   IdentityAgent ─► [agent] ─► keys

The agent's protocol (draft-ietf-sshm-ssh-agent) is spoken here, not by paramiko, whose agent knows no deadline, and
fails as a whole over one key that it does not know. Each request has a connection of its own, and few are open at once:
gpg-agent resets connections when more sign than it has room for.
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
"""Requests to one agent at a time, of the whole run."""
_TRIES = 5
"""How often to ask an agent that hangs up, or has no room."""
_PAUSE_S = 0.05
_LIMIT = 256 << 10
"""Bytes of an answer at most, as for ssh."""
_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14
_FLAGS = {"rsa-sha2-256": 2, "rsa-sha2-512": 4}
"""Of a signing request: which hash an RSA key signs with; SHA-1 without."""

_ROOM: defaultdict[str, BoundedSemaphore] = defaultdict(lambda: BoundedSemaphore(AT_ONCE))
_MAKING_ROOM = Lock()


class AgentError(paramiko.SSHException):
    """The agent did not do what it was asked for; the message begins with a verb."""


class AgentKey(NamedTuple):
    """A key or certificate that the agent holds."""

    blob: bytes
    """Its public half, as it travels."""
    comment: str


class Agent:
    """The agent at a socket. `path` is empty where there is none."""

    def __init__(self, path: str, deadline: Deadline) -> None:
        self.path = path
        self._deadline = deadline
        with _MAKING_ROOM:
            self._room = _ROOM[path]

    def fetch(self) -> tuple[AgentKey, ...]:
        """Its keys and certificates, in its order.

        Raises:
            AgentError: it did not answer as an agent. A socket that is not there is no agent, and no error.
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
        """A signature by the key of this public half.

        Raises:
            AgentError: it would not sign, or did not answer.
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
        """One request and its answer, tried again where the agent hangs up on it or has no room."""
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
