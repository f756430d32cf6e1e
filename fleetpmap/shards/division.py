"""Hosts divided among processes.   hosts ─► [division] ─► processes, cli"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fleetpmap.inventory import Host

_FEWEST = 200
"""Hosts for each process that `auto` takes. Starting one costs half a second of CPU, as much as some fifty hosts."""


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


def workers_for(hosts: int, wanted: int | Literal["auto"]) -> int:
    """Return the number of processes for so many hosts; `auto`: as many as pay, at most one for each core."""
    if wanted != "auto":
        return min(wanted, max(hosts, 1))
    return max(1, min(len(os.sched_getaffinity(0)), hosts // _FEWEST))
