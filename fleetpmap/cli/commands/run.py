"""fleetpmap run.   options ─► pipeline ─► [run] ─► report, files, exit status"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetpmap.cli.deliver import print_stderr, rows_to_stdout
from fleetpmap.cli.earlier import earlier_in
from fleetpmap.cli.gate_rules import rules_from
from fleetpmap.cli.inputs import selection_from
from fleetpmap.cli.options import (
    GateOptions,
    HostOptions,
    KeepOptions,
    OutputOptions,
    ProcessOptions,
    RunningOptions,
    ShapeOptions,
    ShardOptions,
    ShowOptions,
    SpreadOptions,
)
from fleetpmap.cli.outputs import check_hosts
from fleetpmap.cli.pipeline import (
    command_line,
    fleet_from,
    plan_of_run,
    show_snapshot,
)
from fleetpmap.cli.spread import check_spread, collect_spread
from fleetpmap.cli.storage import open_storage, shard_sentence

if TYPE_CHECKING:
    from fleetpmap.inventory import Host
    from fleetpmap.snapshot import FleetShard


def run(
    which: HostOptions,
    part: ShardOptions,
    matching: ProcessOptions,
    what: ShowOptions,
    shape: ShapeOptions,
    to: OutputOptions,
    gate: GateOptions,
    keep: KeepOptions,
    how: RunningOptions,
    spread: SpreadOptions,
) -> int:
    """Read the memory maps of the matching processes on all the hosts, and report."""
    check_spread(spread, how, captures=keep.capture is not None)
    plan = plan_of_run(what, shape, to, keep, how, every_process=matching.all)
    rules = rules_from(gate.fail_if, plan.view, plan.options, rollup=how.rollup)
    selection = selection_from(matching, required=True)
    fleet, shard = _shard_of(fleet_from(which, how), part, quiet=how.quiet)
    check_hosts(plan, fleet)
    is_stream = plan.is_stream and not how.once_per_machine
    on_part = rows_to_stdout(plan) if is_stream else None
    # A machine that is counted once has its rows once, which only the whole fleet tells.
    with open_storage(keep, None if keep.save and how.once_per_machine else plan.sums) as storage:
        snapshot = collect_spread(
            fleet,
            selection,
            how,
            spread,
            sums=storage.sums,
            on_part=on_part,
            on_rows=storage.on_rows,
            keep=storage.keep,
        )
        snapshot = replace(snapshot, run=replace(snapshot.run, shard=shard, labels=plan.labels))
        stored = storage.finish(snapshot, how)
    earlier = None if keep.save is None else earlier_in(keep.save, snapshot)
    status = show_snapshot(snapshot, selection, plan, to, how, rules=rules, earlier=earlier, rows_written=is_stream)
    return status if stored else 2


def _shard_of(fleet: Sequence[Host], part: ShardOptions, *, quiet: bool) -> tuple[Sequence[Host], FleetShard | None]:
    """Return the hosts of this machine's shard, and the shard; without --shard the whole fleet, and None."""
    if part.shard is None:
        return fleet, None
    from fleetpmap.cli.selections import selection_of_command
    from fleetpmap.shards.division import divided
    from fleetpmap.snapshot import FleetShard

    number, of = part.shard
    hosts = divided(fleet, of)[number - 1]
    shard = FleetShard(number, of, tuple(host.name for host in fleet), selection_of_command(command_line()))
    if not quiet:
        print_stderr(shard_sentence(shard, [host.name for host in hosts]))
    return hosts, shard
