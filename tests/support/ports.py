"""Ports of loopback for servers that are told theirs, and one that nothing listens on.   [ports] ─► sshd, tests"""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator


def free_port(*addresses: str) -> int:
    """Return a port that is free on all these addresses.

    It is below those that the kernel assigns (32768 on), so no other test is given it before the server has it.
    """
    chance = random.SystemRandom()
    for _ in range(50):
        port = chance.randrange(16_000, 32_000)
        with contextlib.ExitStack() as sockets, contextlib.suppress(OSError):
            for address in addresses:
                sockets.enter_context(socket.socket()).bind((address, port))
            return port
    raise RuntimeError("no port is free on all of these addresses")


@contextlib.contextmanager
def refused_port() -> Iterator[int]:
    """A port on which nothing listens, and nothing will while it is held."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
