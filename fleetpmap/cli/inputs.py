"""Options to the inputs of a run.   options ─► [inputs] ─► hosts, Selection, SshOptions

Every mistake in them is found here, before any host is contacted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetpmap.cli.deliver import print_stderr
from fleetpmap.cli.options import HostOptions, ProcessOptions, RunningOptions
from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    from fleetpmap.inventory import Host, Inventory
    from fleetpmap.processes import Selection
    from fleetpmap.transport import SshOptions


def inventory_from(options: HostOptions) -> Inventory | None:
    """Load the inventory that the options or the environment name; None without one."""
    from fleetpmap.inventory import find_inventory, load

    path = find_inventory(options.inventory, os.environ)
    return load(path) if path else None


def hosts_from(inventory: Inventory | None, options: HostOptions, running: RunningOptions) -> tuple[Host, ...]:
    """Return the selected hosts in order; settings of the command line replace those of the inventory."""
    from fleetpmap.inventory import select

    hosts = select(
        inventory,
        hosts=options.host,
        groups=options.group,
        limit=options.limit,
        exclude=options.exclude,
        aliases=lambda: _ssh_names(running),
        note=(lambda sentence: None) if running.quiet else print_stderr,
        hosts_from=_listed_hosts(options.hosts_from, quiet=running.quiet) if options.hosts_from else None,
    )
    return tuple(_overridden(host, running) for host in hosts)


def _ssh_names(running: RunningOptions) -> Sequence[str]:
    from fleetpmap.transport.ssh_config import host_names

    return host_names(ssh_options_from(running).ssh_config)


def notes_about(inventory: Inventory, fleet: Sequence[Host]) -> Iterator[str]:
    """Yield a note for each unused part of the inventory that concerns these hosts."""
    from fleetpmap.inventory import fold

    asked = dict.fromkeys(name for host in fleet for name in (host.name, *host.groups))
    for note, names in inventory.notes.items():
        if concerned := [name for name in names if name in asked]:
            yield f"{fold(concerned)}: {note}"


def _listed_hosts(texts: Sequence[str], *, quiet: bool) -> list[str]:
    """Return the lines of the files of --hosts-from, and print what is empty in them."""
    from fleetpmap.inventory.host_lists import read_host_list

    lines: list[str] = []
    for text in texts:
        file, where = _file_and_place(text)
        listed = read_host_list(file, _content(file), where)
        lines += listed.lines
        if listed.note and not quiet:
            print_stderr(listed.note)
    return lines


def _file_and_place(text: str) -> tuple[str, str]:
    """Split FILE:WHERE at the first colon behind which there is a file; a file's own name may hold colons."""
    if text == "-" or os.path.exists(text):  # noqa: PTH110 - Path.exists raises for a name that is too long
        return text, ""
    parts = text.split(":")
    for end in range(1, len(parts)):
        file = ":".join(parts[:end])
        if file == "-" or os.path.exists(file):  # noqa: PTH110 - see above
            return file, ":".join(parts[end:])
    return text, ""


def _content(file: str) -> bytes:
    from fleetpmap.inventory.host_lists import MOST_BYTES

    try:
        if file == "-":
            return sys.stdin.buffer.read(MOST_BYTES + 1)
        with open(file, "rb") as content:  # noqa: PTH123 - may be /dev/fd/63, of <(a command)
            return content.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"--hosts-from {file}: {why}", hint="name a text file with one host a line, csv or json"
        ) from error


def _overridden(host: Host, running: RunningOptions) -> Host:
    if running.sudo is not None:
        host = replace(host, sudo=running.sudo)
    if running.connect_timeout is not None:
        host = replace(host, connect_timeout_s=running.connect_timeout)
    if running.timeout is not None:
        host = replace(host, timeout_s=running.timeout)
    if running.transport is not None and host.is_ssh:
        host = replace(host, transport=running.transport.value)
    return host


def ssh_options_from(running: RunningOptions) -> SshOptions:
    """Return the SSH options of the command line.

    Raises:
        UsageError: a file that they name does not exist.
    """
    from fleetpmap.transport import SshOptions

    for option, files in (("--known-hosts", running.known_hosts), ("--ssh-config", [running.ssh_config])):
        for file in files:
            # pathlib raises where a user has no home or a name is too long; both mean that there is no such file.
            if file and file != "none" and not os.path.isfile(os.path.expanduser(file)):  # noqa: PTH111, PTH113 - see above
                raise UsageError(f"{option} {file}: no such file", hint="name a file that exists")
    return SshOptions(
        host_key=None if running.host_key is None else running.host_key.value,
        known_hosts=tuple(running.known_hosts),
        ssh_config=running.ssh_config,
        retries=running.retries,
    )


def selection_from(options: ProcessOptions, *, required: bool) -> Selection:
    """Return the selection that the process options describe.

    Raises:
        UsageError: a malformed pattern, pid or size; options that exclude each other; or no process option at all
            where one is `required`.
    """
    from fleetpmap.processes import Selection, compile_match
    from fleetpmap.units import parse_size

    lists = (options.user, options.pid, options.unit, options.container, options.pod)
    narrowed = any((*lists, options.match, options.exe, options.cgroup, options.newest, options.oldest))
    if required and not narrowed and not options.all:
        raise UsageError(
            "no process option: only the processes that you name are read", hint="add --match NAME, or --all"
        )
    return Selection(
        match=None if options.match is None else compile_match(options.match),
        full=options.full,
        exact=options.exact,
        users=_listed("--user", options.user),
        pids=tuple(map(_pid, _listed("--pid", options.pid))),
        exe=options.exe,
        cgroup=options.cgroup,
        unit=",".join(_listed("--unit", options.unit)) or None,
        container=",".join(_listed("--container", options.container)) or None,
        pod=",".join(_listed("--pod", options.pod)) or None,
        newest=options.newest,
        oldest=options.oldest,
        max_rss_kib=parse_size(options.max_rss, "--max-rss"),
        max_rss_sum_kib=parse_size(options.max_rss_sum, "--max-rss-sum"),
    )


def _listed(option: str, texts: list[str]) -> tuple[str, ...]:
    """Split the values at their commas. An option without a name must not widen the selection to every process."""
    names = tuple(name for text in texts for name in text.split(",") if name)
    if texts and not names:
        raise UsageError(f'{option}: "{texts[0]}" names nothing', hint="give it a value, or leave it out")
    return names


def _pid(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) == 0:
        raise UsageError(f'--pid: "{text}" is not a process id', hint="write numbers, such as --pid 1234,5678")
    return int(text)
