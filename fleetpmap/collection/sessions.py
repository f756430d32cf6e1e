"""Dialogues that outlive a round.   conversation ─► [connections] ─► collector, again and again

A run connects to each host, asks and hangs up. Who asks every few seconds stays on the line: the probe waits there for
the next `list`, so a round is neither a login nor a command, and sudo has nothing more to write into its log.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from fleetpmap.collection.conversation import Conversation, Dialogue, Question, start
from fleetpmap.errors import AuthError, DeadlineError, HostError, HostKeyError, SudoError
from fleetpmap.inventory import Host
from fleetpmap.transport import Bastions, Deadline, Transport, open_transport

_FINAL = (AuthError, HostKeyError, SudoError)
"""What the next round would not change. Trying again every few seconds locks accounts, and sshd bans who does it."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One host, connected, with the probe waiting."""

    transport: Transport
    dialogue: Dialogue

    def renew(self, deadline: Deadline) -> None:
        self.transport.renew(deadline)
        self.dialogue.renew(deadline)

    @contextmanager
    def closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.dialogue.close()
        self.transport.close()


class Connections:
    """The hosts of a run that is repeated, each on the line until it breaks. A context manager: leaving it hangs up.

    Every round asks the same of the hosts. One that refused the login, or sudo, is not asked again: it has the same
    error in each round. Any other that failed is connected to anew in the next.
    """

    def __init__(self) -> None:
        self._bastions = Bastions()
        self._waiting: dict[str, _Line] = {}
        self._refused: dict[str, HostError] = {}
        self._closed = False

    def next_round(self) -> None:
        """Bastions that could not be reached, or were lost, may be tried again."""
        self._bastions.forget_failures()

    def converse(self, host: Host, question: Question, *, deadline: Deadline) -> tuple[Conversation, tuple[str, ...]]:
        """What the host answers (see conversation.converse), and the notes on the way there. A host has one caller.

        A line that broke since the last round is opened anew, once.

        Raises:
            HostError: it could not be asked.
        """
        if error := self._refused.get(host.name):
            raise copy.copy(error) from error.__cause__
        line = self._waiting.pop(host.name, None)
        if line is not None and (answer := self._asked_again(line, question, deadline)):
            return self._kept(host, line, answer)
        try:
            with ExitStack() as opened:
                transport = open_transport(host, deadline=deadline, options=question.ssh, bastions=self._bastions)
                opened.enter_context(transport)
                dialogue = opened.enter_context(start(transport, host, question))
                answer = dialogue.ask(question.selection, smaps=question.smaps)
                opened.pop_all()
        except _FINAL as error:
            self._refused[host.name] = error
            raise
        return self._kept(host, _Line(transport, dialogue), answer)

    def _asked_again(self, line: _Line, question: Question, deadline: Deadline) -> Conversation | None:
        """None: the line is broken, and there is time to open another."""
        try:
            with line.closed_on_error():
                line.renew(deadline)
                return line.dialogue.ask(question.selection, smaps=question.smaps)
        except DeadlineError:
            raise
        except HostError:
            return None

    def _kept(self, host: Host, line: _Line, answer: Conversation) -> tuple[Conversation, tuple[str, ...]]:
        if self._closed:
            line.close()
        else:
            line.renew(Deadline.after(math.inf))  # between two rounds nothing is late
            self._waiting[host.name] = line
        return answer, line.transport.notes

    def close(self) -> None:
        """Hang up. A host that is being asked goes when it has answered, or at its deadline. Safe to call twice."""
        self._closed = True
        while self._waiting:
            self._waiting.popitem()[1].close()
        self._bastions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
