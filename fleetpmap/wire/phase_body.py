"""The unpacked bytes of a phase, indexed by section.   phase ─► [phase_body] ─► replies

    NONCE stat       each section begins after a line with its name
    1/stat:1 (init) S 0 …
    NONCE uid
    1/status:Uid:   0   0   0   0
    NONCE end        the end of the body

The nonce is random and only the probe prints it, so every occurrence is a frame, even in the middle of a line.
"""

from __future__ import annotations

import io
import sys
from itertools import pairwise

from fleetpmap.wire.section_readers import MalformedError, Span, text_of

FRAME_LIMIT = 1024
"""Most bytes in a frame's line; the longest has fewer than 400."""
FRAMES_LIMIT = 1 << 14
"""Most frames in a phase; 500 processes take some six."""


class Body:
    """The unpacked bytes of a phase, fed in pieces and held once, with the offsets of its sections."""

    def __init__(self, nonce: bytes, text_limit: int = sys.maxsize) -> None:
        """Once the body has `text_limit` bytes, the rest of each smaps section is dropped."""
        self.ended = False
        """True once the end frame has arrived."""
        self.cut: set[int] = set()
        """End offsets of the smaps sections of which bytes were dropped."""
        self._text_limit = text_limit
        self._nonce = nonce
        self._bytes = io.BytesIO()
        self._unseen = b""  # the last bytes stored, if a frame may begin in them
        self._frames = 0
        self._section, self._start = "", 0  # name and offset of the section being received
        self._spans: dict[str, list[Span]] = {}

    def add(self, piece: bytes) -> bytes | None:
        """Store the next bytes. Return None, or once the end frame has arrived, the bytes behind it."""
        if self.ended:
            return piece
        text = self._unseen + piece
        if self._section == "smaps" and self._bytes.tell() >= self._text_limit:
            text = piece = self._without_smaps(text)
        before = self._bytes.tell() - len(self._unseen)
        self._bytes.write(piece)
        at = 0
        while (frame := text.find(self._nonce, at)) >= 0:
            stop = text.find(b"\n", frame, frame + FRAME_LIMIT)
            if stop < 0:
                break
            name = text_of(text[frame + len(self._nonce) + 1 : stop])
            at = stop + 1
            self._frames += 1
            if self._frames > FRAMES_LIMIT:
                raise MalformedError(f"more than {FRAMES_LIMIT:,} frames")
            if name != "void":
                self._spans.setdefault(self._section, []).append((self._start, before + frame))
            self._section, self._start = name, before + at
            if name == "end":
                self.ended = True
                return text[at:]
        if frame >= 0 and len(text) - frame >= FRAME_LIMIT:
            raise MalformedError("a frame's line has no end")
        self._unseen = text[frame if frame >= 0 else max(at, len(text) - len(self._nonce) + 1) :]
        return None

    def _without_smaps(self, text: bytes) -> bytes:
        """Return the text from the next frame on, or from bytes at its end that may begin one."""
        frame = text.find(self._nonce)
        kept = frame if frame >= 0 else max(0, len(text) - len(self._nonce) + 1)
        end = self._bytes.tell() - len(self._unseen)
        if end not in self.cut:  # nothing was dropped from this section yet, so the bytes stored of it may stay
            end += min(kept, len(self._unseen))
        if kept > len(self._unseen):
            self.cut.add(end)
        self._bytes.seek(end)
        self._bytes.truncate()
        self._unseen = b""
        return text[kept:]

    @property
    def size(self) -> int:
        """Bytes stored."""
        return self._bytes.tell()

    def spans(self, name: str) -> list[Span]:
        """Return start and end of each section of this name; a section followed by a `void` frame is not valid."""
        return self._spans.get(name, [])

    def section(self, name: str) -> bytes:
        """Return the bytes of all sections of this name, joined; b"" if there is none."""
        spans = self.spans(name)
        if not spans:
            return b""
        with self._bytes.getbuffer() as view:
            return b"".join([view[start:stop] for start, stop in spans])

    def whole(self) -> bytes:
        """Return all bytes, without a copy. Release them before pack(), or pack() has to copy the buffer."""
        return self._bytes.getvalue()

    def pack(self, spans: list[Span]) -> bytes:
        """Return these spans as one bytes object, in this order. The body cannot be used afterwards.

        Nearly always the spans are in ascending order. Then they are moved together inside the buffer, which
        getvalue() returns without a copy: the smaps of a host can be tens of megabytes.
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
