"""Where it goes: one report, more files, the run itself.   command line ─► [options.where] ─► the commands"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from fleetpmap.catalogue import FORMATS
from fleetpmap.cli.option_values import Color, Format
from fleetpmap.cli.options.panels import OUTPUT


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Where it goes."""

    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            rich_help_panel=OUTPUT,
            help=f"{', '.join(format_.name for format_ in FORMATS)}. Default: table on a terminal, else plain.",
            show_default=False,
        ),
    ] = None
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            rich_help_panel=OUTPUT,
            help="Write to a file, in the format of its suffix.",
        ),
    ] = None
    csv_safe: Annotated[
        bool,
        typer.Option(
            "--csv-safe",
            metavar="",
            rich_help_panel=OUTPUT,
            help="In csv, put ' before a text that a spreadsheet would compute (it begins with = + - or @).",
        ),
    ] = False
    color: Annotated[
        Color,
        typer.Option("--color", metavar="WHEN", rich_help_panel=OUTPUT, help=f"Colour in tables: {', '.join(Color)}."),
    ] = Color.auto


Save = Annotated[
    str | None,
    typer.Option(
        "--save",
        metavar="FILE|DIR/",
        rich_help_panel=OUTPUT,
        help="Keep the snapshot for `fleetpmap show` and `diff`: FILE.parquet, or one more file in DIR/.",
    ),
]


@dataclass(frozen=True, slots=True)
class KeepOptions:
    """What is kept of the run."""

    capture: Annotated[
        str | None,
        typer.Option(
            "--capture",
            metavar="DIR",
            rich_help_panel=OUTPUT,
            help="Keep the raw files for `fleetpmap show`: a new directory, or one .tar.gz or .tar.zst.",
        ),
    ] = None
    save: Save = None
