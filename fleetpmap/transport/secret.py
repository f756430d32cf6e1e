"""A text that is shown to nobody.   cli.passwords ─► [secret] ─► ssh.login, probe.sudo

Passwords and passphrases travel inside this type, so that no message, log line or traceback that prints one of them by
mistake prints more than `***`.
"""

from __future__ import annotations

_SHOWN = "***"


class Secret:
    """A password or passphrase. Only `reveal` gives it away: look for that word to find who does."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def redact(self, text: str) -> str:
        """`text` without the secret, for what a host echoed."""
        return text.replace(self._text, _SHOWN) if self._text else text

    def __repr__(self) -> str:
        return _SHOWN

    __str__ = __repr__
