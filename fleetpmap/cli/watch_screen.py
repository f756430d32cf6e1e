"""Watch on a whole terminal.   Rounds, keys ─► [screen] ─► the terminal

One thread asks, the other draws and listens to the keys. The alternate screen and cbreak mode are left as they were
found, whatever happens in between.
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

from rich.console import Console

from fleetpmap.cli.deliver import exit_status
from fleetpmap.cli.interrupt import INTERRUPTED, end_now
from fleetpmap.cli.options import WatchOptions
from fleetpmap.cli.outputs import Output
from fleetpmap.cli.pmap_options import is_c_locale
from fleetpmap.errors import UsageError
from fleetpmap.escape import escape
from fleetpmap.render import table
from fleetpmap.report import VIEWS, Report
from fleetpmap.snapshot import Snapshot
from fleetpmap.watch import History, Round, Rounds, Showing, Viewport, keys_in, pressed, round_line, with_growth
from fleetpmap.watch.keys import HELP, is_begun

_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_FEW_KEYS = "? help  q quit"
_KEYS = f"1-5 v view  s sort  h host  p pause  {_FEW_KEYS}"
_HANG_UP_S = 2.0
"""How long to wait for the thread that asks; a host that hangs would hold it until its deadline."""
_SILENCE_S = 0.05
"""How long the rest of a key may be on its way."""

Found = Round | BaseException | None
"""A round, what ended the rounds before their time, or None: there are no more."""


def watch_screen(
    rounds: Rounds,
    output: Output,
    often: WatchOptions,
    save: Callable[[Snapshot], None],
    stop: Event,
    *,
    hosts: Sequence[str],
    views: Sequence[str],
) -> int:
    """Draw each round until the user quits, or they are through; the exit status is the last round's, 130 after ^C.

    Raises:
        FleetpmapError: a round could not be saved.
    """
    found: queue.SimpleQueue[Found] = queue.SimpleQueue()
    watched = _Watched(output, often, hosts, views)
    paused = Event()
    with rounds, _terminal() as terminal:
        asking = threading.Thread(target=_ask, args=(rounds, often, save, paused, found, terminal.ring), daemon=True)
        asking.start()
        try:
            watched.until_the_end(terminal, found, paused, stop)
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
    found: queue.SimpleQueue[Found],
    ring: Callable[[], None],
) -> None:
    last: Found = None
    try:
        for one in rounds.repeat(often.interval, often.count, paused):
            save(one.snapshot)
            found.put(one)
            ring()
    except BaseException as error:  # raised again in the thread that draws
        last = error
    found.put(last)
    ring()


@dataclass(frozen=True, slots=True)
class _Terminal:
    """Keys, and a bell for whatever else there is to do."""

    keys: int
    listening: int
    bell: int

    def ring(self) -> None:
        """Wake who waits."""
        with contextlib.suppress(BlockingIOError):  # it rings already
            os.write(self.bell, b".")

    def wait(self) -> str:
        """What was typed; empty if it was the bell. A terminal that is gone says `q`."""
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
        """Show these lines, from the top; what is longer than a line has been cut already."""
        text = "".join(f"{line}\x1b[K\r\n" for line in lines[:-1]) + f"{lines[-1]}\x1b[K\x1b[J"
        _write(f"\x1b[H{text}")


@contextlib.contextmanager
def _terminal() -> Iterator[_Terminal]:
    """The alternate screen, and each key as it is pressed. A change of size and ^C ring the bell."""
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    listening, bell = os.pipe()  # for as long as we live: the thread that asks may be late to ring
    os.set_blocking(bell, False)
    resized = signal.signal(signal.SIGWINCH, lambda number, frame: None)
    rung = signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    try:
        tty.setcbreak(keys)
        _write(_ENTER)
        yield _Terminal(keys, listening, bell)
    finally:
        with contextlib.suppress(OSError, termios.error):  # the terminal itself may be gone
            _write(_LEAVE)
            termios.tcsetattr(keys, termios.TCSADRAIN, before)
        signal.set_wakeup_fd(rung)
        signal.signal(signal.SIGWINCH, resized)


class _Watched:
    """What was found so far, and what of it is on the screen."""

    def __init__(self, output: Output, often: WatchOptions, hosts: Sequence[str], views: Sequence[str]) -> None:
        self.last: Round | None = None
        self.line = ""
        """The last round in a line."""
        self._first: Snapshot | None = None
        self._rounds = 0
        self._history = History()
        self._output = output
        self._interval_s = often.interval
        self._hosts = hosts
        self._views = views
        self._showing = Showing(output.view, output.options.sort)
        self._drawn: tuple[object, Viewport] | None = None
        """What was drawn last, and what came of it."""

    def until_the_end(self, terminal: _Terminal, found: queue.SimpleQueue[Found], paused: Event, stop: Event) -> None:
        """Draw, and do what the keys say, until there is no more to draw or the user quits.

        Raises:
            BaseException: what ended the rounds.
        """
        while not stop.is_set() and not self._showing.quit:
            terminal.draw(self._lines())
            for key in keys_in(terminal.wait()):
                self._showing = pressed(self._showing, key, self._hosts, self._views, self._window())
            (paused.set if self._showing.paused else paused.clear)()
            while not found.empty():
                news = found.get()
                if isinstance(news, BaseException):
                    raise news
                if news is None:
                    return
                self._take(news)

    def _take(self, found: Round) -> None:
        self.last = found
        self._first = self._first or found.snapshot
        self._rounds += 1
        self._history.add(found.snapshot)
        self.line = round_line(found.snapshot, self._first)

    def _lines(self) -> list[str]:
        """The screen's lines: a head, the report as far as there is room, a foot."""
        width, height = shutil.get_terminal_size()
        window = self._window()
        body = window.seen(self._showing.top)
        body += [""] * (window.height - len(body))
        foot = _foot(window.place(self._showing.top), width)
        return [self.line[:width], self._doing()[:width], "", *body, foot][:height]

    def _window(self) -> Viewport:
        """What is shown, in the room that there is. To scroll it, it is not drawn again."""
        size = shutil.get_terminal_size()
        what = (self._rounds, size, replace(self._showing, top=0))
        if self._drawn is None or self._drawn[0] != what:
            self._drawn = what, self._draw(size.columns, max(size.lines - 4, 0))
        return self._drawn[1]

    def _doing(self) -> str:
        marks = [f"every {self._interval_s:g} s", f"round {self._rounds}", self._showing.view]
        marks += [f"by {self._showing.sort}"] if self._showing.sort else []
        marks += [f"only {escape(self._showing.host)}"] if self._showing.host else []
        marks += ["PAUSED"] if self._showing.paused else []
        return ", ".join(marks)

    def _draw(self, width: int, height: int) -> Viewport:
        if self._showing.helping:
            return Viewport(_help(width), height)
        if self.last is None:
            return Viewport(["asking …"], height)
        host = self._showing.host
        report = self._report(self.last.of(host))
        report = with_growth(report, self._history, self._hosts if host is None else (host,))
        # The terminal is the only thing that is asked for here: a width of 0 would be 80.
        console = Console(width=max(width, 1))
        with console.capture() as drawn:
            console.print(table(report, human=self._output.human, ascii_only=is_c_locale()))
        tables = [one for one in (report.brief or report).tables if len(one)]
        return Viewport(drawn.get().splitlines(), height, len(tables))

    def _report(self, snapshot: Snapshot) -> Report:
        """The view, sorted as the user wants it if it has such a column."""
        showing, options = self._showing, self._output.options
        if showing.view != self._output.view:  # which is what --columns was for
            options = replace(options, columns=None)
        try:
            return VIEWS[showing.view](snapshot, replace(options, sort=showing.sort))
        except UsageError:
            return VIEWS[showing.view](snapshot, replace(options, sort=None, columns=None))


def _foot(place: str, width: int) -> str:
    """Where in the report one is, and the keys there is room for."""
    place = f"j k {place}  " if place else ""
    return f"{place}{_KEYS if len(place) + len(_KEYS) <= width else _FEW_KEYS}"[:width]


def _help(width: int) -> list[str]:
    lines = (wrap(f"{keys:<10}{meaning}", width, subsequent_indent=" " * 10) for keys, meaning in HELP)
    return [*chain.from_iterable(lines)]


def _write(text: str) -> None:
    """All of it, whatever Python has buffered."""
    sys.stdout.flush()
    data = text.encode(sys.stdout.encoding, "replace")
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]
