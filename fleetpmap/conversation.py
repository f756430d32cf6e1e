"""One host, one channel, two phases.   transport, probe, wire, processes ─► [conversation] ─► collector

the script on stdin ─► phase one: the Listing ─► processes.choose, here ─► their pids ─► phase two: the Reading
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from types import TracebackType
from typing import Self, TypeVar

from fleetpmap import probe
from fleetpmap.errors import DeadlineError, HostError, ProtocolError, RemoteError, SudoError
from fleetpmap.inventory import Host
from fleetpmap.probe import Script
from fleetpmap.probe.sudo import explain_refusal, second_way
from fleetpmap.processes import Choice, LeftOut, Own, Selection, became_another, choose, completed, own_of
from fleetpmap.transport import Channel, Deadline, Secret, SshOptions, Transport
from fleetpmap.transport.base import passed, printable
from fleetpmap.units import KIB
from fleetpmap.wire import Decoder, ListedProcess, Listing, PackedReading, ProcessReading, Reading

_TIMED_RSS_KIB = 512 * KIB
"""From here on a process is read by a command of its own, for the time it takes: about 10 ms of page walk, below which
the host's clock, in hundredths, says nothing."""
_PATIENCE_S = 10.0
"""Seconds without a word from a host, or a quarter of its time if that is less, after which it is to look whether a
process keeps its files. The kernel takes 20 ms per GiB, so that only a few processes of many GiB take as long."""
_STUCK_S = 60.0
"""Seconds after which a process is tried again that kept its files."""
_SFTP_ONLY = "sftp connections only"
"""What sshd says instead of running a command where `internal-sftp` is forced."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask of every host."""

    selection: Selection = field(default_factory=Selection)
    smaps: bool = True
    """False: only list who would be read."""
    rollups: bool = False
    """Also read smaps_rollup, for the self-check: the kernel walks each process's page tables a second time."""
    rollup_only: bool = False
    """Read smaps_rollup, one sum for each process, in the place of smaps, where a host's kernel has it."""
    ssh: SshOptions = field(default_factory=SshOptions)
    become_password: Secret | None = None
    """For hosts with `sudo` whose sudo asks for one."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a host answered."""

    listing: Listing
    choice: Choice
    said: str
    """What the host printed besides: a banner, a login script's talk, stderr."""
    packed: PackedReading | None = None
    """What was read, as it came; None where nobody was to be read."""
    reading: Reading | None = None
    """The same unpacked: one entry for each of `choice.read`, in its order."""
    sent: Secret | None = None
    """What went in before the script; no message may hold it."""
    selection: Selection = field(default_factory=Selection)
    """What the processes were chosen by."""
    silent: tuple[int, ...] = ()
    """Processes that keep their files: what they were started with is not known."""

    @property
    def users(self) -> Mapping[int, str]:
        """Names of the uids seen, as far as the reading is unpacked."""
        return self.listing.users | (self.reading.users if self.reading else {})

    def unpacked(self) -> Conversation:
        """The same with its reading, and no longer packed.

        Raises:
            HostError: what came is not the wire format.
        """
        if self.packed is None:
            return self
        with _told(lambda: self.said, self.sent):
            reading = self.packed.unpack()
            if [one.pid for one in reading.processes] != [one.pid for one in self.choice.read]:
                raise _not_our_probe("it answered for other processes than it was asked for", self.packed.host)
            if all(one.status == "unread" for one in reading.processes):
                raise _not_our_probe("it read none of the processes that it was asked for", self.packed.host)
            others = {
                found.pid
                for listed, found in zip(self.choice.read, reading.processes, strict=True)
                if found.status == "read" and became_another(listed, found, self.selection)
            }
            if others:
                reading = reading.reused(others)
        return replace(self, choice=completed(self.choice, reading), packed=None, reading=reading)

    def notes(self) -> Iterator[str]:
        """What the way in which this host was read leaves open."""
        can, listed = self.listing.capabilities, self.listing.processes
        if unread := self.choice.unread_exes:
            remedy = "even root may not" if can.uid == 0 else "--sudo reads them"
            yield f"the exe of {unread} of its processes could not be read, so --exe leaves them out; {remedy}"
        chosen = {one.pid for one in (*self.choice.read, *(left.process for left in self.choice.left_out))}
        if unknown := [str(pid) for pid in self.silent if pid not in chosen]:
            yield f"the command line of process {', '.join(unknown)} did not come back, so only the name could match"
        if undecided := self.choice.undecided:
            remedy = "a simpler pattern, --exe or --unit finds them"
            yield f"--match took too long on {undecided} of its processes: left out, matching or not; {remedy}"
        if can.uid != 0 and can.probe_pid is not None and listed.get(1) is None:
            yield "its /proc hides other users' processes (hidepid): only the login's own can match; --sudo shows all"
        if can.reader == "sh" and not self.listing.has_arguments:
            yield "no usable grep and tail: its shell read /proc alone, without command lines, so only names matched"


@dataclass(frozen=True, slots=True)
class Answered:
    """A host's answer, and what is to be noted of it."""

    host: Host
    answer: Conversation
    notes: tuple[str, ...] = ()

    @property
    def reading(self) -> Reading | None:
        """Phase two, once it is unpacked."""
        return self.answer.reading

    @property
    def processes(self) -> Sequence[ProcessReading]:
        """What was read, one for each process that was to be."""
        return self.reading.processes if self.reading else ()

    @property
    def text(self) -> bytes:
        """Their smaps, one after the other."""
        return self.reading.smaps if self.reading else b""


def converse(transport: Transport, host: Host, question: Question) -> Conversation:
    """Ask for the processes, choose, and ask for the chosen ones' maps.

    Raises:
        HostError: the host broke off, or answered something else; its `said` is what came besides.
    """
    with start(transport, host, question) as dialogue:
        return dialogue.ask(question.selection, smaps=question.smaps)


def start(transport: Transport, host: Host, question: Question) -> Dialogue:
    """The probe, running on a host and ready to be asked.

    Raises:
        HostError: it did not come to that.
    """
    selection = question.selection
    script = probe.render(
        probe.Request(
            proc_root=host.proc_root,
            sudo=host.sudo and not transport.is_root,
            words=selection.full or not question.smaps,
            owners=bool(selection.users) or not question.smaps,
            cgroups=bool(selection.cgroup or selection.unit),
            exes=bool(selection.exe),
            rollups=question.rollups and not question.rollup_only,
            rollup_only=question.rollup_only,
        )
    )
    try:
        return Dialogue(transport.run(script.command), script, host)
    except SudoError as error:
        refusal = error
    password = question.become_password
    return Dialogue(second_way(transport, host, refusal, password), script, host, sent=password)


class _GivenUpError(Exception):
    """The host gave a phase up, since a process keeps its files; which, the decoder says."""


Reply = TypeVar("Reply", Listing, PackedReading)


class Dialogue:
    """The probe on a host, waiting for a line: it can be asked again and again, and lists the processes each time.

    A context manager: leaving it closes the channel, and the probe ends. After an error it is of no more use.
    """

    def __init__(self, channel: Channel, script: Script, host: Host, *, sent: Secret | None = None) -> None:
        """Both the script and the first list go over the channel here; `sent` is what went in before the script.

        Raises:
            HostError: the probe did not start.
        """
        self._channel = channel
        self._script = script
        self._host = host
        self._sent = sent
        self._decoder = Decoder(script, host=host.name)
        self._expected: list[tuple[int, ...]] = []
        """The groups read last time, which will most likely be the same next time."""
        self._own: Own | None = None
        self._stuck: dict[int, float] = {}
        """Processes whose files did not come back, and when that was found."""
        self._patience_s = min(_PATIENCE_S, host.timeout_s / 4)
        self._listing: Listing | None = None
        """The first list, until it is used."""
        try:
            with self._told():
                self._channel.send(script.stdin)
                try:
                    self._listing = self._receive_listing()
                except _GivenUpError:
                    self._skip_stuck()
        except BaseException:
            self.close()
            raise

    def ask(self, selection: Selection, *, smaps: bool) -> Conversation:
        """Ask as `converse` does; but for the first time, for a list of the processes as they are now.

        Where the same processes matched before, they are asked for along with the list: that saves a round trip.

        Raises:
            HostError: the host broke off, or answered something else; its `said` is what came besides.
        """
        with self._told():
            self._forget_stuck()
            while True:
                try:
                    return self._asked(selection, smaps=smaps)
                except _GivenUpError:
                    self._skip_stuck()

    def _asked(self, selection: Selection, *, smaps: bool) -> Conversation:
        expected, self._expected = self._expected, []
        if expected:
            self._decoder.expect_both()
            self._channel.send(self._script.list_line(expected))
        elif self._listing is None:
            self._channel.send(self._script.list_line())
        listing, self._listing = self._listing or self._receive_listing(), None
        choice, groups = self._choose(selection, listing)
        if groups == expected != []:
            self._expected = groups
            return self._answer(selection, listing, choice, self._receive_reading())
        if not expected and self._decoder.reading is not None:
            raise _not_our_probe("it sent smaps before it was asked for them", self._host.name)
        self._decoder.reading = None  # of other processes, if anything
        packed = None
        if smaps and groups:
            self._channel.send(self._script.read_line(groups))
            packed = self._receive_reading()
            # Where processes come and go, look first the next time.
            self._expected = [] if expected else groups
        return self._answer(selection, listing, choice, packed)

    def _skip_stuck(self) -> None:
        """Have the processes left out for which the host gave a phase up; the next question begins with a list.

        Raises:
            ProtocolError: they are left out already.
        """
        found = [pid for pid in self._decoder.stuck if pid not in self._stuck]
        if not found:
            raise _not_our_probe("it gave up for processes that it was not asked for", self._host.name)
        self._stuck |= dict.fromkeys(found, time.monotonic())
        self._listing, self._expected = None, []
        self._decoder.begin_again()
        self._channel.send(self._script.skip_line(self._stuck))

    def _forget_stuck(self) -> None:
        """After a while, try them again."""
        now = time.monotonic()
        if old := [pid for pid, found in self._stuck.items() if now >= found + _STUCK_S]:
            for pid in old:
                del self._stuck[pid]
            self._expected = []
            self._channel.send(self._script.skip_line(self._stuck))

    def _choose(self, selection: Selection, listing: Listing) -> tuple[Choice, list[tuple[int, ...]]]:
        """Whom it means, and in which groups they are read."""
        if self._own is None:
            self._own = own_of(listing, os.getpid() if self._host.transport == "local" else None)
        choice = choose(listing, selection, self._own)
        if self._stuck:
            reason = f"its files did not come back within {self._look_s} s: its memory lock is held"
            stuck = [LeftOut(process, "cut", reason) for process in choice.read if process.pid in self._stuck]
            read = tuple(process for process in choice.read if process.pid not in self._stuck)
            left_out = sorted([*choice.left_out, *stuck], key=lambda left: left.process.pid)
            choice = replace(choice, read=read, left_out=tuple(left_out))
        return choice, _groups(choice.read)

    @property
    def _look_s(self) -> int:
        """How long each file may take when nothing comes."""
        return max(1, int(self._patience_s / 2))

    def _receive_listing(self) -> Listing:
        listing = self._receive(lambda: self._decoder.listing)
        passed(self._host.name, "list")
        return listing

    def _receive_reading(self) -> PackedReading:
        reading = self._receive(lambda: self._decoder.reading)
        passed(self._host.name, "read")
        return reading

    def _receive(self, reply: Callable[[], Reply | None]) -> Reply:
        """Feed the decoder until the reply is whole.

        Raises:
            _GivenUpError: the host gave the phase up.
        """
        while (answer := reply()) is None:
            if self._decoder.stuck:
                raise _GivenUpError
            piece = self._next_piece()
            if not piece:
                raise _ended_early(self._channel, self._decoder, self._host)
            self._decoder.feed(piece)
        return answer

    def _next_piece(self) -> bytes:
        """What the host says next. Once it has begun and then says nothing for long, it is told to look why."""
        deadline = self._channel.deadline
        while self._decoder.begun and deadline.remaining() > self._patience_s:
            self._channel.renew(deadline.sooner(self._patience_s))
            try:
                return self._channel.receive(self._decoder.awaited)
            except DeadlineError:
                pass
            finally:
                self._channel.renew(deadline)
            self._channel.send(self._script.look_line(self._look_s))
        return self._channel.receive(self._decoder.awaited)

    def _answer(
        self, selection: Selection, listing: Listing, choice: Choice, packed: PackedReading | None
    ) -> Conversation:
        silent = tuple(pid for pid in self._stuck if listing.processes.get(pid))
        answer = Conversation(
            listing, choice, self._said(), packed, sent=self._sent, selection=selection, silent=silent
        )
        self._decoder.begin_again()  # or it would keep the list, half a megabyte for 1,100 processes
        return answer

    def _told(self) -> contextlib.AbstractContextManager[None]:
        return _told(self._said, self._sent)

    def renew(self, deadline: Deadline) -> None:
        """Let what is asked from now on take until another deadline."""
        self._channel.renew(deadline)

    def close(self) -> None:
        """Let go of the probe, which then ends. Safe to call twice."""
        self._channel.close()

    def _said(self) -> str:
        said = (self._decoder.noise + self._channel.stderr).decode(errors="surrogateescape").strip()
        return self._sent.redact(said) if self._sent else said

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def redacted(error: HostError, question: Question) -> HostError:
    """The same error without the secrets of the question, if an exception brought them along."""
    for secret in (question.become_password, question.ssh.password, *question.ssh.passphrases.values()):
        if secret is not None:
            error.message, error.traceback = secret.redact(error.message), secret.redact(error.traceback)
            error.args = (error.message,)
    return error


@contextlib.contextmanager
def _told(said: Callable[[], str], sent: Secret | None) -> Iterator[None]:
    """Errors get what the host said, and lose what must not be said."""
    try:
        yield
    except HostError as error:
        error.said = said()
        if sent:
            error.message = sent.redact(error.message)
            error.args = (error.message,)
        raise


def _groups(chosen: Sequence[ListedProcess]) -> list[tuple[int, ...]]:
    """Their pids in the same order: each that is large by itself, those between together."""
    groups: list[tuple[int, ...]] = []
    for large, some in groupby(chosen, key=lambda process: process.rss_kib >= _TIMED_RSS_KIB):
        pids = tuple(process.pid for process in some)
        groups += [(pid,) for pid in pids] if large else [pids]
    return groups


def _not_our_probe(message: str, host: str) -> ProtocolError:
    hint = "what runs there as `sh` or `tail` is not what we know: look at that host"
    return ProtocolError(message, host=host, stage="read", hint=hint)


def _ended_early(channel: Channel, decoder: Decoder, host: Host) -> HostError:
    status = channel.finish()
    try:
        decoder.eof()
    except ProtocolError as error:
        truncated = error
    if decoder.begun:
        return truncated
    said = channel.stderr.decode(errors="replace")
    if host.sudo and (refusal := explain_refusal(said, host)):
        return refusal
    instead = "" if said.strip() else decoder.noise.decode(errors="replace")
    if _SFTP_ONLY in instead:
        hint = "log in as an account that has a shell"
        return RemoteError(
            "the account is for sftp only: no command runs there", host=host.name, stage="exec", hint=hint
        )
    words = next(
        (line.strip() for line in reversed((said + instead).splitlines()) if line.strip()), "nothing on stderr"
    )
    ended = f"with exit status {status}" if status is not None else "without an exit status"
    return RemoteError(
        f"the shell there ended {ended} before the probe began: {printable(words)}",
        host=host.name,
        stage="exec",
        hint="a forced command (ForceCommand, command= in authorized_keys) or the account's shell answered in its place"
        if instead
        else f"try `ssh {host.name} sh -s </dev/null`: it has to end quietly, with status 0",
    )
