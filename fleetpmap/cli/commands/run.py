"""fleetpmap run.   options ─► pipeline ─► [run] ─► report, files, exit status"""

from __future__ import annotations

from fleetpmap.cli.deliver import rows_to_stdout
from fleetpmap.cli.inputs import selection_from
from fleetpmap.cli.options import (
    HostOptions,
    KeepOptions,
    OutputOptions,
    ProcessOptions,
    RunningOptions,
    ShapeOptions,
    ShowOptions,
    SpreadOptions,
)
from fleetpmap.cli.outputs import check_hosts
from fleetpmap.cli.pipeline import fleet_from, plan_of_run, show_snapshot
from fleetpmap.cli.spread import check_spread, collect_spread
from fleetpmap.cli.storage import open_storage

EXAMPLES = """\
Examples:

fleetpmap run --match nginx

fleetpmap run -g web --match gunicorn --view hosts --sort pss

fleetpmap run -H 'web[01-20]' --unit app --export hosts=hosts.csv

Exit status: 0 all is there, 2 usage, 3 a host failed or a process could not be read, 4 no host answered, \
5 nothing matched, 124 deadline, 130 interrupted.
"""
"""The end of `fleetpmap run --help`."""


def run(
    which: HostOptions,
    matching: ProcessOptions,
    what: ShowOptions,
    shape: ShapeOptions,
    to: OutputOptions,
    keep: KeepOptions,
    how: RunningOptions,
    spread: SpreadOptions,
) -> int:
    """Read the memory maps of the matching processes on all the hosts, and report."""
    check_spread(spread, how, captures=keep.capture is not None)
    plan = plan_of_run(what, shape, to, keep, how, every_process=matching.all)
    selection = selection_from(matching, required=True)
    fleet = fleet_from(which, how)
    check_hosts(plan, [host.name for host in fleet])
    is_stream = plan.is_stream and not how.once_per_machine
    on_part = rows_to_stdout(plan) if is_stream else None
    with open_storage(keep) as storage:
        sums = None if keep.save else plan.sums
        snapshot = collect_spread(fleet, selection, how, spread, sums=sums, on_part=on_part, keep=storage.keep)
        stored = storage.finish(snapshot, how)
    status = show_snapshot(snapshot, plan, to, how, rows_written=is_stream)
    return status if stored else 2
