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
from fleetpmap.errors import DeadlineError, HostError, ProtocolError, SudoError
from fleetpmap.inventory import Host
from fleetpmap.probe import Script, startup
from fleetpmap.probe.sudo import explain_refusal, second_way
from fleetpmap.processes import Choice, LeftOut, Own, Selection, became_another, choose, completed, own_of
from fleetpmap.transport import Channel, Deadline, Secret, SshOptions, Transport
from fleetpmap.transport.base import passed
from fleetpmap.transport.secret import Redaction
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

    @property
    def redaction(self) -> Redaction:
        """Takes the run's secrets out of what hosts say."""
        return Redaction.of([self.ssh.password, self.become_password, *self.ssh.passphrases.values()])


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
    redaction: Redaction = Redaction()  # noqa: RUF009 - frozen
    """Of the secrets that no message may hold."""
    selection: Selection = field(default_factory=Selection)
    """What the processes were chosen by."""
    silent: tuple[int, ...] = ()
    """Processes that keep their files: what they were started with is not known."""

    @property
    def users(self) -> Mapping[int, str]:
        """Names of the uids seen, as far as the reading is unpacked."""
        return self.listing.users | (self.reading.users if self.reading else {})

    def unpacked(self, check: Callable[[], None] = lambda: None) -> Conversation:
        """The same with its reading, and no longer packed. `check` is called now and then, and may raise.

        Raises:
            HostError: what came is not the wire format.
        """
        if self.packed is None:
            return self
        with _told(lambda: self.said, self.redaction):
            reading = self.packed.unpack(check)
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
    deadline: Deadline | None = None
    """Until when the host has time; None: that does not matter."""

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
            access=not question.smaps,
            rollups=question.rollups and not question.rollup_only,
            rollup_only=question.rollup_only,
        )
    )
    try:
        return Dialogue(transport.run(script.command), script, host, redaction=question.redaction)
    except SudoError as error:
        refusal = error
    channel = second_way(transport, host, refusal, question.become_password)
    return Dialogue(channel, script, host, redaction=question.redaction)


class _GivenUpError(Exception):
    """The host gave a phase up, since a process keeps its files; which, the decoder says."""


Reply = TypeVar("Reply", Listing, PackedReading)


class Dialogue:
    """The probe on a host, waiting for a line: it can be asked again and again, and lists the processes each time.

    A context manager: leaving it closes the channel, and the probe ends. After an error it is of no more use.
    """

    def __init__(
        self,
        channel: Channel,
        script: Script,
        host: Host,
        *,
        redaction: Redaction = Redaction(),  # noqa: B008 - frozen
    ) -> None:
        """Both the script and the first list go over the channel here.

        Raises:
            HostError: the probe did not start.
        """
        self._channel = channel
        self._script = script
        self._host = host
        self._redaction = redaction
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
            self._own = own_of(listing, os.getpid() if self._host.is_here else None)
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
        _check_whole(listing, self._host.name)
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
        decoder = self._decoder
        while (answer := reply()) is None:
            if decoder.stuck:
                raise _GivenUpError
            piece = self._next_piece()
            if not piece:
                raise _ended_early(self._channel, decoder, self._host)
            decoder.feed(piece)
            if not decoder.begun and (error := startup.gives_back(self._script, self._host.name, decoder.noise)):
                raise error
        return answer

    def _next_piece(self) -> bytes:
        """What the host says next. Once it has begun and then says nothing for long, it is told to look why."""
        if not self._decoder.begun:
            return self._channel.receive()  # each piece may tell why the probe does not begin
        deadline = self._channel.deadline
        while deadline.remaining() > self._patience_s:
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
            listing, choice, self._said(), packed, redaction=self._redaction, selection=selection, silent=silent
        )
        self._decoder.begin_again()  # or it would keep the list, half a megabyte for 1,100 processes
        return answer

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        with _told(self._said, self._redaction):
            try:
                yield
            except DeadlineError as error:
                startup.came_late(error, self._said(), begun=self._decoder.begun)
                raise

    def renew(self, deadline: Deadline) -> None:
        """Let what is asked from now on take until another deadline."""
        self._channel.renew(deadline)

    def close(self) -> None:
        """Let go of the probe, which then ends. Safe to call twice."""
        self._channel.close()

    def _said(self) -> str:
        said = (self._decoder.noise + self._channel.stderr).decode(errors="surrogateescape").strip()
        return self._redaction.text(said)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextlib.contextmanager
def _told(said: Callable[[], str], redaction: Redaction) -> Iterator[None]:
    """Errors get what the host said, and lose the secrets that it says back."""
    try:
        yield
    except HostError as error:
        error.said = said()
        redaction.error(error)
        raise


def _check_whole(listing: Listing, host: str) -> None:
    """Refuse a list without the probe's own process: other processes are missing from it, too, and none would match."""
    own = listing.capabilities.probe_pid  # None in a recorded tree
    if listing.processes and (own is None or listing.processes.get(own)):
        return
    without = f" without the probe's own (pid {own})" if own is not None else ""
    raise ProtocolError(
        f"the list of its processes is not whole: {len(listing.processes):,} came{without}",
        host=host,
        stage="list",
        hint="a login script there may put another shell in the place of `sh`, or set options for it; "
        f"`ssh {host} 'echo $0; ls /proc'` shows which shell runs, and whether it sees its processes",
    )


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
    said = channel.stderr.decode(errors="replace")
    if decoder.begun:
        return startup.broke_off(truncated, said)
    if host.sudo and (refusal := explain_refusal(said, host)):
        return refusal
    return startup.not_begun(host.name, status, said, decoder.noise.decode(errors="replace"))
