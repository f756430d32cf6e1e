"""The files of one run in shards.   names of files ─► [rounds] ─► Round, Round, …

Gateways that ask one shard each, by the same line of cron, save a file each in one directory. Their clocks differ by
seconds, one of them is late, one does not come. Which files are one run follows from their names alone, so that a
directory of thousands of files is listed without opening them:

- Files are of one run only if they looked for the same processes.
- The interval is the time from one file of a shard to its next one: the median of as many files as there are shards,
  from the first file of the run on. It is an hour where most of these shards have only one file.
- The run holds the files that started within half of the interval after its first file. So a shard may be late, and
  clocks may differ, by almost half of the interval.
- If the files of a run are shards of several fleets (another inventory, another number of shards), the fleet with the
  most shards is taken. Of two files for one shard the newer one is. A file that is left out is named, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from statistics import median_high
from typing import NamedTuple

from fleetpmap.snapshot import FleetShard

UNKNOWN_INTERVAL = timedelta(hours=1)
"""The interval until there are two runs."""


class ShardFile(NamedTuple):
    """One file of a run in shards, by its name."""

    started: datetime
    path: Path
    number: int
    of: int
    looked_for: str
    """Digest of the process options."""
    fleet: str
    """Digest of the names of the fleet's hosts."""


class Round(NamedTuple):
    """The files of one run."""

    shards: tuple[ShardFile, ...]
    """One for each shard that there is, by number."""
    left_out: tuple[ShardFile, ...]
    """The other files of its time, in the order of time."""

    @property
    def started(self) -> datetime:
        """When the first of its shards started."""
        return min(file.started for file in self.shards)

    def notes(self) -> Iterator[str]:
        """Yield a sentence for each file that is left out."""
        taken = {file.number: file for file in self.shards}
        first = self.shards[0]
        for file in self.left_out:
            name = f"{file.path.name}: left out, since it is shard {file.number} of {file.of}"
            if file.of != first.of:
                yield f"{name}, and the others are shards of {first.of}"
            elif file.fleet != first.fleet:
                yield f"{name} of a fleet of other hosts: compare its inventory and options with those of the others"
            else:
                newer = taken[file.number]
                later_s = (newer.started - file.started).total_seconds()
                yield f"{name}, which came again {later_s:.0f} s later: {newer.path.name} is taken"


def are_of_one_run(shards: Sequence[FleetShard | None]) -> bool:
    """Return whether files, by what they hold, are shards of one run, each once: a name can be wrong."""
    of_run = [shard for shard in shards if shard]
    alike = {(shard.of, shard.fleet, shard.looked_for) for shard in of_run}
    return len({shard.number for shard in of_run}) == len(shards) and len(alike) == 1


def rounds(files: Iterable[ShardFile]) -> list[Round]:
    """Return the runs that these files make up, in the order of time; every file is in one run."""
    found: list[Round] = []
    by_selection = sorted(files, key=lambda file: (file.looked_for, file.started, file.path))
    for _, alike in groupby(by_selection, key=lambda file: file.looked_for):
        found += _rounds(list(alike))
    return sorted(found, key=lambda each: each.started)


def _rounds(files: Sequence[ShardFile]) -> Iterator[Round]:
    """Yield the runs of files that are in the order of time."""
    intervals = _intervals(files)
    first = 0
    while first < len(files):
        interval = median_high(intervals[first : first + files[first].of])
        end = first + 1
        while end < len(files) and files[end].started - files[first].started < interval / 2:
            end += 1
        yield _round(files[first:end])
        first = end


def _intervals(files: Sequence[ShardFile]) -> list[timedelta]:
    """Return, for each file, the time to the next file of its shard; else that from the one before."""
    intervals = [UNKNOWN_INTERVAL] * len(files)
    last: dict[tuple[int, int], int] = {}
    for place, file in enumerate(files):
        before = last.get((file.number, file.of))
        if before is not None:
            # The interval of this file, too, unless a later file replaces it.
            intervals[before] = intervals[place] = file.started - files[before].started
        last[file.number, file.of] = place
    return intervals


def _round(files: Sequence[ShardFile]) -> Round:
    """Choose among files of one time those of one fleet, and one for each of its shards."""
    fleets: dict[tuple[int, str], dict[int, ShardFile]] = {}
    for file in files:  # in the order of time, so that the newer one of a shard replaces the older one
        fleets.setdefault((file.of, file.fleet), {})[file.number] = file
    taken = max(fleets.values(), key=lambda shards: (len(shards), max(shards.values())))
    kept = {file.path for file in taken.values()}
    return Round(
        tuple(taken[number] for number in sorted(taken)), tuple(file for file in files if file.path not in kept)
    )
