"""Files of the reports, and their formats.   options ─► [destinations] ─► outputs

The end of a file's name means its format: `hosts.csv`, `page.html`, `rows.jsonl.gz`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetpmap.catalogue import VIEWS
from fleetpmap.cli.files import coverage_path, is_regular, writable
from fleetpmap.cli.option_values import Format, View
from fleetpmap.cli.options import OutputOptions
from fleetpmap.errors import UsageError


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


def format_of_main(options: OutputOptions, path: str | None, report: str) -> Format:
    """Return the format of the main report, by --format, the name of the file, or where stdout goes.

    `path`: the file of -o; None: stdout. `report`: the name of the report.

    Raises:
        UsageError: the name of the file means none, or another one than --format; the format cannot hold the report.
    """
    to_terminal = path is None and sys.stdout.isatty()
    format_ = options.format or (
        Format("table" if to_terminal else "plain") if path is None else _format_of(path, "-o")
    )
    if options.format and path is not None:
        _check_suffix(path, options.format)
    if path is not None and format_ == "table":
        format_ = Format("plain")  # a table is drawn for a terminal
    _check_format(format_, report, "--format" if options.format else f"-o {path}", on_terminal=to_terminal)
    return format_


def destination_of(view: View, format_: Format, path: str, option: str) -> Destination:
    """Return the destination of a report in a file, which `option` names.

    Raises:
        UsageError: the file cannot be written, or not compressed in this format.
    """
    from fleetpmap.export import check_compressed

    check_compressed(path, format_, option)
    return Destination(view, format_, writable(option, path), option)


def export_from(text: str, default: View) -> Destination:
    """Return the destination of `[VIEW=]FILE`. The text before the first = is a view unless it holds a slash.

    Raises:
        UsageError: no such view or format, or a file that cannot be written.
    """
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
    return destination_of(View(name), format_, path, "--export")


def check_apart(destinations: Sequence[Destination]) -> None:
    """Check that no two reports go into the same file.

    Raises:
        UsageError: two of them do.
    """
    taken: set[Path] = set()
    for destination in destinations:
        path = destination.path.resolve()
        if path in taken:
            raise UsageError(
                f"{destination.option} {destination.path}: another report goes there too", hint="name another file"
            )
        taken |= {path, coverage_path(path)} if destination.has_coverage_file else {path}


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


def _check_format(format_: Format, view: str, option: str, *, on_terminal: bool) -> None:
    from fleetpmap.export import EXPORTERS, check_format

    if format_ in EXPORTERS:
        check_format(format_, view, option, on_terminal=on_terminal)
