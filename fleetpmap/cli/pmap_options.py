"""pmap's own options.   options, locale ─► [letters] ─► Letters"""

from __future__ import annotations

import locale
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fleetpmap.catalogue import HIGHEST, Letters, PmapFormat
from fleetpmap.cli.options import ShowOptions
from fleetpmap.errors import UsageError

_BY_COUNT: tuple[PmapFormat, ...] = ("plain", "wide", "widest")
"""The format of no -X, one, and more."""
_LOCALE = ("LC_ALL", "LC_CTYPE", "LANG")
"""The variables that name the locale of characters, the strongest first."""
_ADDRESS = re.compile(r"(?:0[xX])?[0-9a-fA-F]{1,16}")


def letters_in(show: ShowOptions) -> tuple[str, ...]:
    """The letters of pmap's that the user typed; those that are a format of their own come first."""
    typed = {
        "-x": show.extended,
        "-X": show.wide,
        "-d": show.device,
        "-q": show.bare,
        "-p": show.show_path,
        "-A": show.range is not None,
        "-k": show.kernel_names,
    }
    return tuple(letter for letter, is_typed in typed.items() if is_typed)


def letters_from(show: ShowOptions, *, on_terminal: bool) -> Letters:
    """What the view pmap is told.

    Raises:
        UsageError: letters that exclude each other, or a range that is none.
    """
    formats = [letter for letter in letters_in(show) if letter in ("-x", "-X", "-d")]
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
    """The addresses of `LOW[,HIGH]`, as pmap reads it: without a comma LOW is HIGH too; what is left out is open."""
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
    """Whether setlocale(3) finds a UTF-8 locale in these variables; one that is not installed is the C locale."""
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
    """Whether the user asked for the C locale, whose characters are ASCII, and not for an encoding besides.

    Python takes a terminal for UTF-8 then, which a serial console or an old terminal is not.
    """
    given = _given_environment()
    name = next((value for key in _LOCALE if (value := given.get(key))), "")
    return name in ("C", "POSIX") and not (given.get("PYTHONIOENCODING") or given.get("PYTHONUTF8"))


def _given_environment() -> Mapping[str, str]:
    """The environment that we were started in: of the C locale, Python makes LC_CTYPE=C.UTF-8 (PEP 538)."""
    try:
        given = Path("/proc/self/environ").read_text(errors="surrogateescape")
    except OSError:
        return os.environ
    return dict(variable.partition("=")[::2] for variable in given.split("\0"))
