r"""Search many texts for the --match pattern, in bounded time.   processes ─► [matching] ─► processes

A host writes its command lines, and a backtracking search can take years on one of them: `java.*kafka` on a
megabyte of `java`, `(a+)+$` on forty a's. Python's `re` cannot be stopped and holds the interpreter meanwhile, so the
search is done by the `regex` package, which has a time limit and lets other threads run.

The pattern keeps its meaning in `re`: `translated` rewrites the parts that `regex` reads differently.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from fleetpmap.errors import UsageError

if TYPE_CHECKING:
    import regex

TEXT_LIMIT_S = 0.5
"""Seconds of CPU for one text."""
HOST_LIMIT_S = 2.0
"""Seconds of CPU for all the texts of one host."""
_FIRST_TRY_S = 0.01
"""Seconds for which a search holds the interpreter: to release it and get it back may take longer than the search."""
_SHORT = 64
"""Length up to which a text's result is kept: most names are found on many hosts."""
_KEPT = 1 << 14
"""Results kept of one pattern."""
_FLAGS = ("I", "M", "S", "X", "A")
_WORD, _SPACE = r"\p{L}\p{N}_", r"\s\x1c-\x1f"
_OUTSIDE = {
    r"\w": f"[{_WORD}]",
    r"\W": f"[^{_WORD}]",
    r"\s": f"[{_SPACE}]",
    r"\S": f"[^{_SPACE}]",
    r"\b": f"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))",
    r"\B": f"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))",
    "{": r"\{",
}
_INSIDE = {r"\w": _WORD, r"\s": _SPACE, r"\W": "", r"\S": "", "[": r"\[", "]": r"\]"}
_TOKEN = re.compile(
    r"\\N\{[^}]*\}|\\."  # a character by its name, any other escape
    r"|\(\?\#[^)]*\)"  # a comment
    r"|\{(?P<least>\d*)(?P<comma>,?)(?P<most>\d*)\}"
    r"|\[(?P<not>\^?)(?P<set>\]?(?:\\.|[^]\\])*)\]"
    r"|.",
    re.DOTALL,
)
_GLOB = re.compile(r"(?=.*(?<!\.)\*)[\w@:/.*?-]+")
"""A pattern of a shell: nothing but words and wildcards, with a star that does not stand behind a dot."""
_IN_SET = re.compile(r"\\.|.", re.DOTALL)


def from_glob(pattern: str) -> tuple[str, str] | None:
    """Return the regular expressions for a pattern that looks like a glob; None if it does not.

    The first finds it anywhere, as --match searches; the second is for the whole text: `nginx` and `.*nginx` for
    `*nginx`.
    """
    if not _GLOB.fullmatch(pattern):
        return None
    anywhere, whole = (
        text.replace(".", r"\.").replace("?", ".").replace("*", ".*") for text in (pattern.strip("*"), pattern)
    )
    return anywhere or ".", whole


class TooSlowError(Exception):
    """The pattern took too long on a text; the message is a clause for the user."""


class Matcher:
    """A pattern for the processes of one host. Not for several threads at once."""

    def __init__(self, pattern: re.Pattern[str], *, exact: bool = False) -> None:
        """`exact`: the pattern has to match the whole text, and not a part of it.

        Raises:
            UsageError: `regex` refuses the pattern.
        """
        self._regex = _compiled(pattern.pattern, pattern.flags)
        self._exact = exact
        self._known = _results(self._regex, exact)
        self._left_s = HOST_LIMIT_S

    def matches(self, text: str) -> bool:
        """Return whether the pattern matches.

        Raises:
            TooSlowError: the search took too long on this text, or on those before it.
        """
        known = self._known.get(text)  # before the clock, which takes longer than all names of a host would
        if known is not None:
            return known
        if self._left_s <= 0:
            raise TooSlowError(f"--match took more than {HOST_LIMIT_S:g} s on this host, and did not come to it")
        began = time.thread_time()
        try:
            found = _found(self._regex, text, self._exact)
        except TimeoutError as error:
            raise TooSlowError(f"--match took more than {TEXT_LIMIT_S:g} s on it") from error
        finally:
            self._left_s -= time.thread_time() - began
        if len(text) <= _SHORT and len(self._known) < _KEPT:
            self._known[text] = found
        return found


def _found(pattern: regex.Pattern[str], text: str, exact: bool) -> bool:
    search = pattern.fullmatch if exact else pattern.search
    try:
        return search(text, timeout=_FIRST_TRY_S, concurrent=False) is not None
    except TimeoutError:
        return search(text, timeout=TEXT_LIMIT_S, concurrent=True) is not None


@lru_cache(16)
def _results(pattern: regex.Pattern[str], exact: bool) -> dict[str, bool]:
    """Return the results of short texts so far, which all hosts share."""
    return {}


@lru_cache(16)
def _compiled(pattern: str, flags: int) -> regex.Pattern[str]:
    import regex  # takes some 15 ms, so only where there is a pattern

    try:
        known = [regex.RegexFlag[name] for name in _FLAGS if flags & re.RegexFlag[name]]
        return regex.compile(translated(pattern, verbose=bool(flags & re.VERBOSE)), sum(known, regex.V0))
    except regex.error as error:
        hint = "write the pattern in a simpler way"
        raise UsageError(f"--match {pattern!r} cannot be searched for: {error}", hint=hint) from error


def translated(pattern: str, *, verbose: bool = False) -> str:
    r"""Rewrite a pattern of `re` so that it means the same to `regex`.

    To `regex`, braces that are no quantifier mean fuzzy matching, and a bracket inside a set a class; its \w includes
    combining marks and lacks superscripts, its \s lacks the four separators at 0x1c. With `verbose` the pattern stays
    as it is, since a comment may contain anything.
    """
    return pattern if verbose else _TOKEN.sub(_part, pattern)


def _part(token: re.Match[str]) -> str:
    text = token[0]
    if token["set"] is not None:
        return _set(token["set"], negated=token["not"] != "")
    if token["comma"] is not None:
        return rf"\{text}" if text == "{}" else f"{{{token['least'] or '0'}{token['comma']}{token['most']}}}"
    return _OUTSIDE.get(text, "" if text.startswith("(?#") else text)


def _set(content: str, *, negated: bool) -> str:
    r"""Rewrite a set of characters. A complement in it becomes an alternative, since a set of `regex` holds no set.

    `[a\W]` becomes `(?:[a]|[^\p{L}\p{N}_])`.
    """
    members = _IN_SET.findall(content)
    plain = "".join(_INSIDE.get(member, member) for member in members)
    complements = [_OUTSIDE[member] for member in (r"\W", r"\S") if member in members]
    if not complements:
        return f"[{'^' if negated else ''}{plain}]"
    any_of = "|".join([*([f"[{plain}]"] if plain else []), *complements])
    return f"(?:(?!{any_of})(?s:.))" if negated else f"(?:{any_of})"
