"""Options that select hosts and processes.   command line ─► [options.which] ─► commands"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

import typer

from fleetpmap.cli import complete
from fleetpmap.cli.option_values import ShardNumber, shard_number
from fleetpmap.cli.options.panels import HOSTS, PROCESSES, option
from fleetpmap.defaults import MAX_RSS, MAX_RSS_SUM

_hosts = partial(option, HOSTS)
_processes = partial(option, PROCESSES)


@dataclass(frozen=True, slots=True)
class HostOptions:
    """The hosts to ask, by option."""

    inventory: Annotated[
        str | None,
        _hosts(
            "-i --inventory FILE",
            "An inventory: TOML or Ansible's. Default: $FLEETPMAP_INVENTORY, ./inventory.toml, then the XDG config "
            "directory.",
        ),
    ] = None
    host: Annotated[
        list[str],
        _hosts(
            "-H --host NODESET",
            "Hosts by name, node set (web[01-20]), glob, @group, user@name:port or [IPv6]:port; local is this machine.",
            autocompletion=complete.hosts,
        ),
    ] = field(default_factory=list)
    group: Annotated[list[str], _hosts("-g --group NAME", "Hosts of a group.", autocompletion=complete.groups)] = field(
        default_factory=list
    )
    limit: Annotated[
        list[str],
        _hosts(
            "--limit PATTERN",
            "Keep only these: node set, glob, @group, or an Ansible pattern: web:&prod:!db.",
            autocompletion=complete.hosts,
        ),
    ] = field(default_factory=list)
    exclude: Annotated[
        list[str],
        _hosts(
            "--exclude PATTERN",
            "Leave these out: node set, glob, @group, or an Ansible pattern.",
            autocompletion=complete.hosts,
        ),
    ] = field(default_factory=list)
    hosts_from: Annotated[
        list[str],
        _hosts(
            "--hosts-from FILE[:WHERE]",
            "Add hosts from a file; - is stdin. One a line, or of csv a column, of json a path: aws.json:items[].name.",
        ),
    ] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """The part of the selected hosts that this machine asks."""

    shard: Annotated[
        ShardNumber | None,
        _hosts(
            "--shard I/N",
            "Ask the I-th of N parts of these hosts, in their order; other machines ask the others. With --save DIR/ "
            "all of them are one run.",
            parser=shard_number,
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class HostArguments:
    """The hosts to ask, by argument."""

    hosts: Annotated[
        list[str],
        typer.Argument(
            metavar="[HOST]...", autocompletion=complete.hosts, help="Hosts, as -H takes them. Default: all."
        ),
    ] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """The processes to read, and the guard's limits."""

    match: Annotated[
        str | None,
        _processes("-m --match REGEX", "Processes whose name matches, as in pgrep (Python's regular expressions)."),
    ] = None
    full: Annotated[bool, _processes("-f --full", "Match the whole command line.")] = False
    exact: Annotated[bool, _processes("--exact", "The whole name (or command line) must match.")] = False
    user: Annotated[
        list[str],
        _processes("-u --user USERS", "Effective users: names or uids. Commas separate several, here and below."),
    ] = field(default_factory=list)
    pid: Annotated[list[str], _processes("--pid PIDS", "Process ids.")] = field(default_factory=list)
    exe: Annotated[
        str | None,
        _processes("--exe GLOB", "Processes that run this program: a path, or without a slash its last part."),
    ] = None
    cgroup: Annotated[
        str | None,
        _processes("--cgroup GLOB", "Processes in this cgroup or below it: a path, or without a slash one part of it."),
    ] = None
    unit: Annotated[
        list[str],
        _processes("--unit NAMES", "Processes of systemd units and their instances: nginx, user@*, user@1000/web."),
    ] = field(default_factory=list)
    container: Annotated[
        list[str],
        _processes("--container IDS|NAMES", "Processes of containers: a name, or the first digits of an id."),
    ] = field(default_factory=list)
    pod: Annotated[
        list[str],
        _processes("--pod NAMES|UIDS", "Processes of pods: NAMESPACE/NAME, NAME, or the beginning of a uid."),
    ] = field(default_factory=list)
    newest: Annotated[bool, _processes("--newest", "Only the newest match of each host.")] = False
    oldest: Annotated[bool, _processes("--oldest", "Only the oldest match of each host.")] = False
    all: Annotated[bool, _processes("--all", "Every process.")] = False
    max_rss: Annotated[
        str,
        _processes(
            "--max-rss SIZE",
            "Skip a process whose RSS is above this: reading stalls it for 20 ms per GiB. none: no limit.",
        ),
    ] = MAX_RSS
    max_rss_sum: Annotated[
        str,
        _processes(
            "--max-rss-sum SIZE",
            "Read a host's processes, smallest first, while the sum of their RSS is below this. none: no limit.",
        ),
    ] = MAX_RSS_SUM
