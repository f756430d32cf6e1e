"""A relay on loopback that makes the way long, and counts how often it was gone.   client ◄─► [relay] ◄─► server

It holds every piece back for a fixed time in each direction, and gives it a logical time (Lamport's clock): what a side
sends is as late as the latest piece that had reached it by then, and arrives half a round trip later. So `round_trips`
counts waits in a row, not packets, and no clock is read for it: the delay only keeps apart what was sent before a piece
arrived from what was sent because of it.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from types import TracebackType
from typing import Self


class Relay:
    """Listens on `port` of 127.0.0.1 (0: any that is free) and carries every connection to `to`."""

    def __init__(self, to: tuple[str, int], delay_s: float, port: int = 0) -> None:
        self._to = to
        self._delay_s = delay_s
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._connections: list[_Connection] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    @property
    def round_trips(self) -> float:
        """Of the latest connection, until the latest piece reached the client; TCP's own handshake is not in it."""
        return self._connections[-1].reached["client"]

    @property
    def connections(self) -> int:
        """How many there were so far."""
        return len(self._connections)

    @property
    def bytes_to(self) -> dict[str, int]:
        """How much of the latest connection went to each side."""
        return self._connections[-1].bytes_to

    def hang_up(self) -> None:
        """Break every connection; new ones are taken."""
        for connection in self._connections:
            connection.close()

    def close(self) -> None:
        """Hang up, and wait for the threads."""
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._thread.join()
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self._connections.append(_Connection(client, socket.create_connection(self._to), self._delay_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Connection:
    """One connection, each direction with two threads.

    Attributes:
        reached: the logical time of the latest piece that reached each side.
        bytes_to: how much each side was sent.
    """

    def __init__(self, client: socket.socket, server: socket.socket, delay_s: float) -> None:
        self.reached = {"client": 0.0, "server": 0.0}
        self.bytes_to = {"client": 0, "server": 0}
        self._delay_s = delay_s
        self._sockets = (client, server)
        self._threads: list[threading.Thread] = []
        for sock in self._sockets:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._carry(client, server, "client", "server")
        self._carry(server, client, "server", "client")

    def close(self) -> None:
        """Hang up, and wait for the threads."""
        for sock in self._sockets:
            with contextlib.suppress(OSError):  # the other side is gone
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in self._sockets:
            sock.close()

    def _carry(self, source: socket.socket, sink: socket.socket, here: str, there: str) -> None:
        """One thread stamps what comes from one side, another lets it out to the other side when it is due."""
        under_way: queue.SimpleQueue[tuple[float, float, bytes]] = queue.SimpleQueue()

        def take() -> None:
            piece = b"begin"
            while piece:
                try:
                    piece = source.recv(1 << 16)
                except OSError:
                    piece = b""
                under_way.put((time.monotonic() + self._delay_s, self.reached[here] + 0.5, piece))

        def give() -> None:
            with contextlib.suppress(OSError):  # the other side is gone
                while True:
                    due, stamp, piece = under_way.get()
                    time.sleep(max(0.0, due - time.monotonic()))
                    if not piece:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    self.reached[there] = max(self.reached[there], stamp)
                    sink.sendall(piece)
                    self.bytes_to[there] += len(piece)

        for work in (take, give):
            thread = threading.Thread(target=work)
            self._threads.append(thread)
            thread.start()
