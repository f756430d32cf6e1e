"""Agents of the tests' own, which count what they sign.   [soft_agents] ─► tests

The protocol is that of ssh-agent (draft-ietf-sshm-ssh-agent), as far as a client asks for keys and signatures.
"""

from __future__ import annotations

import hashlib
import socketserver
import struct
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Sign = Callable[[bytes], bytes]


def text(value: bytes) -> bytes:
    """A string as SSH sends it."""
    return struct.pack(">I", len(value)) + value


def security_key() -> tuple[bytes, Sign]:
    """A FIDO key without the hardware: its public half, and what signs as PROTOCOL.u2f says."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    kind, application = b"sk-ssh-ed25519@openssh.com", b"ssh:"

    def sign(data: bytes) -> bytes:
        flags_and_counter = bytes([1]) + struct.pack(">I", 7)  # a human was there
        signed = hashlib.sha256(application).digest() + flags_and_counter + hashlib.sha256(data).digest()
        return text(kind) + text(key.sign(signed)) + flags_and_counter

    return text(kind) + text(public) + text(application), sign


class SoftAgent:
    """Listens at `path`. A context manager.

    Attributes:
        signed: the public halves that it signed with, in order.
        lists: how often its keys were asked for.
    """

    def __init__(
        self,
        path: Path,
        keys: Iterable[tuple[bytes, Sign | None]],
        *,
        room: int = 1000,
        resets: int = 0,
    ) -> None:
        """A key without `Sign` is refused when it is to sign. Connections above `room` at once are reset, and so are
        the first `resets`."""
        self.signed: list[bytes] = []
        self.lists = 0
        self.most_at_once = 0
        keys = list(keys)
        agent = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with agent._lock:
                    agent._open += 1
                    agent.most_at_once = max(agent.most_at_once, agent._open)
                    agent._resets -= 1
                    refuse = agent._open > room or agent._resets >= 0
                try:
                    while not refuse and (head := self._exactly(4)):
                        self.request.sendall(text(agent._answer(keys, self._exactly(*struct.unpack(">I", head)))))
                finally:
                    with agent._lock:
                        agent._open -= 1

            def _exactly(self, wanted: int) -> bytes:
                received = b""
                while len(received) < wanted and (piece := self.request.recv(wanted - len(received))):
                    received += piece
                return received

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            request_queue_size = 128

        self._lock = threading.Lock()
        self._open, self._resets = 0, resets
        self._server = Server(str(path), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def _answer(self, keys: list[tuple[bytes, Sign | None]], request: bytes) -> bytes:
        if request[0] == 11:
            self.lists += 1
            return bytes([12]) + struct.pack(">I", len(keys)) + b"".join(text(blob) + text(b"soft") for blob, _ in keys)
        (length,) = struct.unpack(">I", request[1:5])
        blob, rest = request[5 : 5 + length], request[5 + length :]
        (length,) = struct.unpack(">I", rest[:4])
        sign = dict(keys).get(blob)
        if request[0] != 13 or sign is None:
            return bytes([5])
        self.signed.append(blob)
        return bytes([14]) + text(sign(rest[4 : 4 + length]))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
