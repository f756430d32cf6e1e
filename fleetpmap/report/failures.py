"""Failed hosts, those with the same reason as one sentence.   Coverage ─► [failures] ─► render, cli

Forty hosts behind one closed firewall become one sentence. Two failures are alike if status, message and hint are equal
apart from the words that identify the host: its name, an address, a port, a key's fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleetpmap.inventory.names import is_ipv6
from fleetpmap.inventory.nodesets import fold
from fleetpmap.snapshot import HostFailure

_WORD = re.compile(
    r"(?P<FINGERPRINT>SHA256:[\w+/=]+)"
    r"|(?P<PORT>(?<=port )\d+|(?<=-p )\d+)"
    r"|(?P<colons>[\da-fA-F]*:[\da-fA-F]*:[\da-fA-F:.]*)"
    r"|(?P<word>[\w-]+(?:\.[\w-]+)*)"
)
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_DOMAIN = re.compile(r".+\.[A-Za-z][\w-]*")


@dataclass(frozen=True, slots=True)
class FoldedFailure:
    """One reason, and all hosts that failed for it."""

    hosts: str
    """`web[01-17]`"""
    status: str
    message: str
    """One sentence; a word that differs between the hosts is replaced by HOST, ADDRESS, PORT or FINGERPRINT."""
    advice: str
    """`hint: ` and the remedy, for the first host if the hints differ; empty if no remedy is known."""


def folded(failures: Iterable[HostFailure]) -> tuple[FoldedFailure, ...]:
    """Fold failures that are alike into one, in the order in which each reason first occurs."""
    alike: dict[tuple[object, ...], list[HostFailure]] = {}
    for failure in failures:
        key = (failure.status, _pattern(_message(failure), failure.host), _pattern(failure.hint, failure.host))
        alike.setdefault(key, []).append(failure)
    return tuple(map(_folded, alike.values()))


def _folded(failures: Sequence[HostFailure]) -> FoldedFailure:
    first = failures[0]
    example = "" if all(failure.hint == first.hint for failure in failures) else f", for {first.host}"
    return FoldedFailure(
        hosts=fold(failure.host for failure in failures),
        status=first.status,
        message=_common([_message(failure) for failure in failures], first.host),
        advice=f"hint{example}: {first.hint}" if first.hint else "",
    )


def _message(failure: HostFailure) -> str:
    return failure.message.removeprefix(f"{failure.host}: ")


def _pattern(text: str, host: str) -> tuple[str, ...]:
    """Return a key that is equal for texts that differ only in words that identify the host.

    `web-01: port 22 is closed` of web-01 gives ("HOST", "PORT", …), then the text between the words.
    """
    words = [_kind(match, host) or match[0] for match in _WORD.finditer(text)]
    return (*words, _WORD.sub("\0", text))


def _common(texts: Sequence[str], host: str) -> str:
    """Return the one text of several with the same pattern; an identifying word stays if all of them share it."""
    words_of = [[match[0] for match in _WORD.finditer(text)] for text in texts]
    same = iter([len(set(words)) == 1 for words in zip(*words_of, strict=True)])
    return _WORD.sub(lambda match: match[0] if next(same) else _kind(match, host) or match[0], texts[0])


def _kind(match: re.Match[str], host: str) -> str | None:
    """Return the placeholder for a word that identifies the host; None for an ordinary word."""
    word = match[0]
    match match.lastgroup:
        case "colons":
            return "ADDRESS" if is_ipv6(word) else None
        case "word":
            if word.lower() == host:
                return "HOST"
            return "ADDRESS" if _IPV4.fullmatch(word) or _DOMAIN.fullmatch(word) else None
        case kind:
            return kind
