"""Which hosts, and which of their processes.   command line ─► [options.which] ─► the commands"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import typer

from fleetpmap.cli import complete
from fleetpmap.cli.options.panels import HOSTS, PROCESSES


@dataclass(frozen=True, slots=True)
class HostOptions:
    """Which hosts."""

    inventory: Annotated[
        str | None,
        typer.Option(
            "-i",
            "--inventory",
            metavar="FILE",
            rich_help_panel=HOSTS,
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
            rich_help_panel=HOSTS,
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
            rich_help_panel=HOSTS,
            help="Hosts of a group.",
        ),
    ] = field(default_factory=list)
    limit: Annotated[
        list[str],
        typer.Option(
            "--limit",
            metavar="PATTERN",
            autocompletion=complete.hosts,
            rich_help_panel=HOSTS,
            help="Keep only these: node set, glob, @group, or as Ansible has it: web:&prod:!db.",
        ),
    ] = field(default_factory=list)
    exclude: Annotated[
        list[str],
        typer.Option(
            "--exclude",
            metavar="PATTERN",
            autocompletion=complete.hosts,
            rich_help_panel=HOSTS,
            help="Leave these out: node set, glob, @group, or as Ansible has it.",
        ),
    ] = field(default_factory=list)
    hosts_from: Annotated[
        list[str],
        typer.Option(
            "--hosts-from",
            metavar="FILE",
            rich_help_panel=HOSTS,
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
            rich_help_panel=PROCESSES,
            help="Processes whose name matches, as in pgrep (Python's regular expressions).",
        ),
    ] = None
    full: Annotated[
        bool,
        typer.Option("-f", "--full", metavar="", rich_help_panel=PROCESSES, help="Match the whole command line."),
    ] = False
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", metavar="", rich_help_panel=PROCESSES, help="The whole name (or command line) must match."
        ),
    ] = False
    user: Annotated[
        list[str],
        typer.Option("-u", "--user", metavar="USER", rich_help_panel=PROCESSES, help="Effective user, name or uid."),
    ] = field(default_factory=list)
    pid: Annotated[list[str], typer.Option("--pid", metavar="PID", rich_help_panel=PROCESSES, help="Process ids.")] = (
        field(default_factory=list)
    )
    exe: Annotated[
        str | None,
        typer.Option(
            "--exe",
            metavar="GLOB",
            rich_help_panel=PROCESSES,
            help="Processes that run this program: a path, or without a slash its last part.",
        ),
    ] = None
    cgroup: Annotated[
        str | None,
        typer.Option(
            "--cgroup",
            metavar="GLOB",
            rich_help_panel=PROCESSES,
            help="Processes in this cgroup or below it: a path, or without a slash one part of it.",
        ),
    ] = None
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit", metavar="NAME", rich_help_panel=PROCESSES, help="Processes of this systemd unit: nginx, user@*."
        ),
    ] = None
    newest: Annotated[
        bool,
        typer.Option("--newest", metavar="", rich_help_panel=PROCESSES, help="Only the newest match of each host."),
    ] = False
    oldest: Annotated[
        bool,
        typer.Option("--oldest", metavar="", rich_help_panel=PROCESSES, help="Only the oldest match of each host."),
    ] = False
    all: Annotated[bool, typer.Option("--all", metavar="", rich_help_panel=PROCESSES, help="Every process.")] = False
    max_rss: Annotated[
        str,
        typer.Option(
            "--max-rss",
            metavar="SIZE",
            rich_help_panel=PROCESSES,
            help="Do not read a process above this: reading stalls it for 20 ms per GiB. none: no limit.",
        ),
    ] = "64G"
    max_rss_sum: Annotated[
        str,
        typer.Option(
            "--max-rss-sum",
            metavar="SIZE",
            rich_help_panel=PROCESSES,
            help="Read a host's processes, smallest first, until their RSS passes this. none: no limit.",
        ),
    ] = "256G"
