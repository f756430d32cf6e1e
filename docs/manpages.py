"""The manual pages.   the command line, docs/concepts/coverage.md ─► [manpages] ─► docs/man/*.1

One page for the program, and one for each command, as git has them. `docs/generate.py` writes them, and the wheel
installs them. The language is that of man(7), which groff and mandoc read: a line that begins with a dot is a request,
and a backslash or a minus sign of ours is written so that it is printed as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from command_line import all_commands, is_option, is_shown, option_row, panel_of, sentence

from fleetpmap.cli.commands import app
from fleetpmap.cli.examples import examples_of
from fleetpmap.version import __version__

DOCS = Path(__file__).parent
_EXITS = re.compile(r"^\| (\d+) \| (.+) \|$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_ENVIRONMENT = {
    "FLEETPMAP_INVENTORY": "The inventory, if --inventory does not name one.",
    "NO_COLOR": "Turns colour off, if it is not empty.",
    "XDG_CONFIG_HOME": "Directory in which fleetpmap/inventory.toml is looked for; without it ~/.config.",
}


def pages() -> Mapping[Path, str]:
    """Return the text of every page by its file."""
    commands = all_commands()
    program = typer.main.get_command(app)
    return {
        DOCS / "man" / "fleetpmap.1": "".join(f"{line}\n" for line in _of_program(program, commands)),
        **{
            DOCS / "man" / f"fleetpmap-{name}.1": "".join(f"{line}\n" for line in _of_command(name, command))
            for name, command in commands.items()
        },
    }


def _of_program(program: Any, commands: Mapping[str, Any]) -> Iterator[str]:
    yield from _head("fleetpmap", sentence(program.help))
    yield from (".SH SYNOPSIS", r"\fBfleetpmap\fR \fICOMMAND\fR [\fIOPTION\fR]...")
    yield from (".SH DESCRIPTION", _plain(_about()))
    yield ".SH COMMANDS"
    for name, command in commands.items():
        yield from (".TP", rf"\fBfleetpmap\-{name}\fR(1)", _plain(sentence(command.help)))
    yield ".SH OPTIONS"
    yield from _options(program, "fleetpmap")
    yield ".SH ENVIRONMENT"
    for name, meaning in _ENVIRONMENT.items():
        yield from (".TP", rf"\fB{name}\fR", _plain(meaning))
    yield from (".SH FILES", ".TP", r"\fB./inventory.toml\fR, \fB~/.config/fleetpmap/inventory.toml\fR")
    yield _plain("The hosts, their groups, and how each is reached.")
    yield from _exit_statuses()
    yield from _examples("")
    yield from (".SH SEE ALSO", r"\fBpmap\fR(1), \fBssh\fR(1), \fBssh_config\fR(5), \fBproc\fR(5)")


def _of_command(name: str, command: Any) -> Iterator[str]:
    yield from _head(f"fleetpmap-{name}", sentence(command.help))
    arguments = [each for each in command.params if not is_option(each)]
    context = typer.Context(command, info_name=name)
    named = "".join(f" {_plain(piece)}" for each in arguments for piece in each.get_usage_pieces(context))
    yield from (".SH SYNOPSIS", rf"\fBfleetpmap {name}\fR [\fIOPTION\fR]...{named}")
    yield from (".SH DESCRIPTION", _plain(sentence(command.help)))
    yield ".SH OPTIONS"
    yield from _options(command, name)
    yield from _exit_statuses()
    yield from _examples(name)
    yield from (".SH SEE ALSO", r"\fBfleetpmap\fR(1)")


def _head(name: str, about: str) -> Iterator[str]:
    yield r".\" Made by docs/generate.py."
    yield f'.TH {_plain(name.upper())} 1 "" "fleetpmap {__version__}" "fleetpmap"'
    yield from (".nh", ".ad l")
    yield from (".SH NAME", rf"{_plain(name)} \- {_plain(about[0].lower() + about[1:].rstrip('.'))}")


def _about() -> str:
    """Return the paragraph of the README that says what the program does."""
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    return sentence(_LINK.sub(r"\1", next(part for part in text.split("\n\n") if part.startswith("**"))))


def _options(command: Any, name: str) -> Iterator[str]:
    context = typer.Context(command, info_name=name)
    panel = ""
    for option in sorted(filter(is_shown, command.params), key=_order_of_panels(command)):
        if panel_of(option) != panel and command.params and name != "fleetpmap":
            panel = panel_of(option)
            yield f".SS {_plain(panel)}"
        spelling, default, text = option_row(option, context)
        yield from (".TP", rf"\fB{_plain(spelling.strip('`'))}\fR")
        yield _plain(text + (f" Default: {default.strip('`')}." if default else ""))


def _order_of_panels(command: Any) -> Any:
    panels = [*dict.fromkeys(panel_of(option) for option in command.params if is_shown(option))]
    return lambda option: panels.index(panel_of(option))


def _exit_statuses() -> Iterator[str]:
    text = (DOCS / "concepts" / "coverage.md").read_text(encoding="utf-8")
    yield from (".SH EXIT STATUS", "The first that applies:")
    for status, meaning in _EXITS.findall(text.split("## Exit statuses")[1]):
        yield from (".TP", rf"\fB{status}\fR", _plain(_LINK.sub(r"\1", meaning)))


def _examples(name: str) -> Iterator[str]:
    yield from (".SH EXAMPLES", ".nf")
    yield from map(_plain, examples_of(name))
    yield ".fi"


def _plain(markdown: str) -> str:
    """Return a line of Markdown for man: `code` and **strong** in bold, and no request at its begin."""
    text = markdown.replace("\\", r"\e").replace("-", r"\-").replace("~", r"\(ti").replace("^", r"\(ha")
    text = re.sub(r"`([^`]*)`|\*\*([^*]*)\*\*", lambda part: rf"\fB{part[1] or part[2]}\fR", text)
    return rf"\&{text}" if text.startswith((".", "'")) else text
