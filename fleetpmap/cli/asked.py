"""Which processes a kept run looked for, by its command line.   Run.command ─► [asked] ─► growth"""

from __future__ import annotations

import shlex
from dataclasses import fields
from functools import cache
from typing import Any

import typer
from typer.main import get_command

from fleetpmap.cli.options import ProcessOptions

_NOT_A_CHOICE = frozenset({"all", "max_rss", "max_rss_sum"})
"""Of the process options: what is no choice of processes, and the guard, which says itself whom it left out."""


def looked_for(command: str, app: typer.Typer) -> str:
    """The process options of a command of `app`, spelled in one way: `--match nginx --user app,www`, `every process`.

    Empty where it does not tell: a copy of /proc has none, and a script that uses the library its own.
    """
    try:
        program, name, *words = shlex.split(command)
    except ValueError:  # too few words, or a quote that nobody closes
        return ""
    parsed_by = _commands(app).get(name)
    if program != "fleetpmap" or parsed_by is None:
        return ""
    # It may be an older or a newer version's: what is not known of it is passed over.
    context = parsed_by.context_class(parsed_by, resilient_parsing=True, ignore_unknown_options=True)
    given, _, _ = parsed_by.make_parser(context).parse_args(words)
    names = (one.name for one in fields(ProcessOptions) if one.name not in _NOT_A_CHOICE)
    return " ".join(_spelled(name, given[name]) for name in names if name in given) or "every process"


@cache  # it is made of all the options of all the commands, which takes time, and asked for twice
def _commands(app: typer.Typer) -> dict[str, Any]:
    commands: dict[str, Any] = getattr(get_command(app), "commands", {})
    return commands


def _spelled(name: str, value: bool | str | list[str]) -> str:
    if isinstance(value, list):
        value = ",".join(sorted({one for text in value for one in text.split(",") if one}))
    return f"--{name} {shlex.quote(value)}" if isinstance(value, str) else f"--{name}"
