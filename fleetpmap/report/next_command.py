"""The command that shows more of a finding.   snapshot ─► [next_command] ─► the findings"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from fleetpmap.inventory.nodesets import fold
from fleetpmap.snapshot import Process, Snapshot

_INVENTORY = re.compile(r"(?:-i|--inventory=)(.+)|-i|--inventory", re.DOTALL)
_ORDER = {"mappings": ("--sort", "pss", "--top", "10")}
"""View to the options that put the largest first, where the view has another order."""


def next_command(snapshot: Snapshot, hosts: Sequence[str], which: Sequence[str], view: str) -> str:
    """Return the command that reads the chosen processes on these hosts and shows them in a view."""
    shown = [*which, "--view", view, *_ORDER.get(view, ())]
    if snapshot.run.command.startswith("fleetpmap demo"):  # its hosts are there as long as it runs
        return shlex.join(["fleetpmap", "demo", *shown])
    inventory = _inventory_of(snapshot.run.command)
    # Without an inventory and without -H, a run is of this machine.
    asked = [] if not inventory and {*hosts} <= snapshot.here else ["-H", fold(hosts)]
    return shlex.join(["fleetpmap", "run", *inventory, *asked, *shown])


def of_service(process: Process) -> list[str]:
    """Return the options that choose all processes of the service of this one."""
    if process.unit:
        return ["--unit", process.unit]
    if process.container:
        return ["--container", process.container.rpartition(":")[2]]
    return ["-m", re.escape(process.name), "--exact"]


def _inventory_of(command: str) -> list[str]:
    """Return the option --inventory of a command line, as words; none if it has none."""
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if match := _INVENTORY.fullmatch(word):
            return ["-i", match[1] or following]
    return []
