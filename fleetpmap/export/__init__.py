"""Reports for other programs, in full precision.   report ─► [export] ─► file or stdout

One module per format. A new one is a module and a line in EXPORTERS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import BinaryIO

from fleetpmap.errors import UsageError
from fleetpmap.export.as_csv import write_csv
from fleetpmap.export.as_json import coverage_json, write_json
from fleetpmap.report.base import Report

__all__ = ["EXPORTERS", "Exporter", "coverage_json", "format_of", "write_csv"]


@dataclass(frozen=True, slots=True)
class Exporter:
    """A format of --format that is not for eyes."""

    suffixes: tuple[str, ...]
    """Ends of file names that mean this format, lower case."""
    write: Callable[[Report, BinaryIO], None]
    """Writes the report to an open binary file, and leaves it open."""


EXPORTERS: Mapping[str, Exporter] = MappingProxyType(
    {
        "csv": Exporter((".csv",), write_csv),
        "json": Exporter((".json",), write_json),
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
