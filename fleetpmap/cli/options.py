"""The options, each written once.   command line ─► [options] ─► the commands

Options come in groups, one dataclass each; a command names the groups it takes, and `with_groups` gives it their
options.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer


class View(StrEnum):
    """--view."""

    summary = "summary"
    merged = "merged"
    hosts = "hosts"
    processes = "processes"
    mappings = "mappings"
    pmap = "pmap"


class Format(StrEnum):
    """--format."""

    table = "table"
    plain = "plain"
    csv = "csv"
    json = "json"


class HostKey(StrEnum):
    """--host-key."""

    strict = "strict"
    accept_new = "accept-new"


class TransportChoice(StrEnum):
    """--transport."""

    ssh = "ssh"
    openssh = "openssh"


class Color(StrEnum):
    """--color."""

    auto = "auto"
    always = "always"
    never = "never"


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
            help="TOML inventory. Default: $FLEETPMAP_INVENTORY, ./inventory.toml, then the XDG config directory.",
        ),
    ] = None
    host: Annotated[
        list[str],
        typer.Option(
            "-H",
            "--host",
            metavar="NODESET",
            rich_help_panel=_HOSTS,
            help="Hosts by name, node set (web[01-20]), glob, user@name:port or [IPv6]:port; local is this machine.",
        ),
    ] = field(default_factory=list)
    group: Annotated[
        list[str],
        typer.Option("-g", "--group", metavar="NAME", rich_help_panel=_HOSTS, help="Hosts of a group."),
    ] = field(default_factory=list)
    limit: Annotated[
        list[str],
        typer.Option(
            "--limit", metavar="PATTERN", rich_help_panel=_HOSTS, help="Keep only these: node set, glob or @group."
        ),
    ] = field(default_factory=list)
    exclude: Annotated[
        list[str],
        typer.Option(
            "--exclude", metavar="PATTERN", rich_help_panel=_HOSTS, help="Leave these out: node set, glob or @group."
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
        typer.Option("-f", "--full", rich_help_panel=_PROCESSES, help="Match the whole command line."),
    ] = False
    exact: Annotated[
        bool, typer.Option("--exact", rich_help_panel=_PROCESSES, help="The whole name (or command line) must match.")
    ] = False
    user: Annotated[
        list[str],
        typer.Option("-u", "--user", metavar="USER", rich_help_panel=_PROCESSES, help="Effective user, name or uid."),
    ] = field(default_factory=list)
    pid: Annotated[list[str], typer.Option("--pid", metavar="PID", rich_help_panel=_PROCESSES, help="Process ids.")] = (
        field(default_factory=list)
    )
    newest: Annotated[
        bool, typer.Option("--newest", rich_help_panel=_PROCESSES, help="Only the newest match of each host.")
    ] = False
    oldest: Annotated[
        bool, typer.Option("--oldest", rich_help_panel=_PROCESSES, help="Only the oldest match of each host.")
    ] = False
    all: Annotated[bool, typer.Option("--all", rich_help_panel=_PROCESSES, help="Every process.")] = False
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
        bool, typer.Option("-x", rich_help_panel=_SHOW, help="pmap -x of each process (implies --view pmap).")
    ] = False
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="KEYS",
            rich_help_panel=_SHOW,
            help="Merge by host, process, user, mapping, path, perms, kind; comma-separated. Default: mapping.",
            show_default=False,
        ),
    ] = None


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
    color: Annotated[Color, typer.Option("--color", rich_help_panel=_OUTPUT, help="Colour in tables.")] = Color.auto


@dataclass(frozen=True, slots=True)
class RunningOptions:
    """How it runs."""

    jobs: Annotated[
        int, typer.Option("-j", "--jobs", metavar="N", min=1, rich_help_panel=_RUNNING, help="Hosts at once.")
    ] = 32
    connect_timeout: Annotated[
        float | None,
        typer.Option(
            "--connect-timeout",
            metavar="S",
            min=0.001,
            rich_help_panel=_RUNNING,
            help="Seconds until the login is done. Default: 10.",
            show_default=False,
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="S",
            min=0.001,
            rich_help_panel=_RUNNING,
            help="Seconds for all of one host. Default: 60.",
            show_default=False,
        ),
    ] = None
    deadline: Annotated[
        float | None,
        typer.Option(
            "--deadline",
            metavar="S",
            min=0.001,
            rich_help_panel=_RUNNING,
            help="Seconds for the whole run; then it reports what came and exits 124. Default: none.",
            show_default=False,
        ),
    ] = None
    sudo: Annotated[
        bool | None,
        typer.Option(
            "--sudo/--no-sudo",
            rich_help_panel=_RUNNING,
            help="Read as root by sudo -n. Default: the inventory's.",
            show_default=False,
        ),
    ] = None
    host_key: Annotated[
        HostKey, typer.Option("--host-key", rich_help_panel=_RUNNING, help="What to do with an unknown host key.")
    ] = HostKey.strict
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
            rich_help_panel=_RUNNING,
            help="Our own SSH client, or the system's. Default: the inventory's.",
            show_default=False,
        ),
    ] = None
    verbose: Annotated[
        int,
        typer.Option(
            "-v",
            "--verbose",
            count=True,
            metavar="",
            show_default=False,
            rich_help_panel=_RUNNING,
            help="Say more on stderr.",
        ),
    ] = 0
    quiet: Annotated[
        bool, typer.Option("--quiet", rich_help_panel=_RUNNING, help="No notes on stderr, only errors.")
    ] = False


def with_groups(command: Callable[..., int]) -> Callable[..., None]:
    """Give a command the options of every dataclass among its parameters; what it returns is the exit status."""
    groups = {name: kind for name, kind in get_type_hints(command).items() if name != "return"}
    options = {name: _parameters(kind) for name, kind in groups.items()}

    @wraps(command)
    def run(**values: Any) -> None:
        built = {
            name: kind(**{parameter.name: values[parameter.name] for parameter in options[name]})
            for name, kind in groups.items()
        }
        raise typer.Exit(command(**built))

    parameters = [parameter for group in options.values() for parameter in group]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads the options from
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _parameters(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=option.default if option.default_factory is MISSING else option.default_factory(),
            annotation=hints[option.name],
        )
        for option in fields(group)
    ]
