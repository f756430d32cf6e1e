"""The commands and their options, as typer knows them.   fleetpmap.cli ─► [command_line] ─► generate, manpages"""

from __future__ import annotations

import re
from typing import Any

import typer

from fleetpmap.cli.commands import app


def all_commands() -> dict[str, Any]:
    """typer's command objects by name; their types differ between its versions."""
    return dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # an app with commands is a group


def is_option(parameter: Any) -> bool:
    """Return True for an option, False for an argument."""
    return str(parameter.param_type_name) == "option"


def is_shown(parameter: Any) -> bool:
    """Return True for an option that --help shows."""
    return is_option(parameter) and not parameter.hidden


def panel_of(option: Any) -> str:
    """Return the heading under which --help shows an option."""
    return getattr(option, "rich_help_panel", None) or "The program itself"


def option_row(option: Any, context: typer.Context) -> tuple[str, str, str]:
    """Spelling and default as --help prints them, and the help."""
    spelling, text = option.get_help_record(context)
    spelling = re.sub(r"[<\[](\w[\w|-]*\|[\w|-]*)[>\]]", r"\1", spelling)  # the brackets depend on typer's version
    default = re.search(r"\[.*?\bdefault: ([^;\]]+)", text)
    again = " Repeatable." if option.multiple else ""
    return (f"`{spelling}`", f"`{default[1]}`" if default else "", sentence(option.help) + again)


def sentence(text: str | None) -> str:
    """Return the text on one line."""
    return " ".join((text or "").split())
