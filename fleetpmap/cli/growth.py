"""fleetpmap diff.   OLD, NEW ─► [growth] ─► Report, exit status"""

from __future__ import annotations

import typer

from fleetpmap.cli.asked import looked_for
from fleetpmap.cli.confined import reader
from fleetpmap.cli.deliver import deliver, talk
from fleetpmap.cli.inputs import selection_from
from fleetpmap.cli.kept import snapshot_from
from fleetpmap.cli.option_values import View
from fleetpmap.cli.options import (
    DiffOptions,
    OutputOptions,
    ProcessOptions,
    ShapeOptions,
    ShowOptions,
    TalkOptions,
    TwoArguments,
)
from fleetpmap.cli.outputs import column_list, output_from


def show_growth(
    two: TwoArguments,
    what: DiffOptions,
    shape: ShapeOptions,
    to: OutputOptions,
    how: TalkOptions,
    app: typer.Typer,
) -> int:
    """Report what grew between two snapshots; 3 if either lacks a part of what was asked for.

    `app`: whose commands the runs were.

    Raises:
        UsageError: one of them cannot be read, or an option that does not go with the report.
    """
    child = reader()
    from fleetpmap.report import Shape
    from fleetpmap.report.views.diff import diff

    output = output_from(ShowOptions(view=View("hosts")), ShapeOptions(human=shape.human), to, report="diff")
    columns = None if shape.columns is None else column_list(shape.columns)
    everything = selection_from(ProcessOptions(), required=False)
    old, new = (snapshot_from([path], everything, "", child) for path in (two.old, two.new))
    wanted = Shape(shape.sort, shape.top, columns)
    asked = (looked_for(old.run.command, app), looked_for(new.run.command, app))
    report = diff(old, new, what.by.value, f"{what.metric}_kib", shape=wanted, looked_for=asked)
    deliver(report, output, to.color, quiet=how.quiet)
    talk(report, new, output, how)
    return 0 if old.coverage.complete and new.coverage.complete else 3
