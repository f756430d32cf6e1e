"""A window of the text, as bytes and as words of eight bytes.   parser ─► [text_buffer] ─► header_parser, block_parser

A window is a copy of one or two megabytes of the text, so that every later step reads it from the processor's cache.
Its margins let a piece begin before the window or end behind it.

A *word* is eight bytes of text in a uint64, the first character in its lowest byte (little-endian on every machine).
`decimal` and `hexadecimal` read the eight digits of a word with a few multiplications, for all words of an array at
once; beside the values they return a mask of the malformed words.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

WORD = np.dtype("<u8")
WIDTH = 8
"""Characters in a word."""
NEWLINE = 10
_FRONT = 64
"""Bytes in front of the window's text; the last of them is a newline."""
BACK = 8192
"""Zero bytes behind the window's text: more than the widest piece."""

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]
Positions = NDArray[np.int64]


class Window:
    """The bytes from `begin` to `end` of a text. Positions count from `begin`.

    One Window is loaded many times, so that its memory stays in the cache.
    """

    def __init__(self) -> None:
        self.begin = 0
        self.size = 0
        self._bytes: Bytes = np.zeros(0, np.uint8)
        """Front margin, text, back margin."""
        self._words: Words = np.zeros(0, WORD)
        """`_bytes` as overlapping words: item i is the word that begins at byte i."""
        self._marks: Flags = np.zeros(0, np.bool_)
        """Scratch memory of `find`: one flag per byte."""

    def load(self, text: Bytes, begin: int, end: int) -> None:
        """Copy in the text from `begin` to `end`. Pieces cut earlier are copies and stay as they are."""
        self.begin, self.size = begin, end - begin
        needed = _FRONT + self.size + BACK
        if len(self._bytes) < needed:
            self._bytes = np.zeros(needed, np.uint8)
            self._words = np.ndarray((needed - WIDTH + 1,), WORD, self._bytes, strides=(1,))
            self._marks = np.empty(needed, np.bool_)
        self._bytes[_FRONT - 1] = NEWLINE
        self._bytes[_FRONT : _FRONT + self.size] = text[begin:end]
        self._bytes[_FRONT + self.size : needed] = 0

    @property
    def capacity(self) -> int:
        """Bytes of its memory, margins included."""
        return len(self._bytes)

    def text(self, start: int, stop: int) -> bytes:
        """Return the bytes between two positions."""
        return self._bytes.data[_FRONT + start : _FRONT + stop].tobytes()

    def texts(self, starts: Positions, stops: Positions) -> list[bytes]:
        """Return the bytes between each start and its stop."""
        buffer = self._bytes.data
        pairs = zip((starts + _FRONT).tolist(), (stops + _FRONT).tolist(), strict=True)
        return [buffer[start:stop].tobytes() for start, stop in pairs]

    def bytes_at(self, at: Positions) -> Bytes:
        """Return the byte at each position."""
        return self._bytes[at + _FRONT]

    def words_at(self, at: Positions) -> Words:
        """Return the word that begins at each position."""
        return self._words[at + _FRONT]

    def cut(self, at: Positions, width: int) -> Bytes:
        """Copy `width` bytes from each position on into an (n, width) matrix."""
        # One void item of `width` bytes per position makes each row a single memcpy. Indexing the rows of a
        # sliding-window matrix gives the same bytes in twice the time.
        items: NDArray[np.void] = np.ndarray((len(self._bytes) - width + 1,), f"V{width}", self._bytes, strides=(1,))
        return items[at + _FRONT].view(np.uint8).reshape(len(at), width)

    def find(self, byte: int) -> Positions:
        """Return the positions of `byte`; of several in one group of eight bytes, only the first.

        The groups are counted from the window's beginning.
        """
        size = -(-self.size // WIDTH) * WIDTH
        marks = self._marks[:size]
        np.equal(self._bytes[_FRONT : _FRONT + size], byte, out=marks)
        # The byte is rare. Seen as words, eight marks are tested at once, and most groups are all zero.
        words = marks.view(WORD)
        hits = np.flatnonzero(words != 0)
        return hits * WIDTH + first_set(words[hits])


_SPARE_MAX = 4 * 2**20
"""Bytes of the largest window kept for the next parse: a text with huge blocks needs huge windows."""
_spare: list[Window] = []


@contextmanager
def borrowed_window() -> Iterator[Window]:
    """Lend a Window for one parse, and keep it for the next.

    Page faults of new memory cost a tenth of the time for a text of 14 MB.
    """
    try:
        window = _spare.pop()  # not `if _spare`: another thread may take it in between
    except IndexError:
        window = Window()
    try:
        yield window
    finally:
        if not _spare and window.capacity <= _SPARE_MAX:
            _spare.append(window)


def first_of(rows: Bytes, byte: int) -> Positions:
    """Return the first column with `byte` in each row, or the last column where no earlier one has it."""
    is_byte = rows == byte
    is_byte[:, -1] = True
    first: Positions = is_byte.argmax(axis=1)
    return first


def _repeated(byte: int) -> np.uint64:
    """Return the word that holds this byte eight times."""
    return np.uint64(byte * 0x0101010101010101)


def word_of(text: bytes) -> np.uint64:
    """Return the word of eight characters."""
    return np.uint64(int.from_bytes(text, "little"))


_LOW_NIBBLES = _repeated(0x0F)
_HIGH_NIBBLES = _repeated(0xF0)
_ONES = _repeated(0x01)
_SPACES = _repeated(0x20)
_ZEROS = _repeated(0x30)
_SIXES = _repeated(0x06)
_LAST = np.uint64(1 << 56)
_NINE = np.uint64(9)
_LETTER_TO_NUMBER = np.uint64((ord("a") ^ ord("0")) - 10)
_BYTE_NUMBERS = np.uint64(int.from_bytes(range(WIDTH), "big"))
_PAIRS = np.uint64(0x00FF00FF00FF00FF)
_QUADS = np.uint64(0x0000FFFF0000FFFF)
_HALF = np.uint64(0xFFFFFFFF)
_4, _6, _8, _16, _32, _56 = (np.uint64(bits) for bits in (4, 6, 8, 16, 32, 56))
_WEIGHTS_10 = tuple(np.uint64(10**n * 2 ** (8 * n) + 1) for n in (1, 2, 4))
_WEIGHTS_16 = tuple(np.uint64(16**n * 2 ** (8 * n) + 1) for n in (1, 2, 4))


def decimal(words: Words) -> tuple[Words, Flags]:
    """Read right-justified decimal numbers of 1 to 8 digits, padded with spaces.

    Returns their values, and a mask of the malformed words. `b"     132"` is 132; `b"  1 32  "` is malformed.
    """
    # XOR with spaces makes a space (0x20) 0x00 and a digit (0x30 to 0x39) 0x10 to 0x19.
    digits = words ^ _SPACES
    is_digit = digits >> _4
    is_digit &= _ONES
    digits -= is_digit << _4  # a digit's byte is now its number, 0 to 9
    # Malformed bytes show in the high nibble: 6 is added to a digit, 15 to any other byte, so a digit above 9 and a
    # byte that is neither digit nor space both reach 16.
    wrong = digits + (_LOW_NIBBLES - is_digit * _NINE)
    wrong |= digits
    wrong &= _HIGH_NIBBLES
    # Behind a digit stands a digit, and the last character is one: no spaces inside or at the end.
    follows_digit = (is_digit << _8) | _LAST
    wrong |= follows_digit & ~is_digit
    return _joined(digits, _WEIGHTS_10), wrong != 0


def hexadecimal(words: Words) -> tuple[Words, Flags]:
    """Read lower-case hex numbers of exactly eight digits. Returns their values, and a mask of the malformed words."""
    # XOR with zeros makes a digit (0x30 to 0x39) its number and a letter (0x61 to 0x66) 0x51 to 0x56.
    digits = words ^ _ZEROS
    is_letter = digits >> _6
    is_letter &= _ONES
    digits -= is_letter * _LETTER_TO_NUMBER  # a letter's byte is now 10 to 15
    # With 6 added a letter reaches 16 and a digit does not; any other high nibble is a malformed byte.
    wrong = digits + _SIXES
    wrong ^= is_letter << _4
    wrong |= digits
    wrong &= _HIGH_NIBBLES
    return _joined(digits, _WEIGHTS_16), wrong != 0


def first_set(words: Words) -> NDArray[np.int64]:
    """Return the first byte (0 to 7) that is 1 in each word. All bytes are 0 or 1, and at least one is 1."""
    # x & -x keeps the lowest set bit, 2**(8 k). The product shifts byte number 7 - k of the constant, whose value is k,
    # to the top.
    lowest = words & (~words + np.uint64(1))
    return ((lowest * _BYTE_NUMBERS) >> _56).astype(np.int64)


def _joined(digits: Words, weights: tuple[np.uint64, ...]) -> Words:
    """Join eight digits, one per byte, to one number.

    Three steps, each for all lanes of a word at once; for decimal 12345678, as lanes from the first character on:

        1 2 3 4 5 6 7 8  ─►  12 34 56 78  ─►  1234 5678  ─►  12345678

    A step multiplies by base * 2**bits + 1: that adds `base` times each lane to the lane above it. The shift and the
    mask then keep every second lane, which holds first * base + second.
    """
    numbers = digits * weights[0]
    numbers >>= _8
    numbers &= _PAIRS
    numbers *= weights[1]
    numbers >>= _16
    numbers &= _QUADS
    numbers *= weights[2]
    numbers >>= _32
    numbers &= _HALF
    return numbers
