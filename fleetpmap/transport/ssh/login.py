"""Who we are.   keys, password ─► [login] ─► an authenticated session, or AuthError

OpenSSH's order of methods: publickey, keyboard-interactive, password; the latter two only where there is a password.
Five keys at most: servers hang up after six failures, and newer ones shut out an address that keeps trying. Nothing is
tried twice, and a password that was refused is not sent by another method.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial

import paramiko
from paramiko.transport import ServiceRequestingTransport

from fleetpmap.errors import AuthError
from fleetpmap.inventory.model import Host
from fleetpmap.transport.base import Deadline, SshOptions, out_of_time, printable
from fleetpmap.transport.secret import Secret
from fleetpmap.transport.ssh.auth_handler import AuthHandler, UnansweredError
from fleetpmap.transport.ssh.keys import Keys
from fleetpmap.transport.ssh.password import Answers
from fleetpmap.transport.ssh.translate import FOREIGN, Peer, translate
from fleetpmap.transport.ssh_config import SshSettings

MAX_KEYS = 5
_BY_PASSWORD = frozenset({"password", "keyboard-interactive"})


def login(
    session: ServiceRequestingTransport,
    peer: Peer,
    host: Host,
    settings: SshSettings,
    deadline: Deadline,
    options: SshOptions,
) -> None:
    """Log in with the first key that the host takes, or the password, or one after the other where it wants both.

    Raises:
        AuthError: it takes none of ours; the message says what was tried.
        HostError: the connection broke, or the deadline passed.
    """
    attempt = _Attempt(session, peer, deadline)
    with contextlib.closing(Keys(host, settings, options.passphrases, deadline)) as keys:
        if attempt.by_keys(keys):
            return
    if options.password and session.is_active() and attempt.by_password(options.password):
        return
    if deadline.remaining() == 0:  # an agent that did not answer
        raise out_of_time(peer.host, "auth", deadline.seconds)
    raise attempt.error(has_password=options.password is not None)


class _Attempt:
    """One login, with what was tried and what was left out, for the error."""

    def __init__(self, session: ServiceRequestingTransport, peer: Peer, deadline: Deadline) -> None:
        self._session = session
        self._peer = peer
        self._deadline = deadline
        self._tried: list[str] = []
        self._left_out: list[str] = []
        self._half_in = False
        """The last request was granted, and the host wants another method besides."""

    def by_keys(self, keys: Keys) -> bool:
        """Whether one of the keys, and nothing else, lets us in."""
        for name, key in keys:
            if not self._takes("publickey"):
                break
            if len(self._tried) == MAX_KEYS:
                self._left_out.append(f"{name} and what follows: {MAX_KEYS} keys are enough")
                break
            if self._offer(name, partial(self._session.auth_publickey, self._peer.user, key)):
                return True
            if not self._session.is_active():
                self._left_out.append("any other: the host hung up")
                break
        self._left_out += keys.left_out
        return False

    def by_password(self, password: Secret) -> bool:
        """Whether the password, asked for by either method, lets us in."""
        answers = Answers(password)
        if self._takes("keyboard-interactive") and self._offer(
            "keyboard-interactive", partial(self._interactive, answers)
        ):
            return True
        if (answers.given and not self._half_in) or not self._session.is_active() or not self._takes("password"):
            return False
        return self._offer(
            "password", partial(self._session.auth_password, self._peer.user, password.reveal(), fallback=False)
        )

    def error(self, *, has_password: bool) -> AuthError:
        """What was tried, what was not, and what the host would take besides."""
        others = [method for method in self._allowed() or () if method != "publickey"]
        tried = f"tried: {', '.join(self._tried)}" if self._tried else "there was no key to try"
        left_out = f"; not: {', '.join(self._left_out)}" if self._left_out else ""
        wants = f"; it {'still wants' if self._half_in else 'takes'}: {printable(', '.join(others))}" if others else ""
        hint = f"run `{self._peer.ssh_command}`, or set user/identity_file for this host in inventory.toml"
        if not has_password and _BY_PASSWORD.intersection(others):
            hint = f"give a password with --ask-pass, or {hint}"
        return AuthError(
            f'cannot log in as "{self._peer.user}" ({tried}{left_out}{wants})',
            host=self._peer.host,
            stage="auth",
            hint=hint,
        )

    def _interactive(self, answers: Answers) -> list[str]:
        self._session.ensure_session()
        handler = self._session.auth_handler
        assert isinstance(handler, AuthHandler)  # noqa: S101 - our session makes no other
        handler.answers = answers
        return handler.auth_interactive(self._peer.user, _nobody)

    def _offer(self, name: str, request: Callable[[], Sequence[str]]) -> bool:
        """Whether this request lets us in; False too where it was only the first of two factors."""
        self._tried.append(name)
        self._session.auth_timeout = self._deadline.remaining()
        self._half_in = False
        try:
            still_wanted = request()
        except paramiko.BadAuthenticationType:  # the handler remembers what it takes instead
            self._tried.pop()
            return False
        except UnansweredError as error:
            self._left_out.append(f'an answer to "{printable(error.question)}"')
            return False
        except FOREIGN as error:
            # Refused by the host, or by the agent that would not sign.
            refused = isinstance(error, paramiko.SSHException) and self._session.is_active()
            hung_up_on_us = len(self._tried) > 1 and not self._session.is_active()
            if self._deadline.remaining() > 0 and (refused or hung_up_on_us):
                return False
            raise translate(error, self._peer, stage="auth", deadline=self._deadline) from error
        self._half_in = bool(still_wanted)
        return not still_wanted

    def _takes(self, method: str) -> bool:
        """Whether the host takes this method, as far as it has said."""
        allowed = self._allowed()
        return allowed is None or method in allowed

    def _allowed(self) -> tuple[str, ...] | None:
        handler = self._session.auth_handler
        return handler.allowed if isinstance(handler, AuthHandler) else None


def _nobody(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
    """What paramiko's own handler of prompts would call; ours asks `answers`."""
    return []
