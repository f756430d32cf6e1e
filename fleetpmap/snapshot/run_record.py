"""The time, the command and the part of the fleet of a run.   [run_record] ─► fleet_snapshot"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import MAXYEAR, datetime, timedelta
from typing import Literal

from fleetpmap.labels import Label


@dataclass(frozen=True, slots=True)
class FleetShard:
    """The part of a fleet that a run asked, by --shard; the other parts are asked by other runs."""

    number: int
    """From 1 to `of`."""
    of: int
    """Number of shards."""
    fleet: tuple[str, ...]
    """Names of all hosts of the fleet, in order."""
    looked_for: str
    """The process options, in one spelling: runs that looked for other processes are no shards of the same run."""


@dataclass(frozen=True, slots=True)
class Run:
    """The time and the command of a snapshot."""

    started: datetime
    """Begin, with its time zone."""
    elapsed_s: float
    command: str
    """The command line as typed. It never holds a secret, since no option takes one."""
    ended: Literal["whole", "interrupted", "deadline"] = "whole"
    """`whole` if every host was asked and had its full time; otherwise the event that cut the run short."""
    shard: FleetShard | None = None
    """None: the run asked its whole fleet."""
    labels: tuple[Label, ...] = ()
    """The labels of --label."""

    @property
    def has_dates(self) -> bool:
        """True if begin and end are dates in every time zone; a file may hold the calendar's last day."""
        try:
            ended = self.started + timedelta(seconds=self.elapsed_s)
        except (ValueError, OverflowError):
            return False
        return self.elapsed_s >= 0 and self.started.year > 1 and ended.year < MAXYEAR
