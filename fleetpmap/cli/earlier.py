"""Growth since an earlier run of the same directory.   DIR/, snapshot ─► [earlier] ─► growth ─► findings, notes

`run --save DIR/` and `show DIR` compare the run with the newest earlier one in which a process of it was there already.
A file that cannot be read is left out with one note, since the run itself is whole without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fleetpmap.cli.storage import parted
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.cli.confined import Reader
    from fleetpmap.cli.past_runs import PastRuns
    from fleetpmap.report.finding import Finding
    from fleetpmap.report.model import Timeline
    from fleetpmap.snapshot import Snapshot
    from fleetpmap.snapshot_file import Part
    from fleetpmap.snapshot_file.dataset import Entry

MOST_READ = 5
"""Earlier runs that are looked at, the newest first: several selections may be kept in one directory."""
MOST_DRAWN = 100
"""Runs that a page draws, this one the last; `fleetpmap history` draws more."""


def earlier_in(text: str, snapshot: Snapshot, child: Reader | None = None) -> Earlier | None:
    """Return the earlier runs of the directory that DIR or DIR@TIME names; None if it names no directory.

    `child`: the process whose limits hold for reading, where the files may be of others.
    """
    directory = parted(text)[0]
    return Earlier(directory, snapshot, child) if directory.is_dir() else None


class Earlier:
    """The runs of a directory before one of it; they are read once growth or notes are asked for."""

    def __init__(self, directory: Path, snapshot: Snapshot, child: Reader | None) -> None:
        self._directory, self._snapshot, self._child = directory, snapshot, child

    @property
    def growth(self) -> tuple[Finding, ...]:
        """The findings on growth."""
        return self._judged[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on files that could not be read, and on why growth is not known."""
        return self._judged[1]

    @cached_property
    def timeline(self) -> Timeline | None:
        """The services over the runs up to this one that looked for the same processes; None if there is no other."""
        from fleetpmap.cli.confined import Reader
        from fleetpmap.cli.past_runs import PastRuns
        from fleetpmap.report.grouping import share_metric
        from fleetpmap.report.views.history import GATHERED, timeline, with_deploys
        from fleetpmap.snapshot_file import entries

        now = self._snapshot.run.started
        try:
            runs = [entry for entry in entries(self._directory) if entry.started <= now]
        except OSError:
            return None
        if len(runs) < 2:
            return None
        reading = PastRuns(self._child or Reader(None), GATHERED, share_metric(self._snapshot))
        try:
            drawn = timeline(reading.histories(runs[-MOST_DRAWN:], self._snapshot.run.command))
        except UsageError:  # `notes` names the files that cannot be read
            return None
        if drawn is None or len(drawn.times) < 2:
            return None
        drawn = with_deploys(drawn, reading.code_at)
        return replace(drawn, notes=(*drawn.notes, *self._not_drawn(len(runs), reading)))

    @cached_property
    def _judged(self) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
        from fleetpmap.cli.confined import Reader
        from fleetpmap.report.growth import growth_since, has_lived
        from fleetpmap.snapshot_file import entries

        if not self._snapshot.processes:
            return (), ()
        unread: list[str] = []
        now = self._snapshot.run.started
        try:
            runs = entries(self._directory)
        except OSError as error:
            return (), (f"growth is not known: {self._directory}: {error.strerror}",)
        if not runs:  # a capture, or this run could not be saved
            return (), ()
        before = [entry for entry in runs if entry.started < now][: -MOST_READ - 1 : -1]
        for entry in before:
            try:
                part = self._part(entry)
                if has_lived(part, self._snapshot):
                    stored = f"{self._directory}@{entry.started.isoformat()}", f"{self._directory}@{now.isoformat()}"
                    with Reader(None).reading(str(entry.path)):  # this run is whole without it
                        return growth_since(part, self._snapshot, stored), tuple(self._left_out(unread))
            except UsageError as error:
                unread.append(error.message)
        if len(unread) == len(before):  # also for the first run of a directory
            return (), tuple(self._left_out(unread))
        why = f"none of the processes was there in {_earlier(len(before))}"
        return (), (*self._left_out(unread), f"growth is not known: {self._directory}: {why}")

    def _part(self, entry: Entry) -> Part:
        """Read what growth needs of a run.

        Raises:
            UsageError: it cannot be read.
        """
        import polars

        from fleetpmap.cli.confined import Reader
        from fleetpmap.report.growth import ATTRIBUTES, KEYS, METRIC, TEXTS
        from fleetpmap.snapshot_file import joined, load_part

        polars.thread_pool_size()  # starts its threads, whose memory must not count as the file's
        child = self._child or Reader(None)
        hint = f"move it away: the other runs of {self._directory} are as they were"
        parts = []
        for path in entry.paths:
            with child.reading(str(path), hint):
                parts.append(load_part(path, ATTRIBUTES, TEXTS, METRIC, KEYS, sealed=True))
        return joined(parts, entry.path) if entry.shards else parts[0]

    def _not_drawn(self, runs: int, reading: PastRuns) -> Iterator[str]:
        if runs > MOST_DRAWN:
            yield f"The last {MOST_DRAWN} of {runs:,} runs: `fleetpmap history {self._directory}` draws more of them."
        if unread := min(runs, MOST_DRAWN) - len(reading.read) - reading.others:
            yield f"Runs that could not be read, and are not drawn: {unread}."
        if reading.others:
            yield f"Runs that looked for other processes, and are not drawn: {reading.others}."

    def _left_out(self, unread: list[str]) -> list[str]:
        if not unread:
            return []
        more = f", and {len(unread) - 1} more" if len(unread) > 1 else ""
        return [f"growth leaves out an earlier run that cannot be read{more}: {unread[0]}"]


def _earlier(runs: int) -> str:
    return "the earlier run" if runs == 1 else f"the {runs} earlier runs that were looked at"
