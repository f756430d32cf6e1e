"""A slice of the text, and pieces cut from it at many places at once.   parse ─► [window] ─► fast

A megabyte or two is copied at a time, so that every later step reads it from the processor's cache, and with margins,
so that a piece may begin before the slice or end behind it.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from fleetpmap.smaps.words import WIDTH, Flags

NEWLINE = 10
_FRONT = 64
"""Bytes in front of the slice: the last is a newline."""
BACK = 8192
"""Bytes behind it, all zero: more than any piece is wide."""

Bytes = NDArray[np.uint8]
Positions = NDArray[np.int64]


class Window:
    """The bytes from `begin` to `end` of a text. Positions count from `begin`.

    One Window is loaded again and again: its memory is then in the cache already.
    """

    def __init__(self) -> None:
        self.begin = 0
        self.size = 0
        self._room: Bytes = np.zeros(0, np.uint8)
        self._flags: Bytes = np.zeros(0, np.uint8)
        self._newlines: Flags = np.zeros(0, np.bool_)

    def load(self, text: Bytes, begin: int, end: int) -> None:
        """Take in the text from `begin` to `end`. What was cut before stays as it is: it is a copy."""
        self.begin, self.size = begin, end - begin
        needed = _FRONT + self.size + BACK
        if len(self._room) < needed:
            self._room = np.zeros(needed, np.uint8)
            self._flags = np.empty(needed, np.uint8)
            self._newlines = np.empty(needed, np.bool_)
        self._room[_FRONT - 1] = NEWLINE
        self._room[_FRONT : _FRONT + self.size] = text[begin:end]
        self._room[_FRONT + self.size : needed] = 0

    def text(self, start: int, stop: int) -> bytes:
        """The bytes between two positions."""
        return self._room[_FRONT + start : _FRONT + stop].tobytes()

    def cut(self, at: Positions, width: int) -> Bytes:
        """`width` bytes from each position on: an (n, width) matrix of its own."""
        # As overlapping items of `width` bytes each row is one memcpy; as rows of a matrix it takes twice as long.
        places = len(self._room) - width + 1
        items = as_strided(self._room[:width].view(f"V{width}"), shape=(places,), strides=(1,))
        return items[at + _FRONT].view(np.uint8).reshape(len(at), width)

    def line_candidates(self) -> Positions:
        """Where lines begin with a digit or a lower-case letter (among others): mapping lines, and hardly another."""
        size = -(-self.size // WIDTH) * WIDTH
        flags, newlines = self._flags[:size], self._newlines[:size]
        np.equal(self._room[_FRONT - 1 : _FRONT - 1 + size], NEWLINE, out=newlines)
        # 0x30 to 0x3f and 0x60 to 0x7f have an odd upper part, capitals an even one: & with a newline's 1 tells them.
        np.right_shift(self._room[_FRONT : _FRONT + size], 5, out=flags)
        flags &= newlines.view(np.uint8)
        # One in seven hundred flags is set: eight at a time are looked at first.
        hits = np.flatnonzero(flags.view(np.uint64) != 0)
        within = np.flatnonzero(flags.reshape(-1, WIDTH)[hits])
        return hits[within // WIDTH] * WIDTH + within % WIDTH


def first_of(rows: Bytes, byte: int) -> Positions:
    """Where `byte` first stands in each row; the last column if it does not stand before that."""
    found = rows == byte
    found[:, -1] = True
    first: Positions = found.argmax(axis=1)
    return first
