"""What to show of them.   command line ─► [options.show] ─► the commands"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import typer

from fleetpmap.catalogue import BY_RANK, KEYS, VIEWS
from fleetpmap.cli import complete
from fleetpmap.cli.option_values import Metric, Per, View, whole_number
from fleetpmap.cli.options.panels import OUTPUT, SHOW


@dataclass(frozen=True, slots=True)
class ShowOptions:
    """What to show."""

    view: Annotated[
        View | None,
        typer.Option(
            "--view",
            metavar="VIEW",
            rich_help_panel=SHOW,
            help=f"{', '.join(VIEWS)}. Default: summary.",
            show_default=False,
        ),
    ] = None
    extended: Annotated[
        bool,
        typer.Option(
            *("-x", "--extended"),
            metavar="",
            rich_help_panel=SHOW,
            help="As pmap -x of each process: RSS and Dirty. This and pmap's other letters imply --view pmap.",
        ),
    ] = False
    wide: Annotated[
        int,
        typer.Option(
            "-X",
            count=True,
            metavar="",
            show_default=False,
            rich_help_panel=SHOW,
            help="As pmap -X: the kernel's fields; -XX: all of them.",
        ),
    ] = 0
    device: Annotated[
        bool,
        typer.Option("-d", "--device", metavar="", rich_help_panel=SHOW, help="As pmap -d: offset and device."),
    ] = False
    bare: Annotated[
        bool, typer.Option("-q", metavar="", rich_help_panel=SHOW, help="As pmap -q: no header, no footer.")
    ] = False
    show_path: Annotated[
        bool, typer.Option("-p", "--show-path", metavar="", rich_help_panel=SHOW, help="As pmap -p: full paths.")
    ] = False
    range: Annotated[
        str | None,
        typer.Option(
            *("-A", "--range"),
            metavar="LOW[,HIGH]",
            rich_help_panel=SHOW,
            help="As pmap -A: only mappings between these addresses, in hex; LOW alone: the one that holds it.",
        ),
    ] = None
    kernel_names: Annotated[
        bool,
        typer.Option(
            *("-k", "--use-kernel-name"),
            metavar="",
            rich_help_panel=SHOW,
            help="As pmap -k: the kernel's own names, not [ anon ] for all that is no file.",
        ),
    ] = False
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="KEYS",
            autocompletion=complete.by_keys,
            rich_help_panel=SHOW,
            help=f"Merge by {', '.join(KEYS)}; comma-separated. Default: mapping.",
            show_default=False,
        ),
    ] = None
    metric: Annotated[
        Metric | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            rich_help_panel=SHOW,
            help=f"What compare compares: {', '.join(size.name for size in BY_RANK)}. Default: pss.",
            show_default=False,
        ),
    ] = None
    per: Annotated[
        Per | None,
        typer.Option(
            "--per",
            metavar="WHAT",
            rich_help_panel=SHOW,
            help="compare: a host's sum, or that divided by its processes. host or process. Default: host.",
            show_default=False,
        ),
    ] = None
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="HOST",
            rich_help_panel=SHOW,
            help="compare: show how the other hosts differ from this one.",
        ),
    ] = None
    all_deleted: Annotated[
        bool,
        typer.Option(
            "--all-deleted", metavar="", rich_help_panel=SHOW, help="stale: every deleted file, not only what runs."
        ),
    ] = False
    export: Annotated[
        list[str],
        typer.Option(
            "--export",
            metavar="[VIEW=]FILE",
            rich_help_panel=OUTPUT,
            help="Write one more file in the same run, whole and in full precision: hosts=hosts.csv.",
        ),
    ] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ShapeOptions:
    """What of it, in what order."""

    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            metavar="NAMES",
            autocompletion=complete.columns,
            rich_help_panel=SHOW,
            help="Only these columns, in this order; comma-separated.",
        ),
    ] = None
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="COLUMN",
            autocompletion=complete.sort_keys,
            rich_help_panel=SHOW,
            help="Sizes and counts from the largest, all else from the smallest.",
        ),
    ] = None
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            parser=whole_number(0),
            rich_help_panel=SHOW,
            help="The first rows only; one row sums up the rest. 0: all rows.",
        ),
    ] = None
    human: Annotated[
        bool, typer.Option("--human", metavar="", rich_help_panel=SHOW, help="Sizes as 1.2G, in table and plain.")
    ] = False
