"""Where snapshots come from, as functions that the command hands over.   cli ─► [source] ─► app

The app asks no host and opens no file: `look` and `doctor` do, in a thread of their own, so that a host that hangs
never holds a key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fleetpmap.catalogue import ViewOptions
from fleetpmap.report import Report
from fleetpmap.snapshot import Snapshot

Look = Callable[[], Snapshot]
"""Returns a snapshot; raises FleetpmapError if that fails. It may take as long as the slowest host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is explored."""

    name: str
    """A path, or the number of hosts."""
    snapshot: Snapshot | None = None
    """What is known at the start; None: it is still to be asked for."""
    look: Look | None = None
    """Asks the hosts again; None for a stored run."""
    interval_s: float | None = None
    """Seconds from one look to the next; None: on a key."""
    doctor: Callable[[str], Report] | None = None
    """Tries each step to the host of that name; None for a stored run."""
    write: Callable[[Report, Snapshot, str], str] | None = None
    """Writes a report to a file of that name, or the snapshot that it is of, if the suffix is parquet's. Returns what
    it did. Raises UsageError."""
    options: ViewOptions = field(default_factory=ViewOptions)
    human: bool = True
    ascii_only: bool = False
