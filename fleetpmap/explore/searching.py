"""Looks for what stands out in the snapshot that is shown.   Shown ─► [searching] ─► app"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from fleetpmap.explore.places import Place
from fleetpmap.explore.shown import Prepared, Shown
from fleetpmap.explore.source import Source
from fleetpmap.explore.threads import Threads
from fleetpmap.report.finding import Finding
from fleetpmap.report.grouping import share_metric
from fleetpmap.report.standing_out import standing_out
from fleetpmap.report.views.diff import growth_between
from fleetpmap.snapshot import Snapshot

SEARCHING = "looking for what stands out"

Findings = tuple[Finding, ...]


class Searching:
    """The searches, in a thread, one at a time."""

    def __init__(self, source: Source, shown: Shown, threads: Threads, found: Callable[[Findings], None]) -> None:
        """`found` shows the findings."""
        self._source = source
        self._shown = shown
        self._threads = threads
        self._show = found

    def search(self) -> None:
        """Look for what stands out, unless that is being done for another snapshot."""
        if self._shown.snapshot is not None and SEARCHING not in self._threads.doing:
            self._threads.start(SEARCHING, partial(self._look_for, self._shown.snapshot, self._shown.marked))

    def _look_for(self, snapshot: Snapshot, marked: Snapshot | None) -> Callable[[], None]:
        grown: Findings = ()
        if marked is not None:
            earlier, later = sorted((marked, snapshot), key=lambda one: one.run.started)  # the mark may be the later
            grown = growth_between(earlier, later, share_metric(snapshot))
        findings = (*grown, *standing_out(snapshot, self._source.options.peers))
        lists = [self._shown.prepared(Place(level), snapshot) for level in self._source.lists]  # for the next key
        return partial(self._found, findings, snapshot, lists)

    def _found(self, findings: Findings, snapshot: Snapshot, lists: Sequence[Prepared]) -> None:
        if snapshot is self._shown.snapshot:
            for prepared in lists:
                self._shown.take_prepared(prepared)
        else:  # another one has come meanwhile
            self.search()
        self._show(findings)
