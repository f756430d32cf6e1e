"""Checks of host and user names.   [names] ─► toml_tables, ansible, patterns

A name becomes an argument of ssh and a cell of a table. So it holds no space, no control character and none of the
characters of node sets and patterns, and it does not begin with `-`, which ssh would read as an option. Names are
compared and shown in lower case: `Web-03` and `web-03` are one host. ssh gets the name as written, since the patterns
of ssh_config distinguish case.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable

# `%` is allowed for an IPv6 zone (fe80::1%eth0), `:` for the address itself; is_ipv6 checks both.
_FORBIDDEN = re.compile(r"[^\w.:%+-]")
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")


def is_ipv6(text: str) -> bool:
    """Return whether the text is an IPv6 address, without brackets, with or without a zone."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def name_fault(name: str) -> str | None:
    """Return the reason why the text cannot be a host's name or address, as half a sentence; None if it can."""
    if not name:
        return "it is empty"
    if name.startswith("-"):
        return "it begins with -, which ssh takes for an option"
    if is_ipv6(name):
        return None
    if bad := _FORBIDDEN.search(name):
        return f'it holds "{bad[0]}"'
    return "only an IPv6 address has a colon or a percent sign" if ":" in name or "%" in name else None


def user_fault(user: str) -> str | None:
    """Return the reason why the text cannot be a login name, as half a sentence; None if it can."""
    if not user:
        return "it is empty"
    if user.startswith("-"):
        return "it begins with -, which ssh takes for an option"
    return "it holds a space or a control character" if re.search(r"[\s\x00-\x1f\x7f]", user) else None


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word most similar to a misspelled one; "" if none is similar. `web-1` is nearest to `web-01`."""
    names = {_comparable(name): name for name in known}
    close = difflib.get_close_matches(_comparable(word), names, n=1)
    return names[close[0]] if close else ""


def _comparable(name: str) -> str:
    return _LEADING_ZEROS.sub("", name.lower())
