"""A slice of the text, and pieces cut from it at many places at once.   parse ─► [window] ─► fast

A megabyte or two is copied at a time, so that every later step reads it from the processor's cache, and with margins,
so that a piece may begin before the slice or end behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps.words import WIDTH, WORD, Flags, Words, first_set

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
        self._words: Words = np.zeros(0, WORD)
        """The eight bytes from each of the room's bytes on."""
        self._marks: Flags = np.zeros(0, np.bool_)

    def load(self, text: Bytes, begin: int, end: int) -> None:
        """Take in the text from `begin` to `end`. What was cut before stays as it is: it is a copy."""
        self.begin, self.size = begin, end - begin
        needed = _FRONT + self.size + BACK
        if len(self._room) < needed:
            self._room = np.zeros(needed, np.uint8)
            self._words = np.ndarray((needed - WIDTH + 1,), WORD, self._room, strides=(1,))
            self._marks = np.empty(needed, np.bool_)
        self._room[_FRONT - 1] = NEWLINE
        self._room[_FRONT : _FRONT + self.size] = text[begin:end]
        self._room[_FRONT + self.size : needed] = 0

    @property
    def room(self) -> int:
        """Bytes that it can hold, margins included."""
        return len(self._room)

    def text(self, start: int, stop: int) -> bytes:
        """The bytes between two positions."""
        return self._room.data[_FRONT + start : _FRONT + stop].tobytes()

    def texts(self, starts: Positions, stops: Positions) -> list[bytes]:
        """The bytes between these positions."""
        room = self._room.data
        pairs = zip((starts + _FRONT).tolist(), (stops + _FRONT).tolist(), strict=True)
        return [room[start:stop].tobytes() for start, stop in pairs]

    def bytes_at(self, at: Positions) -> Bytes:
        """The byte at each position."""
        return self._room[at + _FRONT]

    def words_at(self, at: Positions) -> Words:
        """The eight bytes from each position on."""
        return self._words[at + _FRONT]

    def cut(self, at: Positions, width: int) -> Bytes:
        """`width` bytes from each position on: an (n, width) matrix of its own."""
        # As overlapping items of `width` bytes each row is one memcpy; as rows of a matrix it takes twice as long.
        items: NDArray[np.void] = np.ndarray((len(self._room) - width + 1,), f"V{width}", self._room, strides=(1,))
        return items[at + _FRONT].view(np.uint8).reshape(len(at), width)

    def find(self, byte: int) -> Positions:
        """Where `byte` stands; of several within eight bytes, counted from the beginning, only the first."""
        size = -(-self.size // WIDTH) * WIDTH
        marks = self._marks[:size]
        np.equal(self._room[_FRONT : _FRONT + size], byte, out=marks)
        # What is searched for is rare: eight marks at a time are looked at first.
        words = marks.view(WORD)
        hits = np.flatnonzero(words != 0)
        return hits * WIDTH + first_set(words[hits])


def first_of(rows: Bytes, byte: int) -> Positions:
    """Where `byte` first stands in each row; the last column if it does not stand before that."""
    found = rows == byte
    found[:, -1] = True
    first: Positions = found.argmax(axis=1)
    return first


_SPARES = 2
_SPARE_BYTES = 4 * 2**20
"""Windows kept at most, and how large they may have become: a text with huge blocks needs huge ones."""
_spare: list[Window] = []


@contextmanager
def borrowed_window() -> Iterator[Window]:
    """A Window that others have used before and will use again: memory that is new to a process costs page faults."""
    try:
        window = _spare.pop()
    except IndexError:
        window = Window()
    try:
        yield window
    finally:
        if len(_spare) < _SPARES and window.room <= _SPARE_BYTES:
            _spare.append(window)
