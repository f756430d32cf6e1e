"""Options of formats, files and stored runs.   command line ─► [options.where] ─► commands"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fleetpmap.catalogue import FORMATS
from fleetpmap.cli.option_values import Color, Format
from fleetpmap.cli.options.panels import OUTPUT, option

_output = partial(option, OUTPUT)


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Format and destination of the main report."""

    format: Annotated[
        Format | None,
        _output(
            "--format FORMAT",
            f"{', '.join(format_.name for format_ in FORMATS)}. Default: table on a terminal, else plain.",
        ),
    ] = None
    json: Annotated[bool, _output("--json", "The same as --format json.")] = False
    output: Annotated[str | None, _output("-o --output FILE", "Write to a file, in the format of its suffix.")] = None
    csv_safe: Annotated[
        bool,
        _output(
            "--csv-safe", "In csv, put ' before a text that a spreadsheet would take for a formula (after = + - or @)."
        ),
    ] = False
    color: Annotated[Color, _output("--color WHEN", f"Colour in tables: {', '.join(Color)}.")] = Color.auto


Save = Annotated[
    str | None,
    _output(
        "--save FILE|DIR/", "Keep the snapshot for `fleetpmap show` and `diff`: FILE.parquet, or one more file in DIR/."
    ),
]


@dataclass(frozen=True, slots=True)
class KeepOptions:
    """Destinations of the run itself."""

    capture: Annotated[
        str | None,
        _output(
            "--capture DIR", "Keep the raw files for `fleetpmap show`: a new directory, or one .tar.gz or .tar.zst."
        ),
    ] = None
    save: Save = None
