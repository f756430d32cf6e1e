"""fleetpmap diff.   OLD, NEW ─► storage ─► [diff] ─► report, exit status

The report says if the two runs selected other processes.
"""

from __future__ import annotations

from functools import cache

from fleetpmap.catalogue import merge_keys
from fleetpmap.cli.deliver import BROKEN, deliver, print_broken_rules, print_notes
from fleetpmap.cli.gate_rules import judge_by, rules_from
from fleetpmap.cli.inputs import selection_from
from fleetpmap.cli.options import (
    DiffOptions,
    GateOptions,
    OutputOptions,
    ProcessOptions,
    ShapeOptions,
    TalkOptions,
    TwoArguments,
)
from fleetpmap.cli.outputs import output_of, shape_from
from fleetpmap.cli.selections import selection_of_command


def diff(
    two: TwoArguments,
    what: DiffOptions,
    shape: ShapeOptions,
    to: OutputOptions,
    gate: GateOptions,
    talk: TalkOptions,
) -> int:
    """Show what grew between two stored runs: by mapping, or by host, service and the other keys of --by."""
    from fleetpmap.cli.confined import reader
    from fleetpmap.cli.storage import snapshot_from, two_runs

    child = reader()  # forks, so it comes before the imports that start threads
    from fleetpmap.report import Report, Shape
    from fleetpmap.report import diff as diff_report
    from fleetpmap.report.shape import AS_IT_IS

    plan, shown, keys = output_of("diff", to, shape), shape_from(shape), merge_keys(what.by)
    rules = rules_from(gate.fail_if, "diff")
    every_process = selection_from(ProcessOptions(), required=False)
    stored = two_runs(two.old, two.new)
    old, new = (snapshot_from([path], every_process, "", child, quiet=talk.quiet) for path in stored)
    selections = (selection_of_command(old.run.command), selection_of_command(new.run.command))

    @cache
    def report_of(shape: Shape) -> Report:
        return diff_report(
            old,
            new,
            keys,
            f"{what.metric}_kib",
            all_changes=what.all_changes,
            shape=shape,
            looked_for=selections,
            stored=stored,
        )

    judge = judge_by(rules, lambda: report_of(AS_IT_IS), [old.coverage, new.coverage])
    report = judge(report_of(shown))
    deliver(report, plan, to.color, quiet=talk.quiet)
    print_notes(report, new, plan, talk)
    print_broken_rules(report)
    if report.broken_rules:
        return BROKEN
    return 0 if old.coverage.complete and new.coverage.complete else 3
