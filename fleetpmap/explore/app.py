"""The screen: where one is, what stands out, the list, and the keys.   Source ─► [app] ─► the terminal

Reports are made here, of the snapshot that is there; hosts are asked, runs loaded and findings looked for in threads
that post their result as a message. Such a thread is a daemon: at the end it may still wait for a host.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Key, Resize
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from fleetpmap.errors import FleetpmapError
from fleetpmap.escape import escape
from fleetpmap.explore.dialogs import COMMANDS, Words, help_text, row_text
from fleetpmap.explore.grid import Grid
from fleetpmap.explore.listing import part_of
from fleetpmap.explore.places import KEYS_OF, LISTS, Place, place_of
from fleetpmap.explore.sentences import below, place_line
from fleetpmap.explore.shown import Shown, Walk
from fleetpmap.explore.source import Source
from fleetpmap.report import Report
from fleetpmap.report.finding import Finding
from fleetpmap.report.grouping import share_metric
from fleetpmap.report.model import Cell
from fleetpmap.report.standing_out import standing_out
from fleetpmap.report.views.diff import growth_between
from fleetpmap.snapshot import Snapshot

QUIT, INTERRUPTED, TERMINATED, HUNG_UP = "quit", "interrupted", "terminated", "hung up"
_MOST_LINES = 5
"""Lines of the findings pane."""


def _raise(error: Exception) -> None:
    raise error


class Explore(App[str]):
    """Walks through one snapshot after the other; its result is one of the four ways to end."""

    CSS = """
    #place, #said { text-wrap: nowrap; text-overflow: ellipsis; }
    #place { height: 1; width: 100%; text-style: bold; }
    #findings { height: auto; max-height: 5; border: none; padding: 0; background: transparent; scrollbar-size: 0 0;
        text-wrap: nowrap; text-overflow: ellipsis; }
    #said { height: auto; max-height: 4; width: 100%; }
    #prompt { height: 1; border: none; padding: 0; display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [  # in the order of the last line, which shows as many as have room
        Binding("backspace", "leave", "Back", key_display="Bksp"),
        Binding("escape", "leave", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "end('quit')", "Quit"),
        Binding("f", "finding(1)", "Finding"),
        Binding("F", "finding(-1)", show=False),
        *(Binding(str(number), f"finding_number({number})", show=False) for number in range(1, 10)),
        Binding("v", "next_list", "View"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("s", "sort(1)", "Sort"),
        Binding("S", "sort(-1)", show=False),
        Binding("m", "mark", "Mark"),
        Binding("d", "differences", show=False),
        Binding("space", "choose", show=False),
        Binding("c", "compare", "Compare"),
        Binding("r", "look", "Refresh"),
        Binding("D", "doctor", show=False),
        Binding("y", "copy", show=False),
        Binding("w", "write", "Write"),
        Binding("colon", "command_palette", show=False),
        Binding("ctrl+c,ctrl+q", "end('interrupted')", show=False, priority=True),
    ]

    class Came(Message):
        """A thread is done: with a function to call, or an error."""

        def __init__(self, then: Callable[[], None]) -> None:
            self.then = then
            super().__init__()

    def __init__(self, source: Source) -> None:
        super().__init__(ansi_color=True)  # before the theme: NO_COLOR chooses its filter by it
        self.source = source
        self.shown = Shown(source)
        self.walk = Walk()
        self.findings: tuple[Finding, ...] = ()
        self.chosen: frozenset[str] = frozenset()
        self._at_finding = -1
        self.busy = ""
        self._error = ""
        self._written: dict[str, list[str]] = {}
        self._prompting: Callable[[str], None] | None = None
        """What Enter does with the text of the prompt; None: it filters."""
        self.theme = "ansi-dark"  # the colours of the terminal, light or dark

    def compose(self) -> ComposeResult:
        """Make the panes, from the top."""
        yield Static(id="place", markup=False)
        yield OptionList(id="findings", markup=False)
        yield Grid()
        yield Static(id="said", markup=False)
        yield Input(id="prompt")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Show what is known, and ask for the rest."""
        self.query_one("#findings").display = False
        self.query_one(Grid).focus()
        for pane in self.query("#place, #findings, #said") if self.source.ascii_only else ():
            pane.styles.text_overflow = "clip"
        loop = asyncio.get_running_loop()
        for number, how in ((signal.SIGTERM, TERMINATED), (signal.SIGHUP, HUNG_UP)):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread
                loop.add_signal_handler(number, partial(self.exit, how))
        if self.source.snapshot is not None:
            self._arrived(self.source.snapshot)
        else:
            self.action_look()
        if self.source.interval_s is not None:
            self.set_interval(self.source.interval_s, self.action_look)

    # What threads bring.

    def _in_thread(self, doing: str, work: Callable[[], Callable[[], None]]) -> None:
        """Do `work` in a thread, then call what it returns here; an error of the program's own is shown."""
        self.busy, self._error = doing, ""

        def run() -> None:
            try:
                then = work()
            except FleetpmapError as error:
                then = partial(self._failed, str(error))
            except Exception as error:  # a fault of ours ends the program, with its traceback, as anywhere else
                then = partial(_raise, error)
            with contextlib.suppress(RuntimeError):  # the loop is closed: the program ends
                self.post_message(self.Came(then))

        Thread(target=run, daemon=True, name="explore").start()
        self._say()

    def on_explore_came(self, message: Came) -> None:
        """Take over the result of a thread."""
        self.busy = ""
        message.then()
        self._say()

    def _failed(self, text: str) -> None:
        self._error = text

    def _arrived(self, snapshot: Snapshot) -> None:
        if self.shown.snapshot is None and not any(process.service for process in snapshot.processes):
            self.walk.list_as("hosts")  # of a version without services, or nothing matched
        self.shown.take(snapshot)
        self._show()
        self._in_thread("looking for what stands out", partial(self._look_for, snapshot, self.shown.marked))

    def _look_for(self, snapshot: Snapshot, marked: Snapshot | None) -> Callable[[], None]:
        grown = growth_between(marked, snapshot, share_metric(snapshot)) if marked is not None else ()
        return partial(self._found, (*grown, *standing_out(snapshot, self.source.options.peers)))

    def _found(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        self._at_finding = min(self._at_finding, len(findings) - 1)
        pane = self.query_one("#findings", OptionList)
        pane.clear_options()
        lines = (Text(f"{slot} {self._safe(one.text)}", no_wrap=True) for slot, one in enumerate(findings, 1))
        pane.add_options(Option(line) for line in lines)
        pane.display = bool(findings)
        self._show()

    def on_resize(self, event: Resize) -> None:
        """Leave most of the height to the list."""
        self.query_one("#findings").styles.max_height = max(min(_MOST_LINES, event.size.height // 6), 1)
        self._say()

    # What is shown.

    @property
    def grid(self) -> Grid:
        """The list."""
        return self.query_one(Grid)

    def _show(self, key: Mapping[str, Cell] | None = None) -> None:
        """Draw the list of this place, the cursor on the row with this key, else on the first; by default as it is."""
        if self.shown.snapshot is None:
            return
        key, otherwise = (self._key(), self.grid.cursor) if key is None else (key, 0)
        sheet = self.shown.sheet(self.walk.place, self.findings)
        self.grid.chosen = self.chosen
        self.grid.show(sheet, self.shown.sort(self.walk.place), key, otherwise)
        self._say()

    def _key(self) -> Mapping[str, Cell]:
        """Return the cells that tell the row under the cursor apart; empty without a row."""
        sheet = self.grid.sheet
        if sheet is None or not len(sheet.rows):
            return {}
        return sheet.key(min(self.grid.cursor, len(sheet.rows) - 1), KEYS_OF[self.walk.place.level])

    def _say(self) -> None:
        """Write the line of the place, and the lines below the list."""
        self._write_lines("place", [place_line(self.walk.place, self.shown, self.busy, self.size.width)])
        self._write_lines("said", self._said())

    def _write_lines(self, pane: str, lines: list[str]) -> None:
        """Put lines into a pane, unless they are there: a new layout takes longer than a line of the list."""
        if self._written.get(pane) != lines:
            self._written[pane] = lines
            self.query_one(f"#{pane}", Static).update(Text("\n".join(lines), no_wrap=True, overflow="ignore"))

    def _said(self) -> list[str]:
        if self._error:
            return [self._safe(self._error.replace("\n", "; "))]
        if self.grid.sheet is None:
            return [f"asking {self._safe(self.source.name)}"]
        return below(self.walk.place, self.shown, self.grid.sheet, self._key().get("host"), self.size.height)

    def _safe(self, text: str) -> str:
        return self.shown.safe(text)

    # What keys do.

    def on_grid_entered(self) -> None:
        """Go into the row under the cursor."""
        if (inside := self.walk.place.entered(self._key())) is not None:
            self._go(inside)

    def _go(self, place: Place, key: Mapping[str, Cell] | None = None) -> None:
        self.walk.enter(place, self._key())
        self.shown.filter = ""
        self._show(key or {})

    def action_leave(self) -> None:
        """End a filter, or go back to the place before."""
        if self.shown.filter:
            self.shown.filter = ""
            self._show()
        elif (key := self.walk.back()) is not None:
            self._show(key)

    def action_next_list(self) -> None:
        """Show the next list of this place."""
        level = self.walk.place.level
        at = LISTS.index(level) if level in LISTS else -1
        self._list(LISTS[(at + 1) % len(LISTS)])

    def _list(self, level: str) -> None:
        self.walk.list_as(next(one for one in LISTS if one == level))
        self._show({})

    def action_finding(self, by: int) -> None:
        """Go to the next or the previous finding."""
        if self.findings:
            at = by - 1 if self._at_finding < 0 < by else self._at_finding + by
            self.action_finding_number(at % len(self.findings) + 1)

    def action_finding_number(self, number: int) -> None:
        """Go to the rows of a finding."""
        if not 0 < number <= len(self.findings):
            return
        self._at_finding = number - 1
        finding = self.findings[self._at_finding]
        self.query_one("#findings", OptionList).highlighted = self._at_finding
        self._go(place_of(finding), {"mapping": finding.mapping} if finding.kind == "drift" else {})

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go to the finding that was chosen in the pane."""
        self.grid.focus()
        self.action_finding_number(event.option_index + 1)

    def action_sort(self, by: int) -> None:
        """Sort by the next or the previous column."""
        if self.shown.snapshot is not None:
            self.shown.sort_next(self.walk.place, by)
            self._show({})

    def on_grid_sorted_by(self, event: Grid.SortedBy) -> None:
        """Sort by the header that was clicked."""
        self.shown.sort_by(self.walk.place, event.column)
        self._show()

    def on_grid_moved(self) -> None:
        """Say what concerns the row under the cursor."""
        self._say()

    def action_mark(self) -> None:
        """Make this snapshot the baseline."""
        self.shown.mark()
        self._show()
        self.notify("marked: since_mark is the difference from now", markup=False)

    def action_differences(self) -> None:
        """Show sizes as differences from the mark, or as they are."""
        if self.shown.marked is None:
            self.notify("mark a baseline first, with m", markup=False)
            return
        self.shown.everywhere = not self.shown.everywhere
        self._show()

    def action_choose(self) -> None:
        """Choose the host of this row to be compared, or no longer."""
        if (host := self._key().get("host")) is not None:
            self.chosen ^= {str(host)}
            self.grid.chosen = self.chosen
            self.grid.refresh()
            self.grid.action_move(1)

    def action_compare(self) -> None:
        """Show the chosen hosts side by side, by default all of this place."""
        place = self.walk.place
        hosts = tuple(sorted(self.chosen)) or place.hosts
        self._go(replace(place, level="compare", hosts=hosts, pid=None, start=None))

    def action_look(self) -> None:
        """Ask the hosts again, unless they are being asked."""
        look = self.source.look
        if look is None:
            self.notify("a stored run does not change", markup=False)
        elif not self.busy:
            self._in_thread(f"asking {self.source.name}", lambda: partial(self._arrived, look()))

    def action_doctor(self) -> None:
        """Try each step to the host of this row."""
        host, doctor = self._key().get("host") or (self.walk.place.hosts or (None,))[0], self.source.doctor
        if doctor is None or host is None:
            what = "a stored run has no hosts to try" if doctor is None else "go to a row with a host first"
            self.notify(what, markup=False)
        elif not self.busy:
            self._in_thread(f"trying {host}", lambda: partial(self._diagnosed, str(host), doctor(str(host))))

    def _diagnosed(self, host: str, report: Report) -> None:
        text = row_text(report, self._safe)
        self.push_screen(Words(f"doctor {self._safe(host)}", text, ascii_only=self.source.ascii_only))

    def action_copy(self) -> None:
        """Copy the row, its cells apart by tabs."""
        sheet = self.grid.sheet
        if sheet is not None and len(sheet.rows):
            cells = sheet.key(self.grid.cursor, [column.name for column in sheet.table.columns]).values()
            self.copy_to_clipboard("\t".join("" if cell is None else escape(str(cell)) for cell in cells))
            self.notify("copied", markup=False)

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(Words("fleetpmap explore", help_text(), ascii_only=self.source.ascii_only))

    def action_end(self, how: str) -> None:
        """End the program."""
        self.exit(how)

    async def action_quit(self) -> None:
        """End the program, as the palette's command Quit."""
        self.exit(QUIT)

    # The prompt, for a filter and for the name of a file.

    def action_filter(self) -> None:
        """Filter the rows by what is typed."""
        self._prompt("filter the rows", self.shown.filter, None)

    def action_write(self) -> None:
        """Write what is shown, after its name was typed."""
        if self.source.write is not None and self.shown.snapshot is not None:
            self._prompt("write to FILE.csv, .json, .html, .md, or the snapshot to FILE.parquet", "", self._write)

    def _prompt(self, placeholder: str, text: str, then: Callable[[str], None] | None) -> None:
        prompt = self.query_one("#prompt", Input)
        prompt.placeholder, prompt.value, prompt.display = placeholder, text, True
        self._prompting = then
        self.screen.set_focus(prompt)  # at once: the next key may be there already

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as the user types."""
        if self._prompting is None and event.input.id == "prompt" and event.input.display:
            self._filter(event.value)

    def _filter(self, text: str) -> None:
        if self.grid.sheet is not None and self.shown.filter != text:
            self.shown.filter = text
            self.grid.sheet.filtered(text)
            self.grid.rows_changed()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take what was typed."""
        if event.input.id == "prompt":
            then = self._prompting or self._filter  # keys that come together are Submitted before they are Changed
            self._close_prompt()
            if event.value:
                then(event.value)

    def _close_prompt(self) -> None:
        self.query_one("#prompt").display = False
        self._prompting = None
        self.screen.set_focus(self.grid)

    def on_key(self, event: Key) -> None:
        """Let Escape end the prompt, and with it a filter; take what was typed before the prompt had the focus."""
        prompt = self.query_one("#prompt", Input)
        if len(self.screen_stack) > 1 or not prompt.display:
            return
        if event.key == "escape":
            self._close_prompt()
            self.shown.filter = ""
            self._show()
        elif event.is_printable and event.character:  # the prompt stops the keys that it gets itself
            prompt.insert_text_at_cursor(event.character)
        else:
            return
        event.stop()
        event.prevent_default()

    def _write(self, name: str) -> None:
        write, snapshot, sheet = self.source.write, self.shown.snapshot, self.grid.sheet
        if write is None or snapshot is None or sheet is None:
            return
        report = self.shown.as_shown(self.walk.place, sheet)
        try:
            done = write(report, part_of(self.walk.place, snapshot), name)
        except FleetpmapError as error:
            self._failed(str(error))
            self._say()
        else:
            self._failed("")
            self.notify(self._safe(done), markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield the commands of the palette: the lists, what keys do, and Textual's own."""
        for level in LISTS:
            yield SystemCommand(level, f"the {level} of this place", partial(self._list, level))
        for name, meaning in COMMANDS:
            yield SystemCommand(name, meaning, getattr(self, f"action_{name}"))
        yield from super().get_system_commands(screen)


__all__ = ["HUNG_UP", "INTERRUPTED", "QUIT", "TERMINATED", "Explore"]
