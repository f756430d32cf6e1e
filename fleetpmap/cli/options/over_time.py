"""Options of several runs: watch, explore, show, diff and history.   command line ─► [options.over_time] ─► commands"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

import typer

from fleetpmap.catalogue import BY_RANK, KEYS
from fleetpmap.cli import complete
from fleetpmap.cli.option_values import Metric, seconds, whole_number
from fleetpmap.cli.options.panels import RUNNING, SHOW, option
from fleetpmap.cli.options.where import Save

_show = partial(option, SHOW)
_running = partial(option, RUNNING)


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """Options of watch: interval, number of rounds, and where the rounds are saved."""

    interval: Annotated[float, _running("--interval S", "Seconds from round to round.", parser=seconds)] = 5.0
    count: Annotated[
        int | None, _running("--count N", "End after this many rounds. Default: never.", parser=whole_number(1))
    ] = None
    save: Save = None


@dataclass(frozen=True, slots=True)
class ExploreOptions:
    """What is explored, and how often it is asked again."""

    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="[PATH]...",
            help="A capture, a copy of /proc, a saved snapshot, or DIR/ of several. Default: the hosts of the options.",
        ),
    ] = field(default_factory=list)
    interval: Annotated[
        float | None, _running("--interval S", "Ask again every S seconds. Default: on the key r.", parser=seconds)
    ] = None


@dataclass(frozen=True, slots=True)
class TwoArguments:
    """The two stored runs of diff."""

    old: Annotated[
        str,
        typer.Argument(metavar="OLD", help="FILE.parquet, a capture; of --save DIR/: DIR@first, DIR@24h, DIR@TIME."),
    ]
    new: Annotated[
        str | None,
        typer.Argument(
            metavar="[NEW]", help="The same of a later run; DIR is its last. Without it: the last two runs of DIR."
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """Options of diff: the rows and the size that it compares."""

    by: Annotated[
        str,
        _show(
            "--by KEYS",
            f"Merge by {', '.join(KEYS)}; comma-separated.",
            autocompletion=complete.by_keys,
        ),
    ] = "mapping"
    metric: Annotated[
        Metric, _show("--metric METRIC", f"The size to compare: {', '.join(size.name for size in BY_RANK)}.")
    ] = "pss"
    all_changes: Annotated[
        bool, _show("--all-changes", "Also list the changes within the noise floor, which two runs always have.")
    ] = False


@dataclass(frozen=True, slots=True)
class DirectoryArgument:
    """The directory of history."""

    directory: Annotated[str, typer.Argument(metavar="DIR/", help="The directory of --save DIR/.")]


@dataclass(frozen=True, slots=True)
class HistoryOptions:
    """Options of history: the keys of a row, the size, and the runs."""

    by: Annotated[
        str,
        _show(
            "--by KEYS",
            f"A row for each combination of {', '.join(KEYS)}; comma-separated.",
            autocompletion=complete.by_keys,
        ),
    ] = "service,host,mapping"
    metric: Annotated[
        Metric, _show("--metric METRIC", f"The size to follow: {', '.join(size.name for size in BY_RANK)}.")
    ] = "pss"
    since: Annotated[str, _show("--since TIME", "Only runs from this time on: 2026-11-23T05:00, or 7d ago.")] = "first"
    until: Annotated[str, _show("--until TIME", "Only runs up to this time.")] = "last"


@dataclass(frozen=True, slots=True)
class PathArguments:
    """The stored runs of show."""

    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="A capture, a copy of /proc, smemcap's tar, or a saved snapshot."),
    ]
