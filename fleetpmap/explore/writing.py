"""The file that what is shown is written to, after its name was typed.   Shown, Panes ─► [writing] ─► Source.write

The page of a large fleet takes seconds, so a thread writes it.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable
from functools import partial
from threading import Thread

from fleetpmap.errors import FleetpmapError
from fleetpmap.explore.listing import part_of
from fleetpmap.explore.panes import Panes
from fleetpmap.explore.places import Place
from fleetpmap.explore.shown import Shown, Walk
from fleetpmap.explore.source import Source, Write
from fleetpmap.explore.threads import Threads
from fleetpmap.report import Report
from fleetpmap.snapshot import Snapshot


class Writing:
    """Asks for the name of a file, and writes the list of a place to it."""

    def __init__(self, source: Source, shown: Shown, walk: Walk, threads: Threads, panes: Panes) -> None:
        self._source = source
        self._shown = shown
        self._walk = walk
        self._threads = threads
        self._panes = panes
        self.thread: Thread | None = None
        """That of the last file."""
        self.said = ""
        """What came of the last file."""

    def ask(self, name: str = "") -> None:
        """Ask for the name, beginning with this one."""
        if self._source.write is not None and self._shown.snapshot is not None:
            formats = "FILE.csv, .json, .html, .md, or .parquet: the snapshot"
            entered = partial(self._entered, name)
            self._panes.prompt.ask("write to ", formats, name, ends=" Enter Write  Esc Leave ", entered=entered)

    def _entered(self, confirmed: str, name: str) -> None:
        """Write to a file of this name; one that exists must be `confirmed`, by Enter once more."""
        write, snapshot, sheet = self._source.write, self._shown.snapshot, self._panes.grid.sheet
        path = os.path.expanduser(name)  # noqa: PTH111 - Path's raises for an unknown user
        if name != confirmed and os.path.isfile(path):  # noqa: PTH113 - Path's raises for a name that is too long
            self.ask(name)
            self._panes.tell(f"{name} exists: Enter replaces it, Esc leaves it as it is")
        elif write is not None and snapshot is not None and sheet is not None:
            place = self._walk.place
            report = self._shown.as_shown(place, sheet)
            done = partial(self._done, write, report, place, snapshot, path)
            self.thread = self._threads.start(f"writing {name}", done)
            self._panes.say()

    def _done(self, write: Write, report: Report, place: Place, snapshot: Snapshot, path: str) -> Callable[[], None]:
        try:
            self.said = write(report, part_of(place, snapshot), path)
        except FleetpmapError as error:
            self.said = str(error)
        return partial(self._panes.tell, self.said)
