"""Reports for other programs, in full precision.   report ─► [export] ─► file or stdout

One module per format, imported when there is a report to write, and with it all that the format needs. A new one is a
module and a row in the catalogue. The writers can be imported from their modules, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

from fleetpmap.catalogue import FORMATS, REPORTS, VIEWS, OutputFormat, keys_of
from fleetpmap.errors import UsageError
from fleetpmap.export.compressed import check_compressed, compressed, parted
from fleetpmap.installation import command_for

if TYPE_CHECKING:
    from fleetpmap.report.model import Report

__all__ = ["EXPORTERS", "Exporter", "check_compressed", "check_format", "compressed", "format_of", "parted"]

Write = Callable[["Report", BinaryIO], None]


def _writer(format_: str) -> Write:
    """Return a function that calls `write_csv` of `as_csv`, and so on, importing it when it is called."""

    def write(report: Report, file: BinaryIO) -> None:
        getattr(import_module(f"fleetpmap.export.as_{format_}"), f"write_{format_}")(report, file)

    return write


@dataclass(frozen=True, slots=True)
class Exporter:
    """A format for programs, and its writer."""

    format: OutputFormat
    write: Write
    """Writes the report to an open binary file, and leaves it open."""

    def keys(self, view: str, by: tuple[str, ...]) -> Sequence[str]:
        """Return the columns without which the format cannot tell the rows of a view apart; `by`: the keys of --by."""
        if not self.format.has_labels:
            return ()
        return _LABELS[view] or (keys_of(view, by) if view in VIEWS else ())


EXPORTERS: Mapping[str, Exporter] = MappingProxyType(
    {format_.name: Exporter(format_, _writer(format_.name)) for format_ in FORMATS if format_.suffixes}
)
"""The formats that are for programs, by name."""
_SPREADSHEETS = (".xlsx", ".xls", ".ods")
_LABELS = {report.name: report.labels or () for report in REPORTS}


def format_of(path: str) -> str:
    """Return the format that a file's suffix means, before `.gz` or `.zst` if there is one.

    Raises:
        UsageError: no format has that suffix.
    """
    suffix = PurePath(parted(path)[0]).suffix.lower()
    for name, exporter in EXPORTERS.items():
        if suffix in exporter.format.suffixes:
            return name
    known = ", ".join(suffix for format_ in FORMATS for suffix in format_.suffixes)
    hint = f"end the name in {known}"
    if suffix in _SPREADSHEETS:
        hint = f"a spreadsheet opens {PurePath(path).stem}.csv, which --csv-safe makes safe for it"
    raise UsageError(f"{path}: its suffix does not name a format", hint=hint)


def check_format(name: str, view: str, option: str, *, on_terminal: bool) -> None:
    """Check that a report can be written in a format, before any host is asked.

    Raises:
        UsageError: the format cannot hold the view, is not for a terminal, or needs a package that is not installed.
    """
    format_ = EXPORTERS[name].format
    if format_.holds and view not in format_.holds:
        raise UsageError(f"{option}: {name} cannot hold the view {view}", hint=format_.instead)
    if format_.is_binary and on_terminal:
        raise UsageError(f"{option}: {name} is not for a terminal", hint=f"add -o FILE{format_.suffixes[0]}")
    if missing := [package for package in format_.needs if find_spec(package) is None]:
        raise UsageError(
            f"{option}: {name} needs {' and '.join(missing)}, not installed here",
            hint=f"run `{command_for(name)}`",
        )
