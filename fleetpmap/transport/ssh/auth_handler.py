"""Login requests and their replies.   login ─► [auth_handler] ─► paramiko, session

paramiko's handler (5.1) with four mends: it cannot miss a quick reply, it records the methods that the host accepts, it
queries a key before signing with it, and a prompt without an answer ends the method rather than the connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

import paramiko
from paramiko.auth_handler import AuthOnlyHandler
from paramiko.common import (
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_INFO_REQUEST,
    cMSG_USERAUTH_INFO_RESPONSE,
    cMSG_USERAUTH_REQUEST,
)

Prompt = tuple[str, bool]
"""A prompt of the host, and True if the answer may be echoed while it is typed."""
_SERVICE = "ssh-connection"
_ROUNDS = 32
"""Rounds of keyboard-interactive that are answered per login. The next one is left unanswered."""
_BANNER = 4 << 10
"""Bytes kept of a banner."""
_PROMPTS = 64
"""Prompts per round, at most; the host chooses their number."""


class UnansweredError(paramiko.AuthenticationException):
    """The host asked a `question` that has no answer."""

    def __init__(self, question: str) -> None:
        super().__init__(f"no answer to: {question}")
        self.question = question


class WouldTakeError(paramiko.AuthenticationException):
    """The reply to a query: the host accepts this key and waits for its signature."""


class AuthHandler(AuthOnlyHandler):
    """The login of one connection."""

    allowed: tuple[str, ...] | None = None
    """Methods that the host accepts, or still requires after a first factor; None before its first reply."""
    answers: Callable[[Sequence[Prompt]], list[str] | None] = staticmethod(lambda prompts: None)
    """Function that answers keyboard-interactive's prompts; it returns None for prompts that it cannot answer."""
    was_hasty = False
    """True if a key was sent right behind `none` and the reply to `none` said that the host accepts no keys."""
    banner_text = ""
    """Text of the last banner."""
    banner_answers = False
    """True if the banner came after the first refusal, so it is about this login."""
    _none_is_ahead = False
    _queried = b""
    """Public half of the key that was queried."""
    _rounds = 0

    def send_none_ahead(self, username: str) -> None:
        """Request the method `none` and leave its reply to the next request, which follows at once.

        Only for a host that ignores the second request if it grants `none`, as OpenSSH does.
        """
        self._none_is_ahead = True
        self._send(username, "none", None)

    def query_key(self, username: str, algorithm: str, blob: bytes) -> list[str]:
        """Query whether the host accepts this key, before signing with it.

        Raises:
            WouldTakeError: it accepts the key.
            AuthenticationException: it does not.
        """

        def finish(message: paramiko.Message) -> None:
            message.add_boolean(False)
            message.add_string(algorithm)
            message.add_string(blob)

        self._queried = blob
        try:
            return self.send_auth_request(username, "publickey", finish)
        finally:
            self._queried = b""

    def auth_signed(self, username: str, algorithm: str, blob: bytes, sign: Callable[[bytes, str], bytes]) -> list[str]:
        """Log in with a key or certificate and its signature. Returns the methods still required, [] for none."""
        fields = paramiko.Message()
        fields.add_boolean(True)
        fields.add_string(algorithm)
        fields.add_string(blob)
        signed = paramiko.Message()  # RFC 4252 section 7
        signed.add_string(self.transport.session_id or b"")
        signed.add_byte(cMSG_USERAUTH_REQUEST)
        for text in (username, _SERVICE, "publickey"):
            signed.add_string(text)
        signed.add_bytes(fields.asbytes())
        fields.add_string(sign(signed.asbytes(), algorithm))

        def finish(message: paramiko.Message) -> None:
            message.add_bytes(fields.asbytes())

        return self.send_auth_request(username, "publickey", finish)

    def send_auth_request(
        self, username: str, method: str, finish_message: Callable[[paramiko.Message], None] | None = None
    ) -> list[str]:
        """Send one login request and wait for the reply. Returns the methods still required, [] for none.

        paramiko 5.1 creates its event after sending. A quick host replies in between, the reply sets no event, and the
        login hangs.
        """
        self.auth_event = event = threading.Event()
        self._rounds = 0
        self._send(username, method, finish_message)
        return self.wait_for_response(event)

    def _send(self, username: str, method: str, finish_message: Callable[[paramiko.Message], None] | None) -> None:
        self.auth_method = method
        self.username = username
        message = paramiko.Message()
        message.add_byte(cMSG_USERAUTH_REQUEST)
        message.add_string(username)
        message.add_string(_SERVICE)
        message.add_string(method)
        if finish_message is not None:
            finish_message(message)
        with self.transport.lock:  # as in paramiko's send_auth_request
            self.transport._send_message(message)  # type: ignore[attr-defined]  # private, so not in the stubs

    @property
    def _client_handler_table(self) -> Mapping[int, Callable[..., None]]:
        table = super()._client_handler_table  # type: ignore[misc]  # private, so not in the stubs
        return {
            **table,
            MSG_USERAUTH_BANNER: self._handle_banner,
            MSG_USERAUTH_FAILURE: self._handle_failure,
            MSG_USERAUTH_INFO_REQUEST: self._handle_question,
        }

    def _handle_banner(self, message: paramiko.Message) -> None:
        self.banner_text = message.get_binary()[:_BANNER].decode(errors="replace")
        self.banner_answers = self.allowed is not None

    def _handle_failure(self, message: paramiko.Message) -> None:
        self.allowed = tuple(message.get_list())
        if self._none_is_ahead:
            self._none_is_ahead = False
            self.was_hasty = "publickey" not in self.allowed
            return
        message.rewind()  # paramiko reads the list again
        super()._parse_userauth_failure(message)  # type: ignore[misc]  # private, so not in the stubs

    def _handle_question(self, message: paramiko.Message) -> None:
        """Dispatch message 60, which has three meanings, depending on the method in progress."""
        if self.auth_method == "publickey":
            self._handle_query(message)
        elif self.auth_method == "keyboard-interactive":
            self._handle_prompts(message)
        else:  # the password has expired
            self._leave_unanswered(message.get_text())

    def _handle_query(self, message: paramiko.Message) -> None:
        message.get_text()
        if not self._queried or message.get_binary() != self._queried:
            raise paramiko.SSHException("it would take a key that it was not asked about")
        # wait_for_response(), in the thread that logs in, raises the saved exception once auth_event is set.
        self.transport.saved_exception = WouldTakeError("the host would take the key")
        if self.auth_event is not None:
            self.auth_event.set()

    def _handle_prompts(self, message: paramiko.Message) -> None:
        title, instructions, _ = message.get_text(), message.get_text(), message.get_binary()
        count = message.get_int()
        if count > _PROMPTS:
            raise paramiko.SSHException(f"it asks {count:,} questions at once")
        prompts = [(message.get_text(), message.get_boolean()) for _ in range(count)]
        self._rounds += 1
        answers = self.answers(prompts) if self._rounds <= _ROUNDS else None
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
        """End the method without a reply; RFC 4256 allows the next request in its place."""
        self.transport.saved_exception = UnansweredError(" ".join(question.split()))
        if self.auth_event is not None:
            self.auth_event.set()
