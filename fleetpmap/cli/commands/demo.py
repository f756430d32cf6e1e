"""fleetpmap demo.   demo.server ─► pipeline ─► [demo] ─► report, files"""

from __future__ import annotations

from dataclasses import replace

from fleetpmap.cli.deliver import print_stderr
from fleetpmap.cli.gate_rules import rules_from
from fleetpmap.cli.inputs import hosts_from, selection_from
from fleetpmap.cli.options import (
    GateOptions,
    HostOptions,
    KeepOptions,
    OutputOptions,
    ProcessOptions,
    RunningOptions,
    ShapeOptions,
    ShowOptions,
)
from fleetpmap.cli.outputs import check_hosts
from fleetpmap.cli.pipeline import collect_fleet, plan_of_run, show_snapshot
from fleetpmap.cli.storage import open_storage


def demo(
    matching: ProcessOptions,
    what: ShowOptions,
    shape: ShapeOptions,
    to: OutputOptions,
    gate: GateOptions,
    keep: KeepOptions,
    how: RunningOptions,
) -> int:
    """Run against a small fleet of real SSH servers on loopback, inside this process."""
    from fleetpmap.demo import demo_inventory

    plan = plan_of_run(what, shape, to, keep, how, every_process=matching.all)
    rules = rules_from(gate.fail_if, plan.view, plan.options, rollup=how.rollup)
    selection = selection_from(matching, required=False)
    with open_storage(keep) as storage, demo_inventory() as inventory:
        fleet = hosts_from(inventory, HostOptions(), how)
        check_hosts(plan, fleet)
        print_stderr(f"demo: {len(fleet)} SSH servers on 127.0.0.1, each with the recorded /proc of another host")
        # The servers and their keys are made for this run: nothing of the user's own ssh set-up may take part.
        snapshot = collect_fleet(fleet, selection, replace(how, ssh_config="none"), keep=storage.keep)
        snapshot = replace(snapshot, run=replace(snapshot.run, labels=plan.labels))
        stored = storage.finish(snapshot, how)
        status = show_snapshot(snapshot, selection, plan, to, how, rules=rules)
    if status:
        print_stderr(f"demo: `fleetpmap run` would exit with status {status} here, to tell scripts so")
    return 0 if stored else 2
