"""The options, each written once.   command line ─► [options] ─► the commands

Options come in groups, one dataclass each; a command names the groups it takes, and `groups.with_groups` gives it their
options.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import typer

from fleetpmap.cli import complete
from fleetpmap.cli.values import (
    Color,
    Format,
    Growing,
    HostKey,
    Metric,
    Per,
    TransportChoice,
    View,
    seconds,
    whole_number,
)

_HOSTS = "Which hosts"
_PROCESSES = "Which processes"
_SHOW = "What to show"
_OUTPUT = "Where it goes"
_RUNNING = "How it runs"


@dataclass(frozen=True, slots=True)
class HostOptions:
    """Which hosts."""

    inventory: Annotated[
        str | None,
        typer.Option(
            "-i",
            "--inventory",
            metavar="FILE",
            rich_help_panel=_HOSTS,
            help="TOML, or Ansible's. Default: $FLEETPMAP_INVENTORY, ./inventory.toml, then the XDG config directory.",
        ),
    ] = None
    host: Annotated[
        list[str],
        typer.Option(
            "-H",
            "--host",
            metavar="NODESET",
            autocompletion=complete.hosts,
            rich_help_panel=_HOSTS,
            help="Hosts by name, node set (web[01-20]), glob, user@name:port or [IPv6]:port; local is this machine.",
        ),
    ] = field(default_factory=list)
    group: Annotated[
        list[str],
        typer.Option(
            "-g",
            "--group",
            metavar="NAME",
            autocompletion=complete.groups,
            rich_help_panel=_HOSTS,
            help="Hosts of a group.",
        ),
    ] = field(default_factory=list)
    limit: Annotated[
        list[str],
        typer.Option(
            "--limit",
            metavar="PATTERN",
            autocompletion=complete.hosts,
            rich_help_panel=_HOSTS,
            help="Keep only these: node set, glob, @group, or as Ansible has it: web:&prod:!db.",
        ),
    ] = field(default_factory=list)
    exclude: Annotated[
        list[str],
        typer.Option(
            "--exclude",
            metavar="PATTERN",
            autocompletion=complete.hosts,
            rich_help_panel=_HOSTS,
            help="Leave these out: node set, glob, @group, or as Ansible has it.",
        ),
    ] = field(default_factory=list)
    hosts_from: Annotated[
        list[str],
        typer.Option(
            "--hosts-from",
            metavar="FILE",
            rich_help_panel=_HOSTS,
            help="Add hosts from a file, one a line; - is stdin.",
        ),
    ] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class HostArguments:
    """Hosts without an option before them."""

    hosts: Annotated[
        list[str],
        typer.Argument(
            metavar="[HOST]...", autocompletion=complete.hosts, help="Hosts, as -H takes them. Default: all."
        ),
    ] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """Which processes."""

    match: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--match",
            metavar="REGEX",
            rich_help_panel=_PROCESSES,
            help="Processes whose name matches, as in pgrep (Python's regular expressions).",
        ),
    ] = None
    full: Annotated[
        bool,
        typer.Option("-f", "--full", metavar="", rich_help_panel=_PROCESSES, help="Match the whole command line."),
    ] = False
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", metavar="", rich_help_panel=_PROCESSES, help="The whole name (or command line) must match."
        ),
    ] = False
    user: Annotated[
        list[str],
        typer.Option("-u", "--user", metavar="USER", rich_help_panel=_PROCESSES, help="Effective user, name or uid."),
    ] = field(default_factory=list)
    pid: Annotated[list[str], typer.Option("--pid", metavar="PID", rich_help_panel=_PROCESSES, help="Process ids.")] = (
        field(default_factory=list)
    )
    exe: Annotated[
        str | None,
        typer.Option(
            "--exe",
            metavar="GLOB",
            rich_help_panel=_PROCESSES,
            help="Processes that run this program: a path, or without a slash its last part.",
        ),
    ] = None
    cgroup: Annotated[
        str | None,
        typer.Option(
            "--cgroup",
            metavar="GLOB",
            rich_help_panel=_PROCESSES,
            help="Processes in this cgroup or below it: a path, or without a slash one part of it.",
        ),
    ] = None
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit", metavar="NAME", rich_help_panel=_PROCESSES, help="Processes of this systemd unit: nginx, user@*."
        ),
    ] = None
    newest: Annotated[
        bool,
        typer.Option("--newest", metavar="", rich_help_panel=_PROCESSES, help="Only the newest match of each host."),
    ] = False
    oldest: Annotated[
        bool,
        typer.Option("--oldest", metavar="", rich_help_panel=_PROCESSES, help="Only the oldest match of each host."),
    ] = False
    all: Annotated[bool, typer.Option("--all", metavar="", rich_help_panel=_PROCESSES, help="Every process.")] = False
    max_rss: Annotated[
        str,
        typer.Option(
            "--max-rss",
            metavar="SIZE",
            rich_help_panel=_PROCESSES,
            help="Do not read a process above this: reading stalls it for 20 ms per GiB. none: no limit.",
        ),
    ] = "64G"
    max_rss_sum: Annotated[
        str,
        typer.Option(
            "--max-rss-sum",
            metavar="SIZE",
            rich_help_panel=_PROCESSES,
            help="Read a host's processes, smallest first, until their RSS passes this. none: no limit.",
        ),
    ] = "256G"


@dataclass(frozen=True, slots=True)
class ShowOptions:
    """What to show."""

    view: Annotated[
        View | None,
        typer.Option(
            "--view",
            metavar="VIEW",
            rich_help_panel=_SHOW,
            help=f"{', '.join(View)}. Default: summary.",
            show_default=False,
        ),
    ] = None
    extended: Annotated[
        bool,
        typer.Option(
            *("-x", "--extended"),
            metavar="",
            rich_help_panel=_SHOW,
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
            rich_help_panel=_SHOW,
            help="As pmap -X: the kernel's fields; -XX: all of them.",
        ),
    ] = 0
    device: Annotated[
        bool,
        typer.Option("-d", "--device", metavar="", rich_help_panel=_SHOW, help="As pmap -d: offset and device."),
    ] = False
    bare: Annotated[
        bool, typer.Option("-q", metavar="", rich_help_panel=_SHOW, help="As pmap -q: no header, no footer.")
    ] = False
    show_path: Annotated[
        bool, typer.Option("-p", "--show-path", metavar="", rich_help_panel=_SHOW, help="As pmap -p: full paths.")
    ] = False
    range: Annotated[
        str | None,
        typer.Option(
            *("-A", "--range"),
            metavar="LOW[,HIGH]",
            rich_help_panel=_SHOW,
            help="As pmap -A: only mappings between these addresses, in hex; LOW alone: the one that holds it.",
        ),
    ] = None
    kernel_names: Annotated[
        bool,
        typer.Option(
            *("-k", "--use-kernel-name"),
            metavar="",
            rich_help_panel=_SHOW,
            help="As pmap -k: [heap] and the like, not [ anon ].",
        ),
    ] = False
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="KEYS",
            autocompletion=complete.by_keys,
            rich_help_panel=_SHOW,
            help="Merge by host, process, user, mapping, path, perms, kind; comma-separated. Default: mapping.",
            show_default=False,
        ),
    ] = None
    metric: Annotated[
        Metric | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            rich_help_panel=_SHOW,
            help=f"What compare compares: {', '.join(Metric)}. Default: pss.",
            show_default=False,
        ),
    ] = None
    per: Annotated[
        Per | None,
        typer.Option(
            "--per",
            metavar="WHAT",
            rich_help_panel=_SHOW,
            help="compare: a host's sum, or that divided by its processes. host or process. Default: host.",
            show_default=False,
        ),
    ] = None
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="HOST",
            rich_help_panel=_SHOW,
            help="compare: show how the other hosts differ from this one.",
        ),
    ] = None
    all_deleted: Annotated[
        bool,
        typer.Option(
            "--all-deleted", metavar="", rich_help_panel=_SHOW, help="stale: every deleted file, not only what runs."
        ),
    ] = False
    export: Annotated[
        list[str],
        typer.Option(
            "--export",
            metavar="[VIEW=]FILE",
            rich_help_panel=_OUTPUT,
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
            rich_help_panel=_SHOW,
            help="Only these columns, in this order; comma-separated.",
        ),
    ] = None
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="COLUMN",
            autocompletion=complete.sort_keys,
            rich_help_panel=_SHOW,
            help="Sizes and counts from the largest, all else from the smallest.",
        ),
    ] = None
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            parser=whole_number(0),
            rich_help_panel=_SHOW,
            help="The first rows only; one row sums up the rest. 0: all rows.",
        ),
    ] = None
    human: Annotated[
        bool, typer.Option("--human", metavar="", rich_help_panel=_SHOW, help="Sizes as 1.2G, in table and plain.")
    ] = False


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Where it goes."""

    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            rich_help_panel=_OUTPUT,
            help=f"{', '.join(Format)}. Default: table on a terminal, else plain.",
            show_default=False,
        ),
    ] = None
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            rich_help_panel=_OUTPUT,
            help="Write to a file, in the format of its suffix.",
        ),
    ] = None
    csv_safe: Annotated[
        bool,
        typer.Option(
            "--csv-safe",
            metavar="",
            rich_help_panel=_OUTPUT,
            help="In csv, put ' before a text that a spreadsheet would compute (it begins with = + - or @).",
        ),
    ] = False
    color: Annotated[
        Color,
        typer.Option("--color", metavar="WHEN", rich_help_panel=_OUTPUT, help=f"Colour in tables: {', '.join(Color)}."),
    ] = Color.auto


Save = Annotated[
    str | None,
    typer.Option(
        "--save",
        metavar="FILE|DIR/",
        rich_help_panel=_OUTPUT,
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
            rich_help_panel=_OUTPUT,
            help="Keep the raw files for `fleetpmap show`: a new directory, or one .tar.gz or .tar.zst.",
        ),
    ] = None
    save: Save = None


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How often, and what is kept of it."""

    interval: Annotated[
        float,
        typer.Option(
            "--interval", metavar="S", parser=seconds, rich_help_panel=_RUNNING, help="Seconds from round to round."
        ),
    ] = 5.0
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            metavar="N",
            parser=whole_number(1),
            rich_help_panel=_RUNNING,
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
        typer.Option("--by", metavar="WHAT", rich_help_panel=_SHOW, help=f"What grew: {', '.join(Growing)}."),
    ] = Growing.mapping
    metric: Annotated[
        Metric,
        typer.Option("--metric", metavar="METRIC", rich_help_panel=_SHOW, help=f"In what: {', '.join(Metric)}."),
    ] = Metric.pss


@dataclass(frozen=True, slots=True)
class PathArguments:
    """What was kept."""

    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="A capture, a copy of /proc, smemcap's tar, or a saved snapshot."),
    ]


_Verbose = Annotated[
    int,
    typer.Option(
        "-v",
        "--verbose",
        count=True,
        metavar="",
        show_default=False,
        rich_help_panel=_RUNNING,
        help="Say how each host was read, and the self-check. -vv: check the sums too, against smaps_rollup (the "
        "kernel walks the page tables a second time), and show what else the hosts said.",
    ),
]
_Quiet = Annotated[
    bool, typer.Option("--quiet", metavar="", rich_help_panel=_RUNNING, help="No notes on stderr, only errors.")
]


@dataclass(frozen=True, slots=True)
class TalkOptions:
    """What is said besides, where nobody is asked."""

    verbose: _Verbose = 0
    quiet: _Quiet = False


@dataclass(frozen=True, slots=True)
class RunningOptions:
    """How it runs."""

    jobs: Annotated[
        int,
        typer.Option(
            "-j", "--jobs", metavar="N", parser=whole_number(1), rich_help_panel=_RUNNING, help="Hosts at once."
        ),
    ] = 32
    connect_timeout: Annotated[
        float | None,
        typer.Option(
            "--connect-timeout",
            metavar="S",
            parser=seconds,
            rich_help_panel=_RUNNING,
            help="Seconds until the login is done. Default: the inventory's, ssh_config's, else 10.",
            show_default=False,
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="S",
            parser=seconds,
            rich_help_panel=_RUNNING,
            help="Seconds for all of one host. Default: 60.",
            show_default=False,
        ),
    ] = None
    retries: Annotated[
        int | None,
        typer.Option(
            "--retries",
            metavar="N",
            parser=whole_number(0),
            rich_help_panel=_RUNNING,
            help="Try again what fails before login and may pass: a host that hangs up or resets. Default: 1.",
            show_default=False,
        ),
    ] = None
    deadline: Annotated[
        float | None,
        typer.Option(
            "--deadline",
            metavar="S",
            parser=seconds,
            rich_help_panel=_RUNNING,
            help="Seconds for the whole run; then it reports what came and exits 124. Default: none.",
            show_default=False,
        ),
    ] = None
    sudo: Annotated[
        bool | None,
        typer.Option(
            "--sudo/--no-sudo",
            metavar="",
            rich_help_panel=_RUNNING,
            help="Read as root by sudo, or doas. Default: the inventory's.",
            show_default=False,
        ),
    ] = None
    ask_pass: Annotated[
        bool,
        typer.Option(
            "--ask-pass",
            metavar="",
            rich_help_panel=_RUNNING,
            help="Ask, once, for the password to log in with where no key will do.",
        ),
    ] = False
    ask_become_pass: Annotated[
        bool,
        typer.Option(
            "--ask-become-pass",
            metavar="",
            rich_help_panel=_RUNNING,
            help="Ask, once, for the password that sudo wants.",
        ),
    ] = False
    password_command: Annotated[
        str | None,
        typer.Option(
            "--password-command",
            metavar="CMD",
            rich_help_panel=_RUNNING,
            help="Instead of asking, run this (no shell) and take the first line that it prints: the login password, "
            "or what --ask-pass and --ask-become-pass would ask for.",
        ),
    ] = None
    host_key: Annotated[
        HostKey | None,
        typer.Option(
            "--host-key",
            metavar="POLICY",
            rich_help_panel=_RUNNING,
            help="An unknown host's key: strict refuses it, accept-new trusts it. Default: ssh_config's, else strict.",
            show_default=False,
        ),
    ] = None
    known_hosts: Annotated[
        list[str],
        typer.Option("--known-hosts", metavar="FILE", rich_help_panel=_RUNNING, help="Host keys, instead of ssh's."),
    ] = field(default_factory=list)
    ssh_config: Annotated[
        str | None,
        typer.Option("--ssh-config", metavar="FILE", rich_help_panel=_RUNNING, help="As ssh -F; none: no file."),
    ] = None
    transport: Annotated[
        TransportChoice | None,
        typer.Option(
            "--transport",
            metavar="NAME",
            rich_help_panel=_RUNNING,
            help="ssh is our own SSH client, openssh the system's. Default: the inventory's.",
            show_default=False,
        ),
    ] = None
    once_per_machine: Annotated[
        bool,
        typer.Option(
            "--once-per-machine",
            metavar="",
            rich_help_panel=_RUNNING,
            help="Count a machine that answers under several names once, under the first.",
        ),
    ] = False
    rollup: Annotated[
        bool,
        typer.Option(
            "--rollup",
            metavar="",
            rich_help_panel=_RUNNING,
            help="Read smaps_rollup, a sum for each process: fewer bytes, but the kernel walks no less. Only for the "
            "views hosts and processes.",
        ),
    ] = False
    verbose: _Verbose = 0
    quiet: _Quiet = False
