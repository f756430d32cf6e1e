"""Split a host's output into phases.   transport ─► [decoder] ─► phase

Input: the host's stdout in pieces of any size; no byte is searched twice. A phase is stored as received, up to the
line `NONCE over` that closes it. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fleetpmap.errors import HostError, ProtocolError, RemoteError, SudoError
from fleetpmap.probe import Script
from fleetpmap.wire.memory import MemoryBudget
from fleetpmap.wire.phase import DOING, Limits, PackedReading, Phase, Received
from fleetpmap.wire.phase_body import FRAME_LIMIT
from fleetpmap.wire.replies import build_listing, parse_capabilities
from fleetpmap.wire.reply_types import Capabilities, Listing
from fleetpmap.wire.section_readers import MalformedError, text_of

NOISE_LIMIT = 64 << 10
"""Bytes of noise kept; the rest is dropped."""
_PIECE = 64 << 10
"""Bytes searched at a time. The rest of a piece is copied after each frame, so small pieces keep many frames cheap."""
DEFAULT_LIMITS = Limits()
_LISTING_COSTS = 3
"""Bytes of memory per byte of a listing: the bytes as received, and the texts made of them."""
_LARGE_LISTINGS = MemoryBudget(64 << 20)
"""Memory for the large listings of all hosts."""


class Decoder:
    """Incremental parser of one host's output: feed() it, use `listing` and `reading`, call eof() at the end.

    The reply to a new `read` line replaces the previous `reading`, which must be unpacked by then. Do not use a
    decoder after it has raised an error.
    """

    def __init__(self, script: Script, *, host: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self.listing: Listing | None = None
        """The list phase; None until all of it has arrived."""
        self.reading: PackedReading | None = None
        """The latest read phase, still packed; None until all of it has arrived."""
        self.stuck: tuple[int, ...] = ()
        """Pids of processes with a file that blocked its reader; the host gave up the latest phase because of them."""
        self._script = script
        self._host = host
        self._limits = limits
        self._nonce = script.nonce.encode()
        self._phase_end = self._nonce + b" over\n"
        self._output_size = 0
        self._received = Received()
        self._noise_size = 0
        self._noise = bytearray()
        self._pending = b""  # the last bytes received, if a frame's line or the end of the phase may begin in them
        self._capabilities: Capabilities | None = None
        self._stage = "exec"
        self._phase: Phase | None = None  # the phase being received
        self._done = False

    @property
    def begun(self) -> bool:
        """True once the probe's first frame has arrived."""
        return self._capabilities is not None

    @property
    def awaited(self) -> bytes:
        """Bytes without which feeding more has no effect: inside a phase its last line, else the nonce of a frame."""
        return self._nonce if self._phase is None else self._phase_end

    @property
    def noise(self) -> bytes:
        """Output outside the frames (a banner, the output of a login script): its first NOISE_LIMIT bytes."""
        pending = b"" if self._pending.startswith(self._nonce) else self._pending
        return bytes(self._noise + pending)[:NOISE_LIMIT]

    def feed(self, data: bytes) -> None:
        """Parse the next piece of the host's stdout.

        Raises:
            ProtocolError: it is not the wire format, or longer than the limits allow.
            RemoteError: the probe reports that it cannot run there.
        """
        self._output_size += len(data)
        try:
            for start in range(0, len(data), _PIECE):
                piece = data[start : start + _PIECE]
                while piece:
                    piece = self._between(piece) if self._phase is None else self._within(self._phase, piece)
        except MalformedError as error:
            raise self._wrong(str(error)) from error

    def expect_both(self) -> None:
        """Expect the reply to a `list` line with pids: both phases in one body, without a frame before them."""
        packing = "gzip" if self._capabilities and self._capabilities.compression == "gzip" else "plain"
        self._keep_noise(self._pending, len(self._pending))
        self._pending = b""
        self._enter("list", packing, read_follows=True)

    def begin_again(self) -> None:
        """Expect another list phase: drop the previous replies and reset what counts towards the limits."""
        self.listing = self.reading = None
        self.stuck = ()
        self._output_size = self._noise_size = 0
        self._received = Received()

    def eof(self) -> None:
        """Check that the host may close its stdout now: it may only after its reply to `quit`.

        Raises:
            ProtocolError: the output is truncated; the message gives the place and the bytes received.
        """
        if self._done:
            return
        after = f"after {self._output_size:,} bytes"
        if not self.begun:
            raise self._error(
                f"the probe did not start: the output ended {after} without a word of it",
                hint="the login there has to be able to run `sh -s`; -vv shows what came instead",
            )
        where = "while" if self._phase is not None else "after"
        raise self._error(
            f"the output was cut {where} {DOING[self._stage]}, {after}",
            hint="the connection broke or the probe was killed there: run it again",
        )

    def _between(self, data: bytes) -> bytes:
        """Parse text between two phases, up to the next frame's line. Return the text behind that line."""
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
        """Return the offset of the next frame's line; None if there is none."""
        # The first frame is searched with its word: a device that echoes its input would send our own nonce back.
        words = (b" ",) if self.begun else (b" begin ", b" fail ")
        offsets = [at for word in words if (at := text.find(self._nonce + word)) >= 0]
        return min(offsets, default=None)

    def _keep_noise(self, text: bytes, stop: int) -> bytes:
        """Store the text before `stop` as noise and return the rest."""
        self._noise_size += stop
        if self._noise_size > self._limits.noise:
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
        """Begin to receive a phase."""
        self._stage, self.reading = stage, None
        common = (self._nonce, self._host, self._limits, self._received)
        self._phase = Phase(stage, packing, *common, read_follows=read_follows)

    def _within(self, phase: Phase, data: bytes) -> bytes:
        """Store a phase's bytes, up to the line `NONCE over`. Return the text behind that line."""
        text = self._pending + data
        end = text.find(self._phase_end)
        stop = end if end >= 0 else max(0, len(text) - len(self._phase_end) + 1)
        if stop:
            phase.add(text[:stop])
        if end < 0:
            self._pending = text[stop:]
            return b""
        self._pending, self._phase = b"", None
        self._finish(phase)
        return text[end + len(self._phase_end) :]

    def _finish(self, phase: Phase) -> None:
        """Build the reply of a phase that has arrived whole."""
        if self._capabilities is None:
            raise MalformedError("a phase came before the first frame")
        self.stuck = phase.stuck()
        if self.stuck:
            return
        if phase.stage == "list":
            with ExitStack() as turn:
                body = phase.unpack(when_large=lambda: turn.enter_context(self._turn()))
                self.listing = build_listing(self._capabilities, body, phase.malformed)
                _LARGE_LISTINGS.hold(self.listing, _LISTING_COSTS * body.size)
        if phase.stage == "read" and self.listing is not None:
            self.reading = PackedReading(self.listing, phase)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until this host may build its large listing."""
        with _LARGE_LISTINGS.turn() as has_come:
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
        return self._error(f"not the output of fleetpmap's probe: {what}", hint="-vv shows what came")

    def _error(self, message: str, *, hint: str) -> ProtocolError:
        return ProtocolError(message, host=self._host, stage=self._stage, hint=hint)
