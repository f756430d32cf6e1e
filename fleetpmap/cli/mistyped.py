"""What the user probably meant.   command line ─► [mistyped] ─► typer, or one sentence with the line to type

    fleetpmap run nginx            fleetpmap run --match nginx
    fleetpmap 8960 -x              fleetpmap run -x -H local --pid 8960
    fleetpmap rnu                  fleetpmap run
    fleetpmap run --view host      hosts

Commands take their processes by options, so a bare word of the command line is none of them; pmap and pgrep take it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from fleetpmap.errors import UsageError
from fleetpmap.matching import from_glob

_MOST_WORDS = 3
"""Bare words that become one suggestion; more of them are a pattern that the shell expanded to the names of files."""


class Command(TyperCommand):
    """A command that refuses bare words and unknown values in one sentence, with what it takes instead."""

    allow_extra_args = True  # so that typer leaves them to parse_args

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words behind the command's name.

        Raises:
            UsageError: a word that is no option, or a value that its option does not have.
        """
        typed = [*args]
        try:
            rest: list[str] = super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if unknown := _unknown_value(self, error, typed):
                raise unknown from error
            raise
        if rest and not ctx.resilient_parsing:
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
    if all(parameter.name != "match" for parameter in command.params):
        return ""
    # The parser returns the bare words as the objects that it got, which tells them from equal values of options.
    words = [_Word(word) for word in typed]
    context = command.context_class(command, resilient_parsing=True, ignore_unknown_options=True)
    given, bare, _ = command.make_parser(context).parse_args([*words])
    if not 0 < len(bare) <= _MOST_WORDS:
        return ""
    if all(map(_is_pid, bare)):
        selected = ["--pid", ",".join(bare)]
    elif "match" not in given:
        selected = ["--match", "|".join((from_glob(word) or (word,))[0] for word in bare)]
    else:
        selected = ["-H", ",".join(bare)]
    others: list[str] = [word for word in words if word != "--" and all(word is not each for each in bare)]
    if on_this_machine and not given.keys() & {"host", "group", "hosts_from"}:
        others += ["-H", "local"]
    return shlex.join(["fleetpmap", command.name, *others, *selected])


def _unknown_value(command: Any, error: typer.BadParameter, typed: Sequence[str]) -> UsageError | None:
    """Return the error of an option that takes one of some words, and got another; None for any other error."""
    from fleetpmap.inventory.names import nearest

    option: Any = error.param
    known = [str(choice) for choice in getattr(getattr(option, "type", None), "choices", ())]
    given, _, _ = command.make_parser(command.context_class(command, resilient_parsing=True)).parse_args([*typed])
    if not known or not isinstance(value := given.get(option.name), str):
        return None
    near, values = nearest(value, known), f"the values are {', '.join(known)}"
    hint = f"did you mean {near}? {values}" if near else values
    return UsageError(f'{max(option.opts, key=len)}: there is no value "{value}"', hint=hint)


def _is_pid(word: str) -> bool:
    return word.isascii() and word.isdigit()


class _Word(str):
    """A word of the command line, told from an equal one by its identity."""

    __slots__ = ()
