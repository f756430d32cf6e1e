"""What a Dask worker does with a shard: ask its hosts, send back one Snapshot.   on_dask ─► [shard_task] ─► collect

Credentials never travel: the keys, the agent and the known_hosts are those of the account that the worker runs under.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from fleetpmap.collection.collector import collect
from fleetpmap.collection.question import Question
from fleetpmap.collection.sessions import TransportFor
from fleetpmap.inventory import Host
from fleetpmap.shards.division import Shard
from fleetpmap.shards.messages import packed
from fleetpmap.version import __version__

_STOPS: dict[str, tuple[Event, float]] = {}
"""By run: set when the run is interrupted, and the time of the latest use, to forget old ones."""
_KEPT_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Fitness:
    """What a worker has of that which a run needs there."""

    version: str
    """Its fleetpmap's."""
    missing: tuple[str, ...]
    """Files of the inventory and of the options that its account cannot read."""
    lacks_parquet: bool
    """True if polars is not installed there."""


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard, and how to ask its hosts."""

    run: str
    """Identity of the run, for `stop`."""
    shard: Shard
    question: Question
    jobs: int
    deadline: float | None
    """End of the run in seconds since 1970, by this machine's clock; None: no deadline."""
    sums: frozenset[str] | None
    transport_for: TransportFor | None = None


def fitness(files: Collection[str]) -> Fitness:
    """Return what this worker has. `files`: paths that the run needs to read."""
    paths = ((name, Path(name).expanduser()) for name in files)
    missing = tuple(name for name, path in paths if not os.access(path, os.R_OK))
    return Fitness(__version__, missing, importlib.util.find_spec("polars") is None)


def topic(run: str) -> str:
    """Return the topic of Dask's events on which a run's shards say that they begin."""
    return f"fleetpmap-{run}"


def ask_shard(data: bytes) -> bytes:
    """Ask the hosts of a shard, and return its snapshot, packed. `data`: a ShardTask of this version, pickled."""
    from distributed import get_worker  # not in `stop` and `fitness`, which need no more than Python

    task: ShardTask = pickle.loads(data)  # noqa: S301  # Dask runs what its clients send, by design
    get_worker().log_event(topic(task.run), task.shard.number)
    stop = _stop_of(task.run)
    snapshot = collect(
        task.shard.hosts,
        task.question,
        jobs=task.jobs,
        deadline_s=None if task.deadline is None else max(task.deadline - time.time(), 0.001),
        stop=stop,
        sums=task.sums,
        transport_for=task.transport_for,
    )
    return packed(snapshot)


def stop(run: str) -> None:
    """Have the shards of a run that this worker is asking end soon, with their hosts as they are."""
    _stop_of(run).set()


def _stop_of(run: str) -> Event:
    now = time.monotonic()
    for old in [name for name, (_, used) in _STOPS.items() if used < now - _KEPT_S]:
        del _STOPS[old]
    event, _ = _STOPS.get(run, (Event(), now))
    _STOPS[run] = (event, now)
    return event


def files_of(hosts: Sequence[Host], question: Question) -> list[str]:
    """Return the files that the inventory and the options name for these hosts: keys and known_hosts."""
    named = (path for host in hosts if host.is_ssh for path in (*host.identity_file, *host.known_hosts))
    config = question.ssh.ssh_config
    options = (*question.ssh.known_hosts, *([config] if config and config != "none" else []))
    return [*dict.fromkeys((*named, *options))]
