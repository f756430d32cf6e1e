"""What the shell offers for an option's value.   words typed so far ─► [complete] ─► candidates

It runs at every Tab, so nothing here may import numpy or paramiko, raise or print. Where there is nothing to offer, the
shell offers files. Views, formats and other choices need nothing here: the parser knows them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from fleetpmap.catalogue import KEYS, MERGING_VIEWS, REPORTS
from fleetpmap.cli.option_values import Shell

if TYPE_CHECKING:
    from fleetpmap.inventory import Inventory


VARIABLE = "_FLEETPMAP_COMPLETE"
"""Set by the shell's function when it asks for candidates."""


_COLUMNS = {report.name: report.columns for report in REPORTS}


def script(shell: Shell) -> str:
    """What the shell has to be told once: `eval "$(fleetpmap --show-completion bash)"`."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # typer gives it no public name

    return get_completion_script(prog_name="fleetpmap", complete_var=VARIABLE, shell=shell.value)


def is_asked() -> bool:
    """Whether a shell is asking for candidates."""
    return VARIABLE in os.environ


def prepare() -> None:
    """Teach the parser the shells, if one of them is asking."""
    if is_asked():
        from typer.completion import completion_init  # type: ignore[attr-defined]  # typer gives it no public name

        completion_init()


def hosts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Hosts of the inventory and, as @NAME, its groups: what -H, --limit and --exclude take."""
    inventory = _inventory(ctx)
    if inventory is None:
        return []
    return _listed([*inventory.hosts, *(f"@{group}" for group in inventory.groups)], incomplete)


def groups(ctx: typer.Context, incomplete: str) -> list[str]:
    """Groups of the inventory."""
    inventory = _inventory(ctx)
    return _listed(inventory.groups, incomplete) if inventory else []


def by_keys(incomplete: str) -> list[str]:
    """What --by merges by."""
    return _listed(KEYS, incomplete)


def columns(ctx: typer.Context, incomplete: str) -> list[str]:
    """Columns of the view that is to be shown."""
    return _listed(_columns(ctx), incomplete)


def sort_keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """The same, of which --sort takes one."""
    return [name for name in _columns(ctx) if name.startswith(incomplete)]


def _columns(ctx: typer.Context) -> Iterable[str]:
    report = ctx.info_name if ctx.info_name in _COLUMNS else str(ctx.params.get("view") or "summary")
    by = str(ctx.params.get("by") or "mapping").split(",") if report in MERGING_VIEWS else []
    return (*_COLUMNS.get(report, ()), *by)


def _inventory(ctx: typer.Context) -> Inventory | None:
    from fleetpmap.inventory import find_inventory, load

    try:
        path = find_inventory(ctx.params.get("inventory"), os.environ)
        return load(path) if path else None
    except Exception:  # whatever is wrong with it, a Tab is not the place to say so: the command itself will
        return None


def _listed(names: Iterable[str], incomplete: str) -> list[str]:
    """The names that the last of several, separated by commas, can become."""
    done, comma, last = incomplete.rpartition(",")
    return [f"{done}{comma}{name}" for name in names if name.startswith(last) and name not in done.split(",")]
