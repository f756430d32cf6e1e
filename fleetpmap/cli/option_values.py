"""What the value of an option can be.   words ─► [values] ─► options"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import typer


class View(StrEnum):
    """--view."""

    summary = "summary"
    merged = "merged"
    hosts = "hosts"
    processes = "processes"
    mappings = "mappings"
    pmap = "pmap"
    compare = "compare"
    stale = "stale"


class Metric(StrEnum):
    """--metric."""

    pss = "pss"
    rss = "rss"
    uss = "uss"
    dirty = "dirty"
    swap = "swap"
    swap_pss = "swap_pss"
    hugetlb = "hugetlb"
    size = "size"


class Per(StrEnum):
    """--per."""

    host = "host"
    process = "process"


class Growing(StrEnum):
    """--by of diff."""

    mapping = "mapping"
    kind = "kind"
    process = "process"
    host = "host"


class Format(StrEnum):
    """--format."""

    table = "table"
    plain = "plain"
    csv = "csv"
    json = "json"
    jsonl = "jsonl"
    markdown = "markdown"
    html = "html"
    openmetrics = "openmetrics"
    parquet = "parquet"


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


def seconds(text: str | float) -> float:
    """A duration: more than nothing, and no more than a timer takes."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.001 <= number <= 10_000_000:  # which nan and inf are not either
        raise typer.BadParameter(f"'{text}' is not a number of seconds: write 0.5, 10 or 600")
    return number


def whole_number(least: int) -> Callable[[str | int], int]:
    """A parser of numbers from `least`."""

    def parse(text: str | int) -> int:
        digits = str(text)
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 9 and int(digits) >= least):
            raise typer.BadParameter(f"'{text}' is not a whole number from {least}")
        return int(digits)

    return parse
