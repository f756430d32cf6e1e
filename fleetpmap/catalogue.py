"""Views, sizes and formats as data.   [catalogue] ─► cli, table, report, export, watch, docs

A fact about a view, a size or a format stands here and nowhere else: the options, completion, the documentation, the
titles of a page and the metrics of openmetrics are derived from these rows. It imports no numpy, for a quick `--help`.

REPORTS    every report, the views first     a new view: report/views/NAME.py with `from_options`, and a row
SIZES      the sizes of memory               a new size: a row
FORMATS    the values of --format            a new format: export/as_NAME.py with `write_NAME`, and a row
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from fleetpmap.errors import UsageError
from fleetpmap.pmap_letters import Letters

PeersBy = Literal["service", "group", "all"]
"""Values of --peers: the hosts with which a host is compared."""
FindingKind = Literal["outlier", "split", "drift", "stale", "growth", "leak", "step", "limit"]
GROWTH: Final = "growth"
OF_A_RUN: tuple[FindingKind, ...] = ("outlier", "limit", GROWTH, "stale", "drift")
"""The kinds that a run tells unasked, in order (see report.standing_out)."""
MOST_SHARDS = 9999
"""The most shards of a run: each is a machine, and the name of a file has room for four digits."""


@dataclass(frozen=True, slots=True)
class Size:
    """A size of memory: a column of reports, a value of --metric and a gauge of openmetrics."""

    name: str
    """Value of --metric, without the unit: `pss`."""
    rule: Literal["sum", "upper bound"]
    """Meaning of its sum over several processes."""
    kernel_keys: tuple[str, ...]
    """The kernel's fields that it is the sum of; empty for `size`, which is the address range itself."""
    meaning: str
    """One sentence, the help of the gauge."""
    rank: int
    """Place among the values of --metric. The columns have the order of SIZES."""

    @property
    def column(self) -> str:
        """Name of the column: `pss_kib`."""
        return f"{self.name}_kib"


SIZES = (
    Size("size", "upper bound", (), "Address space that is mapped.", rank=8),
    Size("rss", "upper bound", ("Rss",), "Resident set size.", rank=2),
    Size("pss", "sum", ("Pss",), "Proportional set size: shared memory is divided by its users.", rank=1),
    Size(
        "uss", "sum", ("Private_Clean", "Private_Dirty"), "Unique set size: memory that only one process maps.", rank=3
    ),
    Size("dirty", "upper bound", ("Shared_Dirty", "Private_Dirty"), "Resident memory that was written to.", rank=4),
    Size("swap", "upper bound", ("Swap",), "Memory in swap.", rank=5),
    Size(
        "swap_pss",
        "sum",
        ("SwapPss",),
        "Memory in swap: shared memory is divided by its users.",
        rank=6,
    ),
    Size(
        "hugetlb",
        "upper bound",
        ("Shared_Hugetlb", "Private_Hugetlb"),
        "hugetlb pages, in no other size.",
        rank=7,
    ),
)
"""The sizes, in the order of the columns."""
BY_RANK = tuple(sorted(SIZES, key=lambda size: size.rank))
"""The sizes, in the order of the options."""
_SIZE_COLUMNS = tuple(size.column for size in SIZES)


KEYS = ("host", "service", "unit", "container", "pod", "slice", "process", "user", "mapping", "path", "perms", "kind")
"""The keys that --by takes."""


@dataclass(frozen=True, slots=True)
class ReportKind:
    """A report: a view of --view, or what another command prints."""

    name: str
    """Value of --view, and `Report.view`."""
    row_is: str
    """Meaning of one row, for the table in docs/reference."""
    title: str = ""
    """Heading on an html page; empty for a text, and for a table that is the section of another report."""
    command: str = ""
    """The command that prints it; empty for a view."""
    columns: tuple[str, ...] = ()
    """Columns that Tab offers, beside the keys of --by."""
    needs: Literal["mappings", "code", "keys", "processes"] = "mappings"
    """The coarsest rows that it can be made of: every mapping; sums by path and permissions (code); sums by the keys of
    --by; a sum for each process. A view of `code` can do with the last too, and then knows nothing of the code."""
    keys: tuple[str, ...] = ()
    """The keys that its rows can have by --by; empty: it does not take --by."""
    own_keys: tuple[str, ...] = ()
    """The keys that its rows have in any case."""
    is_watched: bool = False
    """True if `watch` can begin with it."""
    streams: bool = False
    """True if the rows of one host do not depend on another host, so jsonl can write them one by one."""
    in_lines: bool = False
    """True if jsonl can hold it after the last host has answered."""
    labels: tuple[str, ...] | None = None
    """Columns that tell its rows apart in openmetrics; empty: the keys of --by; None: openmetrics cannot hold it."""
    adds_keys: bool = False
    """True if --by adds keys to `own_keys`; else it names all of them."""
    findings: tuple[FindingKind, ...] = ()
    """The kinds of findings that it can have; empty for a report that --fail-if cannot judge."""

    def takes(self, by: Iterable[str]) -> bool:
        """Return True if its rows can have these keys."""
        return bool(self.keys) and (self.adds_keys or {*self.own_keys} <= {*by}) and {*by} <= {*self.keys}


_BELONGS = ("service", "unit", "container", "pod", "started")
_MERGED = ("hosts", "processes", "mappings", *_SIZE_COLUMNS, "paths")
_CHARGE = ("cgroup_current_kib", "cgroup_peak_kib", "limit_kib", "limit_share", "ram_share", "oom_kills")
_HOST_MEMORY = ("mem_total_kib", "mem_available_kib", "ram_share")

REPORTS = (
    ReportKind(
        "summary",
        "as merged; then the table of hosts (in json under `hosts`)",
        columns=_MERGED,
        needs="keys",
        keys=KEYS,
        is_watched=True,
        labels=(),
        findings=OF_A_RUN,
    ),
    ReportKind(
        "merged",
        "one combination of the `--by` keys, over all hosts",
        "Mappings",
        columns=_MERGED,
        needs="keys",
        keys=KEYS,
        is_watched=True,
        labels=(),
        findings=OF_A_RUN,
    ),
    ReportKind(
        "hosts",
        "one host asked, answered or not",
        "Hosts",
        columns=("host", "status", "processes", "absent", "mappings", *_SIZE_COLUMNS, *_HOST_MEMORY, "error"),
        needs="processes",
        is_watched=True,
        streams=True,
        labels=("host",),
        findings=OF_A_RUN,
    ),
    ReportKind(
        "services",
        "one [service](../concepts/services.md); with `--by host,service` one on one host",
        "Services",
        columns=("hosts", "processes", *_SIZE_COLUMNS, "pss_per_process_kib", *_CHARGE, "started", "newest", "drift"),
        needs="code",
        keys=("host", "service"),
        own_keys=("service",),
        is_watched=True,
        in_lines=True,
        labels=(),
        findings=OF_A_RUN,
    ),
    ReportKind(
        "processes",
        "one process that matched, read or not",
        "Processes",
        columns=(
            *("host", "pid", "user", "name", "command", "status", "mappings", *_SIZE_COLUMNS, *_BELONGS),
            *("oom_score_adj", "hwm_kib", "rss_source", "cgroup_current_kib", "limit_kib", "limit_share"),
        ),
        needs="processes",
        is_watched=True,
        streams=True,
        labels=("host", "pid"),
        findings=OF_A_RUN,
    ),
    ReportKind(
        "mappings",
        "one mapping of one process, with [every field of its kernel](fields.md)",
        "Every mapping",
        columns=(
            *("host", "pid", "name", "start", "end", "perms", "offset", "device", "inode", "mapping", "path"),
            *("deleted", "kind", "kernel_size_kib", "rss_kib", "pss_kib", "shared_clean_kib", "shared_dirty_kib"),
            *("private_clean_kib", "private_dirty_kib", "referenced_kib", "anonymous_kib", "anon_huge_pages_kib"),
            *("swap_kib", "swap_pss_kib", "locked_kib", *_BELONGS),  # the most used fields, of many more
        ),
        streams=True,
        findings=OF_A_RUN,
    ),
    ReportKind("pmap", "one mapping; as text a block per process, as pmap prints it"),
    ReportKind(
        "compare",
        "one mapping; the first is the number of processes. Behind `mapping` a column for each host asked",
        "Hosts side by side",
        columns=("mapping", "median_kib", "spread_kib", "outliers"),
        is_watched=True,
        findings=("outlier", "split", "drift"),
    ),
    ReportKind(
        "stale",
        "one deleted or replaced file that a service runs; with `--by` also one host, process and so on",
        "Deleted files still mapped",
        columns=("hosts", "processes", "rss_kib", "kind", "on_hosts"),
        keys=KEYS,
        own_keys=("service", "path"),
        adds_keys=True,
        findings=("stale",),
    ),
    ReportKind(
        "ps",
        "one process that matches, with the status that a run would give it",
        "Processes that match",
        "ps",
        columns=(
            *("host", "pid", "user", "name", "rss_kib", "command", "status"),
            *("service", "unit", "container", "pod", "started"),
        ),
        streams=True,
    ),
    ReportKind("routes", "one host that the options select", "Hosts and how each is reached", "hosts", streams=True),
    ReportKind(
        "doctor",
        "one host, with [each step](../guides/doctor.md) on the way to its processes",
        "Steps to each host",
        "doctor",
        streams=True,
    ),
    ReportKind(
        "fields",
        "one of the [kernel's fields](fields.md)",
        "The kernel's fields",
        "fields",
        columns=("field", "column", "unit", "since", "totals", "meaning"),
        streams=True,
    ),
    ReportKind(
        "diff",
        "one combination of the `--by` keys that [changed](../guides/over-time.md)",
        "What changed",
        "diff",
        columns=(
            *("hosts", "processes", "old_processes", "restarted", "old_kib", "new_kib", "growth_kib"),
            *("growth_each_kib", "growth_kib_per_hour", "status"),
        ),
        streams=True,
        findings=("growth",),
    ),
    ReportKind(
        "history",
        "one [series](../guides/history.md): by default the mappings of one name of a service on a host",
        "Trends",
        "history",
        columns=(
            *("service", "host", "mapping", "first_kib", "last_kib", "slope_kib_per_day", "low", "high", "class"),
            "limit_in_days",
        ),
        streams=True,
        findings=("leak", "step"),
    ),
)
"""Every report: the views in the order of the help, then what other commands print."""
VIEWS = {report.name: report for report in REPORTS if not report.command}
"""The views by name, in the order of the help."""
ROLLUP_VIEWS = tuple(view.name for view in VIEWS.values() if view.needs in ("code", "processes"))
"""The views that can be made of one sum for each process, as --rollup reads them."""
MERGING_VIEWS = tuple(view.name for view in VIEWS.values() if view.keys)
"""The views that take --by."""
WATCHED_VIEWS = tuple(view.name for view in VIEWS.values() if view.is_watched)
"""The views that `watch` can begin with."""


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A value of --format."""

    name: str
    suffixes: tuple[str, ...] = ()
    """Ends of file names that mean this format, lower case; empty for the formats that `render` draws."""
    holds: tuple[str, ...] = ()
    """The reports that it can hold; empty: all."""
    instead: str = ""
    """Hint for a report that it cannot hold."""
    needs: tuple[str, ...] = ()
    """The packages that the extra of the format's name installs."""
    is_binary: bool = False
    """True if it is refused on a terminal."""
    uncompressed: str = ""
    """Reason why it is not written to FILE.gz or FILE.zst; empty: it is."""
    keeps_labels: bool = False
    """True if it has a place for the labels of --label."""
    has_labels: bool = False
    """True if its rows need the columns `ReportKind.labels`."""


_STREAMS = tuple(report.name for report in REPORTS if report.streams or report.in_lines)
*_FIRST_STREAMS, _LAST_STREAM = (name for name in _STREAMS if name in VIEWS)

FORMATS = (
    OutputFormat("table"),
    OutputFormat("plain"),
    OutputFormat("csv", (".csv",)),
    OutputFormat("json", (".json",), keeps_labels=True),
    OutputFormat(
        "jsonl",
        (".jsonl", ".ndjson"),
        holds=_STREAMS,
        instead=f"name one of --view {', '.join(_FIRST_STREAMS)} and {_LAST_STREAM}, or use json",
        keeps_labels=True,
    ),
    OutputFormat("markdown", (".md",)),
    OutputFormat("html", (".html", ".htm"), needs=("jinja2",)),
    OutputFormat(
        "openmetrics",
        (".prom", ".om"),
        holds=tuple(report.name for report in REPORTS if report.labels is not None),
        instead="name one of --view hosts, services, processes and merged, with --by for its labels",
        keeps_labels=True,
        has_labels=True,
        uncompressed="node_exporter reads no compressed file",
    ),
    OutputFormat(
        "parquet",
        (".parquet",),
        needs=("polars",),
        is_binary=True,
        keeps_labels=True,
        uncompressed="parquet is compressed already",
    ),
)
"""The formats, in the order of the help."""


def merge_keys(text: str) -> tuple[str, ...]:
    """Return the keys of `--by host,mapping`, in order, each once.

    Raises:
        UsageError: a key is not one of KEYS, or there is no key at all.
    """
    return merge_keys_of(word.strip() for word in text.split(","))


def merge_keys_of(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the keys, each once.

    Raises:
        UsageError: a key is not one of KEYS, or there is no key at all.
    """
    distinct = tuple(dict.fromkeys(keys))
    for key in distinct or ("",):
        if key not in KEYS:
            from fleetpmap.inventory.names import nearest  # imports the whole inventory, which --help need not

            near = nearest(key, KEYS)
            known = f"the keys are {', '.join(KEYS)}"
            raise UsageError(f'--by: there is no key "{key}"', hint=f"did you mean {near}? {known}" if near else known)
    return distinct


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """The options that the command line passes to a view; each view uses its own."""

    by: tuple[str, ...] = ("mapping",)
    """summary, merged, services, stale: the keys of a row; each view takes those of its own (see keys_of)."""
    services: bool = False
    """summary: the table of services first, since every process was asked for."""
    letters: Letters = field(default_factory=Letters)
    """pmap: its own options."""
    metric: str = "pss_kib"
    """compare: the column of SIZES that its cells show."""
    per_process: bool = False
    """compare: divided by the processes read on the host."""
    baseline: str | None = None
    """compare: the host that the others are compared with; None: with each other."""
    peers: PeersBy = "service"
    """The hosts with which a host is compared: those that run the same service, of these those of its group, or all."""
    all_deleted: bool = False
    """stale: also the deleted files that are no program's code."""
    file: str | None = None
    """stale: the glob of the files, by path or basename; None: all."""
    sort: str | None = None
    """The column to sort by (see Shape), for every view but pmap, as the two below; in summary, of its mappings."""
    top: int | None = None
    """Rows to keep; the others become `(N more)`. None and 0: all, but for what a terminal shows of summary."""
    columns: tuple[str, ...] | None = None
    """Columns to show, in order."""
    kept: tuple[tuple[tuple[str, str], ...], ...] = ()
    """summary: rows that a terminal shows, however small, since findings name them, each as (column, text)."""


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them: `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def keys_of(view: str, by: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys of a view's rows: those of --by, or its own where it does not take them."""
    report = VIEWS[view]
    if report.adds_keys:
        return (*report.own_keys, *(key for key in by if key not in (*report.own_keys, "mapping")))
    return by if report.takes(by) else report.own_keys


def sums_for(views: Iterable[str], by: Iterable[str] = ()) -> frozenset[str] | None:
    """Return the keys that `collect(sums=...)` may sum by for these views; None if they need every mapping.

    `by`: the keys of a row of summary and merged. What the findings need is kept besides (see evidence).
    """
    needs = {VIEWS[view].needs for view in views}
    if "mappings" in needs:
        return None
    if "code" in needs:
        return frozenset({"path", "perms"})
    return frozenset({"path", *by}) & {"path", "perms"} if "keys" in needs else frozenset()
