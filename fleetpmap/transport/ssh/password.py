"""What is answered.   keyboard-interactive's prompts ─► [password] ─► auth_handler"""

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

    def __init__(self, password: Secret | None) -> None:
        self._password = password
        self.given = False

    def __call__(self, prompts: Sequence[Prompt]) -> list[str] | None:
        """The answers to these prompts (none where the host only tells something); None: not ours to answer."""
        if not prompts:
            return []
        if self._password is None or self.given or not asks_for_password(prompts):
            return None
        self.given = True
        return [self._password.reveal()]


def asks_for_password(prompts: Sequence[Prompt]) -> bool:
    """Whether this is one prompt, without echo, by its words for no other factor."""
    return len(prompts) == 1 and not prompts[0][1] and not _OTHER_FACTOR.search(prompts[0][0])
