"""The full-screen mode of watch.   Rounds, keys ─► [watch_screen] ─► the terminal

One thread runs the rounds, the main thread draws and reads keys. The terminal leaves the alternate screen and cbreak
mode on every way out.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from textwrap import wrap
from threading import Event

from rich.console import Console, RenderableType

from fleetpmap.catalogue import WATCHED_VIEWS
from fleetpmap.cli.deliver import exit_status
from fleetpmap.cli.interrupt import INTERRUPTED, end_now
from fleetpmap.cli.options import WatchOptions
from fleetpmap.cli.outputs import OutputPlan
from fleetpmap.cli.pmap_options import is_c_locale
from fleetpmap.errors import UsageError
from fleetpmap.escape import escape
from fleetpmap.render import table
from fleetpmap.render.sentences import FindingsBlock
from fleetpmap.report import VIEWS, Report
from fleetpmap.report.finding import Finding, rows_named, told
from fleetpmap.report.standing_out import with_findings
from fleetpmap.snapshot import Snapshot
from fleetpmap.watch import (
    History,
    Reserved,
    Round,
    Rounds,
    Showing,
    StandingOut,
    Viewport,
    keys_in,
    pressed,
    round_line,
    with_growth,
)
from fleetpmap.watch.keys import HELP, is_begun

_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_FEW_KEYS = "? help  q quit"
_KEYS = f"1-{len(WATCHED_VIEWS)} v view  s sort  h host  p pause  {_FEW_KEYS}"
_HANG_UP_S = 2.0
"""Seconds to wait at the end for the thread that asks; a host that hangs would hold it until its deadline."""
_SILENCE_S = 0.05
"""Seconds in which the rest of a key's escape sequence has to arrive."""

Arrival = tuple[Round, tuple[Finding, ...]] | BaseException | None
"""A round and its findings, an exception that ended the rounds early, or None after the last one."""


def watch_screen(
    rounds: Rounds,
    output: OutputPlan,
    often: WatchOptions,
    save: Callable[[Snapshot], None],
    stop: Event,
    *,
    hosts: Sequence[str],
    views: Sequence[str],
) -> int:
    """Draw each round until the user quits or the last round; return its exit status, 130 after ^C.

    Raises:
        FleetpmapError: a round could not be saved.
    """
    arrivals: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
    watched = _Watched(output, often, hosts, views)
    paused = Event()
    standing_out = StandingOut(output.options.peers)
    with rounds, _terminal() as terminal:
        args = (rounds, often, save, paused, standing_out, arrivals, terminal.ring)
        asking = threading.Thread(target=_ask, args=args, daemon=True)
        asking.start()
        try:
            watched.until_the_end(terminal, arrivals, paused, stop)
        finally:
            interrupted = stop.is_set()
            stop.set()
    if watched.line:
        print(watched.line, flush=True)
    asking.join(_HANG_UP_S)
    status = INTERRUPTED if interrupted else 0 if watched.last is None else exit_status(watched.last.snapshot)
    if asking.is_alive():
        end_now(status)
    return status


def _ask(
    rounds: Rounds,
    often: WatchOptions,
    save: Callable[[Snapshot], None],
    paused: Event,
    standing_out: StandingOut,
    arrivals: queue.SimpleQueue[Arrival],
    ring: Callable[[], None],
) -> None:
    last: Arrival = None
    try:
        for round_ in rounds.repeat(often.interval, often.count, paused):
            save(round_.snapshot)
            arrivals.put((round_, standing_out.in_round(round_.snapshot)))
            ring()
    except BaseException as error:  # raised again in the thread that draws
        last = error
    arrivals.put(last)
    ring()


@dataclass(frozen=True, slots=True)
class _Terminal:
    """The keys, and a bell: a pipe that wakes the main thread for a new round, a resize or ^C."""

    keys: int
    listening: int
    bell: int

    def ring(self) -> None:
        """Wake `wait`."""
        with contextlib.suppress(BlockingIOError):  # the pipe is full, so `wait` will wake up anyway
            os.write(self.bell, b".")

    def wait(self) -> str:
        """Return the typed characters; empty after the bell, `q` if the terminal is gone."""
        ready, _, _ = select.select([self.keys, self.listening], [], [])
        if self.listening in ready:
            os.read(self.listening, 4096)
        if self.keys not in ready:
            return ""
        typed = self._read()
        while is_begun(typed) and select.select([self.keys], [], [], _SILENCE_S)[0]:
            typed += self._read()
        return typed

    def _read(self) -> str:
        try:
            return os.read(self.keys, 4096).decode(errors="replace") or "q"
        except OSError:
            return "q"

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines from the top; they must fit the width."""
        text = "".join(f"{line}\x1b[K\r\n" for line in lines[:-1]) + f"{lines[-1]}\x1b[K\x1b[J"
        _write(f"\x1b[H{text}")


@contextlib.contextmanager
def _terminal() -> Iterator[_Terminal]:
    """Switch to the alternate screen and to unbuffered keys. A change of size and ^C ring the bell."""
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    listening, bell = os.pipe()  # never closed: the thread that asks may still ring after the end
    os.set_blocking(bell, False)
    resized = signal.signal(signal.SIGWINCH, lambda number, frame: None)
    rung = signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    try:
        tty.setcbreak(keys)
        _write(_ENTER)
        yield _Terminal(keys, listening, bell)
    finally:
        with contextlib.suppress(OSError, termios.error):  # the terminal may be gone
            _write(_LEAVE)
            termios.tcsetattr(keys, termios.TCSADRAIN, before)
        signal.set_wakeup_fd(rung)
        signal.signal(signal.SIGWINCH, resized)


class _Watched:
    """The rounds so far, and the part of the last one on the screen."""

    def __init__(self, output: OutputPlan, often: WatchOptions, hosts: Sequence[str], views: Sequence[str]) -> None:
        self.last: Round | None = None
        self.line = ""
        """The line of the last round."""
        self._first: Snapshot | None = None
        self._rounds = 0
        self._findings: tuple[Finding, ...] = ()
        self._history = History()
        self._output = output
        self._interval_s = often.interval
        self._hosts = hosts
        self._views = views
        self._showing = Showing(output.view, output.options.sort)
        self._drawn: tuple[object, list[str], Viewport] | None = None
        """The state that was drawn last, the lines of its findings, and those of the report."""
        self._reserved = Reserved()

    def until_the_end(
        self, terminal: _Terminal, arrivals: queue.SimpleQueue[Arrival], paused: Event, stop: Event
    ) -> None:
        """Draw and handle keys until the last round or until the user quits.

        Raises:
            BaseException: the exception that ended the rounds.
        """
        while not stop.is_set() and not self._showing.quit:
            terminal.draw(self._lines())
            for key in keys_in(terminal.wait()):
                self._showing = pressed(self._showing, key, self._hosts, self._views, self._window())
            (paused.set if self._showing.paused else paused.clear)()
            while not arrivals.empty():
                event = arrivals.get()
                if isinstance(event, BaseException):
                    raise event
                if event is None:
                    return
                self._add(*event)

    def _add(self, round_: Round, findings: tuple[Finding, ...]) -> None:
        self.last, self._findings = round_, findings
        self._first = self._first or round_.snapshot
        self._rounds += 1
        self._history.add(round_.snapshot)
        self.line = round_line(round_.snapshot, self._first, human_sizes=self._output.human)

    def _lines(self) -> list[str]:
        """Return the lines of the screen: a head, the findings, the part of the report that fits, a foot."""
        width, height = shutil.get_terminal_size()
        window = self._window()
        body = window.seen(self._showing.top)
        body += [""] * (window.height - len(body))
        foot = _foot(window.place(self._showing.top), width)
        head = [_cut(self.line, "  ", width), _cut(self._doing(), ", ", width), "", *self._drawn_now()[0]]
        return [*head, *body, foot][:height]

    def _window(self) -> Viewport:
        """Return the drawn report with the height for it."""
        return self._drawn_now()[1]

    def _drawn_now(self) -> tuple[list[str], Viewport]:
        """Return the lines of findings, and the report. Scrolling does not draw them again."""
        size = shutil.get_terminal_size()
        what = (self._rounds, size, replace(self._showing, top=0))
        if self._drawn is None or self._drawn[0] != what:
            self._drawn = (what, *self._draw(size.columns, max(size.lines - 4, 0)))
        return self._drawn[1:]

    def _doing(self) -> str:
        marks = [f"every {self._interval_s:g} s", f"round {self._rounds}", self._showing.view]
        marks += [f"by {self._showing.sort}"] if self._showing.sort else []
        marks += [f"only {escape(self._showing.host)}"] if self._showing.host else []
        marks += ["PAUSED"] if self._showing.paused else []
        return ", ".join(marks)

    def _draw(self, width: int, height: int) -> tuple[list[str], Viewport]:
        if self._showing.helping:
            return [], Viewport(_help(width), height)
        if self.last is None:
            return [], Viewport(["asking …"], height)
        host = self._showing.host
        findings = tuple(one for one in self._findings if host is None or one.host in (None, host))
        report = with_findings(self._report(self.last.of(host), findings), lambda: findings)
        report = with_growth(report, self._history, self._hosts if host is None else (host,))
        said = self._said(report.findings, width, height)
        drawn = _printed(table(report, human=self._output.human, ascii_only=is_c_locale(), findings=False), width)
        tables = [part for part in (report.brief or report).tables if len(part)]
        return said, Viewport(drawn, height - len(said), len(tables))

    def _said(self, findings: tuple[Finding, ...], width: int, height: int) -> list[str]:
        """Return the lines of the findings, a third of the height at most, and an empty line below them."""
        lines = _printed(FindingsBlock(findings, height // 3, ascii_only=is_c_locale()), width)
        return self._reserved.filled(lines, (width, height, self._showing.view, self._showing.host))

    def _report(self, snapshot: Snapshot, findings: tuple[Finding, ...]) -> Report:
        """Return the view, sorted by the user's column if the view has it."""
        showing, options = self._showing, replace(self._output.options, kept=rows_named(told(findings)[0]))
        if showing.view != self._output.view:  # --columns was for the view of the command line
            options = replace(options, columns=None)
        try:
            return VIEWS[showing.view](snapshot, replace(options, sort=showing.sort))
        except UsageError:
            return VIEWS[showing.view](snapshot, replace(options, sort=None, columns=None))


def _printed(what: RenderableType, width: int) -> list[str]:
    console = Console(width=max(width, 1))  # rich would replace a width of 0 by 80
    with console.capture() as drawn:
        console.print(what)
    return drawn.get().splitlines()


def _cut(line: str, between: str, width: int) -> str:
    """Return as many parts of a line as have room: no number is cut."""
    parts = line.split(between)
    while len(parts) > 1 and len(between.join(parts)) > width:
        parts.pop()
    return between.join(parts)[:width]


def _foot(place: str, width: int) -> str:
    """Return the position in the report, and the keys for which there is room."""
    place = f"j k {place}  " if place else ""
    return f"{place}{_KEYS if len(place) + len(_KEYS) <= width else _FEW_KEYS}"[:width]


def _help(width: int) -> list[str]:
    lines = (wrap(f"{keys:<10}{meaning}", width, subsequent_indent=" " * 10) for keys, meaning in HELP)
    return [*chain.from_iterable(lines)]


def _write(text: str) -> None:
    """Write the whole text at once, after the output that Python has buffered."""
    sys.stdout.flush()
    data = text.encode(sys.stdout.encoding, "replace")
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]
