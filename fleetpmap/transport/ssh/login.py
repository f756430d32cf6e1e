"""Who we are.   keys, password ─► [login] ─► an authenticated session, or AuthError

As OpenSSH's client: first the method `none`, which tells what the host takes and lets some in; then publickey,
keyboard-interactive and password, or as PreferredAuthentications has them. Keys are offered one after the other until
the host takes one, or hangs up. A key is signed with after the host said that it would take it, so that no agent asks
its user for nothing. Nothing is tried twice, and a password that was refused is not sent by another method.

The first key is signed with at once where nobody has to be asked for that, and goes out right behind `none` to a host
that allows it: an ordinary login takes one round trip.
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
"""Keys that an error names; of the others it gives the number."""
_FACTORS = 8
"""Methods one after the other at most: a host may go on asking for another for ever."""


class LoginSession(Protocol):
    """What a login needs of the connection."""

    auth_handler: paramiko.auth_handler.AuthHandler | None
    auth_timeout: float
    """Seconds until a request is given up."""
    disconnect_reason: str
    """What the host said when it hung up."""
    server_extensions: dict[str, bytes]
    """What it sent in EXT_INFO (RFC 8308)."""

    @property
    def takes_requests_ahead(self) -> bool:
        """Whether a request may follow `none` before that is answered."""

    def ensure_session(self) -> None:
        """Ask for the login service, and make the handler."""

    def is_active(self) -> bool:
        """Whether the connection is there."""


def login(
    session: LoginSession,
    peer: Peer,
    host: Host,
    settings: SshSettings,
    deadline: Deadline,
    options: SshOptions,
) -> None:
    """Log in as ssh would, with a first factor and a second where the host wants both.

    Raises:
        AuthError: it takes none of ours; the message says what was tried. Its `openssh_can` is set where the system's
            ssh could use a key that this client cannot.
        HostError: the connection broke, or the deadline passed.
    """
    by_key = "publickey" in _methods(settings)
    keys = Keys(host, settings, options.passphrases, deadline) if by_key else None
    if deadline.remaining() == 0:  # an agent that did not answer
        raise _out_of_time(peer, deadline, keys.agent_failure if keys else "")
    with translated(peer, stage="auth", deadline=deadline):
        session.auth_timeout = deadline.remaining()
        session.ensure_session()
    attempt = _Attempt(session, peer, settings, deadline, keys, options.password)
    if not attempt.run():
        raise attempt.error()


class _Attempt:
    """One login, with what was tried and what was left out, for the error."""

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
        """Those that are not used up yet, in the order of preference."""
        self._keys = list(keys or ())
        """Those that were not offered yet."""
        self._offered: list[Key] = []
        self._tried: list[str] = []
        self._left_out = [f"{name}: ssh_config switches it off" for name in _switched_off(settings, password)]
        self._left_out += keys.left_out if keys else []
        self._agent_failure = keys.agent_failure if keys else ""
        self._openssh_can = ""
        self._would_take = False
        """The last request asked about a key, and the host would take it."""
        self._half_in = False
        """The last request was granted, and the host wants another method besides."""
        self._factors = 0
        """How many requests were granted so far."""
        self._asked_for_password = False
        """The host asked for the password that we do not have."""

    def run(self) -> bool:
        """Whether we are in."""
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
        """What was tried, what was not, and what the host would take besides."""
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
        """Whether the host lets us in without anything. If not, it says what it takes."""
        first = self._keys[0] if self._keys and self._methods[0] == "publickey" else None
        if first and self._session.takes_requests_ahead and self._knows_algorithm(first):
            self._handler.send_none_ahead(self._peer.user)
            return False
        return self._request("", lambda: self._handler.send_auth_request(self._peer.user, "none"))

    def _by_key(self) -> bool:
        """Whether the next key, and nothing else, lets us in."""
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
            granted = self._request(key.name, query)  # by `none`, which went ahead
            if not self._would_take:
                return granted
        return self._sign(key, algorithm)

    def _sign(self, key: Key, algorithm: str) -> bool:
        """Whether this key lets us in, which the host takes, or which nobody has to be asked for."""
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
        """Whether the choice of an algorithm can be made before the host has answered anything."""
        return bool(self._signatures()) or "ssh-rsa" not in self._algorithm(key)

    def _algorithm(self, key: Key) -> str:
        """What the key signs by, as ssh chooses it (key_sig_algorithm); empty where the host takes none of ours."""
        ours = key.algorithms(self._accepted)
        if "ssh-rsa" not in key.type:
            return ours[0]
        if theirs := self._signatures():
            return next((name for name in ours if name.removesuffix(CERTIFICATE) in theirs), "")
        # Of servers that do not say, the old ones know SHA-1 only.
        return next((name for name in ours if name.startswith("ssh-rsa")), ours[0])

    def _signatures(self) -> list[str]:
        """The signatures that the host takes, where it says so."""
        named = self._session.server_extensions.get("server-sig-algs", b"").decode(errors="replace")
        return named.split(",") if named else []

    def _instead(self) -> str:
        """What the host takes where a key of ours can make no signature for it."""
        theirs = self._signatures()
        if "ssh-rsa" in theirs:
            return "signatures of RSA keys by SHA-1 only; `PubkeyAcceptedAlgorithms +ssh-rsa` in ssh_config allows it"
        return f"no signature that this key can make, only {printable(_listed(theirs))}"

    def _by_prompts(self) -> bool:
        """Whether keyboard-interactive lets us in: by the password, or without a question."""
        self._methods.remove("keyboard-interactive")
        request = partial(self._handler.auth_interactive, self._peer.user, _nobody)
        granted = self._request("keyboard-interactive", request)
        if self._password is None and not granted and not self._half_in:
            # Only a host without a question lets us in so: that this one does not is no news.
            self._tried = [name for name in self._tried if name != "keyboard-interactive"]
        if self._answers.given and not self._half_in and "password" in self._methods:
            self._methods.remove("password")  # it would be refused again
        return granted

    def _by_password(self) -> bool:
        """Whether the password as such lets us in."""
        self._methods.remove("password")
        if self._password is None:
            return False
        request = partial(self._handler.auth_password, self._peer.user, self._password.reveal())
        return self._request("password", request)

    def _answer(self, prompts: Sequence[Prompt]) -> list[str] | None:
        self._asked_for_password = self._password is None and asks_for_password(prompts)
        return self._answers(prompts)

    def _request(self, name: str, request: Callable[[], Sequence[str]]) -> bool:
        """Whether this request lets us in; False too where it was only the first of two factors."""
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
            if not self._asked_for_password:  # that we have none is said by what the host takes
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
        return out_of_time(peer.host, "auth", deadline.seconds)
    return DeadlineError(
        f"no time left after {deadline.seconds:g} s, while logging in: {agent_failure}",
        host=peer.host,
        stage="auth",
        hint="see whether the agent waits for a confirmation, a touch or a passphrase; "
        "`IdentityAgent none` in ssh_config leaves it out",
    )


def _methods(settings: SshSettings) -> Iterator[str]:
    """The methods to use, in this order."""
    allowed = {
        "publickey": settings.pubkey_authentication,
        "keyboard-interactive": settings.kbd_interactive_authentication,
        "password": settings.password_authentication,
    }
    return (name for name in settings.preferred_authentications or _METHODS if allowed.get(name))


def _switched_off(settings: SshSettings, password: Secret | None) -> list[str]:
    """The methods that we could have used, and ssh_config forbids."""
    ours = _METHODS if password else _METHODS[:1]
    return [name for name in ours if name not in _methods(settings)]


def _listed(names: Sequence[str], at_most: int = _NAMED_AT_MOST) -> str:
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more


def _nobody(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
    """What paramiko's own handler of prompts would call; ours asks `answers`."""
    return []
