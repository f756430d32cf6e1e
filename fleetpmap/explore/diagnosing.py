"""The steps to the host of a row, tried one by one.   Source.doctor ─► [diagnosing] ─► app"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from textual.app import App

from fleetpmap.explore.dialogs import Words, row_text
from fleetpmap.explore.panes import Panes
from fleetpmap.explore.source import Source
from fleetpmap.explore.threads import Threads
from fleetpmap.report import Report

_PATIENCE_S = 0.3
"""Seconds from one attempt to show what was found to the next, while a text is typed or read."""


class Diagnosing:
    """Tries the steps to a host in a thread, and shows what was found."""

    def __init__(
        self, app: App[str], source: Source, threads: Threads, panes: Panes, safe: Callable[[str], str]
    ) -> None:
        """`safe` escapes a text."""
        self._app = app
        self._source = source
        self._threads = threads
        self._panes = panes
        self._safe = safe

    def begin(self) -> None:
        """Try each step to the host of the row under the cursor."""
        host, doctor = self._panes.host, self._source.doctor
        doing = f"trying {host}"
        if doctor is None:
            self._panes.tell("a stored run has no hosts to try")
        elif host is None:
            self._panes.tell("go to a row with a host first")
        elif doing not in self._threads.doing:
            self._threads.start(doing, lambda: partial(self._done, str(host), doctor(str(host))))
            self._panes.tell(f"{doing}: what doctor finds is shown as soon as it is known")

    def _done(self, host: str, report: Report) -> None:
        if self._panes.prompt.display or self._app.screen is not self._panes:  # what is typed or read comes first
            self._app.set_timer(_PATIENCE_S, partial(self._done, host, report))
        else:
            self._panes.tell("")
            title, text = f"doctor {self._safe(host)}", row_text(report, self._safe)
            self._app.push_screen(Words(title, text, ascii_only=self._source.ascii_only))
