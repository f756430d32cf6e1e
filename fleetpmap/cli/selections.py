"""The processes that a stored run looked for.   command line ─► [selections] ─► diff, history, show, earlier

Each run stores its command line, and the program's own parser reads it, so that no option is listed twice.
"""

from __future__ import annotations

import shlex
from dataclasses import fields
from functools import cache
from importlib import import_module
from typing import Any

from typer.main import get_command

from fleetpmap.cli.options import ProcessOptions

EVERY_PROCESS = "every process"
"""What `selection_of_command` says of a command line without an option that narrows the processes."""
_NOT_SELECTING = frozenset({"all", "max_rss", "max_rss_sum"})
"""Process options that do not affect which processes match: `all`, and the guard, which lists what it skips."""


def selection_of_command(command: str) -> str:
    """Return the process options of a command line in one spelling: `--match nginx --user app,www`, `every process`.

    Empty for a command line that is not fleetpmap's: a copy of /proc has none, and a script may have any.
    """
    try:
        program, name, *words = shlex.split(command)
    except ValueError:  # too few words, or an unclosed quote
        return ""
    parsed_by = _commands().get(name)
    if program != "fleetpmap" or parsed_by is None:
        return ""
    # Another version may have written it: options that this one does not have are ignored.
    context = parsed_by.context_class(parsed_by, resilient_parsing=True, ignore_unknown_options=True)
    given, _, _ = parsed_by.make_parser(context).parse_args(words)
    names = (option.name for option in fields(ProcessOptions) if option.name not in _NOT_SELECTING)
    return " ".join(_spelled(name, given[name]) for name in names if name in given) or EVERY_PROCESS


@cache  # building the parsers of all commands takes time, and both runs need them
def _commands() -> dict[str, Any]:
    # Imported here, since the commands import this module; without them the program would have no command.
    app = import_module("fleetpmap.cli.commands").app
    commands: dict[str, Any] = getattr(get_command(app), "commands", {})
    return commands


def _spelled(name: str, value: bool | str | list[str]) -> str:
    if isinstance(value, list):
        value = ",".join(sorted({word for text in value for word in text.split(",") if word}))
    return f"--{name} {shlex.quote(value)}" if isinstance(value, str) else f"--{name}"
