"""One real conversation, kept, and played as if by many hosts.   [recording] ─► played

What is kept is what the code under test received, line sent by line sent: nothing of the wire format is known here but
its nonce, and that a phase can be a gzip member. A played host answers with the nonce of the script that it was sent;
for that its phases are packed anew, without squeezing them, since that is the benchmark's work and not ours.
"""

from __future__ import annotations

import gzip
import math
import pickle
import random
import re
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from lab import Fleet

from fleetpmap.collection.collector import Question, collect_host
from fleetpmap.errors import RefusedError
from fleetpmap.inventory import Host
from fleetpmap.processes import Selection
from fleetpmap.transport import Deadline, SshOptions, Transport, open_transport

_NONCE = re.compile(rb"\b[0-9a-f]{32}\b")
"""The first such word of what is sent first is the script's."""


_PSS = re.compile(rb"^(Pss:\s+)\d+", re.MULTILINE)
FAULTY = 101
"""Of so many played hosts one refuses its connection."""


@dataclass(frozen=True)
class Recording:
    """What a host said about one process.

    Attributes:
        pid: the process's.
        nonce: that of the conversation recorded.
        phases: for each line sent, what came: pieces as they are to be read, and whether each travels as a gzip member.
    """

    pid: int
    nonce: bytes
    phases: tuple[tuple[tuple[bytes, bool], ...], ...]

    def answers(self, nonce: str) -> list[bytes]:
        """What a host says to a script with this nonce."""
        return [b"".join(self._piece(*piece, nonce.encode()) for piece in phase) for phase in self.phases]

    def of_host(self, number: int) -> Self:
        """What another host would say: the PSS of its first mapping is its own."""
        own = rb"\g<1>%d" % (number % 997)

        def piece(text: bytes, packed: bool) -> tuple[bytes, bool]:
            return (_PSS.sub(own, text, count=1) if b"\nPss:" in text else text), packed

        return replace(self, phases=tuple(tuple(piece(*each) for each in phase) for phase in self.phases))

    def transport_for(self, delay_s: Callable[[], float]) -> Callable[..., Transport]:
        """Opens a way to any host: its answers are these, each as late as `delay_s` says."""
        return lambda host, *, deadline, options: _Played(self, delay_s)

    def save(self, path: Path) -> None:
        path.write_bytes(pickle.dumps(self))

    @classmethod
    def load(cls, path: Path) -> Self:
        recording = pickle.loads(path.read_bytes())
        assert isinstance(recording, cls)
        return recording

    def _piece(self, text: bytes, packed: bool, nonce: bytes) -> bytes:
        text = text.replace(self.nonce, nonce)
        return gzip.compress(text, 0, mtime=0) if packed else text


def record(fleet: Fleet, pid: int) -> Recording:
    """Ask the first host of the fleet about a process, and keep what it says."""
    taped: list[tuple[bytes, bytearray]] = []

    def transport_for(host: Host, *, deadline: Deadline, options: SshOptions) -> Transport:
        return _Tap(open_transport(host, deadline=deadline, options=options), taped)

    address, identity = fleet.addresses[0], (fleet.identity_file,)
    host = Host("box", address=address, port=fleet.port, user=fleet.user, identity_file=identity)
    options = SshOptions(known_hosts=(fleet.known_hosts,), ssh_config="none")
    answer = collect_host(host, Question(Selection(pids=(pid,)), ssh=options), transport_for=transport_for)
    assert [process.status for process in answer.processes] == ["read"], answer.processes
    nonce = nonce_in(taped[0][0])
    return Recording(pid, nonce, tuple(tuple(_pieces(bytes(came), nonce)) for _, came in taped))


def nonce_in(script: bytes) -> bytes:
    """The nonce of a script, as it is sent."""
    found = _NONCE.search(script)
    assert found is not None
    return found[0]


def _pieces(came: bytes, nonce: bytes) -> Iterator[tuple[bytes, bool]]:
    """What came, cut at its gzip members, these unpacked."""
    while found := re.search(rb"%b \w+ gzip\n" % nonce, came):
        yield came[: found.end()], False
        gunzip = zlib.decompressobj(wbits=31)
        yield gunzip.decompress(came[found.end() :]), True
        came = gunzip.unused_data
    yield came, False


@dataclass
class PlayedFleet:
    """Opens a way to any host of a fleet, in any process; of the hosts, called `box-000001`, some refuse.

    Attributes:
        file: that of the recording.
        longest_s: a host takes up to so long for each answer.
    """

    file: Path
    longest_s: float
    recording: Recording | None = None

    def __call__(self, host: Host, *, deadline: Deadline, options: SshOptions) -> Transport:
        self.recording = self.recording or Recording.load(self.file)
        number = int(host.name.rpartition("-")[2])
        if number % FAULTY == 0:
            raise RefusedError("connection refused", host=host.name, stage="tcp")
        return _Played(self.recording.of_host(number), lambda: random.uniform(0, self.longest_s))

    def __reduce__(self) -> tuple[Any, ...]:
        return PlayedFleet, (self.file, self.longest_s)


class _Tap:
    """A transport or a channel, with everything else as the real one has it."""

    def __init__(self, real: Any, taped: list[tuple[bytes, bytearray]]) -> None:
        self._real = real
        self._taped = taped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._real.close()

    def run(self, command: str) -> _Tap:
        return _Tap(self._real.run(command), self._taped)

    def send(self, data: bytes) -> None:
        self._taped.append((data, bytearray()))
        self._real.send(data)

    def receive(self, until: bytes = b"") -> bytes:
        piece: bytes = self._real.receive(until)
        self._taped[-1][1].extend(piece)
        return piece


class _Played:
    """A transport and its only channel: the answers to one script, in order."""

    notes: tuple[str, ...] = ()
    is_root = False
    stderr = b""
    deadline = Deadline(math.inf, math.inf)

    def __init__(self, recording: Recording, delay_s: Callable[[], float]) -> None:
        self._recording = recording
        self._delay_s = delay_s
        self._answers: Iterator[bytes] | None = None
        self._coming: bytes = b""

    def run(self, command: str) -> Self:
        return self

    def send(self, data: bytes) -> None:
        if self._answers is None:
            self._answers = iter(self._recording.answers(nonce_in(data).decode()))
        self._coming = next(self._answers)

    def receive(self, until: bytes = b"") -> bytes:
        time.sleep(self._delay_s())
        coming, self._coming = self._coming, b""
        return coming

    def receive_any(self) -> bytes:
        return self.receive()

    def finish(self) -> int:
        return 0

    def renew(self, deadline: Deadline) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...
