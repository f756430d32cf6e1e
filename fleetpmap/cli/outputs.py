"""Destinations and shapes of the reports.   options ─► [outputs] ─► OutputPlan

The main report goes to stdout or -o FILE, shaped by --columns, --sort, --top, --human and --kib. The files of --export
are for programs: whole, in full precision. Every mistake in either is found here, before any host is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fleetpmap.catalogue import (
    FORMATS,
    MERGING_VIEWS,
    ROLLUP_VIEWS,
    VIEWS,
    WATCHED_VIEWS,
    ViewOptions,
    listed,
    merge_keys,
    sums_for,
)
from fleetpmap.cli.files import coverage_path, is_regular, writable
from fleetpmap.cli.option_values import Format, Per, View
from fleetpmap.cli.options import OutputOptions, ShapeOptions, ShowOptions
from fleetpmap.cli.pmap_options import letters_from, letters_in
from fleetpmap.errors import UsageError
from fleetpmap.labels import Label, labels_from

if TYPE_CHECKING:
    from fleetpmap.inventory import Host
    from fleetpmap.report import Shape
    from fleetpmap.snapshot import HostResult

_TEXT_FORMATS = ("table", "plain")
_OF_ROUNDS = ("since_start", "since_start_kib", "trend")
"""Columns that no view has, and the lists of watch have."""
_STDOUT = ("-", "/dev/stdout")
"""Values of -o that mean stdout. Opening it as a file would truncate it, and `>> log` must not."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One report in one file."""

    view: View
    format: Format
    path: Path
    option: str
    """The option that names the file, -o or --export, for messages."""

    @property
    def has_coverage_file(self) -> bool:
        """True if the coverage goes into a file beside it, since csv has no place for it."""
        return self.format == "csv" and is_regular(self.path)


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
    path = None if options.output in _STDOUT else options.output
    options = _without_json(options)
    format_ = options.format or (_format_of_stdout() if path is None else _format_of(path, "-o"))
    if options.format and path is not None:
        _check_suffix(path, options.format)
    if path is not None and format_ == "table":
        format_ = Format("plain")  # a table is drawn for a terminal
    option = "--format" if options.format else f"-o {path}"
    _check_format(format_, report or view, option, on_terminal=path is None and sys.stdout.isatty())
    _check_pmap(view, show, shape, format_)
    if shape.human and shape.kib:
        raise UsageError("--human and --kib exclude each other", hint="leave one of them out")
    if shape.human and format_ not in _TEXT_FORMATS:
        raise UsageError(
            f"--human applies to table and plain only; {format_} holds whole KiB", hint="leave out --human"
        )
    if path is not None:
        _check_compressed(path, format_, "-o")
    file = None if path is None else Destination(view, format_, writable("-o", path), "-o")
    exports = tuple(_export(text, view) for text in show.export)
    _check_apart([*exports, file] if file else exports)
    _check_by(view, show, exports)
    _check_compare(view, show, exports)
    if options.csv_safe and "csv" not in (format_, *(export.format for export in exports)):
        raise UsageError("--csv-safe is for csv, and nothing is written as csv", hint="add --format csv")
    on_terminal = file is None and (format_ == "table" or sys.stdout.isatty())
    view_options = replace(_view_options(view, show, shape, on_terminal), services=every_process)
    _check_row_keys(view, format_, view_options)
    human = shape.human or (format_ == "table" and not shape.kib)
    labels = labels_from(options.label)
    if labels:
        _check_labels(labels, [format_, *(to.format for to in exports)], saved=saved)
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


def _check_format(format_: Format, view: str, option: str, *, on_terminal: bool) -> None:
    from fleetpmap.export import EXPORTERS, check_format

    if format_ in EXPORTERS:
        check_format(format_, view, option, on_terminal=on_terminal)


def _check_compressed(path: str, format_: Format, option: str) -> None:
    from fleetpmap.export import check_compressed

    check_compressed(path, format_, option)


def _check_labels(labels: Sequence[Label], formats: Sequence[Format], *, saved: bool) -> None:
    having = [format_.name for format_ in FORMATS if format_.keeps_labels]
    if not saved and not {*formats} & {*having}:
        raise UsageError(
            f"--label {labels[0].key}: {listed([*dict.fromkeys(formats)])} has no place for labels",
            hint=f"{listed(having)} have one, and what --save keeps",
        )


def _check_row_keys(view: View, format_: Format, options: ViewOptions) -> None:
    from fleetpmap.export import EXPORTERS

    keys = EXPORTERS[format_].keys(view, options.by) if format_ in EXPORTERS else ()
    if lacking := [key for key in keys if key not in (options.columns or keys)]:
        raise UsageError(
            f"--columns: without {', '.join(lacking)} {format_} cannot tell the rows apart",
            hint=f"add {', '.join(lacking)} to --columns",
        )


def _check_pmap(view: View, show: ShowOptions, shape: ShapeOptions, format_: Format) -> None:
    option = next(iter(letters_in(show)), None)
    if option and view != "pmap":
        raise UsageError(f"{option} is an option of --view pmap, not of --view {view}", hint="leave one of them out")
    if option and format_ not in _TEXT_FORMATS:
        raise UsageError(
            f"{option} is pmap's own text, which --format {format_} cannot hold",
            hint=f"use --view mappings --format {format_}",
        )
    if view == "pmap" and (shape.columns is not None or shape.sort or shape.top is not None or shape.human):
        raise UsageError(
            "--columns, --sort, --top and --human are for tables, and --view pmap is pmap's own text",
            hint="use --view mappings",
        )


def _check_by(view: View, show: ShowOptions, exports: tuple[Destination, ...]) -> None:
    if show.by is None:
        return
    if not {view, *(export.view for export in exports)} & {*MERGING_VIEWS}:
        raise UsageError(f"--by is for --view merged, not for --view {view}", hint="leave one of them out")
    if VIEWS[view].keys and not VIEWS[view].takes(merge_keys(show.by)):
        raise UsageError(
            f"--by {show.by}: the rows of --view {view} are services, or services on each host",
            hint="add --by host,service, or use --view merged",
        )


def _check_compare(view: View, show: ShowOptions, exports: tuple[Destination, ...]) -> None:
    views = {view, *(export.view for export in exports)}
    of_compare = {"--metric": show.metric, "--per": show.per, "--baseline": show.baseline}
    for option, value in of_compare.items():
        if value is not None and "compare" not in views:
            raise UsageError(f"{option} is for --view compare, not for --view {view}", hint="add --view compare")
    for option, is_given in (("--all-deleted", show.all_deleted), ("--file", show.file is not None)):
        if is_given and "stale" not in views:
            raise UsageError(f"{option} is for --view stale, not for --view {view}", hint="add --view stale")


def check_hosts(plan: OutputPlan, fleet: Sequence[Host] | Sequence[HostResult]) -> None:
    """Check that the hosts in the options of compare, its baseline and its columns, are asked, and groups for --peers.

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


def _check_suffix(path: str, format_: Format) -> None:
    """Check that the suffix of a file does not contradict --format; `.txt` may hold any text.

    Raises:
        UsageError: the suffix means another format.
    """
    from fleetpmap.export import format_of

    try:
        meant = format_of(path)
    except UsageError:  # its suffix names no format
        return
    if meant != format_:
        raise UsageError(
            f"--format {format_} and -o {path}: the name of the file means {meant}",
            hint=f"leave out --format for {meant}, or give the file another name",
        )


def _format_of_stdout() -> Format:
    return Format("table" if sys.stdout.isatty() else "plain")


def _format_of(path: str, option: str) -> Format:
    from fleetpmap.export import format_of, parted

    if parted(path)[0].lower().endswith(".txt"):
        return Format("plain")
    try:
        return Format(format_of(path))
    except UsageError as error:
        hint = error.hint
        if option == "-o" and hint.startswith("end the name"):
            hint = f"{hint}, or add --format"
        raise UsageError(f"{option} {error.message}", hint=hint) from error


def _export(text: str, default: View) -> Destination:
    """Return the destination of `[VIEW=]FILE`. The text before the first = is a view unless it holds a slash."""
    name, equals, path = text.partition("=")
    if not equals or "/" in name:
        name, path = default, text
    if name not in VIEWS:
        from fleetpmap.inventory.names import nearest

        near = nearest(name, VIEWS)
        hint = f"the views are {', '.join(VIEWS)}; a file whose name holds = is written ./{text}"
        raise UsageError(
            f'--export {text}: there is no view "{name}"', hint=f"did you mean {near}? {hint}" if near else hint
        )
    if not path:
        raise UsageError(f"--export {text}: the file is missing", hint=f"write --export {name}={name}.csv")
    format_ = _format_of(path, "--export")
    _check_format(format_, name, f"--export {text}", on_terminal=False)
    _check_compressed(path, format_, "--export")
    return Destination(View(name), format_, writable("--export", path), "--export")


def _check_apart(destinations: tuple[Destination, ...] | list[Destination]) -> None:
    taken: set[Path] = set()
    for destination in destinations:
        path = destination.path.resolve()
        if path in taken:
            raise UsageError(
                f"{destination.option} {destination.path}: another report goes there too", hint="name another file"
            )
        taken |= {path, coverage_path(path)} if destination.has_coverage_file else {path}
