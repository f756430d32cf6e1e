"""Candidates for an option's value, when the user presses Tab.   words typed so far ─► [complete] ─► candidates

This runs at every Tab, so nothing here may import numpy or paramiko, raise or print. Without candidates, the shell
offers files. Views, formats and other enums need no function here: typer completes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from fleetpmap.catalogue import KEYS, MERGING_VIEWS, REPORTS, keys_of
from fleetpmap.cli.option_values import Shell

if TYPE_CHECKING:
    from fleetpmap.inventory import Inventory


_LOADED = "\n(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\ncompdef "
"""Loads zsh's completion system, then completes by a function of ours."""
VARIABLE = "_FLEETPMAP_COMPLETE"
"""Environment variable that the shell's function sets to request candidates."""


_COLUMNS = {report.name: report.columns for report in REPORTS}


def script(shell: Shell) -> str:
    """Return the script that installs completion: `eval "$(fleetpmap --show-completion bash)"`.

    It is typer's, with the program's stderr thrown away: ^C while Python itself starts would print a traceback into the
    line that is being typed. In zsh, the completion system is loaded first, unless the user's own files have done so.
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # typer gives it no public name

    text = get_completion_script(prog_name="fleetpmap", complete_var=VARIABLE, shell=shell.value)
    for call in ("$1 )", "fleetpmap)", 'fleetpmap"'):
        text = text.replace(call, f"{call[:-1].rstrip()} 2>/dev/null{call[-1]}")
    return text.replace("\ncompdef ", _LOADED, 1) if shell is Shell.zsh else text


def is_asked() -> bool:
    """Return whether a shell requests candidates."""
    return VARIABLE in os.environ


def prepare() -> None:
    """Register the shells with typer, if one of them requests candidates."""
    if is_asked():
        from typer.completion import completion_init  # type: ignore[attr-defined]  # typer gives it no public name

        completion_init()


def hosts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the hosts of the inventory and, as @NAME, its groups, as -H, --limit and --exclude take them."""
    inventory = _inventory(ctx)
    if inventory is None:
        return []
    return _listed([*inventory.hosts, *(f"@{group}" for group in inventory.groups)], incomplete)


def groups(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the groups of the inventory."""
    inventory = _inventory(ctx)
    return _listed(inventory.groups, incomplete) if inventory else []


def by_keys(incomplete: str) -> list[str]:
    """Return the keys of --by."""
    return _listed(KEYS, incomplete)


def columns(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the columns of the view that the command line names."""
    return _listed(_columns(ctx), incomplete)


def sort_keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the same columns for --sort, which takes one and no list."""
    return [name for name in _columns(ctx) if name.startswith(incomplete)]


def rules(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the quantities and kinds that --fail-if knows of the report that the command line names."""
    from fleetpmap.cli.gate_rules import rule_names

    return [name for name in rule_names(_report(ctx)) if name.startswith(incomplete)]


def _report(ctx: typer.Context) -> str:
    return str(ctx.info_name if ctx.info_name in _COLUMNS else ctx.params.get("view") or "summary")


def _columns(ctx: typer.Context) -> Iterable[str]:
    report = _report(ctx)
    by = tuple(str(ctx.params.get("by") or "mapping").split(","))
    if report != "diff":
        by = keys_of(report, by) if report in MERGING_VIEWS else ()
    return (*_COLUMNS.get(report, ()), *by)


def _inventory(ctx: typer.Context) -> Inventory | None:
    from fleetpmap.inventory import find_inventory, load

    try:
        path = find_inventory(ctx.params.get("inventory"), os.environ)
        return load(path) if path else None
    except Exception:  # the command itself will report it; an error at Tab would tear the line being typed
        return None


def _listed(names: Iterable[str], incomplete: str) -> list[str]:
    """Complete the last name of a comma-separated list, with names that it does not hold yet."""
    done, comma, last = incomplete.rpartition(",")
    return [f"{done}{comma}{name}" for name in names if name.startswith(last) and name not in done.split(",")]
