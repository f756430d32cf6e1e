"""Steps that commands share.   options ─► [pipeline] ─► hosts ─► Question ─► Snapshot ─► report, exit status"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cache
from threading import Event
from typing import TYPE_CHECKING, TypedDict

from fleetpmap.cli.deliver import deliver, exit_status, export, print_broken_rules, print_notes, print_stderr
from fleetpmap.cli.gate_rules import judge_by
from fleetpmap.cli.inputs import hosts_from, inventory_from, notes_about, ssh_options_from
from fleetpmap.cli.interrupt import interruptible
from fleetpmap.cli.option_values import Format, View
from fleetpmap.cli.options import (
    HostOptions,
    KeepOptions,
    OutputOptions,
    RunningOptions,
    ShapeOptions,
    ShowOptions,
)
from fleetpmap.cli.outputs import OutputPlan, check_rollup, output_from
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.cli.earlier import Earlier
    from fleetpmap.cli.progress import Progress
    from fleetpmap.collection.collector import Question
    from fleetpmap.collection.interpret import Keep
    from fleetpmap.collection.parts import OnRows
    from fleetpmap.inventory import Host
    from fleetpmap.processes import Selection
    from fleetpmap.report import Report, ViewOptions
    from fleetpmap.report.finding import Finding
    from fleetpmap.report.gates import Rule
    from fleetpmap.snapshot import HostSnapshot, Snapshot
    from fleetpmap.watch import Rounds


class CollectOptions(TypedDict):
    """Arguments of `collect`, `Rounds` and the shards alike; see `collect`."""

    command: str
    jobs: int
    deadline_s: float | None
    machines_once: bool
    stop: Event


def command_line() -> str:
    """Return the command line of this process, as a shell would read it."""
    return shlex.join(["fleetpmap", *sys.argv[1:]])


def plan_of_run(
    what: ShowOptions,
    shape: ShapeOptions,
    to: OutputOptions,
    keep: KeepOptions,
    how: RunningOptions,
    *,
    every_process: bool = False,
) -> OutputPlan:
    """Return the output plan of a command that reads memory; `every_process` as in `output_from`.

    Raises:
        UsageError: options that exclude each other, --rollup and a view of mappings among them.
    """
    plan = output_from(what, shape, to, every_process=every_process, saved=keep.save is not None)
    if how.rollup:
        check_rollup(plan, stored=bool(keep.save or keep.capture))
    return plan


def refuse_rollup(how: RunningOptions, command: str) -> None:
    """Refuse --rollup for a command that reads no memory.

    Raises:
        UsageError: --rollup was given.
    """
    if how.rollup:
        raise UsageError(f"--rollup says how memory is read, and {command} reads none", hint="leave out --rollup")


def fleet_from(which: HostOptions, how: RunningOptions) -> tuple[Host, ...]:
    """Return the hosts that the options select, and print the notes on their inventory."""
    inventory = inventory_from(which)
    if inventory is None and not (which.host or which.group or which.hosts_from) and not how.quiet:
        print_stderr("no inventory and no -H: this machine, without SSH")
    fleet = hosts_from(inventory, which, how)
    if inventory is not None and not how.quiet:
        for note in notes_about(inventory, fleet):
            print_stderr(note)
    return fleet


def question_from(
    fleet: Sequence[Host], selection: Selection, how: RunningOptions, *, smaps: bool = True, asks: bool = True
) -> Question:
    """Return what to ask of every host, and tune this process for many hosts. `asks`: also ask for passwords."""
    from fleetpmap.cli.passwords import with_secrets
    from fleetpmap.collection.collector import Question
    from fleetpmap.tuning import trim_footprint

    trim_footprint()
    ssh = ssh_options_from(how)
    ssh, become_password = with_secrets(ssh, fleet, how) if asks else (ssh, None)
    return Question(
        selection,
        smaps=smaps,
        rollups=how.verbose > 1,
        rollup_only=how.rollup,
        ssh=ssh,
        become_password=become_password,
    )


def rounds_over(fleet: Sequence[Host], question: Question, how: RunningOptions, stop: Event) -> Rounds:
    """Return rounds that ask this fleet, which `stop` ends."""
    from fleetpmap.watch import Rounds

    return Rounds(fleet, question, **collect_options(how, stop))


def collect_options(how: RunningOptions, stop: Event) -> CollectOptions:
    """Return the arguments of `collect` that the options of a run give; `stop` ends it."""
    return CollectOptions(
        command=command_line(),
        jobs=how.jobs,
        deadline_s=how.deadline,
        machines_once=how.once_per_machine,
        stop=stop,
    )


def progress_for(fleet: Sequence[Host], how: RunningOptions, stop: Event, *, prints_rows: bool) -> Progress:
    """Return the progress line of a run; `prints_rows`: to stdout, as hosts answer."""
    from fleetpmap.cli.progress import Progress

    # On a terminal the rows would run into the line.
    return Progress(len(fleet), stop, quiet=how.quiet or (prints_rows and sys.stdout.isatty()))


def collect_fleet(
    fleet: Sequence[Host],
    selection: Selection,
    how: RunningOptions,
    *,
    smaps: bool = True,
    sums: Collection[str] | None = None,
    on_start: Callable[[Host], None] = lambda host: None,
    on_part: Callable[[Snapshot], None] | None = None,
    on_rows: OnRows | None = None,
    keep: Keep | None = None,
) -> Snapshot:
    """Ask every host, with a progress line and ^C handled; the arguments are those of `collect`.

    `on_part` gets the snapshot of each host alone, as it replies.
    """
    from fleetpmap.collection.collector import collect

    question = question_from(fleet, selection, how, smaps=smaps)

    def started(host: Host) -> None:
        on_start(host)
        progress.started(host.name)

    def answered(answer: HostSnapshot) -> None:
        progress.done(answer.name, answer.status)
        if on_part:
            from fleetpmap.snapshot import Snapshot  # takes numpy with it

            on_part(Snapshot.alone(answer))

    with interruptible() as stop, progress_for(fleet, how, stop, prints_rows=on_part is not None) as progress:
        options = collect_options(how, stop)
        snapshot = collect(
            fleet,
            question,
            **options,
            sums=sums,
            on_start=started,
            on_host=answered,
            on_rows=on_rows,
            keep=keep,
        )
        return snapshot if how.quiet else _looked_closer(snapshot, fleet, question, how, stop)


def _looked_closer(
    snapshot: Snapshot, fleet: Sequence[Host], question: Question, how: RunningOptions, stop: Event
) -> Snapshot:
    """Return the snapshot with more of what is near on this machine, if nothing matched anywhere.

    A run by name lists names alone. Here the command lines and cgroups cost no connection, so they are listed now.
    """
    here = [host for host in fleet if host.is_here]
    if snapshot.coverage.matched or not here or not question.smaps or snapshot.run.ended != "whole":
        return snapshot
    from fleetpmap.collection.collector import collect

    left_s = None if how.deadline is None else max(how.deadline - snapshot.run.elapsed_s, 0.001)
    again = collect(here, replace(question, smaps=False), jobs=1, deadline_s=left_s, stop=stop)
    near = {host.name: host.near for host in again.hosts}
    hosts = tuple(replace(host, near=near.get(host.name) or host.near) for host in snapshot.hosts)
    return replace(snapshot, hosts=hosts)


def print_no_match(snapshot: Snapshot, selection: Selection, how: RunningOptions) -> None:
    """Print what is near the selection, if nothing matched on any host."""
    if not how.quiet:
        from fleetpmap.cli.no_match import hints

        for sentence in hints(snapshot, selection):
            print_stderr(sentence)


def show_snapshot(
    snapshot: Snapshot,
    selection: Selection,
    plan: OutputPlan,
    to: OutputOptions,
    how: RunningOptions,
    *,
    rules: Sequence[Rule] = (),
    earlier: Earlier | None = None,
    rows_written: bool = False,
) -> int:
    """Write the files of --export, then the main report; return the exit status, 2 if a file could not be written.

    Of a selection that matched nothing, what is near it goes to stderr, and into a page.

    `earlier`: the runs before this one, in which growth is looked for.
    """
    from fleetpmap.cli.no_match import hints
    from fleetpmap.report import VIEWS, page
    from fleetpmap.report.finding import rows_named, told
    from fleetpmap.report.growth import in_order
    from fleetpmap.report.standing_out import standing_out, with_findings

    @cache
    def findings() -> tuple[Finding, ...]:
        found = standing_out(snapshot, plan.options.peers)
        return in_order((*found, *earlier.growth)) if earlier else found

    def judged(report: Report) -> Report:
        return with_findings(report, findings, lambda: earlier.notes if earlier else ())

    @cache
    def report_of(view: View, options: ViewOptions, format_: Format) -> Report:
        if format_ == "html":
            return replace(
                page(VIEWS[view], snapshot, options, judged),
                timeline=earlier.timeline if earlier else None,
                hints=tuple(hints(snapshot, selection)),
            )
        if format_ == "table" and view == "summary":
            options = replace(options, kept=rows_named(told(findings())[0]))
        return judged(VIEWS[view](snapshot, options))

    whole = replace(plan.options, columns=None, sort=None, top=None)
    judge = judge_by(rules, lambda: report_of(plan.view, whole, Format("json")), [snapshot.coverage])
    exported = export(lambda view, format_: judge(report_of(view, whole, format_)), plan, quiet=how.quiet)
    report = judge(report_of(plan.view, plan.options, plan.format))
    status = show_report(report, snapshot, plan, to, how, rows_written=rows_written)
    print_no_match(snapshot, selection, how)
    return status if exported else 2


def show_report(
    report: Report,
    snapshot: Snapshot,
    plan: OutputPlan,
    to: OutputOptions,
    how: RunningOptions,
    *,
    rows_written: bool = False,
) -> int:
    """Write the main report, print its notes on stderr, and return the exit status of the run."""
    deliver(report, plan, to.color, quiet=how.quiet, rows_written=rows_written)
    print_notes(report, snapshot, plan, how)
    print_broken_rules(report)
    return exit_status(snapshot, report)
