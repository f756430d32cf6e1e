"""A text that is shown to nobody.   cli.passwords ─► [secret] ─► ssh.login, probe.sudo

Passwords and passphrases travel inside this type, so that no message, log line or traceback that prints one of them by
mistake prints more than `***`. A host that was given one may say it back, in any of its outputs: Redaction takes it out
of all that hosts said.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar
from urllib.parse import quote, quote_plus

from fleetpmap.errors import HostError

_SHOWN = "***"
_SHORT = 4
"""A secret of fewer characters is taken out only where it stands alone, not beside a letter or digit: it is part of too
many words."""
_COMM = 15
"""Bytes of a process's name, where the kernel cuts it."""
CUT = "..."
"""Stands where a text was cut."""
_CUT_SHORT = 0.75
"""The part of a secret whose beginning is taken out as well, since a message or a name may have been cut behind it."""
_LINE_BREAK = r"[\r\n]{0,2}"
"""May come between any two characters, where a terminal has a margin."""

_END = re.compile(rf"{re.escape(CUT)}|\Z")

T = TypeVar("T", str, bytes)


class Secret:
    """A password or passphrase. Only `reveal` gives it away: look for that word to find who does."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def redact(self, text: str) -> str:
        """`text` without the secret, for what a host echoed."""
        for pattern, form in self._forms:
            text = _redacted(text, pattern, form)
        return _ends_redacted(text, self._text)

    def redact_bytes(self, data: bytes) -> bytes:
        """The same in bytes; the very same object where the secret is not in it."""
        for beginning, pattern, form in self._forms_in_bytes:
            if beginning in data:  # much quicker than a regular expression over megabytes
                data = _redacted(data, pattern, form)
        return data

    @cached_property
    def _forms(self) -> list[tuple[re.Pattern[str], str]]:
        """What the secret may look like, each with the pattern of its beginning; the longest first."""
        return [
            (re.compile(_alone(_LINE_BREAK.join(map(re.escape, form[:length])), self._text)), form)
            for form, length in _forms_of(self._text)
        ]

    @cached_property
    def _forms_in_bytes(self) -> list[tuple[bytes, re.Pattern[bytes], bytes]]:
        found = []
        for form, length in _forms_of(self._text):
            whole = form.encode("utf-8", "surrogateescape")
            beginning = form[:length].encode("utf-8", "surrogateescape")
            pattern = _alone(re.escape(form[:length]), self._text).encode("utf-8", "surrogateescape")
            found.append((beginning, re.compile(pattern), whole))
        return found

    def __repr__(self) -> str:
        return _SHOWN

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Redaction:
    """Takes secrets out of what hosts said. False where there are none."""

    secrets: tuple[Secret, ...] = ()

    @classmethod
    def of(cls, secrets: Iterable[Secret | None]) -> Redaction:
        """Of those that there are."""
        return cls(tuple(dict.fromkeys(filter(None, secrets))))

    def __bool__(self) -> bool:
        return bool(self.secrets)

    def text(self, text: str) -> str:
        """The text without the secrets."""
        for secret in self.secrets:
            text = secret.redact(text)
        return text

    def bytes(self, data: bytes) -> bytes:
        """The same in bytes; the very same object where no secret is in it."""
        for secret in self.secrets:
            data = secret.redact_bytes(data)
        return data

    def error(self, error: HostError) -> HostError:
        """The same error, its words without the secrets."""
        error.message, error.hint = self.text(error.message), self.text(error.hint)
        error.said, error.traceback = self.text(error.said), self.text(error.traceback)
        error.args = (error.message,)
        return error


def _forms_of(secret: str) -> list[tuple[str, int]]:
    """How a host may write the secret, and how many of the first characters give it away."""
    if not secret:
        return []
    forms = {secret: len(secret)}
    if len(secret) >= _SHORT:
        in_latin_1 = secret.encode("latin-1", "ignore").decode("utf-8", "surrogateescape")
        for form in (
            quote(secret, safe=""),
            quote(secret),
            quote_plus(secret),
            html.escape(secret),
            html.escape(secret, quote=False),
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            base64.b64encode(secret.encode()).decode().rstrip("="),
            *([in_latin_1] if len(in_latin_1) == len(secret) else []),
        ):
            forms.setdefault(form, len(form))
        forms[secret] = min(max(_SHORT + 2, math.ceil(len(secret) * _CUT_SHORT)), _COMM, len(secret))
    return sorted(forms.items(), key=lambda form: -len(form[0]))


def _ends_redacted(text: str, secret: str) -> str:
    """The text without the secret's first characters where it was cut, or ends."""
    pieces, at = [], 0
    for found in _END.finditer(text):
        least = 2 if found[0] else _SHORT
        for length in range(min(len(secret) - 1, found.start() - at), least - 1, -1):
            if text.startswith(secret[:length], found.start() - length):
                pieces += [text[at : found.start() - length], _SHOWN]
                at = found.start()
                break
    return "".join([*pieces, text[at:]])


def _alone(pattern: str, secret: str) -> str:
    return rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])" if len(secret) < _SHORT else pattern


def _redacted(text: T, pattern: re.Pattern[T], form: T) -> T:
    """The text without what begins as the pattern says, as far as it goes on as the form does."""
    shown, breaks = (_SHOWN, "\r\n") if isinstance(text, str) else (_SHOWN.encode(), b"")
    pieces, at = [], 0
    for found in pattern.finditer(text):
        if found.start() < at:
            continue
        stop, matched = found.end(), len([one for one in found[0] if one not in breaks])
        while stop < len(text) and matched < len(form):
            if text[stop] == form[matched]:
                matched += 1
            elif text[stop : stop + 1] not in ("\r", "\n") or not breaks:
                break
            stop += 1
        pieces += [text[at : found.start()], shown]
        at = stop
    pieces.append(text[at:])
    return text[:0].join(pieces)
