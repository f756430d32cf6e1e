"""Answers to prompts.   keyboard-interactive's prompts ─► [password] ─► auth_handler"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fleetpmap.transport.secret import Secret
from fleetpmap.transport.ssh.auth_handler import Prompt

_OTHER_FACTOR = re.compile(r"code|token|otp\b|one.?time|\bpin\b|verif|challenge|factor|new password", re.IGNORECASE)
"""Words of a prompt for a second factor, which is asked for without echo like a password."""


class Answers:
    """Answers a password prompt, once: a single prompt without echo that asks for no other factor.

    Attributes:
        given: True if the password was sent.
    """

    def __init__(self, password: Secret | None) -> None:
        self._password = password
        self.given = False

    def __call__(self, prompts: Sequence[Prompt]) -> list[str] | None:
        """Return the answers to these prompts ([] if the host only displays a text), or None if it has no answer."""
        if not prompts:
            return []
        if self._password is None or self.given or not asks_for_password(prompts):
            return None
        self.given = True
        return [self._password.reveal()]


def asks_for_password(prompts: Sequence[Prompt]) -> bool:
    """True for a single prompt without echo whose words name no other factor."""
    return len(prompts) == 1 and not prompts[0][1] and not _OTHER_FACTOR.search(prompts[0][0])
