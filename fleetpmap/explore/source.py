"""Where snapshots come from, as functions that the command hands over.   cli ─► [source] ─► app

The app asks no host and opens no file: `look` and `doctor` do, in a thread of their own, so that a host that hangs
never holds a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fleetpmap.catalogue import ViewOptions
from fleetpmap.explore.places import LISTS, Level
from fleetpmap.report import Report
from fleetpmap.snapshot import Snapshot

Look = Callable[[], Snapshot]
"""Returns a snapshot; raises FleetpmapError if that fails. It may take as long as the slowest host."""
Write = Callable[[Report, Snapshot, str], str]
"""Writes a report to a file of that name, or the snapshot that it is of, if the suffix is parquet's. Returns what it
did; raises UsageError. It may take seconds."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run of a directory, which is loaded when it is looked at."""

    name: str
    """Its file, which no other run has."""
    started: datetime
    load: Look
    notes: tuple[str, ...] = ()
    """Files of its time that are no part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is explored."""

    name: str
    """A path, or the number of hosts."""
    snapshot: Snapshot | None = None
    """What is known at the start; None: it is still to be asked for."""
    look: Look | None = None
    """Asks the hosts again; None for a stored run."""
    runs: Callable[[], Sequence[StoredRun]] | None = None
    """Lists the runs of a directory, in the order of time; None for anything else."""
    interval_s: float | None = None
    """Seconds from the begin of one look to that of the next; None: on a key."""
    count: int | None = None
    """Number of looks after which the screen ends; None: never."""
    save: Callable[[Snapshot], None] | None = None
    """Keeps each look. Raises FleetpmapError, which ends the screen."""
    doctor: Callable[[str], Report] | None = None
    """Tries each step to the host of that name; None for a stored run."""
    write: Write | None = None
    hints: Callable[[Snapshot], Iterable[str]] = lambda snapshot: ()
    """Tells what is near the selection, if no process matched."""
    options: ViewOptions = field(default_factory=ViewOptions)
    start: Level | None = None
    """The list that is shown first; None: services, or hosts if no process has one."""
    lists: tuple[Level, ...] = LISTS
    """The lists that there are: without mappings, if only the sums of processes were read."""
    sort: str | None = None
    """The column by which the first list is sorted; None: as the view sorts it."""
    columns: tuple[str, ...] = ()
    """The columns of the first list, in order; empty: all."""
    human: bool = True
    ascii_only: bool = False
