"""What a password answers.   keyboard-interactive's prompts ─► [password] ─► auth_handler"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fleetpmap.transport.secret import Secret
from fleetpmap.transport.ssh.auth_handler import Prompt

_OTHER_FACTOR = re.compile(r"code|token|otp\b|one.?time|\bpin\b|verif|challenge|factor|new password", re.IGNORECASE)
"""A second factor is asked for without echo as well; its prompt is told by its words."""


class Answers:
    """Answers one prompt, once: a single one without echo that does not ask for something else.

    Attributes:
        given: whether the password was sent.
    """

    def __init__(self, password: Secret) -> None:
        self._password = password
        self.given = False

    def __call__(self, prompts: Sequence[Prompt]) -> list[str] | None:
        """The answers to these prompts (none are asked at the end of a login, say); None: not ours to answer."""
        if not prompts:
            return []
        (text, echo), *more = prompts
        if more or echo or self.given or _OTHER_FACTOR.search(text):
            return None
        self.given = True
        return [self._password.reveal()]
