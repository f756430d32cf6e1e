"""Login requests and their answers.   login ─► [auth_handler] ─► paramiko, session

paramiko's handler with three mends: it cannot miss a quick answer, it remembers which methods the host would take, and
a question that we do not answer is a refusal of the method rather than the end of the connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import paramiko
from paramiko.auth_handler import AuthOnlyHandler
from paramiko.common import (
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_INFO_REQUEST,
    cMSG_USERAUTH_INFO_RESPONSE,
    cMSG_USERAUTH_REQUEST,
)

Prompt = tuple[str, bool]
"""What the host asks, and whether the answer may be seen while it is typed."""


class UnansweredError(paramiko.AuthenticationException):
    """The host asked something that we have no answer for: `question`."""

    def __init__(self, question: str) -> None:
        super().__init__(f"no answer to: {question}")
        self.question = question


class AuthHandler(AuthOnlyHandler):
    """The handler of one connection's login."""

    allowed: tuple[str, ...] | None = None
    """The methods that the host takes, or after a first factor still wants; None until it has said so."""
    answers: Callable[[Sequence[Prompt]], list[str] | None] = staticmethod(lambda prompts: None)
    """Answers keyboard-interactive's prompts; None for a question that it does not answer."""

    def send_auth_request(
        self, username: str, method: str, finish_message: Callable[[paramiko.Message], None] | None = None
    ) -> list[str]:
        """Send one login request and wait for the answer: what the host still wants, [] for nothing.

        paramiko 5.1 makes its event after sending: a quick host answers in between, and the login hangs.
        """
        self.auth_method = method
        self.username = username
        message = paramiko.Message()
        message.add_byte(cMSG_USERAUTH_REQUEST)
        message.add_string(username)
        message.add_string("ssh-connection")
        message.add_string(method)
        if finish_message is not None:
            finish_message(message)
        self.auth_event = event = threading.Event()
        with self.transport.lock:
            self.transport._send_message(message)  # type: ignore[attr-defined]  # private, so not in the stubs
        return self.wait_for_response(event)

    @property
    def _client_handler_table(self) -> Mapping[int, Callable[..., None]]:
        table = super()._client_handler_table  # type: ignore[misc]  # private, so not in the stubs
        return {
            **table,
            MSG_USERAUTH_FAILURE: self._heed_failure,
            MSG_USERAUTH_INFO_REQUEST: self._heed_question,
        }

    def _heed_failure(self, message: paramiko.Message) -> None:
        self.allowed = tuple(message.get_list())
        message.rewind()
        super()._parse_userauth_failure(message)  # type: ignore[misc]  # private, so not in the stubs

    def _heed_question(self, message: paramiko.Message) -> None:
        if self.auth_method != "keyboard-interactive":  # the same number means that the password has expired
            self._leave_unanswered(message.get_text())
            return
        title, instructions, _ = message.get_text(), message.get_text(), message.get_binary()
        prompts = [(message.get_text(), message.get_boolean()) for _ in range(message.get_int())]
        answers = self.answers(prompts)
        if answers is None:
            self._leave_unanswered(" ".join([title, instructions, *(prompt for prompt, _ in prompts)]))
            return
        reply = paramiko.Message()
        reply.add_byte(cMSG_USERAUTH_INFO_RESPONSE)
        reply.add_int(len(answers))
        for answer in answers:
            reply.add_string(answer)
        self.transport._send_message(reply)  # type: ignore[attr-defined]  # private, so not in the stubs

    def _leave_unanswered(self, question: str) -> None:
        """End the method without a reply; RFC 4256 lets the next request take its place."""
        self.transport.saved_exception = UnansweredError(" ".join(question.split()))
        if self.auth_event is not None:
            self.auth_event.set()
