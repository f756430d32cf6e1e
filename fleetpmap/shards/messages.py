"""The messages between the run and its workers, pickled over a pipe.   processes ─► [messages] ─► worker

A Question holds the passwords of the run. They go over the pipe and stand nowhere else: not in the arguments of a
worker, not in its environment, in no file.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fleetpmap.collection.question import Question
from fleetpmap.collection.sessions import TransportFor
from fleetpmap.shards.division import Shard
from fleetpmap.snapshot import HostResult, Process, Snapshot
from fleetpmap.wire import Capabilities, CgroupMemory, HostMemory, Resident


@dataclass(frozen=True, slots=True)
class Task:
    """Shards for one worker, and how to ask their hosts."""

    shards: Sequence[Shard]
    question: Question
    jobs: int
    """Hosts asked at once by this worker."""
    deadline_s: float | None
    """Seconds left for the whole run; None: no deadline."""
    sums: frozenset[str] | None
    """As in `collect`."""
    workers: int
    """The workers of the run, which share what a bastion allows."""
    transport_for: TransportFor | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """To a worker: the run was interrupted."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """From a worker, every tenth of a second: what became of its hosts since the last such message."""

    asked: Sequence[int]
    """Places of the hosts that are being asked from now on."""
    replied: Sequence[tuple[int, str]]
    """Places of the hosts that have a status, with it."""


@dataclass(frozen=True, slots=True)
class ShardDone:
    """From a worker: the snapshot of a shard, packed."""

    number: int
    packed: bytes


@dataclass(frozen=True, slots=True)
class Idle:
    """From a worker: all shards of its task are done."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """From a worker: something unforeseen was raised outside of any host; the worker ends."""

    message: str
    traceback: str


def packed(snapshot: Snapshot) -> bytes:
    """Return a snapshot as bytes. Names and command lines that many hosts have shrink to a tenth or less."""
    whole = BytesIO()
    _Pickler(whole).dump(snapshot)
    return zlib.compress(whole.getbuffer(), 1)


def unpacked(data: bytes) -> Snapshot:
    """Return the snapshot that a worker of this run packed.

    The bytes are never those of a host: unpickling runs what they say.
    """
    snapshot = pickle.loads(zlib.decompress(data))  # noqa: S301  # written by our own worker
    assert isinstance(snapshot, Snapshot)  # noqa: S101  # for the type checker
    return snapshot


_OF_HOST = (HostResult, Process, Capabilities, CgroupMemory, HostMemory, Resident)
"""The types of which a run has many objects."""


class _Pickler(pickle.Pickler):
    """Writes equal values once, so that the run holds one object for all hosts that have it.

    Columns that repeat one value without memory stay so; numpy would write, and then hold, every item.
    """

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._first: dict[tuple[type, object], object] = {}

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, np.ndarray) and value.strides == (0,) and len(value):
            return _repeated, (value[:1].copy(), len(value))
        if isinstance(value, _OF_HOST):
            return type(value), tuple(self._shared(getattr(value, one.name)) for one in fields(value))
        return NotImplemented

    def _shared(self, value: object) -> object:
        """Return the first value of the same type that is equal to this one: True equals 1."""
        try:
            return self._first.setdefault((type(value), value), value)
        except TypeError:  # not hashable: the results of checks, which most processes share anyway
            return value


def _repeated(one: NDArray[Any], length: int) -> NDArray[Any]:
    return np.broadcast_to(one[0], length)
