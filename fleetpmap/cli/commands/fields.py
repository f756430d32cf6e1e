"""fleetpmap fields.   smaps.fields ─► [fields] ─► report"""

from __future__ import annotations

from fleetpmap.cli.deliver import deliver
from fleetpmap.cli.options import OutputOptions, ShapeOptions
from fleetpmap.cli.outputs import output_of, shape_from
from fleetpmap.cli.pipeline import command_line


def fields(shape: ShapeOptions, to: OutputOptions) -> int:
    """Explain the kernel's fields: unit, first kernel, how each totals over processes, meaning."""
    from fleetpmap.report import fields as fields_report

    plan = output_of("fields", to, shape)
    deliver(fields_report(command_line(), shape_from(shape)), plan, to.color, quiet=False)
    return 0
