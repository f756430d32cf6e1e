"""The sessions of a run: opened for one question, or kept open for the next round.   transport ─► [sessions] ─► host

A run connects to each host, asks and hangs up. `watch`, which asks every few seconds, keeps its sessions: a round is
then neither a login nor a command, and sudo writes nothing more into its log.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from fleetpmap.collection.question import Question
from fleetpmap.collection.session import ProbeSession, open_session
from fleetpmap.errors import AuthError, DeadlineError, HostError, HostKeyError, SudoError
from fleetpmap.inventory import Host
from fleetpmap.transport import Bastions, Deadline, SshOptions, Transport, open_transport
from fleetpmap.transport.base import Closing

_FINAL = (AuthError, HostKeyError, SudoError)
"""Errors that the next round would meet again. A try every few seconds locks accounts, and sshd bans its source."""


class TransportFor(Protocol):
    """Opens the way to a host: `open_transport`, or a fake that keeps its contract."""

    def __call__(self, host: Host, *, deadline: Deadline, options: SshOptions) -> Transport:
        """Raises HostError when there is no way."""


class SessionLostError(Exception):
    """A session kept since the last round is broken, and there is time to open another."""


class Sessions(Protocol):
    """Gives out sessions, one to a host at a time."""

    def session(self, host: Host, question: Question, deadline: Deadline) -> AbstractContextManager[ProbeSession]:
        """Open a session for the body of a `with` statement.

        Raises:
            SessionLostError: in the `with` statement; the next call opens a new one.
            HostError: there is no way to the host, or no probe on it.
        """


@dataclass(frozen=True, slots=True)
class OneShotSessions:
    """Opens each session anew, and closes it after use. Can be sent to another process."""

    transport_for: TransportFor = open_transport

    @contextmanager
    def session(self, host: Host, question: Question, deadline: Deadline) -> Iterator[ProbeSession]:
        """See Sessions."""
        with (
            self.transport_for(host, deadline=deadline, options=question.ssh) as transport,
            open_session(transport, host, question) as session,
        ):
            yield session


class KeptSessions(Closing):
    """Keeps each session open until it breaks. A context manager: leaving it closes all of them.

    All rounds ask the same hosts the same question. A host that refused the login, or sudo, is not tried again: it has
    the same error in each round. Any other host that failed gets a new session in the next round.
    """

    def __init__(self) -> None:
        self._bastions = Bastions()
        self._waiting: dict[str, ProbeSession] = {}
        self._refused: dict[str, HostError] = {}
        self._is_closed = False

    def next_round(self) -> None:
        """Allow another try to bastions that could not be reached, or were lost."""
        self._bastions.forget_failures()

    @contextmanager
    def session(self, host: Host, question: Question, deadline: Deadline) -> Iterator[ProbeSession]:
        """See Sessions."""
        if error := self._refused.get(host.name):
            raise copy.copy(error) from error.__cause__
        kept = self._waiting.pop(host.name, None)
        session = self._continued(kept, deadline) if kept else self._opened(host, question, deadline)
        with session as usable:
            yield usable
        if self._is_closed:
            usable.close()
        else:
            usable.pause()
            self._waiting[host.name] = usable

    @contextmanager
    def _continued(self, kept: ProbeSession, deadline: Deadline) -> Iterator[ProbeSession]:
        """Use a session of the last round; close it on an error."""
        with ExitStack() as unless_done:
            unless_done.enter_context(kept)
            try:
                kept.resume(deadline)
                yield kept
            except DeadlineError:
                raise
            except HostError as error:
                raise SessionLostError from error
            unless_done.pop_all()

    @contextmanager
    def _opened(self, host: Host, question: Question, deadline: Deadline) -> Iterator[ProbeSession]:
        """Use a new session; close it on an error."""
        try:
            with ExitStack() as unless_done:
                transport = open_transport(host, deadline=deadline, options=question.ssh, bastions=self._bastions)
                unless_done.enter_context(transport)
                session = unless_done.enter_context(open_session(transport, host, question))
                yield session
                unless_done.pop_all()
        except _FINAL as error:
            self._refused[host.name] = error
            raise

    def close(self) -> None:
        """Close all sessions. One in use is closed after its reply, or at its deadline. Safe to call twice."""
        self._is_closed = True
        while self._waiting:
            self._waiting.popitem()[1].close()
        self._bastions.close()
