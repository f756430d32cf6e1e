"""Passwords and passphrases that never get printed.   cli.passwords ─► [secret] ─► ssh.login, probe.sudo

A secret travels inside the type Secret, so a message, log line or traceback that prints it by mistake shows `***`. A
host may echo a password that it was sent, in any of its outputs: Redaction removes it from everything that hosts print.
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
"""Characters below which a secret is removed only where it stands alone, not beside a letter or digit: as a part it
occurs in too many words."""
_COMM = 15
"""Bytes of a process's name, at which the kernel cuts it."""
CUT = "..."
"""Mark at the end of a text that was cut."""
_CUT_SHORT = 0.75
"""Share of a secret that is removed even if the rest is missing, because a message or a name may have been cut behind
it."""
_LINE_BREAK = r"[\r\n]{0,2}"
"""Line break between any two characters, where a terminal wrapped the text."""

_END = re.compile(rf"{re.escape(CUT)}|\Z")

T = TypeVar("T", str, bytes)


class Secret:
    """A password or passphrase. Only `reveal` returns its text: search for that word to find every use."""

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def redact(self, text: str) -> str:
        """Return `text` without the secret, which the host may have echoed."""
        for pattern, form in self._forms:
            text = _redacted(text, pattern, form)
        return _ends_redacted(text, self._text)

    def redact_bytes(self, data: bytes) -> bytes:
        """Return `data` without the secret; the very same object if the secret is not in it."""
        for beginning, pattern, form in self._forms_in_bytes:
            if beginning in data:  # much quicker than a regular expression over megabytes
                data = _redacted(data, pattern, form)
        return data

    @cached_property
    def _forms(self) -> list[tuple[re.Pattern[str], str]]:
        """The possible spellings of the secret, each with the pattern of its beginning; the longest first."""
        return [
            (re.compile(_alone(_LINE_BREAK.join(map(re.escape, form[:length])), self._text)), form)
            for form, length in _forms_of(self._text)
        ]

    @cached_property
    def _forms_in_bytes(self) -> list[tuple[bytes, re.Pattern[bytes], bytes]]:
        forms = []
        for form, length in _forms_of(self._text):
            whole = form.encode("utf-8", "surrogateescape")
            beginning = form[:length].encode("utf-8", "surrogateescape")
            pattern = _alone(re.escape(form[:length]), self._text).encode("utf-8", "surrogateescape")
            forms.append((beginning, re.compile(pattern), whole))
        return forms

    def __repr__(self) -> str:
        return _SHOWN

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Redaction:
    """Removes secrets from host output. False if there are none."""

    secrets: tuple[Secret, ...] = ()

    @classmethod
    def of(cls, secrets: Iterable[Secret | None]) -> Redaction:
        """Return the redaction of these secrets; None stands for no secret."""
        return cls(tuple(dict.fromkeys(filter(None, secrets))))

    def __bool__(self) -> bool:
        return bool(self.secrets)

    def text(self, text: str) -> str:
        """Return the text without the secrets."""
        for secret in self.secrets:
            text = secret.redact(text)
        return text

    def bytes(self, data: bytes) -> bytes:
        """Return the data without the secrets; the very same object if no secret is in it."""
        for secret in self.secrets:
            data = secret.redact_bytes(data)
        return data

    def error(self, error: HostError) -> HostError:
        """Remove the secrets from the error's texts and return it."""
        error.message, error.hint = self.text(error.message), self.text(error.hint)
        error.said, error.traceback = self.text(error.said), self.text(error.traceback)
        error.args = (error.message,)
        return error


def _forms_of(secret: str) -> list[tuple[str, int]]:
    """Return the spellings in which a host may print the secret, each with the length of a revealing beginning."""
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
    """Remove the secret's first characters where the text was cut, or ends."""
    pieces, at = [], 0
    for match in _END.finditer(text):
        least = 2 if match[0] else _SHORT
        for length in range(min(len(secret) - 1, match.start() - at), least - 1, -1):
            if text.startswith(secret[:length], match.start() - length):
                pieces += [text[at : match.start() - length], _SHOWN]
                at = match.start()
                break
    return "".join([*pieces, text[at:]])


def _alone(pattern: str, secret: str) -> str:
    return rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])" if len(secret) < _SHORT else pattern


def _redacted(text: T, pattern: re.Pattern[T], form: T) -> T:
    """Remove each match of `pattern`, the beginning of `form`, and as much of the rest of `form` as follows it."""
    shown, breaks = (_SHOWN, "\r\n") if isinstance(text, str) else (_SHOWN.encode(), b"")
    pieces, at = [], 0
    for match in pattern.finditer(text):
        if match.start() < at:
            continue
        stop, matched = match.end(), len([sign for sign in match[0] if sign not in breaks])
        while stop < len(text) and matched < len(form):
            if text[stop] == form[matched]:
                matched += 1
            elif text[stop : stop + 1] not in ("\r", "\n") or not breaks:
                break
            stop += 1
        pieces += [text[at : match.start()], shown]
        at = stop
    pieces.append(text[at:])
    return text[:0].join(pieces)
