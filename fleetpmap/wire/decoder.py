"""The stream to its phases.   transport ─► [frames] ─► unpack

Takes the host's stdout in pieces of any size, and looks at no byte twice. A phase is kept as it comes, up to the line
`NONCE over` behind it. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fleetpmap.errors import HostError, ProtocolError, RemoteError, SudoError
from fleetpmap.probe import Script
from fleetpmap.wire.model import Capabilities, Listing
from fleetpmap.wire.phase import DOING, Limits, PackedReading, Phase, Taken
from fleetpmap.wire.phase_body import FRAME_LIMIT
from fleetpmap.wire.replies import build_listing, parse_capabilities
from fleetpmap.wire.room import Room
from fleetpmap.wire.section_readers import MalformedError, text_of

NOISE_LIMIT = 64 << 10
"""Bytes of noise kept; the rest is dropped."""
_PIECE = 64 << 10
"""Bytes looked at together: what follows a frame is copied, and many small frames must not copy much each."""
DEFAULT_LIMITS = Limits()
_LISTING_COSTS = 3
"""Bytes of memory for each byte of a list: as it came, and as texts."""
_LARGE_LISTS = Room(64 << 20)
"""For the large lists of all hosts."""


class Decoder:
    """One host's answer, as it arrives: feed() it, look at `listing` and `reading`, call eof() when the host is done.

    A new `read` line's answer takes the place of the `reading` before it, which must be unpacked by then. After an
    error the decoder is of no more use.
    """

    def __init__(self, script: Script, *, host: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self.listing: Listing | None = None
        """Phase one, once it is in whole."""
        self.reading: PackedReading | None = None
        """The latest phase two, once it is in whole; nobody has looked into it yet."""
        self.stuck: tuple[int, ...] = ()
        """Processes whose files did not come back: for them the host gave the phase up that was asked for last."""
        self._script = script
        self._host = host
        self._limits = limits
        self._nonce = script.nonce.encode()
        self._phase_end = self._nonce + b" over\n"
        self._received = 0
        self._taken = Taken()
        self._noise_came = 0
        self._noise = bytearray()
        self._pending = b""  # between phases: what may be the beginning of a frame's line
        self._capabilities: Capabilities | None = None
        self._stage = "exec"
        self._phase: Phase | None = None  # the one that is coming in
        self._done = False

    @property
    def begun(self) -> bool:
        """Whether the probe has said its first word."""
        return self._capabilities is not None

    @property
    def awaited(self) -> bytes:
        """What has to come before there is anything to do: within a phase its end, between two the next frame."""
        return self._nonce if self._phase is None else self._phase_end

    @property
    def noise(self) -> bytes:
        """What came outside the frames (a banner, a login script's talk): its first NOISE_LIMIT bytes."""
        pending = b"" if self._pending.startswith(self._nonce) else self._pending
        return bytes(self._noise + pending)[:NOISE_LIMIT]

    def feed(self, data: bytes) -> None:
        """Take the next piece of the host's stdout.

        Raises:
            ProtocolError: this is not the wire format, or more of it than the limits allow.
            RemoteError: the probe says that it cannot run there.
        """
        self._received += len(data)
        try:
            for start in range(0, len(data), _PIECE):
                piece = data[start : start + _PIECE]
                while piece:
                    piece = self._between(piece) if self._phase is None else self._within(self._phase, piece)
        except MalformedError as error:
            raise self._wrong(str(error)) from error

    def expect_both(self) -> None:
        """Both phases have been asked for in one: they follow without a line of their own, and then the usual end."""
        packing = "gzip" if self._capabilities and self._capabilities.compression == "gzip" else "plain"
        self._keep_noise(self._pending, len(self._pending))
        self._pending = b""
        self._enter("list", packing, read_follows=True)

    def begin_again(self) -> None:
        """Both phases are over, and the next will be another list. What came is let go of; the limits count anew."""
        self.listing = self.reading = None
        self.stuck = ()
        self._received = self._noise_came = 0
        self._taken = Taken()

    def eof(self) -> None:
        """The host has closed its stdout, which is right only after the answer to `quit`.

        Raises:
            ProtocolError: the answer is cut; says where, and how many bytes came.
        """
        if self._done:
            return
        came = f"after {self._received:,} bytes"
        if not self.begun:
            raise self._error(
                f"the probe did not start: the output ended {came} without a word of it",
                hint="the login there has to be able to run `sh -s`; -vv shows what came instead",
            )
        where = "while" if self._phase is not None else "after"
        raise self._error(
            f"the answer was cut {where} {DOING[self._stage]}, {came}",
            hint="the connection broke or the probe was killed there: run it again",
        )

    def _between(self, data: bytes) -> bytes:
        """Take what lies between phases, up to the end of the next frame's line; what follows that line."""
        text = self._pending + data
        frame = self._frame_at(text)
        if frame is None:
            longest = len(self._nonce + b" begin ")
            self._pending = self._keep_noise(text, max(0, len(text) - longest + 1))
            return b""
        line, newline, rest = self._keep_noise(text, frame).partition(b"\n")
        if not newline and len(line) > FRAME_LIMIT:
            raise MalformedError("a frame's line has no end")
        self._pending = b"" if newline else line
        if newline:
            self._frame(text_of(line).split(" ")[1:])
        return rest

    def _frame_at(self, text: bytes) -> int | None:
        """Where the next frame's line begins."""
        # The first is looked for with its word: a device that echoes its input would show us our own nonce.
        words = (b" ",) if self.begun else (b" begin ", b" fail ")
        found = [at for word in words if (at := text.find(self._nonce + word)) >= 0]
        return min(found, default=None)

    def _keep_noise(self, text: bytes, stop: int) -> bytes:
        """The text after `stop`; what is before it is noise."""
        self._noise_came += stop
        if self._noise_came > self._limits.noise:
            message = f"it sent more than {self._limits.noise:,} bytes outside the probe's frames"
            raise self._error(message, hint="-vv shows how it begins")
        self._noise += text[: min(stop, NOISE_LIMIT - len(self._noise))]
        return text[stop:]

    def _frame(self, words: list[str]) -> None:
        match words:
            case ["begin", "1", *values]:
                if self.begun:
                    raise MalformedError("it began twice")
                self._capabilities = parse_capabilities(values)
            case ["list" | "read" as stage, "gzip" | "plain" as packing]:
                if (stage == "read") == (self.listing is None):
                    early = "smaps came before the list" if stage == "read" else "a second list"
                    raise MalformedError(f"{early} of processes")
                self._enter(stage, packing)
            case ["bye"] if not self._done:
                self._done = True
            case ["fail", reason]:
                raise self._refusal(reason)
            case _:
                raise MalformedError(f'this version does not know the frame "{" ".join(words)[:60]}"')

    def _enter(self, stage: str, packing: str, *, read_follows: bool = False) -> None:
        """What comes next is a phase."""
        self._stage, self.reading = stage, None
        about = (self._nonce, self._host, self._limits, self._taken)
        self._phase = Phase(stage, packing, *about, read_follows=read_follows)

    def _within(self, phase: Phase, data: bytes) -> bytes:
        """Take a phase's bytes, up to the line that says it is over; what follows that line."""
        text = self._pending + data
        found = text.find(self._phase_end)
        stop = found if found >= 0 else max(0, len(text) - len(self._phase_end) + 1)
        if stop:
            phase.add(text[:stop])
        if found < 0:
            self._pending = text[stop:]
            return b""
        self._pending, self._phase = b"", None
        self._finish(phase)
        return text[found + len(self._phase_end) :]

    def _finish(self, phase: Phase) -> None:
        """A phase came in: make its reply."""
        if self._capabilities is None:
            raise MalformedError("a phase came before the first frame")
        self.stuck = phase.stuck()
        if self.stuck:
            return
        if phase.stage == "list":
            with ExitStack() as turn:
                body = phase.unpack(when_large=lambda: turn.enter_context(self._turn()))
                self.listing = build_listing(self._capabilities, body, phase.malformed)
                _LARGE_LISTS.hold(self.listing, _LISTING_COSTS * body.size)
        if phase.stage == "read" and self.listing is not None:
            self.reading = PackedReading(self.listing, phase)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """This host's turn to take a large list apart."""
        with _LARGE_LISTS.turn() as has_come:
            if not has_come:
                hint = "ask it alone, or fewer hosts at once with --jobs"
                raise self._error("the long lists of processes of other hosts left no room for its own", hint=hint)
            yield

    def _refusal(self, reason: str) -> HostError:
        root = self._script.proc_root
        if reason == "noexec" and self._script.command.startswith("sudo "):
            return SudoError(
                "sudo: `sh` may start no other program there (NOEXEC in sudoers)",
                host=self._host,
                stage="sudo",
                hint="take NOEXEC off that line, or put EXEC: before /bin/sh",
            )
        message, hint = {
            "tools": ("needs grep (with -a, -z, -H, -s) and tail there", "install grep and coreutils, or BusyBox"),
            "noexec": (
                "may not run grep there",
                "see its permissions, and what confines the login (SELinux, AppArmor, noexec)",
            ),
            "tar": ("needs tar there to see which program a process runs", "install tar, or leave out --exe"),
            "proc_root": (f"no processes in {root}", "mount procfs there, or set proc_root for this host"),
        }.get(reason, (f"the probe refused: {reason}", "this is a bug of ours: please report it"))
        return RemoteError(message, host=self._host, stage=self._stage, hint=hint)

    def _wrong(self, what: str) -> ProtocolError:
        return self._error(f"not the answer of our probe: {what}", hint="-vv shows what came")

    def _error(self, message: str, *, hint: str) -> ProtocolError:
        return ProtocolError(message, host=self._host, stage=self._stage, hint=hint)
