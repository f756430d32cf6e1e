"""A real transport that lets a test act when something is sent.   tests ─► [tapped] ─► transport"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from fleetpmap.inventory import Host
from fleetpmap.transport import Channel, Deadline, SshOptions, Transport, open_transport

OnSend = Callable[[bytes], None]


def tapped(name: str, on_send: OnSend) -> Callable[..., Transport]:
    """`open_transport`, but `on_send` sees everything that is sent to the host called `name`, before it goes."""

    def transport_for(host: Host, *, deadline: Deadline, options: SshOptions) -> Transport:
        transport = open_transport(host, deadline=deadline, options=options)
        return _Transport(transport, on_send) if host.name == name else transport

    return transport_for


class _Tap:
    """Leaving it leaves the real thing."""

    def __init__(self, real: Transport | Channel, on_send: OnSend) -> None:
        self._real = real
        self._on_send = on_send

    def close(self) -> None:
        self._real.close()

    def __enter__(self) -> Self:
        self._real.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._real.__exit__(kind, error, trace)


class _Transport(_Tap):
    _real: Transport

    @property
    def notes(self) -> tuple[str, ...]:
        return self._real.notes

    @property
    def is_root(self) -> bool:
        return self._real.is_root

    def run(self, command: str) -> Channel:
        return _Channel(self._real.run(command), self._on_send)


class _Channel(_Tap):
    _real: Channel

    def send(self, data: bytes) -> None:
        self._on_send(data)
        self._real.send(data)

    def receive(self, until: bytes = b"") -> bytes:
        return self._real.receive(until)

    def finish(self) -> int | None:
        return self._real.finish()

    @property
    def deadline(self) -> Deadline:
        return self._real.deadline

    def renew(self, deadline: Deadline) -> None:
        self._real.renew(deadline)

    @property
    def stderr(self) -> bytes:
        return self._real.stderr
