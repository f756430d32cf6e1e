"""What the user probably meant.   command line ─► [mistyped] ─► typer, or one sentence with the line to type

    fleetpmap run nginx            fleetpmap run --match nginx
    fleetpmap 8960 -x              fleetpmap run -x -H local --pid 8960
    fleetpmap rnu                  fleetpmap run
    fleetpmap run --view host      hosts

Commands take their processes by options, so a bare word of the command line is none of them; pmap and pgrep take it.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from fleetpmap.catalogue import FORMATS
from fleetpmap.cli.options.panels import RUNNING
from fleetpmap.errors import UsageError
from fleetpmap.matching import from_glob

_BOTH = {
    "REGEX": "write one pattern for all: --match 'nginx|redis'",
    "KEYS": "separate the keys by commas",
    "NAMES": "separate the names by commas",
    "VIEW": "write the other view to a file: --export VIEW=FILE",
}
"""What to do for several values of an option that takes one, by the option's metavar."""
_MANNERS = ("format", "color", "max_rss", "max_rss_sum")
"""Options of other panels than RUNNING that say how, not what."""
_MOST_WORDS = 3
"""Bare words that become one suggestion; more of them are a pattern that the shell expanded to the names of files."""


class Command(TyperCommand):
    """A command that refuses bare words, unknown values and options given twice, each in one sentence."""

    allow_extra_args = True  # so that typer leaves them to parse_args

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words behind the command's name.

        Raises:
            UsageError: a word that is no option, a value that its option does not have, or two values of an option that
                takes one.
        """
        typed = [*args]
        try:
            rest: list[str] = super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if unknown := _unknown_value(self, error, typed):
                raise unknown from error
            raise
        if ctx.resilient_parsing:
            return rest
        if twice := _given_twice(self, typed):
            raise twice
        if rest:
            meant = _meant(self, typed)
            hint = f"did you mean `{meant}`?" if meant else f"`{ctx.command_path} --help` lists what it takes"
            raise UsageError(f'{ctx.command_path}: "{rest[0]}" is not an option', hint=hint)
        return rest


class Program(TyperGroup):
    """The program, to which a pid or a process name in the place of a command says what was meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first word names.

        Raises:
            UsageError: there is no such command.
        """
        word = args[0]
        if word in self.commands or word.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if word == "help":  # git and docker have it
            meant = shlex.join([ctx.command_path, *args[1:2], "--help"])
            raise UsageError('fleetpmap: there is no command "help"', hint=f"did you mean `{meant}`?")
        from fleetpmap.inventory.names import nearest  # imports the whole inventory, which --help need not

        near = nearest(word, self.commands)
        lines = [shlex.join(["fleetpmap", near, *args[1:]])] if near else []
        if line := _meant(self.commands["run"], args, on_this_machine=_is_pid(word)):
            lines.append(line)
        hint = f"did you mean {' or '.join(f'`{line}`' for line in lines)}? " if lines else ""
        raise UsageError(
            f'fleetpmap: there is no command "{word}"', hint=f"{hint}the commands are {', '.join(self.commands)}"
        )


def _meant(command: Any, typed: Sequence[str], *, on_this_machine: bool = False) -> str:
    """Return the line in which the bare words are the values of an option; empty if none fits.

    `on_this_machine`: a pid without a host is one of this machine.
    """
    options = {parameter.name for parameter in command.params}
    if "host" not in options:
        return ""
    # The parser returns the bare words as the objects that it got, which tells them from equal values of options.
    words = [_Word(word) for word in typed]
    context = command.context_class(command, resilient_parsing=True, ignore_unknown_options=True)
    given, bare, _ = command.make_parser(context).parse_args([*words])
    if not 0 < len(bare) <= _MOST_WORDS:
        return ""
    if "match" not in options:
        selected = ["-H", ",".join(bare)]
    elif all(map(_is_pid, bare)):
        selected = ["--pid", ",".join(bare)]
    elif "match" not in given:
        selected = ["--match", "|".join((from_glob(word) or (word,))[0] for word in bare)]
    else:
        selected = ["-H", ",".join(bare)]
    others: list[str] = [word for word in words if word != "--" and all(word is not each for each in bare)]
    if on_this_machine and not given.keys() & {"host", "group", "hosts_from"}:
        others += ["-H", "local"]
    return shlex.join(["fleetpmap", command.name, *others, *selected])


def _given_twice(command: Any, typed: Sequence[str]) -> UsageError | None:
    """Return the error of an option that takes one value, and got another one too; None if there is none.

    The parser takes the last: the hosts of the other inventory, or the processes of the other pattern, would be missing
    without a word. Of the options for how a run goes and how its report looks the last counts: a script may put its own
    before its user's.
    """
    context = command.context_class(command, resilient_parsing=True)
    _, _, order = command.make_parser(context).parse_args([*typed])
    counts = Counter(option for option in order if option.param_type_name == "option")
    for option, count in counts.items():
        takes_one = not (option.multiple or option.is_flag or option.count)
        is_manner = option.rich_help_panel == RUNNING or option.name in _MANNERS
        if count > 1 and takes_one and not is_manner:
            name = max(option.opts, key=len)
            hint = _BOTH.get(option.metavar, "give it once: only one of its values could count")
            return UsageError(f"{name} is given {count} times, and takes one value", hint=hint)
    return None


def _unknown_value(command: Any, error: typer.BadParameter, typed: Sequence[str]) -> UsageError | None:
    """Return the error of an option that takes one of some words, and got another; None for any other error."""
    from fleetpmap.inventory.names import nearest

    option: Any = error.param
    known = [str(choice) for choice in getattr(getattr(option, "type", None), "choices", ())]
    given, _, _ = command.make_parser(command.context_class(command, resilient_parsing=True)).parse_args([*typed])
    if not known or not isinstance(value := given.get(option.name), str):
        return None
    near, values = _format_of(value, known) or nearest(value, known), f"the values are {', '.join(known)}"
    hint = f"did you mean {near}? {values}" if near else values
    return UsageError(f'{max(option.opts, key=len)}: there is no value "{value}"', hint=hint)


def _format_of(suffix: str, known: Sequence[str]) -> str:
    """Return the format of files that end so, `markdown` for `md`; "" if these are no formats, or none is."""
    names = (format_.name for format_ in FORMATS if f".{suffix}" in format_.suffixes)
    return next((name for name in names if name in known), "")


def _is_pid(word: str) -> bool:
    return word.isascii() and word.isdigit()


class _Word(str):
    """A word of the command line, told from an equal one by its identity."""

    __slots__ = ()
