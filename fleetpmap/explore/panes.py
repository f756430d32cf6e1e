"""The panes, from the top, and what stands in them.   Shown, Walk, Threads ─► [panes] ─► app

Here everything is drawn; what a key or a thread changes before that, the app does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from textual.app import ComposeResult
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import OptionList

from fleetpmap.explore.asking import Asking
from fleetpmap.explore.findings import FindingList
from fleetpmap.explore.grid import Grid
from fleetpmap.explore.keyline import KeyLine
from fleetpmap.explore.keys import useful
from fleetpmap.explore.lines import Lines
from fleetpmap.explore.places import KEYS_OF, Place
from fleetpmap.explore.prompt import Prompt
from fleetpmap.explore.searching import SEARCHING
from fleetpmap.explore.sentences import below, lines_below, nothing, place_line, told, within
from fleetpmap.explore.sheet import Sheet
from fleetpmap.explore.shown import Shown, Walk
from fleetpmap.explore.source import Source
from fleetpmap.explore.threads import Threads
from fleetpmap.explore.time_pane import LOADING_AHEAD, TimePane
from fleetpmap.report.model import Cell


class Panes(Screen[None]):
    """The place, the time line, the findings, the list, what is said of it, and the keys."""

    DEFAULT_CSS = "Panes > #place { text-style: bold; }"

    def __init__(
        self, source: Source, shown: Shown, walk: Walk, threads: Threads, asking: Asking, time_pane: TimePane
    ) -> None:
        super().__init__()
        self.time_pane = time_pane
        self.error = ""
        """Why the last look failed; empty if it did not."""
        self.told = ""
        """What the last key did, in words; empty if that can be seen."""
        self._source = source
        self._shown = shown
        self._walk = walk
        self._threads = threads
        self._asking = asking

    def compose(self) -> ComposeResult:
        """Make the panes, from the top."""
        yield Lines(id="place")
        yield self.time_pane
        yield FindingList(self._shown.safe, ascii_only=self._source.ascii_only)
        yield Grid()
        yield Lines(id="said")
        yield KeyLine()
        yield Prompt()  # in place of the keys, so that the list keeps its size

    @property
    def grid(self) -> Grid:
        """The list."""
        return self.query_one(Grid)

    @property
    def finding_list(self) -> FindingList:
        """The pane of the findings."""
        return self.query_one(FindingList)

    @property
    def prompt(self) -> Prompt:
        """The line in which something is typed."""
        return self.query_one(Prompt)

    def on_resize(self, event: Resize) -> None:
        """Leave most of the height to the list."""
        self.fit(event.size.height)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Say the whole finding under the cursor of its pane."""
        if self.finding_list.has_focus:
            self.tell(self.finding_list.findings[event.option_index].text)

    def fit(self, height: int) -> None:
        """Leave most of this height to the list."""
        self.finding_list.fit(height)
        self.query_one("#said").styles.height = lines_below(height)

    def show(self, key: Mapping[str, Cell] | None = None, otherwise: int = 0) -> None:
        """Draw the list of this place, the cursor on the row with this key, else on a line; by default as it is."""
        if self._shown.snapshot is None:
            return
        if key is None:
            key, otherwise = self.key(), self.grid.cursor
        sheet = self._shown.sheet(self._walk.place, self.finding_list.findings)
        self.draw_chosen()
        self.grid.show(sheet, self._shown.sort(self._walk.place), key, otherwise)
        self.say()

    def draw_chosen(self) -> None:
        """Draw the signs of the rows that are chosen to be compared."""
        level = self._walk.place.level
        self.grid.choose(self._shown.chosen.get(level, frozenset()), KEYS_OF[level])

    def key(self) -> Mapping[str, Cell]:
        """Return the cells that tell the row under the cursor apart; empty without a row."""
        sheet = self.grid.sheet
        if sheet is None or not len(sheet.rows):
            return {}
        return sheet.key(min(self.grid.cursor, len(sheet.rows) - 1), KEYS_OF[self._walk.place.level])

    @property
    def host(self) -> Cell:
        """The host of the row under the cursor, or of the place; None if there are several."""
        hosts = self._walk.place.hosts or ()
        return self.key().get("host") or (hosts[0] if len(hosts) == 1 else None)

    def tell(self, text: str) -> None:
        """Say what a key did, in the first line below the list, until the next one; nothing of the list is covered."""
        self.told = text
        self.say()

    def say(self) -> None:
        """Write the line of the place, the time line, the lines below the list, and the keys that do something."""
        width = self.app.size.width
        states, paused = self._states(), self._asking.paused
        line = place_line(self._walk.place, self._shown, states, width, paused=paused)
        self.query_one("#place", Lines).write([line])
        comes_often = self._source.interval_s is not None and not paused
        self.query_one("#said", Lines).write(self._said("" if comes_often or states[-1] in line else states[-1]))
        if self.grid.sheet is not None and not len(self.grid.sheet.rows):
            self.grid.nothing = nothing(self._walk.place, self._shown)
            self.grid.refresh()
        self.time_pane.draw()
        keys = useful(
            self._source,
            is_asked=self._shown.snapshot is not None,
            has_findings=bool(self.finding_list.findings),
            can_leave=not self._walk.is_at_start or bool(self._shown.filter),
            can_enter=self._walk.place.level != "fields",
        )
        self.query_one(KeyLine).show(keys)

    def _states(self) -> list[str]:
        """Return what goes on: the rounds, and what a thread does."""
        interval_s, rounds = self._source.interval_s, self._shown.rounds
        of_rounds = "" if interval_s is None else f"round {rounds}, every {interval_s:g} s"
        usual = {LOADING_AHEAD, SEARCHING if rounds > 1 else ""}  # they would come and go with each run or round
        doing = [one for one in self._threads.doing if one not in usual]
        return [of_rounds, f"{doing[-1]} …" if doing else ""]

    def _said(self, doing: str) -> list[str]:
        """Return the lines below the list; `doing`: what a thread does, if it has no room above."""
        said = self._shown.safe((self.told or doing or self.error).replace("\n", "; "))
        width, most = self.app.size.width, lines_below(self.app.size.height)
        first = within(said, width, most, ascii_only=self._source.ascii_only)
        sheet = self.grid.sheet
        if sheet is None:
            return first or [f"asking {self._shown.safe(self._source.name)}"]
        return [*first, *below(*self._what(sheet), width, most - len(first))]

    def _what(self, sheet: Sheet) -> tuple[Place, Shown, Sheet, Cell, Sequence[str]]:
        """Return what is told of the list, as arguments of `below` and `told`."""
        row = min(self.grid.cursor, len(sheet.rows) - 1)
        return self._walk.place, self._shown, sheet, self.host, sheet.folded(row) if row >= 0 else []

    def notes(self) -> list[str]:
        """Return all that is told of the list and of the row under the cursor."""
        return (
            [self._shown.safe(text) for text in chain(*told(*self._what(self.grid.sheet)))] if self.grid.sheet else []
        )
