"""Where reports go, and in what shape.   options ─► [destinations] ─► Output

The main report goes to stdout or -o FILE, shaped by --columns, --sort, --top and --human. The files of --export are for
programs: whole, in full precision. Everything that can be wrong with either is found here, before any host is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from fleetpmap.catalogue import MERGING_VIEWS, ROLLUP_VIEWS, VIEWS, WATCHED_VIEWS, ViewOptions, merge_keys, sums_for
from fleetpmap.cli.files import coverage_path, is_regular, writable
from fleetpmap.cli.option_values import Format, Per, View
from fleetpmap.cli.options import OutputOptions, ShapeOptions, ShowOptions
from fleetpmap.cli.pmap_options import letters_from, letters_in
from fleetpmap.errors import UsageError

_TEXT_FORMATS = ("table", "plain")
_STDOUT = ("-", "/dev/stdout")
"""What -o calls stdout. Opened as a file it would be emptied first, and `>> log` means to keep it."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One report in one file."""

    view: View
    format: Format
    path: Path
    option: str
    """-o or --export, for a message."""

    @property
    def has_coverage_file(self) -> bool:
        """Whether the coverage goes into a file beside it: csv has no place for it."""
        return self.format == "csv" and is_regular(self.path)


@dataclass(frozen=True, slots=True)
class Output:
    """What is written where: the main report, and the files beside it."""

    view: View
    format: Format
    file: Destination | None
    """The main report's; None: stdout."""
    options: ViewOptions
    """What the main report's view is told."""
    human: bool
    """The main report's sizes are written as 1.2G."""
    csv_safe: bool
    """Texts in csv files are kept from being computed by a spreadsheet."""
    exports: tuple[Destination, ...]

    @property
    def is_stream(self) -> bool:
        """Whether a host's rows can be written as soon as it has answered, since no other host changes them."""
        return self.format == "jsonl" and self.file is None and not (self.options.sort or self.options.top)

    @property
    def sums(self) -> frozenset[str] | None:
        """What `collect` may sum by; None where a row for each mapping is wanted."""
        if "html" in (self.format, *(export.format for export in self.exports)):
            return None  # a page shows other views besides
        return sums_for([self.view, *(export.view for export in self.exports)], self.options.by)


def output_from(show: ShowOptions, shape: ShapeOptions, options: OutputOptions, *, report: str = "") -> Output:
    """What the options say about the output, as far as they go together.

    `report`: what the command reports where that is none of the views.

    Raises:
        UsageError: options that exclude each other; a view, a column or a suffix that there is not; a place that cannot
            be written.
    """
    view = show.view or View("pmap" if letters_in(show) else "summary")
    path = None if options.output in _STDOUT else options.output
    format_ = options.format or (_format_of_stdout() if path is None else _format_of(path, "-o"))
    if options.format and path is not None:
        _check_suffix(path, options.format)
    if path is not None and format_ == "table":
        format_ = Format("plain")  # a table is drawn for a terminal
    told = "--format" if options.format else f"-o {path}"
    _check_format(format_, report or view, told, on_terminal=path is None and sys.stdout.isatty())
    _check_pmap(view, show, shape, format_)
    if shape.human and format_ not in _TEXT_FORMATS:
        raise UsageError(
            f"--human is for eyes, and {format_} for programs: it holds whole KiB", hint="leave out --human"
        )
    file = None if path is None else Destination(view, format_, writable("-o", path), "-o")
    exports = tuple(_export(text, view) for text in show.export)
    _check_apart([*exports, file] if file else exports)
    if show.by is not None and not {view, *(export.view for export in exports)} & {*MERGING_VIEWS}:
        raise UsageError(f"--by is for --view merged, not for --view {view}", hint="leave one of them out")
    _check_compare(view, show, exports)
    if options.csv_safe and "csv" not in (format_, *(export.format for export in exports)):
        raise UsageError("--csv-safe is for csv, and nothing is written as csv", hint="add --format csv")
    on_terminal = file is None and (format_ == "table" or sys.stdout.isatty())
    view_options = _view_options(view, show, shape, on_terminal)
    _check_row_keys(view, format_, view_options)
    return Output(view, format_, file, view_options, shape.human, options.csv_safe, exports)


def check_rollup(output: Output, *, kept: bool) -> None:
    """Whether all that is shown, or `kept`, can be had from smaps_rollup.

    Raises:
        UsageError: it cannot.
    """
    for view in (output.view, *(export.view for export in output.exports)):
        if view not in ROLLUP_VIEWS:
            raise UsageError(
                f"--rollup is for the views {' and '.join(ROLLUP_VIEWS)}, not for --view {view}",
                hint=f"add --view {ROLLUP_VIEWS[0]}, or leave out --rollup",
            )
    if kept:
        raise UsageError("--rollup reads only sums, which is nothing to keep", hint="leave out --rollup")


def watch_output(show: ShowOptions, shape: ShapeOptions) -> Output:
    """What `watch` shows, as far as the options go together.

    Raises:
        UsageError: a view that cannot be watched, a file to export, or what `output_from` refuses.
    """
    view = show.view or View("pmap" if letters_in(show) else "summary")
    if view not in WATCHED_VIEWS:
        raise UsageError(f"--view {view} cannot be watched", hint=f"the views to watch are {', '.join(WATCHED_VIEWS)}")
    if show.export:
        raise UsageError(
            f"--export {show.export[0]}: watch writes no reports", hint="use --save DIR/ to keep every round"
        )
    return output_from(show, shape, OutputOptions(format=Format("table")))


def _check_format(format_: Format, view: str, option: str, *, on_terminal: bool) -> None:
    from fleetpmap.export import EXPORTERS, check_format

    if format_ in EXPORTERS:
        check_format(format_, view, option, on_terminal=on_terminal)


def _check_row_keys(view: View, format_: Format, options: ViewOptions) -> None:
    from fleetpmap.export import EXPORTERS

    keys = EXPORTERS[format_].keys(view, options.by) if format_ in EXPORTERS else ()
    if lacking := [key for key in keys if key not in (options.columns or keys)]:
        raise UsageError(
            f"--columns: without {', '.join(lacking)} {format_} cannot tell the rows apart",
            hint=f"add {', '.join(lacking)} to --columns",
        )


def _check_pmap(view: View, show: ShowOptions, shape: ShapeOptions, format_: Format) -> None:
    letter = next(iter(letters_in(show)), None)
    if letter and view != "pmap":
        raise UsageError(f"{letter} is a letter of --view pmap, not of --view {view}", hint="leave one of them out")
    if letter and format_ not in _TEXT_FORMATS:
        raise UsageError(
            f"{letter} is pmap's own text, which --format {format_} cannot hold",
            hint=f"use --view mappings --format {format_}",
        )
    if view == "pmap" and (shape.columns is not None or shape.sort or shape.top is not None or shape.human):
        raise UsageError(
            "--columns, --sort, --top and --human are for tables, and --view pmap is pmap's own text",
            hint="use --view mappings",
        )


def _check_compare(view: View, show: ShowOptions, exports: tuple[Destination, ...]) -> None:
    views = {view, *(export.view for export in exports)}
    of_compare = {"--metric": show.metric, "--per": show.per, "--baseline": show.baseline}
    for option, value in of_compare.items():
        if value is not None and "compare" not in views:
            raise UsageError(f"{option} is for --view compare, not for --view {view}", hint="add --view compare")
    if show.all_deleted and "stale" not in views:
        raise UsageError(f"--all-deleted is for --view stale, not for --view {view}", hint="add --view stale")


def check_hosts(output: Output, hosts: Collection[str]) -> None:
    """What the options of the view compare say of hosts, which are its columns.

    Raises:
        UsageError: a baseline, or a column, that is none of them.
    """
    from fleetpmap.inventory.names import nearest

    baseline = output.options.baseline
    if baseline is not None and baseline not in hosts:
        near = nearest(baseline, hosts)
        hint = f"did you mean {near}?" if near else "name one of the hosts that are asked"
        raise UsageError(f"--baseline {baseline}: that host is not asked", hint=hint)
    if output.view == "compare":
        from fleetpmap.report import column_names

        column_names(output.view, output.options, hosts)


def _view_options(view: View, show: ShowOptions, shape: ShapeOptions, on_terminal: bool) -> ViewOptions:
    view_options = ViewOptions(
        by=merge_keys("mapping" if show.by is None else show.by),
        letters=letters_from(show, on_terminal=on_terminal),
        metric="pss_kib" if show.metric is None else f"{show.metric}_kib",
        per_process=show.per is Per.process,
        baseline=show.baseline,
        all_deleted=show.all_deleted,
        sort=shape.sort,
        top=shape.top,
        columns=None if shape.columns is None else column_list(shape.columns),
    )
    if view != "compare" and (view_options.columns or view_options.sort):  # compare's columns are the hosts
        from fleetpmap.report import column_names

        column_names(view, view_options)  # refuses those that the view does not have
    return view_options


def column_list(text: str) -> tuple[str, ...]:
    """The columns that `--columns A,B` names.

    Raises:
        UsageError: it names none.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise UsageError(f'--columns: "{text}" names no column', hint="write names: --columns host,pss_kib")
    return names


def _check_suffix(path: str, format_: Format) -> None:
    """Whether a file's name says nothing else than --format. `.txt` is a name for any text."""
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
    if path.lower().endswith(".txt"):
        return Format("plain")
    from fleetpmap.export import format_of

    try:
        return Format(format_of(path))
    except UsageError as error:
        hint = f"{error.hint}, or add --format" if option == "-o" else error.hint
        raise UsageError(f"{option} {error.message}", hint=hint) from error


def _export(text: str, default: View) -> Destination:
    """The destination that `[VIEW=]FILE` means. What is before the first = is a view unless it holds a slash."""
    name, equals, path = text.partition("=")
    if not equals or "/" in name:
        name, path = default, text
    if name not in VIEWS:
        raise UsageError(
            f'--export {text}: there is no view "{name}"',
            hint=f"the views are {', '.join(VIEWS)}; a file whose name holds = is written ./{text}",
        )
    if not path:
        raise UsageError(f"--export {text}: the file is missing", hint=f"write --export {name}={name}.csv")
    format_ = _format_of(path, "--export")
    _check_format(format_, name, f"--export {text}", on_terminal=False)
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
