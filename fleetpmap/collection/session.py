"""A session with one host: the probe runs there and waits for a line.   transport, probe, wire ─► [session] ─► host

script on stdin   ─►  phase one: the Listing      (the script begins with a listing of its own)
read PID …        ─►  phase two: the PackedReading
list              ─►  phase one again, for the next round of watch
list PID …        ─►  both phases as one: a message and a round trip less
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Self, TypeVar

from fleetpmap import probe
from fleetpmap.collection.question import Question
from fleetpmap.collection.reply import not_our_probe
from fleetpmap.errors import DeadlineError, HostError, ProtocolError, SudoError
from fleetpmap.inventory import Host
from fleetpmap.near_misses import NearMisses, near_misses
from fleetpmap.own_processes import OwnProcesses, find_own
from fleetpmap.probe import Script, startup
from fleetpmap.probe.sudo import explain_refusal, second_way
from fleetpmap.processes import Choice, Selection, choose
from fleetpmap.transport import Channel, Deadline, Transport
from fleetpmap.transport.base import Closing, passed
from fleetpmap.transport.secret import Redaction
from fleetpmap.units import KIB
from fleetpmap.wire import Decoder, ListedProcess, Listing, PackedReading

_TIMED_RSS_KIB = 512 * KIB
"""A process of this size or more is read by a command of its own, so that its time is known: about 10 ms of page walk,
below which the host's clock, in hundredths of a second, shows nothing."""
_PATIENCE_S = 10.0
"""Seconds of silence (or a quarter of the host's time, if that is less) after which the host is sent `look`: does the
kernel block on a process's files? It takes 20 ms per GiB, so only a few processes of many GiB take as long."""
_STUCK_S = 60.0
"""Seconds after which a stuck process is tried again."""

_Part = TypeVar("_Part")
_Groups = list[tuple[int, ...]]


class GivenUpError(Exception):
    """The host gave a phase up because of stuck processes; begin again after `skip_stuck()`."""


def open_session(transport: Transport, host: Host, question: Question) -> ProbeSession:
    """Start the probe on a host, with the password for sudo if it requires one.

    Raises:
        HostError: the probe did not begin.
    """
    selection = question.selection
    is_of_container = bool(selection.container or selection.pod)
    script = probe.render(
        probe.Request(
            proc_root=host.proc_root,
            sudo=host.sudo and not transport.is_root,
            words=selection.full or not question.smaps,
            owners=bool(selection.users) or not question.smaps,
            cgroups=bool(selection.cgroup or selection.unit or is_of_container) or not question.smaps,
            names=is_of_container or not question.smaps,
            exes=bool(selection.exe),
            access=not question.smaps,
            rollups=question.rollups and not question.rollup_only,
            rollup_only=question.rollup_only,
        )
    )
    try:
        return ProbeSession(transport, transport.run(script.command), script, host, question.redaction).started()
    except SudoError as error:
        refusal = error
    channel = second_way(transport, host, refusal, question.become_password)
    return ProbeSession(transport, channel, script, host, question.redaction).started()


class ProbeSession(Closing):
    """The probe on one host, over one channel. After an error it is of no more use.

    A context manager: leaving it closes the channel and the transport, and the probe ends.
    """

    def __init__(
        self, transport: Transport, channel: Channel, script: Script, host: Host, redaction: Redaction
    ) -> None:
        self.host = host
        self._transport = transport
        self._channel = channel
        self._script = script
        self._redaction = redaction
        self._decoder = Decoder(script, host=host.name)
        self._is_listing = False
        """True while a listing comes that was not requested: the script begins with one."""
        self._own: OwnProcesses | None = None
        self._last_read: _Groups = []
        """The groups that were read last. The next listing asks for them too; empty: it asks for the list alone."""
        self._with_listing: _Groups = []
        """The groups that the latest listing asked for."""
        self._stuck_since: dict[int, float] = {}
        """Stuck processes, with the time at which the host found each."""
        self._patience_s = min(_PATIENCE_S, host.timeout_s / 4)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the way to the host."""
        return tuple(map(self._redaction.text, self._transport.notes))

    @property
    def other_output(self) -> str:
        """Text that the host has printed besides the wire format so far."""
        output = (self._decoder.noise + self._channel.stderr).decode(errors="surrogateescape").strip()
        return self._redaction.text(output)

    @property
    def stuck(self) -> tuple[int, ...]:
        """Processes that are not read because the kernel blocked on their files."""
        return tuple(self._stuck_since)

    def started(self) -> Self:
        """Send the script, wait for the first word of the probe, and return the session. An error closes the channel.

        Raises:
            HostError: the probe did not begin.
        """
        try:
            with self._with_output():
                self._channel.send(self._script.stdin)
                self._receive(lambda: self._decoder.begun or None)
        except BaseException:
            self._channel.close()
            raise
        self._is_listing = True
        return self

    def list_processes(self) -> Listing:
        """Return the processes of the host as they are now.

        The groups read last are requested along with the list, since the same will most likely be chosen again.

        Raises:
            GivenUpError: a process is stuck.
            HostError: the host broke off, or sent something else.
        """
        self._with_listing, self._last_read = self._last_read, []
        with self._with_output():
            self._retry_stuck()
            if not self._is_listing:
                if self._with_listing:
                    self._decoder.expect_both()
                self._channel.send(self._script.list_line(self._with_listing))
            self._is_listing = False
            listing = self._receive(lambda: self._decoder.listing)
            _check_whole(listing, self.host.name)
            if self._decoder.reading is not None and not self._with_listing:
                raise not_our_probe("it sent smaps before it was asked for them", self.host.name)
        passed(self.host.name, "list")
        return listing

    def choose(self, listing: Listing, selection: Selection, own_pid: int | None = None) -> Choice:
        """Select the processes to read, without the stuck ones and without fleetpmap's own (see Question.own_pid).

        Raises:
            AmbiguousError: the selection means one of two containers or pods there.
        """
        if self._own is None:
            self._own = find_own(listing, (own_pid or os.getpid()) if self.host.is_here else None)
        reason = f"its files did not come back within {self._look_s} s: its memory lock is held"
        choice = choose(listing, selection, self._own, host=self.host.name)
        return choice.skipping(self._stuck_since, "cut", reason)

    def near_misses(self, listing: Listing, question: Question) -> NearMisses:
        """Return what is near the selection, after `choose` found no process."""
        return near_misses(listing, question.selection, self._own, closely=not question.smaps)

    def read(self, processes: Sequence[ListedProcess]) -> PackedReading:
        """Return the smaps of these processes of the latest listing, packed.

        Raises:
            GivenUpError: a process is stuck.
            HostError: the host broke off, or sent something else.
        """
        groups = _groups(processes)
        with self._with_output():
            if groups == self._with_listing:
                self._last_read = groups
            else:
                self._decoder.reading = None  # of other processes, if any
                self._channel.send(self._script.read_line(groups))
                # Where processes come and go, the next round lists first: else they would be read twice each round.
                self._last_read = [] if self._with_listing else groups
            reading = self._receive(lambda: self._decoder.reading)
        passed(self.host.name, "read")
        return reading

    def skip_stuck(self) -> None:
        """Have the host skip the processes for which it gave a phase up. The next step is another listing.

        Raises:
            ProtocolError: it was told to skip all of them before.
        """
        stuck = [pid for pid in self._decoder.stuck if pid not in self._stuck_since]
        with self._with_output():
            if not stuck:
                raise not_our_probe("it gave up for processes that it was not asked for", self.host.name)
            self._stuck_since |= dict.fromkeys(stuck, time.monotonic())
            self._last_read = []
            self._decoder.begin_again()
            self._channel.send(self._script.skip_line(self._stuck_since))

    def _retry_stuck(self) -> None:
        """Have the host try those again that were found stuck some time ago."""
        now = time.monotonic()
        if old := [pid for pid, since in self._stuck_since.items() if now >= since + _STUCK_S]:
            for pid in old:
                del self._stuck_since[pid]
            self._with_listing = []
            self._channel.send(self._script.skip_line(self._stuck_since))

    @property
    def _look_s(self) -> int:
        """Seconds that each file may take when the host is sent `look`."""
        return max(1, int(self._patience_s / 2))

    def _receive(self, part: Callable[[], _Part | None]) -> _Part:
        """Feed the decoder until this part of the output is whole."""
        decoder = self._decoder
        while (whole := part()) is None:
            if decoder.stuck:
                raise GivenUpError
            piece = self._next_piece()
            if not piece:
                raise _ended_early(self._channel, decoder, self.host)
            decoder.feed(piece)
            if not decoder.begun and (error := startup.gives_back(self._script, self.host.name, decoder.noise)):
                raise error
        return whole

    def _next_piece(self) -> bytes:
        """Return the next bytes of the host. If it is silent for long after it has begun, have it look why."""
        if not self._decoder.begun:
            return self._channel.receive()  # each piece may show why the probe does not begin
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

    @contextlib.contextmanager
    def _with_output(self) -> Iterator[None]:
        """Add to errors the host's other output, which often is the reason."""
        try:
            yield
        except HostError as error:
            if isinstance(error, DeadlineError):
                startup.came_late(error, self.other_output, begun=self._decoder.begun)
            error.said = self.other_output
            raise

    def pause(self) -> None:
        """Lift the deadline until the next round, and drop the replies of this one."""
        self._decoder.begin_again()  # else it would keep the list, half a megabyte for 1,100 processes
        self.resume(Deadline.after(math.inf))

    def resume(self, deadline: Deadline) -> None:
        """Bound all that is requested from now on by another deadline."""
        self._transport.renew(deadline)
        self._channel.renew(deadline)

    def close(self) -> None:
        """Close the channel and the transport; the probe then ends. Safe to call twice."""
        self._channel.close()
        self._transport.close()


def _check_whole(listing: Listing, host: str) -> None:
    """Refuse a list without the probe's own process: it lacks other processes too, and then none would match."""
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


def _groups(processes: Sequence[ListedProcess]) -> _Groups:
    """Group pids in the same order: each large process alone, those between two large ones together."""
    groups: _Groups = []
    for large, some in groupby(processes, key=lambda process: process.rss_kib >= _TIMED_RSS_KIB):
        pids = tuple(process.pid for process in some)
        groups += [(pid,) for pid in pids] if large else [pids]
    return groups


def _ended_early(channel: Channel, decoder: Decoder, host: Host) -> HostError:
    """Return the error of a host whose output ended before the phase did."""
    status = channel.finish()
    try:
        decoder.eof()
    except ProtocolError as error:
        truncated = error
    stderr = channel.stderr.decode(errors="replace")
    if decoder.begun:
        return startup.broke_off(truncated, stderr)
    if host.sudo and (refusal := explain_refusal(stderr, host)):
        return refusal
    return startup.not_begun(host.name, status, stderr, decoder.noise.decode(errors="replace"))
