"""A run in one call.   hosts, processes by name ─► [one_call] ─► inventory, collection ─► Snapshot

The arguments are the options of `fleetpmap run`, under their names, and have their defaults.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

from fleetpmap.collection.collector import Question, collect
from fleetpmap.defaults import JOBS
from fleetpmap.errors import UsageError
from fleetpmap.inventory import Inventory, find_inventory, load, select
from fleetpmap.processes import Selection, compile_match
from fleetpmap.snapshot import HostSnapshot, Snapshot
from fleetpmap.transport import SshOptions
from fleetpmap.transport.ssh_config import host_names

_WITH_A_VALUE = ("exe", "cgroup", "unit", "container", "pod")
_FLAGS = ("full", "exact", "newest", "oldest")
"""Arguments that are options of the same name."""


def run(
    hosts: str | Iterable[str] | None = None,
    *,
    groups: str | Iterable[str] | None = None,
    limit: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    inventory: str | Path | Inventory | None = None,
    match: str | re.Pattern[str] | None = None,
    full: bool = False,
    exact: bool = False,
    users: str | Iterable[str] = (),
    pids: int | Iterable[int] = (),
    exe: str | None = None,
    cgroup: str | None = None,
    unit: str | Iterable[str] = (),
    container: str | Iterable[str] = (),
    pod: str | Iterable[str] = (),
    newest: bool = False,
    oldest: bool = False,
    every_process: bool = False,
    sudo: bool | None = None,
    ssh: SshOptions | None = None,
    jobs: int = JOBS,
    deadline_s: float | None = None,
    stop: Event | None = None,
    on_host: Callable[[HostSnapshot], None] | None = None,
) -> Snapshot:
    """Read the memory of these processes on these hosts, as `fleetpmap run` does.

    `hosts` is what -H takes: `"web[01-20]"`, `["web-01", "ops@db:2222"]`, `"local"`. `inventory` is a file, a loaded
    Inventory, or None for the file that the command would find; without hosts and groups all of it is asked, and
    without an inventory this machine. The process arguments have to hold together, and one of them is needed;
    `every_process` is the option --all. A host that fails is a row of the snapshot and raises nothing.

    `stop`, `jobs`, `deadline_s` and `on_host` as in `collect`.

    Raises:
        UsageError: no process argument, or an argument that is not valid; no host has been contacted.
        InventoryError: the inventory cannot be read, or has mistakes; it has all of them.
    """
    selection = Selection(
        match=compile_match(match) if isinstance(match, str) else match,
        full=full,
        exact=exact,
        users=_several(users),
        pids=(pids,) if isinstance(pids, int) else tuple(pids),
        exe=exe,
        cgroup=cgroup,
        unit=",".join(_several(unit)) or None,
        container=",".join(_several(container)) or None,
        pod=",".join(_several(pod)) or None,
        newest=newest,
        oldest=oldest,
    )
    if selection == Selection() and not every_process:
        raise UsageError(
            "no process: run reads only the processes you name", hint='add match="NAME", or every_process=True'
        )
    known, named = _inventory(inventory), _named(hosts=hosts, groups=groups, limit=limit, exclude=exclude)
    ssh = ssh or SshOptions()
    fleet = select(
        known,
        hosts=named["hosts"],
        groups=named["groups"],
        limit=named["limit"],
        exclude=named["exclude"],
        aliases=lambda: host_names(ssh.ssh_config),
    )
    if sudo is not None:
        fleet = tuple(replace(host, sudo=sudo) for host in fleet)
    question, command = Question(selection, ssh=ssh), _command(known, named, selection)
    return collect(fleet, question, command=command, jobs=jobs, deadline_s=deadline_s, stop=stop, on_host=on_host)


def _named(**given: str | Iterable[str] | None) -> dict[str, tuple[str, ...]]:
    """Return the names that each of the arguments on hosts has.

    Raises:
        UsageError: `hosts` and `groups` are empty. A list that a program computed must not mean every host then.
    """
    named = {argument: _several(names) for argument, names in given.items()}
    is_given = given["hosts"] is not None or given["groups"] is not None
    if is_given and not named["hosts"] + named["groups"]:
        raise UsageError("no host: hosts and groups are empty", hint="leave both out to ask the whole inventory")
    return named


def _several(names: str | Iterable[str] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


def _inventory(given: str | Path | Inventory | None) -> Inventory | None:
    if isinstance(given, Inventory):
        return given
    path = find_inventory(None if given is None else str(given), os.environ)
    return load(path) if path else None


def _command(inventory: Inventory | None, named: Mapping[str, Sequence[str]], selection: Selection) -> str:
    """Return the command line of the same run: saved runs are compared by its process options."""
    words = ["fleetpmap", "run"]
    if inventory is not None and inventory.path:
        words += ["--inventory", str(inventory.path)]
    for option, names in named.items():
        words += [word for name in names for word in (f"--{option.removesuffix('s')}", name)]
    if selection.match is not None:
        words += ["--match", selection.match.pattern]
    for option, values in (("--user", selection.users), ("--pid", selection.pids)):
        words += [option, ",".join(map(str, values))] if values else []
    for name in _WITH_A_VALUE:
        words += [f"--{name}", value] if (value := getattr(selection, name)) else []
    words += [f"--{name}" for name in _FLAGS if getattr(selection, name)]
    return shlex.join(words if selection != Selection() else [*words, "--all"])
