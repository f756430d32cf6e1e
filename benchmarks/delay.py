"""A relay that makes the way long for many hosts.   delay.py DELAY_MS TO_PORT ADDRESS...

    client ─► ADDRESS:PORT ─► [delay] ─► ADDRESS:TO_PORT

Holds back every piece for DELAY_MS in each direction, and TCP's own handshake as long as a line of that length would.
One process and one loop for all connections. Prints PORT, which it has on every address, and ends with its stdin.
(tests/support/relay.py counts round trips instead, with four threads for each connection.)
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence

import psutil


class _End(asyncio.Protocol):
    """One end of a connection: what comes in goes out at `other`, later; `b""` in between means to hang up."""

    def __init__(self, delay_s: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.other: _End | None = None
        self.transport: asyncio.Transport
        self.opened = self.loop.time()
        """Nothing is sent before: when who is at this end would see the connection, over so long a way."""
        self._delay_s = delay_s
        self._waiting: deque[tuple[float, bytes]] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        due = max(self.loop.time(), self.opened) + self._delay_s
        self._waiting.append((due, data))
        if len(self._waiting) == 1:
            self.loop.call_at(due, self.let_out)

    def connection_lost(self, error: Exception | None) -> None:
        self.data_received(b"")

    def let_out(self) -> None:
        """Send what is due."""
        if self.other is None:
            return
        while self._waiting and self._waiting[0][0] <= self.loop.time():
            _, piece = self._waiting.popleft()
            if piece:
                self.other.transport.write(piece)
            else:
                self.other.transport.close()
        if self._waiting:
            self.loop.call_at(self._waiting[0][0], self.let_out)


class _Caller(_End):
    """The end of who calls; the server is called when TCP's handshake would be over."""

    def __init__(self, delay_s: float, to_port: int) -> None:
        super().__init__(delay_s)
        self.opened += 2 * delay_s
        self._to_port = to_port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._calling = self.loop.create_task(self._call())

    async def _call(self) -> None:
        await asyncio.sleep(self.opened + self._delay_s - self.loop.time())
        address = self.transport.get_extra_info("sockname")[0]
        _, server = await self.loop.create_connection(lambda: _End(self._delay_s), address, self._to_port)
        self.other, server.other = server, self
        self.let_out()


async def serve(delay_s: float, to_port: int, addresses: Sequence[str]) -> None:
    listeners = _listeners(addresses)
    loop = asyncio.get_running_loop()
    for listener in listeners:
        await loop.create_server(lambda: _Caller(delay_s, to_port), sock=listener, backlog=256)
    print(listeners[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def _listeners(addresses: Sequence[str]) -> list[socket.socket]:
    """A listening socket for each address, all on one free port."""
    while True:
        listeners = [socket.create_server((addresses[0], 0))]
        port = listeners[0].getsockname()[1]
        try:
            listeners += [socket.create_server((address, port)) for address in addresses[1:]]
        except OSError:
            for listener in listeners:
                listener.close()
            continue
        return listeners


class Delay:
    """The relay, running as a process of its own.

    Attributes:
        port: where it listens, on every address.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.port = int(process.stdout.readline())
        self._process = psutil.Process(process.pid)

    def cpu_s(self) -> float:
        """What it took so far."""
        taken = self._process.cpu_times()
        return float(taken.user + taken.system)


@contextlib.contextmanager
def delay(round_trip_s: float, to_port: int, addresses: Sequence[str]) -> Iterator[Delay]:
    """A relay before these addresses that adds so much to every round trip."""
    argv = [sys.executable, __file__, str(round_trip_s * 1000 / 2), str(to_port), *addresses]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Delay(process)
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) / 1000, int(sys.argv[2]), sys.argv[3:]))
