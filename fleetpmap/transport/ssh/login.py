"""The login.   keys, password ─► [login] ─► an authenticated session, or AuthError

It follows OpenSSH's client. The method `none` comes first: its reply lists the methods that the host accepts, and some
hosts grant it. Then come publickey, keyboard-interactive and password, or the order of PreferredAuthentications. Keys
are offered one after the other until the host accepts one or hangs up. A key signs only after the host has accepted it,
so an agent asks its user for no signature in vain. Nothing is tried twice, and a rejected password is not sent by
another method.

The first key signs at once if that needs no confirmation, and is sent right behind `none` to a host that allows it, so
an ordinary login takes one round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm

from fleetpmap.errors import AuthError, DeadlineError
from fleetpmap.inventory.hosts import Host
from fleetpmap.transport.base import Deadline, SshOptions, out_of_time, printable
from fleetpmap.transport.secret import Secret
from fleetpmap.transport.ssh.agent import AgentError
from fleetpmap.transport.ssh.auth_handler import AuthHandler, Prompt, UnansweredError, WouldTakeError
from fleetpmap.transport.ssh.certificate import validity
from fleetpmap.transport.ssh.key_file import CERTIFICATE
from fleetpmap.transport.ssh.keys import Key, Keys
from fleetpmap.transport.ssh.password import Answers, asks_for_password
from fleetpmap.transport.ssh.translate import FOREIGN, Peer, translate, translated
from fleetpmap.transport.ssh_config import SshSettings

_METHODS = ("publickey", "keyboard-interactive", "password")
_BY_PASSWORD = frozenset({"password", "keyboard-interactive"})
_NAMED_AT_MOST = 8
"""Keys that an error names; the others are counted."""
_FACTORS = 8
"""Methods that may follow each other, at most: a host could require another one for ever."""


class LoginSession(Protocol):
    """The part of a session that a login uses."""

    auth_handler: paramiko.auth_handler.AuthHandler | None
    auth_timeout: float
    """Seconds until a request is given up."""
    disconnect_reason: str
    """The host's reason for hanging up."""
    server_extensions: dict[str, bytes]
    """Content of the host's EXT_INFO (RFC 8308)."""

    @property
    def takes_requests_ahead(self) -> bool:
        """True if a request may follow `none` before its reply."""

    def ensure_session(self) -> None:
        """Request the login service, and create the handler."""

    def is_active(self) -> bool:
        """True while the connection is open."""


def login(
    session: LoginSession,
    peer: Peer,
    host: Host,
    settings: SshSettings,
    deadline: Deadline,
    options: SshOptions,
) -> None:
    """Log in as ssh would, with a second factor if the host requires one.

    Raises:
        AuthError: the host accepts none of our methods; the message lists what was tried. Its `openssh_can` is set if
            the system's ssh could use a key that this client cannot.
        HostError: the connection broke, or the deadline passed.
    """
    by_key = "publickey" in _methods(settings)
    keys = Keys(host, settings, options.passphrases, deadline) if by_key else None
    if deadline.remaining() == 0:  # the agent did not reply in time
        raise _out_of_time(peer, deadline, keys.agent_failure if keys else "")
    with translated(peer, stage="auth", deadline=deadline):
        session.auth_timeout = deadline.remaining()
        session.ensure_session()
    attempt = _Attempt(session, peer, settings, deadline, keys, options.password)
    if not attempt.run():
        raise attempt.error()


class _Attempt:
    """One login, with the tried and the excluded keys and methods for the error."""

    def __init__(
        self,
        session: LoginSession,
        peer: Peer,
        settings: SshSettings,
        deadline: Deadline,
        keys: Keys | None,
        password: Secret | None,
    ) -> None:
        assert isinstance(session.auth_handler, AuthHandler)  # noqa: S101 - our session makes no other
        self._handler = session.auth_handler
        self._handler.answers = self._answer
        self._session = session
        self._peer = peer
        self._accepted = settings.pubkey_algorithms
        self._deadline = deadline
        self._password = password
        self._answers = Answers(password)
        self._methods = list(_methods(settings))
        """Methods not used up yet, in order of preference."""
        self._keys = list(keys or ())
        """Keys not offered yet."""
        self._offered: list[Key] = []
        self._tried: list[str] = []
        self._left_out = [f"{name}: ssh_config switches it off" for name in _switched_off(settings, password)]
        self._left_out += keys.left_out if keys else []
        self._agent_failure = keys.agent_failure if keys else ""
        self._openssh_can = ""
        self._would_take = False
        """True if the last request queried a key and the host accepts it."""
        self._half_in = False
        """True if the last request was granted and the host requires another method besides."""
        self._factors = 0
        """Number of granted requests so far."""
        self._asked_for_password = False
        """True if the host asked for a password and we have none."""

    def run(self) -> bool:
        """Try the methods one after the other; returns True once logged in."""
        if self._ask_none():
            return True
        ways = {"publickey": self._by_key, "keyboard-interactive": self._by_prompts, "password": self._by_password}
        while self._session.is_active() and self._factors < _FACTORS and self._deadline.remaining() > 0:
            allowed = self._handler.allowed
            method = next((name for name in self._methods if allowed is None or name in allowed), None)
            if method is None:
                return False
            if ways[method]():
                return True
            if self._half_in:  # as ssh does: any key may be the second factor
                self._factors += 1
                self._keys, self._offered = [*self._keys, *self._offered], []
        return False

    def error(self) -> AuthError | DeadlineError:
        """Return the error, with the tried and untried keys and methods and those that the host accepts besides."""
        if self._deadline.remaining() == 0:
            return _out_of_time(self._peer, self._deadline, self._agent_failure)
        others = [method for method in self._handler.allowed or () if method != "publickey"]
        tried = f"tried: {_listed(self._tried)}" if self._tried else "there was no key to try"
        left_out = self._left_out if self._session.is_active() else [*self._left_out, self._hung_up()]
        not_tried = f"; not: {', '.join(left_out)}" if left_out else ""
        wants = f"; it {'still wants' if self._factors else 'takes'}: {printable(', '.join(others))}" if others else ""
        hint = f"run `{self._peer.ssh_command}`, or set user/identity_file for this host in inventory.toml"
        if self._password is None and _BY_PASSWORD.intersection(others):
            hint = f"give a password with --ask-pass, or {hint}"
        if any(validity(key.blob) for key in self._offered):
            hint = f"have the certificate signed anew, or {hint}"
        error = AuthError(
            f'cannot log in as "{self._peer.user}" ({tried}{not_tried}{wants})',
            host=self._peer.host,
            stage="auth",
            hint=hint,
        )
        error.openssh_can = self._openssh_can
        return error

    def _hung_up(self) -> str:
        untried = _listed([key.name for key in self._keys], 3) or "any other"
        why = printable(self._session.disconnect_reason) or "without a word"
        if "oo many authentication" in why:
            why += "; its MaxAuthTries allows no more"
        return f"{untried}: the host hung up after {len(self._tried)} ({why})"

    def _ask_none(self) -> bool:
        """Request `none`; returns True if the host grants it. The reply lists the methods that it accepts."""
        first = self._keys[0] if self._keys and self._methods[0] == "publickey" else None
        if first and self._session.takes_requests_ahead and self._knows_algorithm(first):
            self._handler.send_none_ahead(self._peer.user)
            return False
        return self._request("", lambda: self._handler.send_auth_request(self._peer.user, "none"))

    def _by_key(self) -> bool:
        """Offer the next key; returns True if the login is complete."""
        if not self._keys:
            self._methods.remove("publickey")
            return False
        key = self._keys.pop(0)
        self._offered.append(key)
        algorithm = self._algorithm(key)
        if not algorithm:
            self._left_out.append(f"{key.name}: the host takes {self._instead()}")
            return False
        if self._tried or not key.at_hand:
            query = partial(self._handler.query_key, self._peer.user, algorithm, key.blob)
            granted = self._request(key.name, query)  # True only for a `none` that was sent ahead
            if not self._would_take:
                return granted
        return self._sign(key, algorithm)

    def _sign(self, key: Key, algorithm: str) -> bool:
        """Log in by a signature of this key; returns True if the login is complete."""
        if key.sign is None:
            self._left_out.append(key.obstacle)
            if key.is_in_security_key_file:
                self._openssh_can = "can sign with a security key"
            return False
        signed = partial(self._handler.auth_signed, self._peer.user, algorithm, key.blob, key.sign)
        try:
            return self._request(key.name, signed)
        except AgentError as error:
            self._agent_failure = f"{key.name}: the agent {printable(str(error))}"
            self._left_out.append(self._agent_failure)
        except UnsupportedAlgorithm:
            self._left_out.append(f"{key.name}: this machine's policy forbids {algorithm}")
        return False

    def _knows_algorithm(self, key: Key) -> bool:
        """True if the algorithm can be chosen before any reply of the host."""
        return bool(self._signatures()) or "ssh-rsa" not in self._algorithm(key)

    def _algorithm(self, key: Key) -> str:
        """Return the key's signature algorithm, chosen as in ssh (key_sig_algorithm); empty without a common one."""
        ours = key.algorithms(self._accepted)
        if "ssh-rsa" not in key.type:
            return ours[0]
        if theirs := self._signatures():
            return next((name for name in ours if name.removesuffix(CERTIFICATE) in theirs), "")
        # Servers that list none may be old, and the old ones know SHA-1 only.
        return next((name for name in ours if name.startswith("ssh-rsa")), ours[0])

    def _signatures(self) -> list[str]:
        """Return the signature algorithms that the host accepts, if it lists them."""
        named = self._session.server_extensions.get("server-sig-algs", b"").decode(errors="replace")
        return named.split(",") if named else []

    def _instead(self) -> str:
        """Describe the signatures that the host accepts, for a key that can make none of them."""
        theirs = self._signatures()
        if "ssh-rsa" in theirs:
            return "signatures of RSA keys by SHA-1 only; `PubkeyAcceptedAlgorithms +ssh-rsa` in ssh_config allows it"
        return f"no signature that this key can make, only {printable(_listed(theirs))}"

    def _by_prompts(self) -> bool:
        """Log in by keyboard-interactive, with the password or without a prompt; returns True if that completes it."""
        self._methods.remove("keyboard-interactive")
        request = partial(self._handler.auth_interactive, self._peer.user, _never_called)
        granted = self._request("keyboard-interactive", request)
        if self._password is None and not granted and not self._half_in:
            # Without a password it could only succeed without a prompt; not worth naming among the tried methods.
            self._tried = [name for name in self._tried if name != "keyboard-interactive"]
        if self._answers.given and not self._half_in and "password" in self._methods:
            self._methods.remove("password")  # it would be refused again
        return granted

    def _by_password(self) -> bool:
        """Log in by the method `password`; returns True if the login is complete."""
        self._methods.remove("password")
        if self._password is None:
            return False
        request = partial(self._handler.auth_password, self._peer.user, self._password.reveal())
        return self._request("password", request)

    def _answer(self, prompts: Sequence[Prompt]) -> list[str] | None:
        self._asked_for_password = self._password is None and asks_for_password(prompts)
        return self._answers(prompts)

    def _request(self, name: str, request: Callable[[], Sequence[str]]) -> bool:
        """Send a request; returns True if the login is complete, False also if it was only the first of two factors."""
        if name and name not in self._tried[-1:]:
            self._tried.append(name)
        self._session.auth_timeout = self._deadline.remaining()
        self._half_in = self._would_take = False
        try:
            still_wanted = request()
        except (AgentError, UnsupportedAlgorithm):
            raise
        except WouldTakeError:
            self._would_take = True
            return False
        except paramiko.BadAuthenticationType:  # the handler remembers what it takes instead
            self._tried = self._tried[:-1] if name else self._tried
            return False
        except UnansweredError as error:
            if not self._asked_for_password:  # the methods that the host takes show that
                self._left_out.append(f'an answer to "{printable(error.question)}"')
            return False
        except FOREIGN as error:
            refused = isinstance(error, paramiko.SSHException) and self._session.is_active()
            hung_up_on_us = not self._session.is_active() and (len(self._tried) > 1 or self._session.disconnect_reason)
            if self._deadline.remaining() > 0 and (refused or hung_up_on_us):
                return False
            raise translate(error, self._peer, stage="auth", deadline=self._deadline) from error
        self._half_in = bool(still_wanted)
        return not still_wanted


def _out_of_time(peer: Peer, deadline: Deadline, agent_failure: str) -> DeadlineError:
    if not agent_failure:
        return out_of_time(peer.host, "auth", deadline)
    return DeadlineError(
        f"no time left after {deadline.seconds:g} s, while logging in: {agent_failure}",
        host=peer.host,
        stage="auth",
        hint="see whether the agent waits for a confirmation, a touch or a passphrase; "
        "`IdentityAgent none` in ssh_config leaves it out",
    )


def _methods(settings: SshSettings) -> Iterator[str]:
    """Return the methods to use, in order."""
    allowed = {
        "publickey": settings.pubkey_authentication,
        "keyboard-interactive": settings.kbd_interactive_authentication,
        "password": settings.password_authentication,
    }
    return (name for name in settings.preferred_authentications or _METHODS if allowed.get(name))


def _switched_off(settings: SshSettings, password: Secret | None) -> list[str]:
    """Return the methods that we could use and ssh_config forbids."""
    ours = _METHODS if password else _METHODS[:1]
    return [name for name in ours if name not in _methods(settings)]


def _listed(names: Sequence[str], at_most: int = _NAMED_AT_MOST) -> str:
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more


def _never_called(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
    """Satisfy paramiko's signature of a prompt handler; never called, since our handler calls `answers`."""
    return []
