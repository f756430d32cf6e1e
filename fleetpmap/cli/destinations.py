"""Where reports go, and in what shape.   options ─► [destinations] ─► Output

The main report goes to stdout or -o FILE, shaped by --columns, --sort, --top and --human. The files of --export are for
programs: whole, in full precision. Everything that can be wrong with either is found here, before any host is asked.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fleetpmap.cli.files import coverage_path, is_regular, writable
from fleetpmap.cli.letters import letters_from, letters_in
from fleetpmap.cli.options import OutputOptions, ShapeOptions, ShowOptions
from fleetpmap.cli.values import Format, View
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.report import ViewOptions

_TEXT_FORMATS = (Format.table, Format.plain)
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
        return self.format is Format.csv and is_regular(self.path)


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


def output_from(show: ShowOptions, shape: ShapeOptions, options: OutputOptions) -> Output:
    """What the options say about the output, as far as they go together.

    Raises:
        UsageError: options that exclude each other; a view, a column or a suffix that there is not; a place that cannot
            be written.
    """
    view = show.view or (View.pmap if letters_in(show) else View.summary)
    path = None if options.output in _STDOUT else options.output
    format_ = options.format or (_format_of_stdout() if path is None else _format_of(path, "-o"))
    if path is not None and format_ is Format.table:
        format_ = Format.plain  # a table is drawn for a terminal
    _check_pmap(view, show, shape, format_)
    if shape.human and format_ not in _TEXT_FORMATS:
        raise UsageError(
            f"--human is for eyes, and {format_} for programs: it holds whole KiB", hint="leave out --human"
        )
    file = None if path is None else Destination(view, format_, writable("-o", path), "-o")
    exports = tuple(_export(text, view) for text in show.export)
    _check_apart([*exports, file] if file else exports)
    if show.by is not None and not {view, *(export.view for export in exports)} & {View.summary, View.merged}:
        raise UsageError(f"--by is for --view merged, not for --view {view}", hint="leave one of them out")
    if options.csv_safe and Format.csv not in (format_, *(export.format for export in exports)):
        raise UsageError("--csv-safe is for csv, and nothing is written as csv", hint="add --format csv")
    on_terminal = file is None and (format_ is Format.table or sys.stdout.isatty())
    view_options = _view_options(view, show, shape, on_terminal)
    return Output(view, format_, file, view_options, shape.human, options.csv_safe, exports)


def _check_pmap(view: View, show: ShowOptions, shape: ShapeOptions, format_: Format) -> None:
    letter = next(iter(letters_in(show)), None)
    if letter and view is not View.pmap:
        raise UsageError(f"{letter} is a letter of --view pmap, not of --view {view}", hint="leave one of them out")
    if letter and format_ not in _TEXT_FORMATS:
        raise UsageError(
            f"{letter} is pmap's own text, which --format {format_} cannot hold",
            hint=f"use --view mappings --format {format_}",
        )
    if view is View.pmap and (shape.columns is not None or shape.sort or shape.top is not None or shape.human):
        raise UsageError(
            "--columns, --sort, --top and --human are for tables, and --view pmap is pmap's own text",
            hint="use --view mappings",
        )


def _view_options(view: View, show: ShowOptions, shape: ShapeOptions, on_terminal: bool) -> ViewOptions:
    from fleetpmap.report import ViewOptions, column_names, merge_keys

    view_options = ViewOptions(
        by=merge_keys("mapping" if show.by is None else show.by),
        letters=letters_from(show, on_terminal=on_terminal),
        sort=shape.sort,
        top=shape.top,
        columns=None if shape.columns is None else column_list(shape.columns),
    )
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


def _format_of_stdout() -> Format:
    return Format.table if sys.stdout.isatty() else Format.plain


def _format_of(path: str, option: str) -> Format:
    if path.lower().endswith(".txt"):
        return Format.plain
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
    if name not in list(View):
        raise UsageError(
            f'--export {text}: there is no view "{name}"',
            hint=f"the views are {', '.join(View)}; a file whose name holds = is written ./{text}",
        )
    if not path:
        raise UsageError(f"--export {text}: the file is missing", hint=f"write --export {name}={name}.csv")
    return Destination(View(name), _format_of(path, "--export"), writable("--export", path), "--export")


def _check_apart(destinations: tuple[Destination, ...] | list[Destination]) -> None:
    taken: set[Path] = set()
    for destination in destinations:
        path = destination.path.resolve()
        if path in taken:
            raise UsageError(
                f"{destination.option} {destination.path}: another report goes there too", hint="name another file"
            )
        taken |= {path, coverage_path(path)} if destination.has_coverage_file else {path}
