"""Store a phase as received, and unpack it later.   decoder ─► [phase] ─► phase_body ─► replies

Unpacking a phase and building its reply take most of the time that a host costs here. So a phase stays packed until
its reply is needed, and any thread may unpack it. No I/O but a temporary file for long phases.
"""

from __future__ import annotations

import re
import weakref
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from tempfile import SpooledTemporaryFile, gettempdir
from typing import IO

from fleetpmap.errors import ProtocolError
from fleetpmap.wire.phase_body import Body
from fleetpmap.wire.replies import build_reading
from fleetpmap.wire.reply_types import Listing, Reading
from fleetpmap.wire.section_readers import MalformedError

DECODED_LIMIT = 2 << 30
"""Bytes accepted from one host, after gunzip."""
TEXT_LIMIT = 128 << 20
"""Bytes of smaps kept of one host: some 180,000 mappings. Text beyond is dropped, and its processes are `cut`."""
PROCESS_LIMIT = TEXT_LIMIT
"""Bytes of smaps accepted of one process. A longer text is dropped, and its process is `cut`."""
IN_MEMORY = 2 << 20
"""Bytes of a packed phase held in memory; a longer phase is stored in a temporary file without a name."""
_LARGE_LIST = 4 << 20
"""Bytes of an unpacked list phase from which on only one host at a time unpacks and parses its own. A list of 10,000
processes has two million."""
_PIECE = 1 << 20
"""Most bytes out of one call of gunzip, so that a bomb is noticed early. Each call releases the interpreter to other
threads and has to wait for it afterwards: with 64 KiB the waits would take longer than the unpacking."""
_PACKED_PIECE = 64 << 10
"""Bytes given to one call of gunzip, which copies the part that it leaves unused."""
_EXPANSION_FREE = 16 << 20
"""Bytes out of gunzip up to which the expansion is not checked."""
_STUCK_LINE_WITHIN = 1 << 20
"""Bytes at the end of a phase that was given up, in which the line with the stuck pids is searched."""

DOING = {"exec": "starting", "list": "listing processes", "read": "reading smaps"}
"""The work of the host at each stage, in the words of the messages."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes accepted from one host, as received and after gunzip. More is an error."""

    host: int = DECODED_LIMIT
    """The whole output."""
    text: int = TEXT_LIMIT
    """The smaps of all processes; beyond it, text is dropped and no error is raised."""
    process: int = PROCESS_LIMIT
    """The smaps of one process; a longer one is dropped and no error is raised."""
    listing: int = 32 << 20
    """The list phase."""
    noise: int = 16 << 20
    """Output outside the phases."""
    expansion: int = 200
    """Bytes out of gunzip for each byte in, once 16 MiB are out. Smaps give 13 to 90, a gzip bomb 1,000."""


@dataclass(slots=True)
class Received:
    """Bytes received from a host so far, in all phases of one session."""

    packed: int = 0
    unpacked: int = 0


@dataclass(slots=True, weakref_slot=True)
class Phase:
    """One phase as received, or both in one body: it grows until the host ends it, and `unpack` consumes it."""

    stage: str
    """`list` or `read`; of both in one body, the one that is unpacked next."""
    packing: str
    """`gzip` or `plain`."""
    nonce: bytes
    host: str
    limits: Limits
    received: Received
    read_follows: bool = False
    """True if the read phase follows the list in the same body, packed together with it."""
    _packed: IO[bytes] = field(default_factory=partial(SpooledTemporaryFile, IN_MEMORY))
    _is_read: bool = False
    """True once unpacking has begun."""
    size: int = 0
    """Bytes received, as packed by the host."""
    _gunzip: zlib._Decompress = field(default_factory=partial(zlib.decompressobj, wbits=31))
    _gunzip_in: int = 0
    """Bytes given to gunzip so far."""
    _gunzip_out: int = 0
    """Bytes that came out of it so far."""
    _rest: bytes = b""
    """Beginning of the read phase that was unpacked together with the end of the list."""

    def __post_init__(self) -> None:
        weakref.finalize(self, self._packed.close)  # also if the session ends in an error

    def add(self, piece: bytes) -> None:
        """Store the next bytes.

        Raises:
            ProtocolError: they exceed the limits, or there is no disk space to store them.
        """
        try:
            self._packed.write(piece)
        except OSError as error:
            message = f"its output cannot be stored in {gettempdir()}: {error.strerror}"
            raise self.error(message, hint="make room there, or name another directory in TMPDIR") from error
        self.size += len(piece)
        self.received.packed += len(piece)
        self._limit(0 if self.read_follows else self.size, self.received.packed)

    def stuck(self) -> tuple[int, ...]:
        """Return the pids for which the host gave up this phase, which then cannot be used; () if it did not.

        The line with the pids is not at the very end: other processes of the phase were still printing behind it.
        """
        given_up = self.nonce + b" given up\n"
        if self._last(len(given_up)) != given_up:
            return ()
        line = re.search(self.nonce + rb" stuck ((?:\d{1,9} ?){1,999})\n", self._last(_STUCK_LINE_WITHIN))
        self._packed.close()
        return tuple(map(int, line[1].split())) if line else ()

    def _last(self, size: int) -> bytes:
        self._packed.seek(max(0, self.size - size))
        return self._packed.read(size)

    def unpack(self, check: Callable[[], None] = lambda: None, when_large: Callable[[], object] = lambda: None) -> Body:
        """Return the body of the phase. If both phases are in one body, the first call returns the list.

        `check` is called for each megabyte and may raise an error that ends the unpacking. `when_large` is called
        once, before more than 4 MiB of a list are unpacked.

        Raises:
            ProtocolError: the body exceeds the limits or is truncated.
            MalformedError: the probe prints no such body.
        """
        body = Body(self.nonce, self.limits.text)
        unpacked, rest, is_large = 0, None, False
        while rest is None:
            check()
            piece = self._rest or self._unpacked()
            self._rest = b""
            if not piece:
                raise self._stopped()
            unpacked += len(piece)
            self._limit(unpacked, self.received.unpacked)
            if self.stage == "list" and unpacked > _LARGE_LIST and not is_large:
                is_large = True
                when_large()
            rest = body.add(piece)
        if self.read_follows:
            self.stage, self.read_follows, self._rest = "read", False, rest
        elif rest or self._unpacked():
            raise MalformedError(f"something follows the end of {DOING[self.stage]}")
        else:
            self._packed.close()
        return body

    def error(self, message: str, *, hint: str) -> ProtocolError:
        """Return an error about this phase of this host."""
        return ProtocolError(message, host=self.host, stage=self.stage, hint=hint)

    def malformed(self, what: MalformedError) -> ProtocolError:
        """Return the error about text that the probe does not print."""
        return self.error(f"not the output of fleetpmap's probe: {what}", hint="-vv shows what came")

    def _unpacked(self) -> bytes:
        """Return the next piece, unpacked; b"" at the end."""
        piece = self._gunzipped() if self.packing == "gzip" else self._next_packed()
        self.received.unpacked += len(piece)
        return piece

    def _next_packed(self) -> bytes:
        """Return the next bytes as received, at most 64 KiB; b"" at the end."""
        if not self._is_read:
            self._packed.seek(0)
            self._is_read = True
        return self._packed.read(_PACKED_PIECE)

    def _gunzipped(self) -> bytes:
        while not self._gunzip.eof:
            packed = self._gunzip.unconsumed_tail
            if not packed:
                packed = self._next_packed()
                self._gunzip_in += len(packed)
            try:
                piece = self._gunzip.decompress(packed, _PIECE)
            except zlib.error as error:
                raise MalformedError(f"the body is not gzip ({error})") from error
            self._gunzip_out += len(piece)
            self._check_expansion()
            if piece:
                return piece
            if not packed:
                raise self._stopped()
        if self._gunzip.unused_data or self._next_packed():
            raise MalformedError("something follows the gzip")
        return b""

    def _stopped(self) -> ProtocolError:
        return self.error(
            f"the host stopped in the middle of {DOING[self.stage]}, after {self.size:,} bytes of it",
            hint="a command of the probe was killed there or could not start: see the host's log",
        )

    def _check_expansion(self) -> None:
        if self._gunzip_out > max(_EXPANSION_FREE, self.limits.expansion * self._gunzip_in):
            raise self.error(
                f"what came unpacks to more than {self.limits.expansion} times its size: a gzip bomb",
                hint="no smaps does that: see what runs on that host as `sh` or `gzip`",
            )

    def _limit(self, phase: int, host: int) -> None:
        if self.stage == "list" and phase > self.limits.listing:
            raise self._too_much(self.limits.listing, hint="no host has that many")
        if host > self.limits.host:
            raise self._too_much(self.limits.host, hint="select fewer processes")

    def _too_much(self, limit: int, *, hint: str) -> ProtocolError:
        return self.error(f"it sent more than {limit:,} bytes while {DOING[self.stage]}", hint=hint)


@dataclass(frozen=True, slots=True)
class PackedReading:
    """A complete read phase, still packed. `unpack` turns it into a Reading, once, in any thread."""

    listing: Listing
    phase: Phase

    @property
    def host(self) -> str:
        """Name of the host."""
        return self.phase.host

    @property
    def size(self) -> int:
        """Size in bytes, packed."""
        return self.phase.size

    def unpack(self, check: Callable[[], None] = lambda: None) -> Reading:
        """Return the reading and release the packed bytes. `check` is called for each megabyte and may raise.

        Raises:
            ProtocolError: the phase is not in the wire format, truncated, or longer than the limits allow.
        """
        try:
            return build_reading(self.listing, self.phase.unpack(check), self.phase.limits.process)
        except MalformedError as error:
            raise self.phase.malformed(error) from error
