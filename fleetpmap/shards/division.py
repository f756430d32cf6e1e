"""Hosts divided into shards.   hosts ─► [division] ─► processes, on_dask, cli

Shards are contiguous, so that the parts, joined in order, are the fleet in its order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeVar

from fleetpmap.inventory import Host

_Host = TypeVar("_Host")

MOST_HOSTS = 250
"""Hosts of a shard that several processes or workers ask, at most."""
_FEWEST = 200
"""Hosts for each process that `auto` takes. Starting one costs half a second of CPU, as much as some fifty hosts."""


def divided(hosts: Sequence[_Host], n: int) -> list[Sequence[_Host]]:
    """Divide hosts, or their names, into `n` shards; with fewer hosts than shards the last ones are empty.

    Sizes differ by at most one, the larger ones first. So every machine that has the same hosts divides them alike:

        10 hosts in 4 shards      1 2 3 │ 4 5 6 │ 7 8 │ 9 10
    """
    size, larger = divmod(len(hosts), n)
    ends = [number * size + min(number, larger) for number in range(n + 1)]
    return [hosts[begin:end] for begin, end in pairwise(ends)]


@dataclass(frozen=True, slots=True)
class Shard:
    """Hosts that follow each other in the fleet's order."""

    number: int
    """Its place among the shards of the run, from 0."""
    first: int
    """The place of its first host in the fleet."""
    hosts: Sequence[Host]


def shards_of(hosts: Sequence[Host], size: int) -> list[Shard]:
    """Divide hosts into shards of at most `size`, in order."""
    firsts = range(0, len(hosts), size)
    return [Shard(number, first, hosts[first : first + size]) for number, first in enumerate(firsts)]


def workers_for(hosts: int, wanted: int | Literal["auto"], cores: int | None = None) -> int:
    """Return the number of processes for so many hosts; `auto`: as many as pay, at most one for each core.

    `cores`: those that this process may use, unless another number is given.
    """
    if wanted != "auto":
        return max(1, min(wanted, hosts))
    return max(1, min(cores or len(os.sched_getaffinity(0)), hosts // _FEWEST))
