"""ssh's patterns: `*` and `?`, and lists of them in which `!` says no.   [wildcards] ─► ssh_config_file, known_hosts

Brackets stand for themselves, as in `[host]:port`. Time grows with the text times the pattern, whatever they hold.
Source: PATTERNS in ssh_config(5); match.c of OpenSSH.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache


def fits(pattern: str, text: str) -> bool:
    """Whether the pattern means all of the text."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == text
    pattern = re.sub(r"\*+", "*", pattern)
    # Every other sign of a pattern is one sign of the text, so a longer one does not fit, and need not be compiled.
    return len(pattern) - pattern.count("*") <= len(text) and _compiled(pattern).match(text) is not None


def fits_list(patterns: str, text: str) -> bool:
    """Whether one of the patterns, between commas, fits, and none with a `!` before it does."""
    fitted = False
    for pattern in patterns.split(","):
        if pattern.startswith("!"):
            if fits(pattern[1:], text):
                return False
        else:
            fitted = fitted or fits(pattern, text)
    return fitted


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern.replace("[", "[[]")))
