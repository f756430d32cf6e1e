"""The pane of the time line: the runs of a directory, each loaded when it is wanted.   Timeline ─► [time_pane] ─► app

The runs beside the one that is shown are loaded ahead, so that a step to them is quick.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual.events import Click

from fleetpmap.errors import FleetpmapError
from fleetpmap.explore.lines import Lines
from fleetpmap.explore.shown import Prepared
from fleetpmap.explore.source import Source, StoredRun
from fleetpmap.explore.threads import Threads
from fleetpmap.explore.timeline import Timeline
from fleetpmap.snapshot import Snapshot

LOADING_AHEAD = "loading ahead"


class TimePane(Lines):
    """The runs of a directory, and which of them is shown. A click on the line goes to the nearest run."""

    DEFAULT_CSS = "TimePane { display: none; }"

    def __init__(
        self,
        source: Source,
        threads: Threads,
        *,
        prepared: Callable[[Snapshot], Prepared],
        arrived: Callable[[Snapshot, Prepared], None],
        failed: Callable[[str], None],
        tell: Callable[[str], None],
    ) -> None:
        """`prepared` makes the list, in a thread, and `arrived` shows it.

        `failed` says why a run cannot be read, `tell` what a key did.
        """
        super().__init__()
        self.timeline: Timeline | None = None
        """None where there is no directory."""
        self._source = source
        self._threads = threads
        self._prepared = prepared
        self._arrived = arrived
        self._failed = failed
        self._tell = tell
        self._loads = False
        """True while a run is loaded: one at a time."""

    def begin(self, shown: Snapshot) -> None:
        """List the runs, of which this one is shown."""
        if self._source.runs is not None:
            self.timeline = Timeline(self._source.runs(), shown.run.started)
            self.timeline.show(self.timeline.runs[self.timeline.at], shown)
            self.display = True
            self._load_ahead(self.timeline)

    def draw(self) -> None:
        """Draw the line, with the run that is wanted."""
        if self.timeline is not None:
            self.write([self.timeline.line(self.app.size.width, ascii_only=self._source.ascii_only)])

    def look_for_runs(self, timeline: Timeline) -> None:
        """List the runs again."""
        try:
            more = timeline.relist(self._source.runs()) if self._source.runs is not None else 0
        except FleetpmapError as error:
            self._tell(str(error))
        else:
            self._tell(f"{more} more run{'' if more == 1 else 's'}" if more > 0 else "no new run")

    def step(self, by: int) -> None:
        """Show a later run, or an earlier one."""
        if self.timeline is None:
            self._tell("there is one run: name a directory of --save DIR/ to walk in time")
        elif self.timeline.step(by):
            self._load_wanted(self.timeline)
        else:
            self._tell(f"there is no {'later' if by > 0 else 'earlier'} run")

    def on_click(self, event: Click) -> None:
        """Show the run that is nearest to the place that was clicked on."""
        if self.timeline is not None and (place := self.timeline.place_at(event.x, self.app.size.width)) is not None:
            self.timeline.go_to(place)
            self._load_wanted(self.timeline)

    def _load_wanted(self, timeline: Timeline) -> None:
        """Load the wanted run, and then those beside it; keys that come meanwhile change what is wanted next."""
        self.draw()
        if self._loads:
            return
        if timeline.wanted == timeline.at:
            self._load_ahead(timeline)
            return
        self._loads = True
        run = timeline.runs[timeline.wanted]
        doing = f"reading run {timeline.wanted + 1} of {len(timeline.runs)}"
        self._threads.start(doing, partial(self._load, timeline, run))

    def _load(self, timeline: Timeline, run: StoredRun) -> Callable[[], None]:
        try:
            snapshot = timeline.kept(run) or run.load()
        except FleetpmapError as error:
            return partial(self._run_failed, timeline, run, str(error))
        return partial(self._run_arrived, timeline, run, snapshot, self._prepared(snapshot))

    def _run_arrived(self, timeline: Timeline, run: StoredRun, snapshot: Snapshot, prepared: Prepared) -> None:
        self._loads = False
        timeline.show(run, snapshot)
        self._arrived(snapshot, prepared)
        self._load_wanted(timeline)

    def _run_failed(self, timeline: Timeline, run: StoredRun, why: str) -> None:
        self._loads = False
        timeline.give_up(run)
        self._failed(why)
        self._load_wanted(timeline)

    def _load_ahead(self, timeline: Timeline) -> None:
        run = timeline.missing
        if run is not None and not self._loads:
            self._loads = True
            self._threads.start(LOADING_AHEAD, partial(self._load_one_ahead, timeline, run))

    def _load_one_ahead(self, timeline: Timeline, run: StoredRun) -> Callable[[], None]:
        try:
            snapshot = run.load()
        except FleetpmapError:  # it is said when the run is wanted
            snapshot = None
        return partial(self._loaded_ahead, timeline, run, snapshot)

    def _loaded_ahead(self, timeline: Timeline, run: StoredRun, snapshot: Snapshot | None) -> None:
        self._loads = False
        timeline.keep(run, snapshot)
        self._load_wanted(timeline)
