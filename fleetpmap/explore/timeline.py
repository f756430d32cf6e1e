"""The runs of a directory, and the line that shows where in time one is.   StoredRun ─► [timeline] ─► time_pane

    11-01 00:00 ━━━━━━━━━━◆━━━━━━········━━━●━━━ 11-04 23:00  run 81 of 96, 2.2 d after the mark

Of the snapshots that were loaded only those of the runs nearest to the one shown are kept. Nothing here knows Textual.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from statistics import median

from fleetpmap.explore.source import StoredRun
from fleetpmap.report.views.diff import span
from fleetpmap.snapshot import Snapshot

MOST_KEPT = 3
"""Snapshots in memory, without the marked one: of the run that is shown and of those beside it."""
_GAP = 2.5
"""A gap is a distance of two runs of more than this many usual ones."""
_LEAST_LINE = 12
"""Cells that the line has at least; with less room the texts beside it are left out."""
_SIGNS = {False: ("━", "·", "●", "◆", "×"), True: ("-", ".", "O", "M", "x")}
"""A stretch with runs, a gap, the run that is shown, the marked run, and a run that cannot be read; also in ASCII."""


class Timeline:
    """The runs, which of them is shown, and which one is to be shown next."""

    def __init__(self, runs: Sequence[StoredRun], shown: datetime) -> None:
        """`shown`: the start of the run that is shown first."""
        self.runs = tuple(runs)
        self.at = next((slot for slot, run in enumerate(runs) if run.started == shown), max(len(runs) - 1, 0))
        """Index of the run that is shown."""
        self.wanted = self.at
        """Index of the run to be shown: another one while it is loaded."""
        self.marked: datetime | None = None
        """The start of the marked run."""
        self._unreadable: set[str] = set()
        self._kept: dict[str, Snapshot | None] = {}
        """Snapshots by run; None for one that could not be loaded ahead."""

    def relist(self, runs: Sequence[StoredRun]) -> int:
        """Take another list of the runs, in which the same one is shown; returns how many more there are."""
        shown, wanted = self.runs[self.at], self.runs[self.wanted]
        more = len(runs) - len(self.runs)
        self.runs = tuple(runs) or self.runs
        self.at, self.wanted = (self._slot_of(run, len(self.runs) - 1) for run in (shown, wanted))
        return more

    def _slot_of(self, run: StoredRun, otherwise: int) -> int:
        return next((slot for slot, one in enumerate(self.runs) if one.name == run.name), otherwise)

    def step(self, by: int) -> bool:
        """Want the run that is `by` further, the first or the last at most; returns False if there is none there.

        Runs that cannot be read are passed over.
        """
        readable = [slot for slot, run in enumerate(self.runs) if run.name not in self._unreadable]
        ahead = [slot for slot in readable if (slot - self.wanted) * by > 0]
        if ahead:
            self.wanted = ahead[min(by, len(ahead)) - 1] if by > 0 else ahead[max(by, -len(ahead))]
        return bool(ahead)

    def go_to(self, share: float) -> None:
        """Want the run that is nearest to a place on the line: 0 is its beginning, 1 its end."""
        first, last = self.runs[0].started, self.runs[-1].started
        moment = first + (last - first) * share
        readable = [slot for slot, run in enumerate(self.runs) if run.name not in self._unreadable]
        if readable:
            self.wanted = min(readable, key=lambda slot: abs(self.runs[slot].started - moment))

    def kept(self, run: StoredRun) -> Snapshot | None:
        """Return the snapshot of a run, if it is in memory."""
        return self._kept.get(run.name)

    @property
    def missing(self) -> StoredRun | None:
        """A run beside the one shown whose snapshot is not in memory, the earlier one first; None: both are."""
        beside = [self.runs[slot] for slot in (self.at - 1, self.at + 1) if 0 <= slot < len(self.runs)]
        return next((run for run in beside if run.name not in self._kept), None)

    def show(self, run: StoredRun, snapshot: Snapshot) -> None:
        """Show a run whose snapshot is here."""
        self.at = self._slot_of(run, self.at)
        self.keep(run, snapshot)

    def keep(self, run: StoredRun, snapshot: Snapshot | None) -> None:
        """Keep the snapshot of a run, and of the others those of the nearest ones; None: it could not be loaded."""
        self._kept[run.name] = snapshot
        nearest = sorted(range(len(self.runs)), key=lambda slot: abs(slot - self.at))[:MOST_KEPT]
        names = {self.runs[slot].name for slot in nearest}
        self._kept = {name: one for name, one in self._kept.items() if name in names}

    def give_up(self, run: StoredRun) -> None:
        """Pass over a run that cannot be read: the one that is shown stays."""
        self._unreadable.add(run.name)
        if self.runs[self.wanted].name == run.name:
            self.wanted = self.at

    def line(self, width: int, *, ascii_only: bool) -> str:
        """Return the line of time with the wanted run on it, and in words which one it is, as far as there is room."""
        return "".join(self._parts(width, ascii_only=ascii_only))

    def place_at(self, x: int, width: int) -> float | None:
        """Return the place on the line of the cell that was clicked on, from 0 to 1; None beside the line."""
        begin, drawn, _ = self._parts(width, ascii_only=True)
        return (x - len(begin)) / max(len(drawn) - 1, 1) if 0 <= x - len(begin) < len(drawn) else None

    def _parts(self, width: int, *, ascii_only: bool) -> tuple[str, str, str]:
        """Return what is left of the line, the line, and what is right of it."""
        words = f"run {self.wanted + 1} of {len(self.runs)}"
        for fact in self._facts():
            if width - len(words) - len(fact) - len(",   ") >= _LEAST_LINE:
                words += f", {fact}"
        begin, end = (f"{self.runs[slot].started:%m-%d %H:%M}" for slot in (0, -1))
        room = width - len(words) - 2
        if room - len(begin) - len(end) - 2 < _LEAST_LINE:
            return "", self._drawn(room, ascii_only=ascii_only), f"  {words}"
        drawn = self._drawn(room - len(begin) - len(end) - 2, ascii_only=ascii_only)
        return f"{begin} ", drawn, f" {end}  {words}"

    def _facts(self) -> list[str]:
        """Return what is to be said of the wanted run: the gap before it, and its distance from the marked run."""
        facts = []
        started = self.runs[self.wanted].started
        if self.marked is not None and self.marked != started:
            seconds = (started - self.marked).total_seconds()
            facts.append(f"{span(abs(seconds))} {'after' if seconds > 0 else 'before'} the mark")
        elif self.marked is not None:
            facts.append("the mark")
        gaps = self._gaps()
        for slot, side in ((self.wanted - 1, "before"), (self.wanted, "after")):
            if slot in gaps:
                facts.append(f"a gap of {span(gaps[slot])} {side} it")
        return facts

    def _gaps(self) -> dict[int, float]:
        """Return the gaps: the index of the run before each, and its seconds."""
        pairs = zip(self.runs, self.runs[1:], strict=False)
        distances = [(after.started - before.started).total_seconds() for before, after in pairs]
        usual = median(distances) if distances else 0.0
        return {slot: seconds for slot, seconds in enumerate(distances) if seconds > _GAP * usual}

    def _drawn(self, width: int, *, ascii_only: bool) -> str:
        if width < 1:
            return ""
        first, last = self.runs[0].started, self.runs[-1].started
        whole = (last - first).total_seconds() or 1.0

        def cell(moment: datetime) -> int:
            return round((moment - first).total_seconds() / whole * (width - 1))

        stretch, gap, here, mark, broken = _SIGNS[ascii_only]
        signs = [stretch] * width
        for slot in self._gaps():
            start, end = (cell(run.started) for run in self.runs[slot : slot + 2])
            signs[start + 1 : end] = gap * max(end - start - 1, 0)
        for run in self.runs:
            if run.name in self._unreadable:
                signs[cell(run.started)] = broken
        if self.marked is not None and first <= self.marked <= last:
            signs[cell(self.marked)] = mark
        signs[cell(self.runs[self.wanted].started)] = here
        return "".join(signs)
