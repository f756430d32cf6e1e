"""Plan of the reports that a command writes.   options ─► [outputs] ─► OutputPlan ─► deliver

The main report goes to stdout or -o FILE, shaped by --columns, --sort, --top, --human and --kib. The files of --export
are for programs: whole, in full precision. Every mistake in either is found here, before any host is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fleetpmap.catalogue import (
    ROLLUP_VIEWS,
    VIEWS,
    WATCHED_VIEWS,
    ViewOptions,
    listed,
    merge_keys,
    sums_for,
)
from fleetpmap.cli.destinations import Destination, check_apart, destination_of, export_from, format_of_main
from fleetpmap.cli.option_values import Format, Per, View
from fleetpmap.cli.options import OutputOptions, ShapeOptions, ShowOptions
from fleetpmap.cli.output_checks import check_by, check_compare, check_labels, check_pmap, check_row_keys, check_sizes
from fleetpmap.cli.pmap_options import letters_from, letters_in
from fleetpmap.errors import UsageError
from fleetpmap.labels import Label, labels_from

if TYPE_CHECKING:
    from fleetpmap.inventory import Host
    from fleetpmap.report import Shape
    from fleetpmap.snapshot import HostResult

_OF_ROUNDS = ("since_start", "since_start_kib", "trend")
"""Columns that no view has, and the lists of watch have."""
_STDOUT = ("-", "/dev/stdout")
"""Values of -o that mean stdout. Opening it as a file would truncate it, and `>> log` must not."""


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """Every report to write: the main one, and the files of --export."""

    view: View
    format: Format
    file: Destination | None
    """File of the main report; None: stdout."""
    options: ViewOptions
    """Options of the main report's view."""
    human: bool
    """True if the main report writes sizes as 1.2G."""
    csv_safe: bool
    """True if texts in csv files are quoted so that a spreadsheet does not take them for formulas."""
    exports: tuple[Destination, ...]
    labels: tuple[Label, ...] = ()
    """The labels of --label."""

    @property
    def is_stream(self) -> bool:
        """True if a host's rows can be written as soon as it has answered, since no other host changes them."""
        is_ordered = bool(self.options.sort or self.options.top)
        return self.format == "jsonl" and self.file is None and VIEWS[self.view].streams and not is_ordered

    @property
    def sums(self) -> frozenset[str] | None:
        """Keys that `collect` may sum by; None if a report needs every mapping."""
        if "html" in (self.format, *(export.format for export in self.exports)):
            return None  # a page shows other views, too
        views: list[str] = [self.view, *(export.view for export in self.exports)]
        if self.options.services and "summary" in views:
            views.append("services")
        return sums_for(views, self.options.by)


def output_from(
    show: ShowOptions,
    shape: ShapeOptions,
    options: OutputOptions,
    *,
    report: str = "",
    every_process: bool = False,
    saved: bool = False,
) -> OutputPlan:
    """Return the output plan that the options describe.

    `report`: name of the command's report if it is not one of the views. `every_process`: no option narrows the
    processes, so a summary begins with the services. `saved`: the snapshot is stored, with its labels.

    Raises:
        UsageError: options that exclude each other; an unknown view, column or suffix; a file that cannot be written.
    """
    view = show.view or View("pmap" if letters_in(show) else "summary")
    options = _without_json(options)
    path = None if options.output in _STDOUT else options.output
    format_ = format_of_main(options, path, report or view)
    check_pmap(view, show, shape, format_)
    check_sizes(shape, format_)
    file = None if path is None else destination_of(view, format_, path, "-o")
    exports = tuple(export_from(text, view) for text in show.export)
    check_apart([*exports, file] if file else exports)
    views = [view, *(export.view for export in exports)]
    formats = [format_, *(export.format for export in exports)]
    check_by(show, views)
    check_compare(show, views)
    if options.csv_safe and "csv" not in formats:
        raise UsageError("--csv-safe is for csv, and nothing is written as csv", hint="add --format csv")
    on_terminal = file is None and (format_ == "table" or sys.stdout.isatty())
    view_options = replace(_view_options(view, show, shape, on_terminal), services=every_process)
    check_row_keys(view, format_, view_options)
    labels = labels_from(options.label)
    check_labels(labels, formats, saved=saved)
    human = shape.human or (format_ == "table" and not shape.kib)
    return OutputPlan(view, format_, file, view_options, human, options.csv_safe, exports, labels)


def output_of(report: str, options: OutputOptions, shape: ShapeOptions | None = None) -> OutputPlan:
    """Return the output plan of a command with a report of its own, which is not one of the views.

    Raises:
        UsageError: as output_from.
    """
    sizes = ShapeOptions(human=shape.human, kib=shape.kib) if shape else ShapeOptions()
    return output_from(ShowOptions(view=View("hosts")), sizes, options, report=report)


def shape_from(options: ShapeOptions) -> Shape:
    """Return the columns and the order of rows that the options describe.

    Raises:
        UsageError: --columns names none.
    """
    from fleetpmap.report import Shape

    return Shape(options.sort, options.top, None if options.columns is None else column_list(options.columns))


def _without_json(options: OutputOptions) -> OutputOptions:
    """Return the options with --json as the format that it stands for.

    Raises:
        UsageError: --format names another one.
    """
    if options.json and options.format not in (None, "json"):
        raise UsageError(f"--json and --format {options.format} exclude each other", hint="leave one of them out")
    return replace(options, format=Format("json")) if options.json else options


def with_services(plan: OutputPlan) -> OutputPlan:
    """Return the plan for a snapshot of every process."""
    return replace(plan, options=replace(plan.options, services=True))


def check_rollup(plan: OutputPlan, *, stored: bool) -> None:
    """Check that smaps_rollup suffices for all reports; `stored`: the run is stored, too.

    Raises:
        UsageError: it does not suffice.
    """
    for view in (plan.view, *(export.view for export in plan.exports)):
        if view not in ROLLUP_VIEWS:
            raise UsageError(
                f"--rollup is for the views {listed(ROLLUP_VIEWS)}, not for --view {view}",
                hint=f"add --view {ROLLUP_VIEWS[0]}, or leave out --rollup",
            )
    if stored:
        raise UsageError("--rollup reads only sums, and a stored run needs mappings", hint="leave out --rollup")


def watch_output(show: ShowOptions, shape: ShapeOptions) -> OutputPlan:
    """Return the output plan of `watch`.

    Raises:
        UsageError: a view that cannot be watched, a file to export, or a reason of `output_from`.
    """
    view = show.view or View("pmap" if letters_in(show) else "summary")
    if view not in WATCHED_VIEWS:
        raise UsageError(f"--view {view} cannot be watched", hint=f"the views to watch are {', '.join(WATCHED_VIEWS)}")
    if show.export:
        raise UsageError(
            f"--export {show.export[0]}: watch writes no reports", hint="use --save DIR/ to keep every round"
        )
    names = () if shape.columns is None else column_list(shape.columns)
    of_view = ",".join(name for name in names if name not in _OF_ROUNDS) or None
    known = replace(shape, sort=None if shape.sort in _OF_ROUNDS else shape.sort, columns=of_view)
    plan = output_from(show, known, OutputOptions(format=Format("table")))
    return replace(plan, options=replace(plan.options, sort=shape.sort, columns=names or None))


def check_hosts(plan: OutputPlan, fleet: Sequence[Host] | Sequence[HostResult]) -> None:
    """Check that the hosts that --baseline and --columns name are asked, and that --peers group has groups.

    Raises:
        UsageError: one of them is not asked; or --peers group, and the groups are not known, or there are none.
    """
    from fleetpmap.inventory import fold
    from fleetpmap.inventory.names import nearest

    if plan.options.peers == "group":
        _check_groups(fleet)
    hosts = [host.name for host in fleet]
    baseline = plan.options.baseline
    if baseline is not None and baseline not in hosts:
        near = nearest(baseline, hosts)
        asked = f"the hosts are {fold(hosts)}"
        hint = f"did you mean {near}? {asked}" if near else asked
        raise UsageError(f"--baseline {baseline}: that host is not asked", hint=hint)
    if plan.view == "compare":
        from fleetpmap.report import column_names

        column_names(plan.view, plan.options, hosts)


def _check_groups(fleet: Sequence[Host] | Sequence[HostResult]) -> None:
    from fleetpmap.inventory import fold

    failed = {host.name for host in fleet if getattr(host, "failure", None)}
    if unknown := [host.name for host in fleet if host.groups is None and host.name not in failed]:
        raise UsageError(
            f"--peers group: the groups of {fold(unknown)} are not known, since the stored run does not have them",
            hint="store a run anew with this version, or compare by --peers service",
        )
    if not any(host.groups for host in fleet):
        raise UsageError(
            "--peers group: none of the hosts is in a group of an inventory",
            hint="add the groups to the inventory ([groups.NAME]), or compare by --peers service",
        )


def _view_options(view: View, show: ShowOptions, shape: ShapeOptions, on_terminal: bool) -> ViewOptions:
    view_options = ViewOptions(
        by=merge_keys("mapping" if show.by is None else show.by),
        letters=letters_from(show, on_terminal=on_terminal),
        metric="pss_kib" if show.metric is None else f"{show.metric}_kib",
        per_process=show.per is Per.process,
        baseline=show.baseline,
        peers="service" if show.peers is None else show.peers.value,
        all_deleted=show.all_deleted,
        file=show.file,
        sort=shape.sort,
        top=shape.top,
        columns=None if shape.columns is None else column_list(shape.columns),
    )
    if view != "compare" and (view_options.columns or view_options.sort):  # compare's columns are the hosts
        from fleetpmap.report import column_names

        column_names(view, view_options)  # raises for a column that the view does not have
    return view_options


def column_list(text: str) -> tuple[str, ...]:
    """Return the columns that `--columns A,B` names.

    Raises:
        UsageError: it names none.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise UsageError(f'--columns: "{text}" names no column', hint="write names: --columns host,pss_kib")
    return names
