"""A phase as it came to its bytes.   frames ─► [unpack] ─► body ─► replies

Unpacking and building take most of a host's time here, so a phase is held as it came until somebody wants it, in
whichever thread. No I/O.
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
from fleetpmap.wire.model import Listing, Reading
from fleetpmap.wire.phase_body import Body
from fleetpmap.wire.replies import build_reading
from fleetpmap.wire.section_readers import MalformedError

DECODED_LIMIT = 2 << 30
"""Bytes of answer taken from one host, after gunzip."""
TEXT_LIMIT = 128 << 20
"""Bytes of smaps kept of one host: some 180,000 mappings. What comes beyond is dropped, and its processes are `cut`."""
PROCESS_LIMIT = TEXT_LIMIT
"""Bytes of smaps taken of one process. A longer text is dropped, and its process is `cut`."""
IN_MEMORY = 2 << 20
"""Bytes of a phase, as it comes, that are held in memory; what is longer waits in a temporary file without a name."""
_LARGE_LIST = 4 << 20
"""Bytes of an unpacked list from which on one host's at a time is unpacked and taken apart: a list of 10,000 processes
has two million."""
_PIECE = 1 << 20
"""Bytes gunzipped at a time at most: a bomb is noticed before it has gone off. Each time, other threads get the
interpreter, and this one has to wait for it afterwards: with 64 KiB that takes longer than the unpacking."""
_PACKED_PIECE = 64 << 10
"""Bytes given to gunzip at a time: it copies what it has not used yet."""
_EXPANSION_FREE = 16 << 20
_AMID = 1 << 20
"""Bytes at the end of a phase that was given up, among which is the line that says for whom."""

DOING = {"exec": "starting", "list": "listing processes", "read": "reading smaps"}
"""What the host does at each stage, in the words of the messages."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken from one host, in bytes: as they come in, and after gunzip. More is refused."""

    host: int = DECODED_LIMIT
    """All of the answer."""
    text: int = TEXT_LIMIT
    """All of the host's smaps that is kept; this alone is no error."""
    process: int = PROCESS_LIMIT
    """One process's smaps; this alone is no error."""
    listing: int = 32 << 20
    """Phase one."""
    noise: int = 16 << 20
    """What comes outside the phases."""
    expansion: int = 200
    """Bytes out of gunzip for each byte in, once 16 MiB are out. Smaps give 13 to 90, a gzip bomb 1,000."""


@dataclass(slots=True)
class Taken:
    """Bytes taken from a host so far, in all the phases of one conversation."""

    packed: int = 0
    unpacked: int = 0


@dataclass(slots=True, weakref_slot=True)
class Phase:
    """One phase as it comes, or both: it grows until the host says that it is over, and `unpack` uses it up."""

    stage: str
    """list or read: what is in it, or comes first."""
    packing: str
    """gzip or plain."""
    nonce: bytes
    host: str
    limits: Limits
    taken: Taken
    read_follows: bool = False
    """Behind the list, packed together with it, come the texts."""
    _packed: IO[bytes] = field(default_factory=partial(SpooledTemporaryFile, IN_MEMORY))
    _is_read: bool = False
    """Whether unpacking has begun."""
    size: int = 0
    """Bytes that came."""
    _gunzip: zlib._Decompress = field(default_factory=partial(zlib.decompressobj, wbits=31))
    _given: int = 0
    _came_out: int = 0
    _rest: bytes = b""
    """What was unpacked with the list, and lies behind it."""

    def __post_init__(self) -> None:
        weakref.finalize(self, self._packed.close)  # also where the conversation ends in an error

    def add(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            ProtocolError: these are more than the limits allow.
        """
        try:
            self._packed.write(piece)
        except OSError as error:
            message = f"its answer cannot be kept in {gettempdir()}: {error.strerror}"
            raise self.error(message, hint="make room there, or name another directory in TMPDIR") from error
        self.size += len(piece)
        self.taken.packed += len(piece)
        self._limit(0 if self.read_follows else self.size, self.taken.packed)

    def stuck(self) -> tuple[int, ...]:
        """The processes for which the host gave the phase up, which then is of no use; () if it did not.

        The line that names them may lie amid what was still on its way then.
        """
        given_up = self.nonce + b" given up\n"
        if self._last(len(given_up)) != given_up:
            return ()
        line = re.search(self.nonce + rb" stuck ((?:\d{1,9} ?){1,999})\n", self._last(_AMID))
        self._packed.close()
        return tuple(map(int, line[1].split())) if line else ()

    def _last(self, size: int) -> bytes:
        self._packed.seek(max(0, self.size - size))
        return self._packed.read(size)

    def unpack(self, check: Callable[[], None] = lambda: None, when_large: Callable[[], object] = lambda: None) -> Body:
        """The phase's bytes; of both phases in one, the list's, and the next time the other's.

        `check` is called for each megabyte, and may raise; `when_large` before a large list is unpacked any further.

        Raises:
            ProtocolError: they are more than the limits allow, or not whole.
            MalformedError: they are nothing that the probe prints.
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
            self._limit(unpacked, self.taken.unpacked)
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
        """What is wrong with this phase of this host."""
        return ProtocolError(message, host=self.host, stage=self.stage, hint=hint)

    def malformed(self, what: MalformedError) -> ProtocolError:
        """The same for what the probe does not print."""
        return self.error(f"not the answer of our probe: {what}", hint="-vv shows what came")

    def _unpacked(self) -> bytes:
        """The next piece; b"" at the end."""
        piece = self._gunzipped() if self.packing == "gzip" else self._came()
        self.taken.unpacked += len(piece)
        return piece

    def _came(self) -> bytes:
        """The next bytes as they came, not too many; b"" at the end."""
        if not self._is_read:
            self._packed.seek(0)
            self._is_read = True
        return self._packed.read(_PACKED_PIECE)

    def _gunzipped(self) -> bytes:
        while not self._gunzip.eof:
            packed = self._gunzip.unconsumed_tail
            if not packed:
                packed = self._came()
                self._given += len(packed)
            try:
                piece = self._gunzip.decompress(packed, _PIECE)
            except zlib.error as error:
                raise MalformedError(f"what came is not gzip ({error})") from error
            self._came_out += len(piece)
            self._check_expansion()
            if piece:
                return piece
            if not packed:
                raise self._stopped()
        if self._gunzip.unused_data or self._came():
            raise MalformedError("something follows the gzip")
        return b""

    def _stopped(self) -> ProtocolError:
        return self.error(
            f"the host stopped in the middle of {DOING[self.stage]}, after {self.size:,} bytes of it",
            hint="a command of the probe was killed there or could not start: see the host's log",
        )

    def _check_expansion(self) -> None:
        if self._came_out > max(_EXPANSION_FREE, self.limits.expansion * self._given):
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
    """Phase two as it came, whole: `unpack` makes it a Reading, once, in any thread."""

    listing: Listing
    phase: Phase

    @property
    def host(self) -> str:
        """Whose it is."""
        return self.phase.host

    @property
    def size(self) -> int:
        """Bytes packed."""
        return self.phase.size

    def unpack(self, check: Callable[[], None] = lambda: None) -> Reading:
        """The reading; uses the packed bytes up. `check` is called now and then, and may raise.

        Raises:
            ProtocolError: this is not the wire format, not whole, or more than the limits allow.
        """
        try:
            return build_reading(self.listing, self.phase.unpack(check), self.phase.limits.process)
        except MalformedError as error:
            raise self.phase.malformed(error) from error
