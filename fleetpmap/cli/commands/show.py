"""fleetpmap show.   PATH… ─► storage ─► [show] ─► report, files, exit status"""

from __future__ import annotations

from fleetpmap.cli.earlier import earlier_in
from fleetpmap.cli.gate_rules import rules_from
from fleetpmap.cli.inputs import selection_from
from fleetpmap.cli.options import (
    GateOptions,
    OutputOptions,
    PathArguments,
    ProcessOptions,
    RunningOptions,
    ShapeOptions,
    ShowOptions,
    TalkOptions,
)
from fleetpmap.cli.outputs import check_hosts, output_from, with_services
from fleetpmap.cli.pipeline import command_line, show_snapshot
from fleetpmap.cli.selections import EVERY_PROCESS, selection_of_command


def show(
    stored: PathArguments,
    matching: ProcessOptions,
    what: ShowOptions,
    shape: ShapeOptions,
    to: OutputOptions,
    gate: GateOptions,
    talk: TalkOptions,
) -> int:
    """Show a stored run (a capture, a copy of /proc, a saved snapshot) in any view, without a network."""
    from fleetpmap.cli.confined import reader
    from fleetpmap.cli.storage import snapshot_from

    plan = output_from(what, shape, to)
    selection, child = selection_from(matching, required=False), reader()
    snapshot = snapshot_from(stored.paths, selection, command_line(), child, quiet=talk.quiet)
    # A stored run of --all, and a copy of /proc, hold every process.
    if plan.view == "summary" and all(map(_is_of_every_process, (command_line(), snapshot.run.command))):
        plan = with_services(plan)
    check_hosts(plan, snapshot.hosts)
    rules = rules_from(gate.fail_if, plan.view, plan.options)
    # Earlier runs are compared whole.
    is_whole = selection_of_command(command_line()) == EVERY_PROCESS
    earlier = earlier_in(stored.paths[0], snapshot, child) if len(stored.paths) == 1 and is_whole else None
    how = RunningOptions(verbose=talk.verbose, quiet=talk.quiet)
    return show_snapshot(snapshot, selection, plan, to, how, rules=rules, earlier=earlier)


def _is_of_every_process(command: str) -> bool:
    return selection_of_command(command) == EVERY_PROCESS
