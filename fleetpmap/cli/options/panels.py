"""The panels of --help, and how an option is put into one.   [panels] ─► which, show, where, over_time, how"""

from __future__ import annotations

from typing import Any

import typer

HOSTS = "Which hosts"
PROCESSES = "Which processes"
SHOW = "What to show"
OUTPUT = "Where it goes"
RUNNING = "How it runs"


def option(panel: str, spelling: str, help_: str, **more: Any) -> Any:
    """Return the typer option that --help spells this way: `-m --match REGEX`, or `-f --full` for a flag.

    `more`: further arguments of typer.Option. Without a metavar of its own, typer would print a type instead.
    """
    names = [word for word in spelling.split() if word.startswith("-")]
    metavar = " ".join(word for word in spelling.split() if not word.startswith("-"))
    return typer.Option(*names, metavar=metavar, rich_help_panel=panel, help=help_, **more)
