"""Sizes in KiB and times as text; the only place with the number 1024.   [units] ─► all that shows or reads a size"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from fleetpmap.errors import UsageError

KIB = 1024
"""Bytes in the kernel's kB."""

_SUFFIXES = ("K", "M", "G", "T", "P")
_UNIT = re.compile(r"_kib(?=$|_per_)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([KMGTP])(?:i?B)?)?", re.IGNORECASE)


def without_unit(name: str) -> str:
    """Return the name of a column without its unit: `pss_kib` is `pss`, `growth_kib_per_hour` is `growth_per_hour`."""
    return _UNIT.sub("", name)


def human(kib: int) -> str:
    """Format a size with one decimal and a binary suffix: 412.0M is 412 MiB. Below 1 MiB it is in whole K."""
    if abs(kib) < KIB:
        return f"{kib}K"
    size = float(kib)
    suffix = 0
    # 1023.95 and more would round to "1024.0", which belongs to the next suffix.
    while abs(size) >= KIB - 0.05 and suffix < len(_SUFFIXES) - 1:
        size /= KIB
        suffix += 1
    return f"{size:.1f}{_SUFFIXES[suffix]}"


def parse_size(text: str, option: str) -> int | None:
    """Parse `64G`, `512M`, `1.5T` or `4096K` to KiB. A bare number is in bytes; `none` is no limit (None).

    Raises:
        UsageError: not a size.
    """
    if text.strip().lower() == "none":
        return None
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f'{option}: "{text}" is not a size', hint="write a number and K, M, G or T (64G), or none")
    number, suffix = match.groups()
    if suffix is None:
        return int(float(number)) // KIB
    power: int = KIB ** _SUFFIXES.index(suffix.upper())
    return int(float(number) * power)


def time_text(seconds: float | None) -> str | None:
    """Return a time in seconds since 1970 as `2026-11-29T16:20:59Z`; None for None, and outside of the calendar."""
    try:
        return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return None
