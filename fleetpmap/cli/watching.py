"""The work of `watch`.   Question ─► Rounds ─► [watching] ─► screen, or a line a round

The rounds go on in a thread of their own where there is a screen, so that a key is answered while hosts are asked. With
no terminal at both ends there are only lines, and no thread.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from threading import Event
from typing import TYPE_CHECKING

from fleetpmap.catalogue import ROLLUP_VIEWS, WATCHED_VIEWS
from fleetpmap.cli.deliver import exit_status, say
from fleetpmap.cli.interrupt import INTERRUPTED, interruptible
from fleetpmap.cli.options import RunningOptions, WatchOptions
from fleetpmap.cli.outputs import Output
from fleetpmap.cli.saving import save_to
from fleetpmap.errors import UsageError
from fleetpmap.snapshot import Snapshot
from fleetpmap.watch import Rounds, round_line

if TYPE_CHECKING:
    from fleetpmap.collection.collector import Question
    from fleetpmap.inventory import Host
    from fleetpmap.watch import Round


def keep_watching(
    fleet: Sequence[Host],
    question: Question,
    output: Output,
    often: WatchOptions,
    how: RunningOptions,
    command: str,
) -> int:
    """Watch until the user has seen enough, or there were --count rounds; the exit status is the last round's.

    Raises:
        UsageError: a round cannot be saved.
    """
    save = save_to(often.save) or (lambda snapshot: None)
    with interruptible() as stop:
        rounds = Rounds(
            fleet,
            question,
            command=command,
            jobs=how.jobs,
            deadline_s=how.deadline,
            machines_once=how.once_per_machine,
            stop=stop,
        )
        if _has_screen():
            from fleetpmap.cli.watch_screen import watch_screen

            views = ROLLUP_VIEWS if how.rollup else WATCHED_VIEWS
            return watch_screen(rounds, output, often, save, stop, hosts=[host.name for host in fleet], views=views)
        with rounds:
            return _watch_lines(rounds, often, save, stop, quiet=how.quiet)


def _has_screen() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _watch_lines(
    rounds: Rounds, often: WatchOptions, save: Callable[[Snapshot], None], stop: Event, *, quiet: bool
) -> int:
    status, first = 0, None
    failures: dict[str, str] = {}
    for found in rounds.repeat(often.interval, often.count):
        save(found.snapshot)
        first = found.snapshot if first is None else first
        _say_line(round_line(found.snapshot, first))
        if not quiet:
            failures = _tell_changes(found, failures)
        status = exit_status(found.snapshot)
    return INTERRUPTED if stop.is_set() else status


def _say_line(line: str) -> None:
    try:
        print(line, flush=True)
    except OSError as error:
        raise UsageError(f"stdout: {error.strerror}", hint="nobody reads it any more") from error


def _tell_changes(found: Round, before: dict[str, str]) -> dict[str, str]:
    """Say on stderr who stopped to answer, and who came back; the hosts that do not answer now, with the reason."""
    now = {failure.host: failure.message for failure in found.snapshot.coverage.failures}
    for host, message in now.items():
        if before.get(host) != message:
            say(f"{host}: {message.removeprefix(f'{host}: ')}")
    for host in before.keys() - now.keys():
        say(f"{host}: answers again")
    return now
