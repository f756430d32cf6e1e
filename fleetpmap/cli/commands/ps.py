"""fleetpmap ps.   options ─► pipeline, without smaps ─► [ps] ─► report, exit status"""

from __future__ import annotations

from datetime import UTC, datetime

from fleetpmap.cli.inputs import selection_from
from fleetpmap.cli.option_values import View
from fleetpmap.cli.options import (
    HostOptions,
    OutputOptions,
    ProcessOptions,
    RunningOptions,
    ShapeOptions,
    ShowOptions,
    SpreadOptions,
)
from fleetpmap.cli.outputs import output_from
from fleetpmap.cli.pipeline import fleet_from, print_no_match, refuse_rollup, show_report
from fleetpmap.cli.spread import check_spread, collect_spread


def ps(
    which: HostOptions,
    matching: ProcessOptions,
    shape: ShapeOptions,
    to: OutputOptions,
    how: RunningOptions,
    spread: SpreadOptions,
) -> int:
    """List the processes that run would read, without reading their maps."""
    from fleetpmap.report import Shape
    from fleetpmap.report import ps as ps_report
    from fleetpmap.snapshot import Run, Snapshot

    refuse_rollup(how, "ps")
    check_spread(spread, how, captures=False)
    plan = output_from(ShowOptions(view=View("processes")), shape, to, report="ps")
    selection = selection_from(matching, required=False)
    # An unknown column is refused by the report of an empty snapshot too, before any host is asked.
    ps_report(Snapshot.assemble((), Run(datetime.now(UTC), 0.0, "")), Shape.of(plan.options))
    snapshot = collect_spread(fleet_from(which, how), selection, how, spread, smaps=False)
    status = show_report(ps_report(snapshot, Shape.of(plan.options)), snapshot, plan, to, how)
    print_no_match(snapshot, selection, how)
    return status
