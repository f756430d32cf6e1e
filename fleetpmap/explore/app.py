"""The program: what keys do, and what threads bring.   Source ─► [app] ─► the terminal

A key changes the place or how it is shown, and then the panes draw it. Hosts are asked, runs loaded, findings looked
for and files written in threads.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping
from functools import partial
from threading import Event
from typing import ClassVar

from rich.table import Table as RichTable
from textual import events
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.events import Key, MouseDown
from textual.screen import Screen
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.theme import Theme, ThemeProvider
from textual.widgets import OptionList

from fleetpmap.errors import FleetpmapError
from fleetpmap.escape import escape
from fleetpmap.explore import signals
from fleetpmap.explore.asking import Asking
from fleetpmap.explore.comparing import Comparing
from fleetpmap.explore.diagnosing import Diagnosing
from fleetpmap.explore.dialogs import Words, help_text, lines_text
from fleetpmap.explore.filtering import Filtering
from fleetpmap.explore.grid import MOVES, AsciiScrollBar, Grid
from fleetpmap.explore.keyline import KeyLine
from fleetpmap.explore.keys import BINDINGS, COMMANDS
from fleetpmap.explore.palette import Palette
from fleetpmap.explore.panes import Panes
from fleetpmap.explore.places import LISTS, Place, place_of
from fleetpmap.explore.prompt import Prompt
from fleetpmap.explore.searching import Searching
from fleetpmap.explore.shown import Prepared, Shown, Walk
from fleetpmap.explore.source import Source
from fleetpmap.explore.threads import Threads
from fleetpmap.explore.time_pane import TimePane
from fleetpmap.explore.writing import Writing
from fleetpmap.report.finding import Finding
from fleetpmap.report.model import Cell
from fleetpmap.snapshot import Snapshot

_KEYS = {key for one in (*BINDINGS, *MOVES) for key in one.key.split(",")} | {"tab", "shift+tab"}
"""The keys that do something in the panes."""


class Explore(App[str]):
    """Walks through one snapshot after the other; its result is one of the five ways to end."""

    CSS = """
    Grid, VerticalScroll, #--results { scrollbar-background: ansi_default; scrollbar-background-hover: ansi_default;
        scrollbar-background-active: ansi_default; scrollbar-color: ansi_bright_black;
        scrollbar-color-hover: ansi_bright_black; scrollbar-color-active: ansi_bright_black; }
    CommandPalette SearchIcon { display: none; }
    .-ascii CommandPalette #--input, .-ascii CommandPalette CommandList, .-ascii CommandPalette LoadingIndicator {
        border: none !important; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS]

    def __init__(self, source: Source, stop: Event | None = None) -> None:
        """`stop` is set if ^C came before there was a screen."""
        super().__init__(ansi_color=True)  # before the theme: NO_COLOR chooses its filter by it
        self.source = source
        self._stop = stop
        self.shown = Shown(source)
        self.walk = Walk()
        self.walk.list_as(source.start or "services")
        self.fault: FleetpmapError | None = None
        """What ended the program, with signals.FAILED."""
        self.threads = Threads(self.post_message, self._failed)
        self.asking = Asking(
            source,
            self.shown,
            self.threads,
            prepared=self._prepared,
            set_timer=self.set_timer,
            arrived=self._arrived,
            end=self._end,
        )
        self.searching = Searching(source, self.shown, self.threads, self._found)
        self.time_pane = TimePane(
            source,
            self.threads,
            prepared=self._prepared,
            arrived=self._arrived,
            failed=self._failed,
            tell=lambda text: self.panes.tell(text),
        )
        self.panes = Panes(source, self.shown, self.walk, self.threads, self.asking, self.time_pane)
        self.comparing = Comparing(self.shown, self.walk, self.threads, self.panes, go=self._go, is_read=self._is_read)
        self.writing = Writing(source, self.shown, self.walk, self.threads, self.panes)
        self.filtering = Filtering(self.shown, self.panes)
        self.diagnosing = Diagnosing(self, source, self.threads, self.panes, self.shown.safe)
        self._held: Mapping[str, Cell] = {}
        """The row that the cursor is to be on again, which the snapshot that is shown does not have."""
        ScrollBar.renderer = AsciiScrollBar if source.ascii_only else ScrollBarRender
        self.set_class(source.ascii_only, "-ascii")
        self.theme = "ansi-dark"  # the colours of the terminal, light or dark

    def get_default_screen(self) -> Panes:
        """Return the panes."""
        return self.panes

    def on_mount(self) -> None:
        """Take the signals that end the program, and those of the terminal."""
        self.theme_changed_signal.subscribe(self, self._paint)
        self._listen()
        signals.watch_for_hang_up(self.exit)

    def _listen(self) -> None:
        signals.listen(self.exit, self.action_suspend_process, self._go_on)

    def on_ready(self) -> None:
        """Show what is known, and ask for the rest."""
        self.grid.focus()
        if self._stop is not None and self._stop.is_set():
            self.exit(signals.INTERRUPTED)
        elif self.source.snapshot is not None:
            self._arrived(self.source.snapshot)
            self.time_pane.begin(self.source.snapshot)
        else:
            self.action_look()

    def _paint(self, theme: Theme) -> None:
        """Use the colours of the terminal in a theme of these, and those of any other theme as they are."""
        self.ansi_color = theme.name.startswith("ansi-")

    def on_threads_done(self, message: Threads.Done) -> None:
        """Take over the result of a thread."""
        self.threads.doing.remove(message.doing)
        if not self.query(Grid):  # the program ends
            return
        message.then()
        if message.doing == self.asking.doing:
            self.asking.plan_round()
        self.panes.say()

    # What threads bring.

    def _prepared(self, snapshot: Snapshot) -> Prepared:
        """Return the list of this place, for a thread that brings a snapshot."""
        return self.shown.prepared(self.walk.place, snapshot)

    def _failed(self, text: str) -> None:
        self.panes.error = text

    def _found(self, findings: tuple[Finding, ...]) -> None:
        keeps_lines = self.source.interval_s is not None  # the list keeps its place when a finding is over
        self.panes.finding_list.take(findings, keeps_lines=keeps_lines)
        self.panes.fit(self.size.height)
        self.panes.show()

    def _arrived(self, snapshot: Snapshot, prepared: Prepared | None = None) -> None:
        """Show a snapshot; the cursor stays on its row, also past a snapshot that does not have this row.

        Raises:
            UsageError: the first list has no column by which it is to be sorted, or that is to be shown.
        """
        self._held = self._held or self.panes.key()
        is_first = self.shown.snapshot is None
        if is_first and self.source.start is None and not any(process.service for process in snapshot.processes):
            self.walk.list_as("hosts")  # of a version without services, or nothing matched
        self.shown.take(snapshot, prepared)
        if is_first:
            self.shown.begin(self.walk.place)
        if self.shown.rounds <= 1:  # what is garbage now stays for ever, which many rounds would sum up
            gc.freeze()  # a collection that goes through all processes of a fleet takes longer than a key
        self.panes.error = ""
        self.panes.show(self._held, self.grid.cursor)
        if self.panes.key() == self._held:
            self._held = {}
        self.searching.search()

    def _end(self, error: FleetpmapError | None) -> None:
        """End the program: with an error, or as q does."""
        self.fault = error
        self.exit(signals.QUIT if error is None else signals.FAILED)

    @property
    def grid(self) -> Grid:
        """The list."""
        return self.panes.grid

    @property
    def busy(self) -> str:
        """What threads do, the latest; empty if nothing."""
        return self.threads.doing[-1] if self.threads.doing else ""

    async def on_key_line_clicked(self, message: KeyLine.Clicked) -> None:
        """Run the action of the key that was clicked on; Enter is the list's."""
        if message.action:
            await self.run_action(message.action)
        else:
            self.grid.action_enter()

    async def on_event(self, event: events.Event) -> None:
        """Forget what the last key did when the next one comes."""
        if isinstance(event, Key | MouseDown) and self.panes.told:
            self.panes.tell("")
        await super().on_event(event)

    # What keys do.

    def on_grid_entered(self) -> None:
        """Go into the row under the cursor."""
        sheet = self.grid.sheet
        if sheet is not None and sheet.rows[self.grid.cursor] < sheet.table.counts:
            self.panes.tell("this row counts the processes of each column")
        elif (inside := self.walk.place.entered(self.panes.key())) is not None:
            self._go(inside)
        elif self.walk.place.level == "fields":
            self.panes.tell("there is nothing below a field: Backspace goes back")
        else:
            self.panes.tell("this row has no name to go by: v shows the other lists of this place")

    def _go(self, place: Place, key: Mapping[str, Cell] | None = None) -> None:
        if not self._is_read(place):
            return
        self._held = {}
        self.walk.enter(place, self.shown.filter, self.panes.key())
        self.shown.filter = ""
        self.panes.show(key or {})

    def action_leave(self, filter_first: bool) -> None:
        """Leave the findings, end the filter, or go back to the place before."""
        if self.panes.finding_list.has_focus:
            self.grid.focus()
        elif self.shown.filter and (filter_first or self.walk.is_at_start):
            self.filtering.end()
        elif self.walk.is_at_start:
            self.panes.tell("this is where the walk begins: q quits")
        else:
            self.shown.filter, key = self.walk.back()
            self.panes.show(key)

    def action_next_list(self) -> None:
        """Show the next list of this place."""
        level, lists = self.walk.place.level, self.source.lists
        at = lists.index(level) if level in lists else -1
        self._list(lists[(at + 1) % len(lists)])

    def _list(self, level: str) -> None:
        self.walk.list_as(next(one for one in LISTS if one == level))
        self.panes.show({})

    def action_finding(self, by: int) -> None:
        """Go to the next or the previous finding."""
        self._go_to(self.panes.finding_list.next(by), "there is no finding")

    def action_finding_number(self, number: int) -> None:
        """Go to the rows of a finding."""
        self._go_to(self.panes.finding_list.numbered(number), f"there is no finding {number}")

    def _go_to(self, finding: Finding | None, otherwise: str) -> None:
        if finding is None:
            self.panes.tell(otherwise)
        else:
            self.grid.focus()
            self._go(place_of(finding), {"mapping": finding.mapping} if finding.kind == "drift" else {})
            self.panes.tell(finding.text)  # in its pane it may have no room

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go to the finding that was chosen in the pane."""
        self.action_finding_number(event.option_index + 1)

    def action_sort(self, by: int) -> None:
        """Sort by the next or the previous column."""
        if self.shown.snapshot is not None:
            self.shown.sort_next(self.walk.place, by)
            self._show_sorted()

    def _show_sorted(self) -> None:
        """Draw the list in its order; the cursor stays on its row, and on the first line if it was there."""
        self.panes.show(None if self.grid.cursor else {})

    def action_reverse(self) -> None:
        """Sort the other way round."""
        if (sort := self.shown.sort(self.walk.place)) is not None:
            self._sort_by(sort.column)
        else:
            self.panes.tell("sort by a column first, with s")

    def on_grid_sorted_by(self, event: Grid.SortedBy) -> None:
        """Sort by the header that was clicked."""
        self._sort_by(event.column)

    def _sort_by(self, column: str) -> None:
        self.shown.sort_by(self.walk.place, column)
        self._show_sorted()

    def on_grid_moved(self, message: Grid.Moved) -> None:
        """Say what concerns the row under the cursor."""
        if message.by_user:
            self._held = {}
        self.panes.say()

    def action_mark(self) -> None:
        """Make this snapshot the baseline."""
        if (snapshot := self.shown.snapshot) is None:
            return
        self.shown.mark()
        if (timeline := self.time_pane.timeline) is not None:
            timeline.marked = snapshot.run.started
        self._found(tuple(one for one in self.panes.finding_list.findings if one.kind != "growth"))
        self.panes.tell("marked: since_mark is the difference from now")

    def _is_read(self, place: Place) -> bool:
        """Return True if there is a list of this place; say why if not."""
        is_read = not {place.level, "mappings"}.isdisjoint(self.source.lists)
        if not is_read:
            self.panes.tell("of each process only its sums were read")
        return is_read

    def action_run(self, by: int) -> None:
        """Show a later run of the directory, or an earlier one; the place and the cursor stay."""
        self.time_pane.step(by)
        self.panes.say()

    def action_pause(self) -> None:
        """Begin no further round, or go on with them."""
        if self.source.interval_s is None:
            self.panes.tell("hosts are asked by r alone: there is no --interval")
        else:
            self.asking.pause()
            self.panes.say()

    def action_differences(self) -> None:
        """Show sizes as differences from the mark, or as they are."""
        if self.shown.marked is None:
            self.panes.tell("mark a baseline first, with m")
            return
        self.shown.everywhere = not self.shown.everywhere
        self.panes.show()

    def action_choose(self) -> None:
        """Choose the service, host or process of this row to be compared, or no longer."""
        self.comparing.choose()

    def action_choose_none(self) -> None:
        """Choose no row of this list any more."""
        self.comparing.choose_none()

    def action_compare(self) -> None:
        """Show the chosen services, hosts or processes side by side, by default all hosts of this place."""
        self.comparing.compare()

    def action_look(self) -> None:
        """Ask the hosts again, unless they are being asked."""
        if self.time_pane.timeline is not None:
            self.time_pane.look_for_runs(self.time_pane.timeline)
        elif self.source.look is None:
            self.panes.tell("a stored run does not change")
        else:
            self.asking.ask()
            self.panes.say()

    def action_doctor(self) -> None:
        """Try each step to the host of this row."""
        self.diagnosing.begin()

    def _show_words(self, title: str, text: RichTable) -> None:
        self.push_screen(Words(title, text, ascii_only=self.source.ascii_only))

    def action_notes(self) -> None:
        """Show all that is said of the list and of the row, without cuts."""
        self._show_words("notes", lines_text(self.panes.notes()))

    def action_copy(self) -> None:
        """Copy the row, its cells apart by tabs."""
        sheet = self.grid.sheet
        if sheet is not None and len(sheet.rows):
            cells = sheet.key(self.grid.cursor, [column.name for column in sheet.table.columns]).values()
            self.copy_to_clipboard("\t".join("" if cell is None else escape(str(cell)) for cell in cells))
            self.panes.tell("copied")
        else:
            self.panes.tell("there is no row to copy")

    def action_command_palette(self) -> None:
        """Show all commands, to be chosen by a few letters."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(Palette(placeholder="a command"))

    def search_themes(self) -> None:
        """Show the themes; Textual's own words for it have a sign that is not ASCII."""
        self.push_screen(Palette(providers=[ThemeProvider], placeholder="a theme"))

    def action_help(self) -> None:
        """Show the keys."""
        self._show_words("fleetpmap explore", help_text())

    def action_suspend_process(self) -> None:
        """Stop the program, and give the terminal back to the shell until fg."""
        if self.return_value is not None:
            return
        if not signals.has_shell() or self.is_headless:
            self.panes.tell("there is no shell to go back to")
        else:
            self.asking.stopped = True
            signals.stop_restored(self.suspend())  # which draws everything anew; Textual's own action does not
            self._listen()

    def _go_on(self) -> None:
        """Take the terminal again after SIGSTOP, which left no time to restore it."""
        self.asking.stopped = True
        if self.return_value is None:  # else it ends, and would begin to read keys again
            signals.go_on(self.suspend)

    def action_end(self, how: str) -> None:
        """End the program."""
        self.exit(how)

    async def action_quit(self) -> None:
        """End the program, as the palette's command Quit."""
        self.exit(signals.QUIT)

    def action_filter(self) -> None:
        """Filter the rows by what is typed."""
        self.filtering.ask()

    def action_write(self) -> None:
        """Write what is shown, after its name was typed."""
        self.writing.ask()

    def on_key(self, event: Key) -> None:
        """Let the prompt and the palette have keys that they do not get themselves: those before they had the focus."""
        if isinstance(self.screen, Palette):
            self.screen.take(event)
        elif len(self.screen_stack) == 1:
            for prompt in self.query(Prompt):  # none, if the program ends
                if not prompt.take(event) and event.key not in _KEYS:
                    self.panes.tell(f"{event.character if event.is_printable else event.key}: no such key; ? has all")

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield the commands of the palette: the lists, the columns to sort by, and what keys do."""
        for level in self.source.lists:
            yield SystemCommand(level, f"the {level} of this place", partial(self._list, level))
        for column in self.grid.sheet.drawable if self.grid.sheet is not None else ():
            name = self.shown.safe(column.removesuffix("_kib"))
            yield SystemCommand(f"sort by {name}", "or the other way round", partial(self._sort_by, column))
        for name, action, meaning in COMMANDS:
            yield SystemCommand(name, meaning, getattr(self, f"action_{action}"))
