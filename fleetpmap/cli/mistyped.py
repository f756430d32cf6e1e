"""What the user probably meant.   command line ─► [mistyped] ─► typer, or one sentence with the line to type

    fleetpmap run nginx            fleetpmap run --match nginx
    fleetpmap 8960 -x              fleetpmap run -x -H local --pid 8960
    fleetpmap run web-01 nginx     fleetpmap run -H web-01 --match nginx
    fleetpmap rnu                  fleetpmap run
    fleetpmap run --mach nginx     --match
    fleetpmap run --view host      hosts

Commands take their processes by options, so a bare word of the command line is none of them; pmap and pgrep take it.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from fleetpmap.catalogue import FORMATS
from fleetpmap.cli.options.panels import RUNNING
from fleetpmap.errors import FleetpmapError, UsageError
from fleetpmap.matching import from_glob

_Refused: type[Exception] = typer.BadParameter.__bases__[0]
"""click's UsageError, of which typer gives out this one subclass alone: no such option, no value, a wrong value."""
_BOTH = {
    "REGEX": "write one pattern for all: --match 'nginx|redis'",
    "KEYS": "separate the keys by commas",
    "NAMES": "separate the names by commas",
    "VIEW": "write the other view to a file: --export VIEW=FILE",
}
"""What to do for several values of an option that takes one, by the option's metavar."""
_MANNERS = ("format", "color", "max_rss", "max_rss_sum")
"""Options of other panels than RUNNING that say how, not what."""
_SELECTING = {"match", "user", "pid", "exe", "cgroup", "unit", "container", "pod", "all"}
"""Process options of which a run needs one."""
_MOST_WORDS = 3
"""Bare words that become one suggestion; more of them are a pattern that the shell expanded to the names of files."""


class Command(TyperCommand):
    """A command that refuses what it cannot take in one sentence: options, values, bare words, options given twice."""

    allow_extra_args = True  # so that typer leaves them to parse_args

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words behind the command's name.

        Raises:
            UsageError: an option that it does not have, a word that is no option, a value that its option does not
                take, or two values of an option that takes one.
        """
        typed = [*args]
        try:
            rest: list[str] = super().parse_args(ctx, args)
        except _Refused as error:
            raise _unknown_value(self, error, typed) or _refusal(self, error, ctx) from error
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

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words before the command's name.

        Raises:
            UsageError: an option that the program does not have.
        """
        typed = [*args]
        try:
            rest: list[str] = super().parse_args(ctx, args)
        except _Refused as error:
            if not hasattr(error, "option_name"):  # without any words typer prints the help in this way
                raise
            raise self._early(error.option_name, typed) or _refusal(self, error, ctx) from error
        return rest

    def _early(self, option: str, typed: Sequence[str]) -> UsageError | None:
        """Return the error of a command's option that comes before the command; None if no command has it."""
        if not any(option in each.opts for command in self.commands.values() for each in command.params):
            return None
        if command := next((word for word in typed if word in self.commands), ""):
            meant = shlex.join(["fleetpmap", command, *(word for word in typed if word != command)])
        else:
            meant = _meant(self.commands["run"], typed, on_this_machine=any(map(_is_pid, typed)))
        hint = f"did you mean `{meant}`?" if meant else f"write `fleetpmap run {option}`"
        return UsageError(f"fleetpmap: {option} is an option of a command, and comes after it", hint=hint)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first word names.

        Raises:
            UsageError: there is no such command.
        """
        word = args[0]
        if word in self.commands or word.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if word in ("help", "version"):  # git, docker and kubectl have them
            meant = shlex.join([ctx.command_path, *(args[1:2] if word == "help" else ()), f"--{word}"])
            raise UsageError(f'fleetpmap: there is no command "{word}"', hint=f"did you mean `{meant}`?")
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
    else:
        selected = _selected(bare, given, needs_processes=command.name != "ps")
    others: list[str] = [word for word in words if word != "--" and all(word is not each for each in bare)]
    if on_this_machine and not given.keys() & {"host", "group", "hosts_from"}:
        others += ["-H", "local"]
    return shlex.join(["fleetpmap", command.name, *others, *selected])


def _selected(bare: Sequence[str], given: Mapping[str, Any], *, needs_processes: bool) -> list[str]:
    """Return the options for bare words that are hosts and groups of the inventory, pids, or names of processes."""
    hosts, groups = _known(bare, given)
    selected = ["-H", ",".join(hosts)] if hosts else []
    selected += ["-g", ",".join(groups)] if groups else []
    if not (others := [word for word in bare if word not in (*hosts, *groups)]):
        return selected if given.keys() & _SELECTING or not needs_processes else [*selected, "--all"]
    if all(map(_is_pid, others)):
        return [*selected, "--pid", ",".join(others)]
    if "match" in given:
        return [*selected, "-H", ",".join(others)]
    return [*selected, "--match", "|".join((from_glob(word) or (word,))[0] for word in others)]


def _known(words: Sequence[str], given: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the words that are hosts of the inventory, and those that are groups of it."""
    from fleetpmap.inventory import find_inventory, load

    try:
        path = find_inventory(given.get("inventory"), os.environ)
        inventory = load(path) if path else None
    except (FleetpmapError, OSError):  # the words are the mistake to speak of
        inventory = None
    if inventory is None:
        return [], []
    hosts = [word for word in words if word in inventory.hosts]
    return hosts, [word for word in words if word in inventory.groups and word not in hosts]


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


def _refusal(command: Any, error: Any, ctx: Any) -> UsageError:
    """Return the error of click as ours: an option that is not there or has no value, a missing or wrong value."""
    from fleetpmap.inventory.names import nearest

    hint = f"`{ctx.command_path} --help` lists what it takes"
    if hasattr(error, "possibilities"):
        options = [name for option in command.params for name in option.opts if name.startswith("--")]
        option = error.option_name
        near = nearest(option, options) if option.startswith("--") else "--version" if option == "-V" else ""
        hint = f"did you mean {near}? {hint}" if near else hint
        return UsageError(f"{ctx.command_path}: there is no option {option}", hint=hint)
    if option := getattr(error, "option_name", ""):
        what = "takes no value" if "not take" in error.message else "needs a value"
        return UsageError(f"{ctx.command_path}: {option} {what}", hint=hint)
    name = max(error.param.opts, key=len) if error.param.param_type_name == "option" else error.param.metavar
    if not error.message:
        return UsageError(f"{ctx.command_path}: {name} is missing", hint=hint)
    what, _, do = error.message.partition(": ")
    return UsageError(f"{name}: {what}", hint=do or hint)


def _unknown_value(command: Any, error: Any, typed: Sequence[str]) -> UsageError | None:
    """Return the error of an option that takes one of some words, and got another; None for any other error."""
    from fleetpmap.inventory.names import nearest

    option: Any = getattr(error, "param", None)
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
