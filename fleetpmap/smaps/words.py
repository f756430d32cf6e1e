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
_ONES = _repeated(0x01)
_SPACES = _repeated(0x20)
_ZEROS = _repeated(0x30)
_SIXES = _repeated(0x06)
_BIT_4 = _repeated(0x10)
_DIGIT_BITS = np.uint64(0x1F)
_NINE = np.uint64(9)
_FROM_ZERO_TO_A = np.uint64(ord("a") - ord("0") - 10)
_PAIRS = np.uint64(0x00FF00FF00FF00FF)
_QUADS = np.uint64(0x0000FFFF0000FFFF)
_HALF = np.uint64(0xFFFFFFFF)
_4, _6, _8, _16, _32, _56 = (np.uint64(bits) for bits in (4, 6, 8, 16, 32, 56))
_WEIGHTS_10 = tuple(np.uint64(10**n * 2 ** (8 * n) + 1) for n in (1, 2, 4))
_WEIGHTS_16 = tuple(np.uint64(16**n * 2 ** (8 * n) + 1) for n in (1, 2, 4))


def decimal(words: Words) -> tuple[Words, Flags]:
    """Right-justified decimal numbers of 1 to 8 digits, padded with spaces: their values, and which are malformed."""
    # Against spaces, a space is 0x00 and a digit 0x10 to 0x19.
    bits = words ^ _SPACES
    is_digit = (bits >> _4) & _ONES
    digits = bits & _LOW_NIBBLES
    wrong = bits & ~(is_digit * _DIGIT_BITS)  # neither a space nor 0x30 to 0x3f
    wrong |= (digits + _SIXES) & _BIT_4  # above 9
    wrong |= (is_digit << _8) & ~is_digit  # a space behind a digit
    wrong |= (is_digit >> _56) ^ np.uint64(1)  # nothing at the end
    return _joined(digits, _WEIGHTS_10), wrong != 0


# Slot w keeps the last w of eight characters.
_KEEP = np.array([(2**64 - 1) >> (8 * w) << (8 * w) for w in range(WIDTH, -1, -1)], WORD)


def hexadecimal(text: Words, widths: NDArray[np.int64]) -> tuple[Words, Flags]:
    """Lower-case hex numbers of 8 to 16 digits, each at the end of its sixteen characters (n, 2): values, malformed.

    `widths` says how many of the sixteen are the number's; a width outside 8 to 16 is malformed.
    """
    high_widths = np.minimum(np.maximum(widths - WIDTH, 0), WIDTH)
    words = text.T.copy(order="C")
    words ^= _ZEROS
    words[0] &= _KEEP[high_widths]  # what stands before the number becomes zeros
    words ^= _ZEROS
    nibbles = (words & _LOW_NIBBLES) + ((words >> _6) & _ONES) * _NINE
    # Written back, a nibble must give the character it came from; one above 15 is a letter past f.
    words ^= nibbles + _ZEROS + (((nibbles + _SIXES) >> _4) & _ONES) * _FROM_ZERO_TO_A
    words |= nibbles & _BIT_4
    malformed = ((words[0] | words[1]) != 0) | (high_widths != widths - WIDTH)
    numbers = _joined(nibbles, _WEIGHTS_16)
    return (numbers[0] << _32) | numbers[1], malformed


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
