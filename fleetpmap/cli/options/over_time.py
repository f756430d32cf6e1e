"""Several runs: watch, show and diff.   command line ─► [options.over_time] ─► the commands"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from fleetpmap.catalogue import BY_RANK
from fleetpmap.cli.option_values import Growing, Metric, seconds, whole_number
from fleetpmap.cli.options.panels import RUNNING, SHOW
from fleetpmap.cli.options.where import Save


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How often, and what is kept of it."""

    interval: Annotated[
        float,
        typer.Option(
            "--interval", metavar="S", parser=seconds, rich_help_panel=RUNNING, help="Seconds from round to round."
        ),
    ] = 5.0
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            metavar="N",
            parser=whole_number(1),
            rich_help_panel=RUNNING,
            help="End after so many rounds. Default: never.",
            show_default=False,
        ),
    ] = None
    save: Save = None


@dataclass(frozen=True, slots=True)
class TwoArguments:
    """What was kept, twice."""

    old: Annotated[
        str, typer.Argument(metavar="OLD", help="FILE.parquet, a capture, or DIR@first, DIR@TIME of --save DIR/.")
    ]
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same of a later run; DIR alone is its last.")]


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """What to show of a difference."""

    by: Annotated[
        Growing,
        typer.Option("--by", metavar="WHAT", rich_help_panel=SHOW, help=f"What grew: {', '.join(Growing)}."),
    ] = Growing.mapping
    metric: Annotated[
        Metric,
        typer.Option(
            "--metric",
            metavar="METRIC",
            rich_help_panel=SHOW,
            help=f"In what: {', '.join(size.name for size in BY_RANK)}.",
        ),
    ] = "pss"


@dataclass(frozen=True, slots=True)
class PathArguments:
    """What was kept."""

    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="A capture, a copy of /proc, smemcap's tar, or a saved snapshot."),
    ]
