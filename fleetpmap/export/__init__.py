"""Reports for other programs, in full precision.   report ─► [export] ─► file or stdout

One module per format, imported when there is a report to write, and with it all that the format needs. A new one is a
module and a line in EXPORTERS. Who wants a writer by itself takes it from its module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

from fleetpmap.errors import UsageError
from fleetpmap.export import series

if TYPE_CHECKING:
    from fleetpmap.report.model import Report

__all__ = ["EXPORTERS", "Exporter", "check_format", "format_of"]

Write = Callable[["Report", BinaryIO], None]


def _writer(format_: str) -> Write:
    """`write_csv` of as_csv, and so on."""

    def write(report: Report, file: BinaryIO) -> None:
        getattr(import_module(f"fleetpmap.export.as_{format_}"), f"write_{format_}")(report, file)

    return write


@dataclass(frozen=True, slots=True)
class Exporter:
    """A format of --format that is not for eyes."""

    suffixes: tuple[str, ...]
    """Ends of file names that mean this format, lower case."""
    write: Write
    """Writes the report to an open binary file, and leaves it open."""
    views: tuple[str, ...] = ()
    """The views, or other commands' reports, that it can hold; empty: all."""
    instead: str = ""
    """What to do about a view that it cannot hold."""
    needs: tuple[str, ...] = ()
    """The packages that the extra of the format's name installs."""
    binary: bool = False
    """Not for a terminal."""
    keys: Callable[[str, Sequence[str]], Sequence[str]] = lambda view, by: ()
    """Of a view and the keys of --by: the columns without which it cannot tell the rows apart."""


EXPORTERS: Mapping[str, Exporter] = MappingProxyType(
    {
        "csv": Exporter((".csv",), _writer("csv")),
        "json": Exporter((".json",), _writer("json")),
        "jsonl": Exporter(
            (".jsonl", ".ndjson"),
            _writer("jsonl"),
            views=("hosts", "processes", "mappings", "ps", "routes", "doctor", "fields", "diff"),
            instead="name one of --view hosts, processes and mappings, or use json",
        ),
        "markdown": Exporter((".md",), _writer("markdown")),
        "html": Exporter((".html", ".htm"), _writer("html"), needs=("jinja2", "squarify")),
        "openmetrics": Exporter(
            (".prom", ".om"),
            _writer("openmetrics"),
            views=series.VIEWS,
            instead="name one of --view hosts, processes and merged, with --by for its labels",
            keys=series.keys,
        ),
        "parquet": Exporter((".parquet",), _writer("parquet"), needs=("polars",), binary=True),
    }
)


def format_of(path: str) -> str:
    """The format that a file's suffix means.

    Raises:
        UsageError: no format has that suffix.
    """
    suffix = PurePath(path).suffix.lower()
    for name, exporter in EXPORTERS.items():
        if suffix in exporter.suffixes:
            return name
    known = ", ".join(suffix for exporter in EXPORTERS.values() for suffix in exporter.suffixes)
    raise UsageError(f"{path}: its suffix does not name a format", hint=f"end the name in {known}")


def check_format(name: str, view: str, option: str, *, on_terminal: bool) -> None:
    """Whether a format can be written at all, before any host is asked.

    Raises:
        UsageError: not of that view, not to a terminal, or not without a package that is not installed.
    """
    exporter = EXPORTERS[name]
    if exporter.views and view not in exporter.views:
        raise UsageError(f"{option}: {name} cannot hold the view {view}", hint=exporter.instead)
    if exporter.binary and on_terminal:
        raise UsageError(f"{option}: {name} is not for a terminal", hint=f"add -o FILE{exporter.suffixes[0]}")
    if missing := [package for package in exporter.needs if find_spec(package) is None]:
        raise UsageError(
            f"{option}: {name} needs {' and '.join(missing)}, not installed here",
            hint=f"run `pip install 'fleetpmap[{name}]'`",
        )
