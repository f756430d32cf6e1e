"""The division of a fleet into shards.   hosts ─► [division] ─► one part for each shard

Shards are contiguous, and their sizes differ by at most one, the larger ones first. So the parts, joined in order, are
the fleet in its order, and every machine that has the same hosts divides them alike.

    10 hosts in 4 shards      1 2 3 │ 4 5 6 │ 7 8 │ 9 10
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

_Host = TypeVar("_Host")


def divided(hosts: Sequence[_Host], n: int) -> list[Sequence[_Host]]:
    """Divide hosts, or their names, into `n` shards; with fewer hosts than shards the last ones are empty."""
    size, larger = divmod(len(hosts), n)
    ends = [number * size + min(number, larger) for number in range(n + 1)]
    return [hosts[begin:end] for begin, end in pairwise(ends)]
