"""fleetpmap fields.   smaps.fields ─► [fields] ─► report"""

from __future__ import annotations

from fleetpmap.cli.deliver import deliver
from fleetpmap.cli.option_values import View
from fleetpmap.cli.options import OutputOptions, ShapeOptions, ShowOptions
from fleetpmap.cli.outputs import column_list, output_from
from fleetpmap.cli.pipeline import command_line


def fields(shape: ShapeOptions, to: OutputOptions) -> int:
    """Explain the kernel's fields: unit, first kernel, how each totals over processes, meaning."""
    from fleetpmap.report import Shape
    from fleetpmap.report import fields as fields_report

    plan = output_from(
        ShowOptions(view=View("hosts")), ShapeOptions(human=shape.human, kib=shape.kib), to, report="fields"
    )
    columns = None if shape.columns is None else column_list(shape.columns)
    report = fields_report(command_line(), Shape(shape.sort, shape.top, columns))
    deliver(report, plan, to.color, quiet=False)
    return 0
