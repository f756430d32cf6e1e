"""Types of option values.   catalogue ─► [option_values] ─► options"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import typer

from fleetpmap.catalogue import BY_RANK, FORMATS, MOST_SHARDS, VIEWS

if TYPE_CHECKING:
    # A type checker cannot know the members of an enum that is made from data: to it, a view is its name.
    View = str
    Metric = str
    Format = str
else:
    View = StrEnum("View", {name: name for name in VIEWS})
    Metric = StrEnum("Metric", {size.name: size.name for size in BY_RANK})
    Format = StrEnum("Format", {format_.name: format_.name for format_ in FORMATS})


class Per(StrEnum):
    """--per."""

    host = "host"
    process = "process"


class PeersOption(StrEnum):
    """--peers."""

    service = "service"
    group = "group"
    all = "all"


class HostKey(StrEnum):
    """--host-key."""

    strict = "strict"
    accept_new = "accept-new"


class TransportChoice(StrEnum):
    """--transport."""

    ssh = "ssh"
    openssh = "openssh"


class Color(StrEnum):
    """--color."""

    auto = "auto"
    always = "always"
    never = "never"


class Shell(StrEnum):
    """--show-completion."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


class ShardNumber(NamedTuple):
    """--shard I/N."""

    number: int
    """From 1 to `of`."""
    of: int


def shard_number(text: str) -> ShardNumber:
    """Parse `3/10`.

    Raises:
        BadParameter: the text is not a shard's number and the number of shards.
    """
    number, _, of = text.partition("/")
    digits = [word for word in (number, of) if word.isascii() and word.isdigit() and len(word) <= len(str(MOST_SHARDS))]
    if len(digits) < 2 or int(of) == 0:
        raise typer.BadParameter(f'"{text}" is not I/N: write 3/10 for the third of ten, of {MOST_SHARDS} at most')
    if not 1 <= int(number) <= int(of):
        raise typer.BadParameter(f'"{text}" is none of {int(of)} shards: they are numbered from 1 to {int(of)}')
    return ShardNumber(int(number), int(of))


def seconds(text: str | float) -> float:
    """Parse a duration: at least a millisecond, and no more than a timer takes.

    Raises:
        BadParameter: the text is no such number.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.001 <= number <= 10_000_000:  # false for nan and inf, too
        raise typer.BadParameter(f'"{text}" is not a number of seconds: write 0.5, 10 or 600')
    return number


def whole_number(least: int) -> Callable[[str | int], int]:
    """Return a parser of whole numbers from `least`."""

    def parse(text: str | int) -> int:
        digits = str(text)
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 9 and int(digits) >= least):
            raise typer.BadParameter(f'"{text}" is not a whole number from {least} on')
        return int(digits)

    return parse


def workers(text: str) -> str:
    """Check the value of --workers: `auto`, or a whole number from 1.

    Raises:
        BadParameter: it is neither.
    """
    if text != "auto" and not (text.isascii() and text.isdigit() and int(text[:4]) >= 1 and len(text) <= 3):
        raise typer.BadParameter(f'"{text}" is not auto or a number from 1 to 999')
    return text
