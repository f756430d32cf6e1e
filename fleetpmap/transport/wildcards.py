"""ssh's patterns: `*`, `?`, and lists in which `!` negates.   [wildcards] ─► ssh_config.config_files, known_hosts

Brackets are literal, as in `[host]:port`. Matching takes time proportional to text times pattern, for any input.
Source: PATTERNS in ssh_config(5); match.c of OpenSSH.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache


def fits(pattern: str, text: str) -> bool:
    """True if the pattern matches the whole text."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == text
    pattern = re.sub(r"\*+", "*", pattern)
    # Each other character of the pattern matches one of the text: a longer pattern cannot match, and is not compiled.
    return len(pattern) - pattern.count("*") <= len(text) and _compiled(pattern).match(text) is not None


def fits_list(patterns: str, text: str) -> bool:
    """True if one of the comma-separated patterns matches and no matching pattern is negated by `!`."""
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
