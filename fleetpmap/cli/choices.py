"""What the options mean.   options ─► [choices] ─► hosts, Selection, SshOptions, Output

Everything is checked here, before any host is contacted.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fleetpmap.cli.options import Format, HostOptions, OutputOptions, ProcessOptions, RunningOptions, ShowOptions, View
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.inventory import Host, Inventory
    from fleetpmap.processes import Selection
    from fleetpmap.report import ViewOptions
    from fleetpmap.transport import SshOptions

_TEXT_FORMATS = (Format.table, Format.plain)


def inventory_from(options: HostOptions) -> Inventory | None:
    """The inventory that the options or the environment name, if any does."""
    from fleetpmap.inventory import find_inventory, load

    path = find_inventory(options.inventory, os.environ)
    return load(path) if path else None


def hosts_from(inventory: Inventory | None, options: HostOptions, running: RunningOptions) -> tuple[Host, ...]:
    """The hosts asked for, in order, with what the command line says laid over the inventory."""
    from fleetpmap.inventory import select

    hosts = select(
        inventory,
        hosts=options.host,
        groups=options.group,
        limit=options.limit,
        exclude=options.exclude,
        hosts_from=[line for file in options.hosts_from for line in _lines(file)] if options.hosts_from else None,
    )
    return tuple(_overridden(host, running) for host in hosts)


def _lines(file: str) -> list[str]:
    try:
        return (sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"--hosts-from {file}: {why}", hint="name a text file with one host a line") from error


def _overridden(host: Host, running: RunningOptions) -> Host:
    if running.sudo is not None:
        host = replace(host, sudo=running.sudo)
    if running.connect_timeout is not None:
        host = replace(host, connect_timeout_s=running.connect_timeout)
    if running.timeout is not None:
        host = replace(host, timeout_s=running.timeout)
    if running.transport is not None and host.transport != "local":
        host = replace(host, transport=running.transport.value)
    return host


def ssh_options_from(running: RunningOptions) -> SshOptions:
    """What the command line says about SSH."""
    from fleetpmap.transport import SshOptions

    for option, files in (("--known-hosts", running.known_hosts), ("--ssh-config", [running.ssh_config])):
        for file in files:
            if file and file != "none" and not Path(file).expanduser().is_file():
                raise UsageError(f"{option} {file}: no such file", hint="name a file that exists")
    return SshOptions(
        host_key=running.host_key.value, known_hosts=tuple(running.known_hosts), ssh_config=running.ssh_config
    )


def selection_from(options: ProcessOptions, *, required: bool) -> Selection:
    """Which processes.

    Raises:
        UsageError: a pattern, pid or size that is none; or no process option at all where one is `required`.
    """
    from fleetpmap.processes import Selection, compile_match
    from fleetpmap.units import parse_size

    narrowed = options.match is not None or options.user or options.pid or options.newest or options.oldest
    if required and not narrowed and not options.all:
        raise UsageError(
            "no process option: run reads only the processes you name", hint="add --match NAME, or --all for every one"
        )
    if options.newest and options.oldest:
        raise UsageError("--newest and --oldest exclude each other", hint="leave one of them out")
    if (options.full or options.exact) and options.match is None:
        raise UsageError("--full and --exact say how --match is matched", hint="add --match REGEX")
    return Selection(
        match=None if options.match is None else compile_match(options.match),
        full=options.full,
        exact=options.exact,
        users=tuple(user for one in options.user for user in one.split(",") if user),
        pids=tuple(_pid(pid) for one in options.pid for pid in one.split(",") if pid),
        newest=options.newest,
        oldest=options.oldest,
        max_rss_kib=parse_size(options.max_rss, "--max-rss"),
        max_rss_sum_kib=parse_size(options.max_rss_sum, "--max-rss-sum"),
    )


def _pid(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise UsageError(f'--pid: "{text}" is not a process id', hint="write numbers, such as --pid 1234,5678")
    return int(text)


@dataclass(frozen=True, slots=True)
class Output:
    """Where the report goes and how it is written."""

    view: View
    format: Format
    path: Path | None
    """None: stdout."""
    options: ViewOptions
    """What the view is told."""


def output_from(show: ShowOptions, options: OutputOptions) -> Output:
    """The view, the format and the place, as far as they go together.

    Raises:
        UsageError: pmap's letters with another view or format, `--by` without merged, a suffix that names no
            format, or a place that cannot be written.
    """
    view = show.view or (View.pmap if show.extended else View.summary)
    format_ = options.format or _format_of_suffix(options.output) or _format_of_stdout()
    if show.extended and view is not View.pmap:
        raise UsageError(f"-x is a letter of --view pmap, not of --view {view}", hint="leave one of them out")
    if show.extended and format_ not in _TEXT_FORMATS:
        raise UsageError(
            f"-x is pmap's own text, which --format {format_} cannot hold",
            hint=f"use --view mappings --format {format_}",
        )
    if show.by is not None and view not in (View.summary, View.merged):
        raise UsageError(f"--by is for --view merged, not for --view {view}", hint="leave one of them out")
    from fleetpmap.report import ViewOptions, merge_keys

    view_options = ViewOptions(by=merge_keys(show.by or "mapping"), extended=show.extended)
    return Output(view, format_, _writable(options.output), view_options)


def _format_of_stdout() -> Format:
    return Format.table if sys.stdout.isatty() else Format.plain


def _format_of_suffix(path: str | None) -> Format | None:
    if path is None:
        return None
    if path.lower().endswith(".txt"):
        return Format.plain
    from fleetpmap.export import format_of

    return Format(format_of(path))


def _writable(path: str | None) -> Path | None:
    if path is None:
        return None
    file = Path(path)
    if file.is_dir():
        raise UsageError(f"-o {path}: is a directory", hint="name a file in it")
    if not file.parent.is_dir():
        raise UsageError(
            f"-o {path}: there is no directory {file.parent}", hint="make it first, or choose another place"
        )
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UsageError(f"-o {path}: permission denied", hint="choose a place you may write to")
    return file
