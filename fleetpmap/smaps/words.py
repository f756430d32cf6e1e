"""Eight characters at a time: text in uint64 words to numbers.   header_columns, template ─► [words]

A word holds eight bytes of text, the first character in its lowest byte (little-endian, whatever the machine is). All
functions work on whole arrays and say for each word whether it was what it should be; they never guess.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORD = np.dtype("<u8")
WIDTH = 8
"""Characters in a word."""

Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]


def _repeated(byte: int) -> np.uint64:
    """The word with this byte eight times."""
    return np.uint64(byte * 0x0101010101010101)


def word_of(text: bytes) -> np.uint64:
    """The word of eight characters."""
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
    """Right-justified decimal numbers of 1 to 8 digits, padded with spaces: their values, and which are malformed."""
    # Against spaces, a space is 0x00 and a digit 0x10 to 0x19.
    digits = words ^ _SPACES
    is_digit = digits >> _4
    is_digit &= _ONES
    digits -= is_digit << _4
    # To a digit's byte 6 is added, to another's 15: what then reaches 16 is above 9, or not the space it should be.
    wrong = digits + (_LOW_NIBBLES - is_digit * _NINE)
    wrong |= digits
    wrong &= _HIGH_NIBBLES
    follows_digit = (is_digit << _8) | _LAST  # and the last has to be one
    wrong |= follows_digit & ~is_digit
    return _joined(digits, _WEIGHTS_10), wrong != 0


def hexadecimal(words: Words) -> tuple[Words, Flags]:
    """Lower-case hex numbers of eight digits: their values, and which are malformed."""
    # Against zeros, a digit is its number and a letter 0x51 to 0x56.
    digits = words ^ _ZEROS
    is_letter = digits >> _6
    is_letter &= _ONES
    digits -= is_letter * _LETTER_TO_NUMBER
    # 6 more, and a letter reaches 16 and a digit does not.
    wrong = digits + _SIXES
    wrong ^= is_letter << _4
    wrong |= digits
    wrong &= _HIGH_NIBBLES
    return _joined(digits, _WEIGHTS_16), wrong != 0


def first_set(words: Words) -> NDArray[np.int64]:
    """The first byte of each word that is 1, where all are 0 or 1 and one is 1."""
    lowest = words & (~words + np.uint64(1))
    return ((lowest * _BYTE_NUMBERS) >> _56).astype(np.int64)


def _joined(digits: Words, weights: tuple[np.uint64, ...]) -> Words:
    """Eight digits in eight bytes to one number: neighbours are joined to pairs, pairs to quads, those to one."""
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
