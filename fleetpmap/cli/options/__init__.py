"""The options, each written once.   command line ─► [options] ─► commands

Options come in groups, one dataclass each. A command names the groups it takes, and `option_groups.with_groups` gives
it their options.

    which      hosts and processes        show         views and tables      where    formats, files, gates
    how        SSH, times, notes          over_time    watch, diff, history, …  panels   the helper `option`
    spread     several processes
"""

from fleetpmap.cli.options.how import RunningOptions, TalkOptions
from fleetpmap.cli.options.over_time import (
    DiffOptions,
    DirectoryArgument,
    ExploreOptions,
    HistoryOptions,
    PathArguments,
    TwoArguments,
    WatchOptions,
)
from fleetpmap.cli.options.show import ShapeOptions, ShowOptions
from fleetpmap.cli.options.spread import SpreadOptions
from fleetpmap.cli.options.where import GateOptions, KeepOptions, OutputOptions
from fleetpmap.cli.options.which import HostArguments, HostOptions, ProcessOptions, ShardOptions

__all__ = [
    "DiffOptions",
    "DirectoryArgument",
    "ExploreOptions",
    "GateOptions",
    "HistoryOptions",
    "HostArguments",
    "HostOptions",
    "KeepOptions",
    "OutputOptions",
    "PathArguments",
    "ProcessOptions",
    "RunningOptions",
    "ShapeOptions",
    "ShardOptions",
    "ShowOptions",
    "SpreadOptions",
    "TalkOptions",
    "TwoArguments",
    "WatchOptions",
]
