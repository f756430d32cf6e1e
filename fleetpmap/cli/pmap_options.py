"""pmap's own options, such as -x and -A.   options, locale ─► [pmap_options] ─► Letters"""

from __future__ import annotations

import locale
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fleetpmap.cli.options import ShowOptions
from fleetpmap.errors import UsageError
from fleetpmap.pmap_letters import HIGHEST, Letters, PmapFormat

_BY_COUNT: tuple[PmapFormat, ...] = ("plain", "wide", "widest")
"""Formats by the number of -X: none, one, two or more."""
_LOCALE = ("LC_ALL", "LC_CTYPE", "LANG")
"""The variables that name the locale of characters, the strongest first."""
_ADDRESS = re.compile(r"(?:0[xX])?[0-9a-fA-F]{1,16}")


def letters_in(show: ShowOptions) -> tuple[str, ...]:
    """Return the pmap options that the user typed; those that choose a format come first."""
    typed = {
        "-x": show.extended,
        "-X": show.wide,
        "-d": show.device,
        "-q": show.bare,
        "-p": show.show_path,
        "-A": show.range is not None,
        "-k": show.kernel_names,
    }
    return tuple(option for option, is_typed in typed.items() if is_typed)


def letters_from(show: ShowOptions, *, on_terminal: bool) -> Letters:
    """Return the options of the view pmap.

    Raises:
        UsageError: options that exclude each other, or a malformed range.
    """
    formats = [option for option in letters_in(show) if option in ("-x", "-X", "-d")]
    if len(formats) > 1:
        raise UsageError(
            f"{' and '.join(formats)} exclude each other: each is a format of its own", hint="keep one of them"
        )
    low, high = _range("," if show.range is None else show.range)
    return Letters(
        format="extended" if show.extended else "device" if show.device else _BY_COUNT[min(show.wide, 2)],
        quiet=show.bare,
        show_path=show.show_path,
        kernel_names=show.kernel_names,
        low=low,
        high=high,
        utf8=is_utf8(_given_environment()),
        terminal=on_terminal,
    )


def _range(text: str) -> tuple[int, int]:
    """Parse `LOW[,HIGH]` as pmap does: without a comma LOW is HIGH, too; an omitted end is open."""
    low, comma, high = text.partition(",")
    return _address(low, 0, text), _address(high if comma else low, HIGHEST, text)


def _address(digits: str, default: int, text: str) -> int:
    if not digits:
        return default
    if not _ADDRESS.fullmatch(digits):
        raise UsageError(
            f'-A {text}: "{digits}" is not an address', hint="write hex: -A 7f0000000000,7fffffffffff, or -A LOW,"
        )
    return int(digits, 16)


def is_utf8(environment: Mapping[str, str]) -> bool:
    """Return whether setlocale(3) finds a UTF-8 locale in these variables; a missing locale counts as C."""
    name = next((value for key in _LOCALE if (value := environment.get(key))), "C")
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
        return locale.nl_langinfo(locale.CODESET) == "UTF-8"
    except locale.Error:
        return False
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


@cache
def is_c_locale() -> bool:
    """Return whether the user chose the C locale, that is ASCII, without an encoding for Python.

    Python would write UTF-8 to the terminal then, which a serial console or an old terminal cannot show.
    """
    given = _given_environment()
    name = next((value for key in _LOCALE if (value := given.get(key))), "")
    return name in ("C", "POSIX") and not (given.get("PYTHONIOENCODING") or given.get("PYTHONUTF8"))


def _given_environment() -> Mapping[str, str]:
    """Return the environment at the start: Python changes the C locale to LC_CTYPE=C.UTF-8 (PEP 538)."""
    try:
        given = Path("/proc/self/environ").read_text(errors="surrogateescape")
    except OSError:
        return os.environ
    return dict(variable.partition("=")[::2] for variable in given.split("\0"))
