"""Options of views and tables.   command line ─► [options.show] ─► commands"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from fleetpmap.catalogue import BY_RANK, KEYS, VIEWS
from fleetpmap.cli import complete
from fleetpmap.cli.option_values import Metric, PeersOption, Per, View, whole_number
from fleetpmap.cli.options.panels import OUTPUT, SHOW, option

_show = partial(option, SHOW)
_output = partial(option, OUTPUT)


@dataclass(frozen=True, slots=True)
class ShowOptions:
    """The view, its own options, and more views in files."""

    view: Annotated[View | None, _show("--view VIEW", f"{', '.join(VIEWS)}. Default: summary.")] = None
    extended: Annotated[
        bool,
        _show(
            "-x --extended",
            "As pmap -x for each process: RSS and Dirty. This and pmap's other options imply --view pmap.",
        ),
    ] = False
    wide: Annotated[
        int, _show("-X", "As pmap -X: the kernel's fields; -XX: all of them.", count=True, show_default=False)
    ] = 0
    device: Annotated[bool, _show("-d --device", "As pmap -d: offset and device.")] = False
    bare: Annotated[bool, _show("-q", "As pmap -q: no header, no footer.")] = False
    show_path: Annotated[bool, _show("-p --show-path", "As pmap -p: full paths.")] = False
    range: Annotated[
        str | None,
        _show(
            "-A --range LOW[,HIGH]",
            "As pmap -A: only mappings between these addresses, in hex; LOW alone: the mapping at it.",
        ),
    ] = None
    kernel_names: Annotated[
        bool,
        _show(
            "-k --use-kernel-name", "As pmap -k: the kernel's names instead of [ anon ] for mappings without a file."
        ),
    ] = False
    by: Annotated[
        str | None,
        _show(
            "--by KEYS",
            f"Merge by {', '.join(KEYS)}; comma-separated. Default: mapping.",
            autocompletion=complete.by_keys,
        ),
    ] = None
    metric: Annotated[
        Metric | None,
        _show(
            "--metric METRIC",
            f"compare: the size to compare: {', '.join(size.name for size in BY_RANK)}. Default: pss.",
        ),
    ] = None
    per: Annotated[
        Per | None,
        _show(
            "--per WHAT", "compare: a host's sum, or the sum divided by its processes: host or process. Default: host."
        ),
    ] = None
    peers: Annotated[
        PeersOption | None,
        _show(
            "--peers PEERS",
            "Compare a host with those that run the same service, with those of them in its group of the inventory, or"
            " with all: service, group or all. Default: service.",
        ),
    ] = None
    baseline: Annotated[
        str | None, _show("--baseline HOST", "compare: show how the other hosts differ from this one.")
    ] = None
    all_deleted: Annotated[bool, _show("--all-deleted", "stale: every deleted file, not only program code.")] = False
    file: Annotated[
        str | None,
        _show("--file GLOB", "stale: only files of this path or basename, with case: 'libssl*', '/opt/app/*'."),
    ] = None
    export: Annotated[
        list[str],
        _output(
            "--export [VIEW=]FILE", "Write one more file in the same run, whole and in full precision: hosts=hosts.csv."
        ),
    ] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ShapeOptions:
    """Columns, order and number of the rows."""

    columns: Annotated[
        str | None,
        _show(
            "--columns NAMES", "Only these columns, in this order; comma-separated.", autocompletion=complete.columns
        ),
    ] = None
    sort: Annotated[
        str | None,
        _show(
            "--sort COLUMN",
            "Sort by this column: sizes and counts from the largest, others from the smallest.",
            autocompletion=complete.sort_keys,
        ),
    ] = None
    top: Annotated[
        int | None,
        _show("--top N", "Only the first rows; one row sums up the others. 0: all rows.", parser=whole_number(0)),
    ] = None
    human: Annotated[bool, _show("--human", "Sizes with units, 1.2G, in plain text; tables have units without it.")] = (
        False
    )
    kib: Annotated[
        bool, _show("--kib", "Sizes in KiB, as digits, in tables; other formats have digits without it.")
    ] = False
