"""fleetpmap diff.   OLD, NEW ─► storage ─► [diff] ─► report, exit status

The report says if the two runs selected other processes. Each run stores its command line, and the program's own parser
reads it, so that no option is listed twice.
"""

from __future__ import annotations

import shlex
from dataclasses import fields
from functools import cache
from typing import Any

from typer.main import get_command

from fleetpmap.catalogue import merge_keys
from fleetpmap.cli.app import app
from fleetpmap.cli.deliver import BROKEN, deliver, print_broken_rules, print_notes
from fleetpmap.cli.gate_rules import judge_by, rules_from
from fleetpmap.cli.inputs import selection_from
from fleetpmap.cli.option_values import View
from fleetpmap.cli.options import (
    DiffOptions,
    GateOptions,
    OutputOptions,
    ProcessOptions,
    ShapeOptions,
    ShowOptions,
    TalkOptions,
    TwoArguments,
)
from fleetpmap.cli.outputs import column_list, output_from

EVERY_PROCESS = "every process"
"""What `selection_of_command` says of a command line without an option that narrows the processes."""
_NOT_SELECTING = frozenset({"all", "max_rss", "max_rss_sum"})
"""Process options that do not affect which processes match: `all`, and the guard, which lists what it skips."""


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
    from fleetpmap.cli.storage import snapshot_from

    child = reader()  # forks, so it comes before the imports that start threads
    from fleetpmap.report import Report, Shape
    from fleetpmap.report import diff as diff_report
    from fleetpmap.report.shape import AS_IT_IS

    plan = output_from(
        ShowOptions(view=View("hosts")), ShapeOptions(human=shape.human, kib=shape.kib), to, report="diff"
    )
    keys = merge_keys(what.by)
    shown = Shape(shape.sort, shape.top, None if shape.columns is None else column_list(shape.columns))
    rules = rules_from(gate.fail_if, "diff")
    every_process = selection_from(ProcessOptions(), required=False)
    old, new = (snapshot_from([path], every_process, "", child, quiet=talk.quiet) for path in (two.old, two.new))
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
            stored=(two.old, two.new),
        )

    judge = judge_by(rules, lambda: report_of(AS_IT_IS), [old.coverage, new.coverage])
    report = judge(report_of(shown))
    deliver(report, plan, to.color, quiet=talk.quiet)
    print_notes(report, new, plan, talk)
    print_broken_rules(report)
    if report.broken_rules:
        return BROKEN
    return 0 if old.coverage.complete and new.coverage.complete else 3


def selection_of_command(command: str) -> str:
    """Return the process options of a command line in one spelling: `--match nginx --user app,www`, `every process`.

    Empty for a command line that is not fleetpmap's: a copy of /proc has none, and a script may have any.
    """
    try:
        program, name, *words = shlex.split(command)
    except ValueError:  # too few words, or an unclosed quote
        return ""
    parsed_by = _commands().get(name)
    if program != "fleetpmap" or parsed_by is None:
        return ""
    # Another version may have written it: options that this one does not have are ignored.
    context = parsed_by.context_class(parsed_by, resilient_parsing=True, ignore_unknown_options=True)
    given, _, _ = parsed_by.make_parser(context).parse_args(words)
    names = (option.name for option in fields(ProcessOptions) if option.name not in _NOT_SELECTING)
    return " ".join(_spelled(name, given[name]) for name in names if name in given) or EVERY_PROCESS


@cache  # building the parsers of all commands takes time, and both runs need them
def _commands() -> dict[str, Any]:
    commands: dict[str, Any] = getattr(get_command(app), "commands", {})
    return commands


def _spelled(name: str, value: bool | str | list[str]) -> str:
    if isinstance(value, list):
        value = ",".join(sorted({word for text in value for word in text.split(",") if word}))
    return f"--{name} {shlex.quote(value)}" if isinstance(value, str) else f"--{name}"
