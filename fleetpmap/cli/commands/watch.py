"""fleetpmap watch.   options ─► watch.Rounds ─► [watch] ─► watch_screen, or a line for each round

With a terminal at both ends, the rounds run in a thread of their own, so that keys work while hosts are asked.
Otherwise each round prints one line, and there is no such thread.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

from fleetpmap.catalogue import ROLLUP_VIEWS, WATCHED_VIEWS, PeersBy
from fleetpmap.cli.deliver import exit_status, print_stderr
from fleetpmap.cli.inputs import selection_from
from fleetpmap.cli.interrupt import INTERRUPTED, interruptible
from fleetpmap.cli.options import (
    HostOptions,
    ProcessOptions,
    RunningOptions,
    ShapeOptions,
    ShowOptions,
    WatchOptions,
)
from fleetpmap.cli.outputs import check_hosts, check_rollup, watch_output
from fleetpmap.cli.pipeline import command_line, fleet_from, question_from
from fleetpmap.cli.storage import save_to
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.snapshot import Snapshot
    from fleetpmap.watch import Round, Rounds


def watch(
    which: HostOptions,
    matching: ProcessOptions,
    what: ShowOptions,
    shape: ShapeOptions,
    often: WatchOptions,
    how: RunningOptions,
) -> int:
    """Read again every few seconds, over connections that stay open: on a screen with keys, or a line a round."""
    plan = watch_output(what, shape)
    if how.rollup:
        check_rollup(plan, stored=bool(often.save))
    selection = selection_from(matching, required=True)
    fleet = fleet_from(which, how)
    names = [host.name for host in fleet]
    check_hosts(plan, fleet)
    question = question_from(fleet, selection, how)
    from fleetpmap.watch import Rounds

    save = save_to(often.save) or (lambda snapshot: None)
    with interruptible() as stop:
        rounds = Rounds(
            fleet,
            question,
            command=command_line(),
            jobs=how.jobs,
            deadline_s=how.deadline,
            machines_once=how.once_per_machine,
            stop=stop,
        )
        if _has_screen():
            from fleetpmap.cli.watch_screen import watch_screen

            views = ROLLUP_VIEWS if how.rollup else WATCHED_VIEWS
            return watch_screen(rounds, plan, often, save, stop, hosts=names, views=views)
        with rounds:
            return _watch_lines(rounds, often, save, stop, plan.options.peers, quiet=how.quiet)


def _has_screen() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _watch_lines(
    rounds: Rounds,
    often: WatchOptions,
    save: Callable[[Snapshot], None],
    stop: Event,
    peers: PeersBy,
    *,
    quiet: bool,
) -> int:
    """Print a line for each round, and on stderr what is new in it; return the exit status of the last one."""
    from fleetpmap.watch import News, StandingOut, round_line

    status, first = 0, None
    failures: dict[str, str] = {}
    standing_out, news = StandingOut(peers), News()
    for round_ in rounds.repeat(often.interval, often.count):
        save(round_.snapshot)
        first = round_.snapshot if first is None else first
        _print_line(round_line(round_.snapshot, first))
        if not quiet:
            failures = _print_changes(round_, failures)
            for line in news.of(standing_out.in_round(round_.snapshot)):
                print_stderr(line)
        status = exit_status(round_.snapshot)
    return INTERRUPTED if stop.is_set() else status


def _print_line(line: str) -> None:
    try:
        print(line, flush=True)
    except OSError as error:
        raise UsageError(f"stdout: {error.strerror}", hint="the program that reads it has ended") from error


def _print_changes(round_: Round, before: dict[str, str]) -> dict[str, str]:
    """Print on stderr which hosts began to fail or answer again; return the failing hosts with the reasons."""
    now = {failure.host: failure.message for failure in round_.snapshot.coverage.failures}
    for host, message in now.items():
        if before.get(host) != message:
            print_stderr(f"{host}: {message.removeprefix(f'{host}: ')}")
    for host in before.keys() - now.keys():
        print_stderr(f"{host}: answers again")
    return now
