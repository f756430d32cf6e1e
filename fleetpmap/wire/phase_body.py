"""One phase's bytes, and where its sections are.   frames ─► [body] ─► replies

A section begins after a line `NONCE NAME`, the line `NONCE end` closes the phase. Nobody but the probe knows the nonce,
so wherever it stands, it is a frame.
"""

from __future__ import annotations

import io
import sys
from itertools import pairwise

from fleetpmap.wire.section_readers import MalformedError, Span, text_of

FRAME_LIMIT = 1024
"""Bytes in a frame's line at most; the longest has less than 400."""
FRAMES_LIMIT = 1 << 14
"""Frames in a phase at most: some six for every 500 processes."""


class Body:
    """A phase, as it comes in. Holds its bytes once."""

    def __init__(self, nonce: bytes, room: int = sys.maxsize) -> None:
        """What comes of smaps is dropped once there are `room` bytes, up to the end of its section."""
        self.ended = False
        """Whether the end frame is in."""
        self.cut: set[int] = set()
        """Where smaps sections end whose further bytes were dropped."""
        self._room = room
        self._nonce = nonce
        self._bytes = io.BytesIO()
        self._unseen = b""  # the last bytes: what may be the beginning of a frame
        self._frames = 0
        self._section, self._start = "", 0  # the one that is coming in, and where it begins
        self._spans: dict[str, list[Span]] = {}

    def add(self, piece: bytes) -> bytes | None:
        """Take the next bytes; None, or once the end frame is in, those that follow it."""
        if self.ended:
            return piece
        text = self._unseen + piece
        if self._section == "smaps" and self._bytes.tell() >= self._room:
            text = piece = self._without_smaps(text)
        before = self._bytes.tell() - len(self._unseen)
        self._bytes.write(piece)
        at = 0
        while (found := text.find(self._nonce, at)) >= 0:
            stop = text.find(b"\n", found, found + FRAME_LIMIT)
            if stop < 0:
                break
            name = text_of(text[found + len(self._nonce) + 1 : stop])
            at = stop + 1
            self._frames += 1
            if self._frames > FRAMES_LIMIT:
                raise MalformedError(f"more than {FRAMES_LIMIT:,} frames")
            if name != "void":
                self._spans.setdefault(self._section, []).append((self._start, before + found))
            self._section, self._start = name, before + at
            if name == "end":
                self.ended = True
                return text[at:]
        if found >= 0 and len(text) - found >= FRAME_LIMIT:
            raise MalformedError("a frame's line has no end")
        self._unseen = text[found if found >= 0 else max(at, len(text) - len(self._nonce) + 1) :]
        return None

    def _without_smaps(self, text: bytes) -> bytes:
        """The text from the next frame on, or from what may be the beginning of one."""
        found = text.find(self._nonce)
        kept = found if found >= 0 else max(0, len(text) - len(self._nonce) + 1)
        end = self._bytes.tell() - len(self._unseen)
        if end not in self.cut:  # nothing is missing yet, so what is there already may stay
            end += min(kept, len(self._unseen))
        if kept > len(self._unseen):
            self.cut.add(end)
        self._bytes.seek(end)
        self._bytes.truncate()
        self._unseen = b""
        return text[kept:]

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return self._bytes.tell()

    def spans(self, name: str) -> list[Span]:
        """Where the sections of this name are, without those that the host calls void."""
        return self._spans.get(name, [])

    def section(self, name: str) -> bytes:
        """The bytes of all sections of this name; b"" if there is none."""
        spans = self.spans(name)
        if not spans:
            return b""
        with self._bytes.getbuffer() as view:
            return b"".join([view[start:stop] for start, stop in spans])

    def whole(self) -> bytes:
        """All bytes, not copied as long as the caller lets go of them before pack()."""
        return self._bytes.getvalue()

    def pack(self, spans: list[Span]) -> bytes:
        """These parts as one bytes object; uses the body up.

        If they lie in this order, as nearly always, they are moved together inside the buffer itself, which getvalue()
        then hands out: a host's smaps can be tens of megabytes, and there should not be two of them.
        """
        if any(following[0] < part[1] for part, following in pairwise(part for part in spans if part[0] < part[1])):
            text = self._bytes.getvalue()
            return b"".join([text[start:stop] for start, stop in spans])
        end = 0
        with self._bytes.getbuffer() as view:
            for start, stop in spans:
                view[end : end + stop - start] = view[start:stop]
                end += stop - start
        self._bytes.truncate(end)
        return self._bytes.getvalue()
