"""The stream to its phases.   transport ─► [frames] ─► replies

Takes the host's stdout in pieces of any size, and looks at no byte twice. No I/O.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from fleetpmap.errors import HostError, ProtocolError, RemoteError
from fleetpmap.probe import Script
from fleetpmap.wire.body import FRAME_LIMIT, Body
from fleetpmap.wire.model import Capabilities, Listing, Reading
from fleetpmap.wire.replies import build_listing, build_reading, parse_capabilities
from fleetpmap.wire.sections import MalformedError, Stat, text_of

DECODED_LIMIT = 2 << 30
"""Bytes of answer taken from one host, after gunzip."""
PROCESS_LIMIT = 256 << 20
"""Bytes of smaps taken of one process: some 350,000 mappings. A longer text is dropped, and its process is `cut`."""
NOISE_LIMIT = 64 << 10
"""Bytes of noise kept; the rest is dropped."""
_PIECE = 64 << 10
"""Bytes gunzipped at a time at most: a bomb is noticed before it has gone off, and what is still in the processor's
cache is searched and kept in half the time that a megabyte at once takes."""
_PACKED_PIECE = 64 << 10
"""Bytes given to gunzip at a time: it copies what it has not used yet."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken from one host, in bytes after gunzip. More is refused as it comes in."""

    host: int = DECODED_LIMIT
    """All of the answer."""
    process: int = PROCESS_LIMIT
    """One process's smaps; this alone is no error."""
    listing: int = 128 << 20
    """Phase one."""
    noise: int = 16 << 20
    """What comes outside the phases."""
    expansion: int = 200
    """Bytes out of gunzip for each byte in, once 16 MiB are out. Smaps give 13 to 90, a gzip bomb 1,000."""


DEFAULT_LIMITS = Limits()
_EXPANSION_FREE = 16 << 20

_DOING = {"exec": "starting", "list": "listing processes", "read": "reading smaps"}
"""What the host does at each stage, in the words of the messages."""


class Decoder:
    """One host's answer, as it arrives: feed() it, look at `listing` and `reading`, call eof() when the host is done.

    A new `read` line's answer takes the place of the `reading` before it. After an error the decoder is of no more use.
    """

    def __init__(self, script: Script, *, host: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self.listing: Listing | None = None
        """Phase one, once it is in whole."""
        self.reading: Reading | None = None
        """The latest phase two, once it is in whole."""
        self._script = script
        self._host = host
        self._limits = limits
        self._nonce = script.nonce.encode()
        self._received = 0
        self._packed_in = 0
        self._decoded = 0
        self._noise_came = 0
        self._noise = bytearray()
        self._pending = b""  # between phases: what may be the beginning of a frame's line
        self._capabilities: Capabilities | None = None
        self._stage = "exec"
        self._body: Body | None = None  # the phase that is coming in
        self._gunzip: zlib._Decompress | None = None
        self._done = False
        self._known: dict[bytes, Stat] = {}

    @property
    def begun(self) -> bool:
        """Whether the probe has said its first word."""
        return self._capabilities is not None

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
            while data:
                if self._body is None:
                    data = self._between(data)
                elif self._gunzip is None:
                    data = self._plain(self._body, data)
                else:
                    data = self._packed(self._body, self._gunzip, data)
        except MalformedError as error:
            raise self._wrong(str(error)) from error

    def begin_again(self) -> None:
        """Both phases are over, and the host is asked for another list: the limits count anew."""
        self.listing = self.reading = None
        self._received = self._packed_in = self._decoded = self._noise_came = 0

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
        where = "while" if self._body is not None else "after"
        raise self._error(
            f"the answer was cut {where} {_DOING[self._stage]}, {came}",
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
            raise self._too_much("outside the probe's frames", self._limits.noise, hint="-vv shows how it begins")
        self._noise += text[: min(stop, NOISE_LIMIT - len(self._noise))]
        return text[stop:]

    def _frame(self, words: list[str]) -> None:
        match words:
            case ["begin", "1", *values]:
                if self.begun:
                    raise MalformedError("it began twice")
                self._capabilities = parse_capabilities(values)
            case ["list" | "read" as stage, "gzip" | "plain" as packing]:
                if (stage == "list") != (self.listing is None):
                    what = "smaps came before the list" if stage == "read" else "a second list"
                    raise MalformedError(f"{what} of processes")
                self._stage = stage
                self.reading = None
                self._body = Body(self._nonce)
                self._gunzip = zlib.decompressobj(wbits=31) if packing == "gzip" else None
            case ["bye"]:
                self._done = True
            case ["fail", reason]:
                raise self._refusal(reason)
            case _:
                raise MalformedError(f'this version does not know the frame "{" ".join(words)[:60]}"')

    def _plain(self, body: Body, data: bytes) -> bytes:
        self._count(len(data))
        rest = body.add(data)
        if rest is None:
            return b""
        self._finish(body)
        return rest

    def _packed(self, body: Body, gunzip: zlib._Decompress, data: bytes) -> bytes:
        for at in range(0, len(data), _PACKED_PIECE):
            stop = at + _PACKED_PIECE
            self._packed_in += min(stop, len(data)) - at
            self._unpack(body, gunzip, data[at:stop])
            if gunzip.eof:
                self._finish(body)
                return gunzip.unused_data + data[stop:]
        return b""

    def _unpack(self, body: Body, gunzip: zlib._Decompress, packed: bytes) -> None:
        more = True
        while more and not gunzip.eof:
            try:
                piece = gunzip.decompress(packed, _PIECE)
            except zlib.error as error:
                raise MalformedError(f"what came is not gzip ({error})") from error
            self._count(len(piece))
            if self._decoded > max(_EXPANSION_FREE, self._limits.expansion * self._packed_in):
                raise self._error(
                    f"what came unpacks to more than {self._limits.expansion} times its size: a gzip bomb",
                    hint="no smaps does that: see what runs on that host as `sh` or `gzip`",
                )
            body.add(piece)
            packed = gunzip.unconsumed_tail
            more = bool(packed) or len(piece) == _PIECE

    def _count(self, decoded: int) -> None:
        self._decoded += decoded
        if self._stage == "list" and self._decoded > self._limits.listing:
            raise self._too_much("while listing processes", self._limits.listing, hint="no host has that many")
        if self._decoded > self._limits.host:
            raise self._too_much("while reading smaps", self._limits.host, hint="select fewer processes")

    def _too_much(self, where: str, limit: int, *, hint: str) -> ProtocolError:
        return self._error(f"it sent more than {limit:,} bytes {where}", hint=hint)

    def _finish(self, body: Body) -> None:
        """A phase came in: make its reply."""
        self._body = self._gunzip = None
        if not body.ended:
            raise self._error(
                f"the host stopped in the middle of {_DOING[self._stage]}, after {self._received:,} bytes",
                hint="a command of the probe was killed there or could not start: see the host's log",
            )
        if self._capabilities is None:
            raise MalformedError("a phase came before the first frame")
        if self.listing is None:
            self.listing = build_listing(self._capabilities, body, self._known)
        else:
            self.reading = build_reading(self.listing, body, self._limits.process)

    def _refusal(self, reason: str) -> HostError:
        root = self._script.proc_root
        message, hint = {
            "tools": ("needs grep (with -a, -z, -H, -s) and tail there", "install grep and coreutils, or BusyBox"),
            "tar": ("needs tar there to see which program a process runs", "install tar, or leave out --exe"),
            "proc_root": (f"no processes in {root}", "mount procfs there, or set proc_root for this host"),
        }.get(reason, (f"the probe refused: {reason}", "this is a bug of ours: please report it"))
        return RemoteError(message, host=self._host, stage=self._stage, hint=hint)

    def _wrong(self, what: str) -> ProtocolError:
        return self._error(f"not the answer of our probe: {what}", hint="-vv shows what came")

    def _error(self, message: str, *, hint: str) -> ProtocolError:
        return ProtocolError(message, host=self._host, stage=self._stage, hint=hint)
