"""fleetpmap watch.   options ─► watch.Rounds ─► [watch] ─► screen, or a line for each round

With a terminal at both ends it is the screen of explore with an interval. Otherwise each round prints one line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from fleetpmap.catalogue import PeersBy
from fleetpmap.cli.deliver import exit_status, print_stderr, to_stdout
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
from fleetpmap.cli.outputs import OutputPlan, check_hosts, check_rollup, watch_output
from fleetpmap.cli.pipeline import fleet_from, question_from, rounds_over
from fleetpmap.cli.screen import has_screen, live_source, show_live
from fleetpmap.cli.storage import save_to
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.explore.source import Source
    from fleetpmap.snapshot import Snapshot
    from fleetpmap.watch import Rounds


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
    if has_screen():
        _check_screen(what, shape)
    if how.rollup:
        check_rollup(plan, stored=bool(often.save))
    selection = selection_from(matching, required=True)
    fleet = fleet_from(which, how)
    check_hosts(plan, fleet)
    question = question_from(fleet, selection, how)
    save = save_to(often.save) or (lambda snapshot: None)
    with interruptible() as stop:
        rounds = rounds_over(fleet, question, how, stop)
        if has_screen():
            source = _with_options(live_source(rounds, fleet, question), plan, often, rollup=how.rollup)
            return show_live(rounds, replace(source, save=partial(_save_whole, save, stop)), stop)
        with rounds:
            return _watch_lines(rounds, often, save, stop, plan.options.peers, quiet=how.quiet)


def _check_screen(what: ShowOptions, shape: ShapeOptions) -> None:
    """Check that no option is about rows that the screen does not have.

    Raises:
        UsageError: one of them is.
    """
    for option, value in (("--by", what.by), ("--top", shape.top)):
        if value:
            hint = "leave it out: on the screen Enter goes into a row, and all rows are there; or use run"
            raise UsageError(f"{option} {value}: the screen of watch has lists of its own", hint=hint)


def _with_options(source: Source, plan: OutputPlan, often: WatchOptions, *, rollup: bool) -> Source:
    """Return the source with the rounds and the first list that the options describe."""
    from fleetpmap.explore.places import LEVEL_OF, LISTS

    options = plan.options
    return replace(
        source,
        interval_s=often.interval,
        count=often.count,
        options=replace(options, sort=None, top=None, columns=None),
        start=LEVEL_OF.get(plan.view),
        lists=tuple(level for level in LISTS if level != "mappings" or not rollup),
        sort=options.sort,
        columns=options.columns or (),
        human=plan.human,
    )


def _save_whole(save: Callable[[Snapshot], None], stop: Event, snapshot: Snapshot) -> None:
    """Save a round, unless it was cut short: half the hosts are no round."""
    if not stop.is_set():
        save(snapshot)


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
    for snapshot in rounds.repeat(often.interval, often.count):
        save(snapshot)
        first = snapshot if first is None else first
        _print_line(round_line(snapshot, first))
        if not quiet:
            failures = _print_changes(snapshot, failures)
            for line in news.of(standing_out.in_round(snapshot)):
                print_stderr(line)
        status = exit_status(snapshot)
    return INTERRUPTED if stop.is_set() else status


def _print_line(line: str) -> None:
    to_stdout(lambda file: file.write(f"{line}\n".encode()))


def _print_changes(snapshot: Snapshot, before: dict[str, str]) -> dict[str, str]:
    """Print on stderr which hosts began to fail or answer again; return the failing hosts with the reasons."""
    now = {failure.host: failure.message for failure in snapshot.coverage.failures}
    for host, message in now.items():
        if before.get(host) != message:
            print_stderr(f"{host}: {message.removeprefix(f'{host}: ')}")
    for host in before:
        if host not in now:
            print_stderr(f"{host}: answers again")
    return now
