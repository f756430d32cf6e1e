"""Options of formats, files and stored runs.   command line ─► [options.where] ─► commands"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from fleetpmap.catalogue import FORMATS, listed
from fleetpmap.cli import complete
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
    label: Annotated[
        list[str],
        _output(
            "--label KEY=VALUE",
            f"Give the run a label, in {listed([format_.name for format_ in FORMATS if format_.keeps_labels])}, and "
            "with --save: service=shop.",
        ),
    ] = field(default_factory=list)
    color: Annotated[Color, _output("--color WHEN", f"Colour in tables: {', '.join(Color)}.")] = Color.auto


@dataclass(frozen=True, slots=True)
class GateOptions:
    """The rules that a report must not break."""

    fail_if: Annotated[
        list[str],
        _output(
            "--fail-if RULE",
            "Exit with 6 if the report breaks this rule: 'pss>2G', 'limit_share>90%', outlier, limit, stale, drift; "
            "diff: 'growth>10%', 'growth>50M'; history: leak, step. Quote it: a shell takes > for a redirection.",
            autocompletion=complete.rules,
        ),
    ] = field(default_factory=list)


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
