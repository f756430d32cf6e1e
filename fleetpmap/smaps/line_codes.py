"""Repeating ends of lines, as codes.   header_parser, block_parser ─► [line_codes]

A text has a hundred thousand mappings, but only a few hundred different ends of mapping lines (device, inode, path) and
fewer different VmFlags. Each row's text is hashed to a slot of a table, the rows of one slot are compared byte for byte
with one of them, and only that one becomes a Python object and is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.text_buffer import NEWLINE, WIDTH, WORD, Positions, Window, Words, first_of

Codes = NDArray[np.int32]

_LONGEST = 1024
"""Bytes of the longest text that gets a code."""

# Odd, and different in every run: a host cannot prepare texts that collide (which would cost time, not correctness).
_MULTIPLIERS = np.frombuffer(os.urandom(_LONGEST), WORD) | np.uint64(1)
_HALF, _WORD_BITS = np.uint64(32), np.uint64(64)
_SLOTS = 2**12
"""Slots of the hash table: many times the different texts that a window usually has."""
_SLOT_BITS = np.uint64(_SLOTS.bit_length() - 1)


class _CodeOfText(dict[bytes, int]):
    """Codes by text. A missing text is read and added; a text with a newline, more than one line, is NULL."""

    def __init__(self, read: Callable[[bytes], int]) -> None:
        self._read = read

    def __missing__(self, text: bytes) -> int:
        code = self[text] = NULL if b"\n" in text else self._read(text)
        return code


class LineCodes:
    """Encoder of the texts that run from given positions to the end of their lines.

    `read` returns the code of one text, or NULL if the text is malformed; it is called once for each different text.
    `usual` is a length, in bytes, that few texts exceed: longer ones are handled one by one.
    """

    def __init__(self, read: Callable[[bytes], int], *, usual: int) -> None:
        self._usual = usual
        self._codes = _CodeOfText(read)

    def lengths(self, window: Window, at: Positions) -> Positions:
        """Return the bytes from each position to the next newline; more than _LONGEST where there is none so near."""
        lengths = first_of(window.cut(at, self._usual + 2), NEWLINE)
        long = np.flatnonzero(lengths > self._usual)
        if len(long):
            lengths[long] = first_of(window.cut(at[long], _LONGEST + 2), NEWLINE)
        return lengths

    def encode(self, window: Window, at: Positions, lengths: Positions) -> Codes:
        """Return the code of the text of the given length at each position.

        NULL where `read` returns it, where the text has a newline, and where it is longer than _LONGEST.
        """
        usual = lengths <= self._usual
        if usual.all():
            return self._encode(window, at, lengths)
        codes = np.full(len(at), NULL, np.int32)
        codes[usual] = self._encode(window, at[usual], lengths[usual])
        long = np.flatnonzero(~usual & (lengths <= _LONGEST))
        codes[long] = self._read_each(window, at[long], lengths[long])
        return codes

    def _encode(self, window: Window, at: Positions, lengths: Positions) -> Codes:
        """Encode texts of at most `usual` bytes, reading one of each kind.

        `words` is an (n, width / 8) matrix: a row is one text, with zeros behind its end.
        """
        width = -(-int(lengths.max(initial=1)) // WIDTH) * WIDTH
        words = window.cut(at, width).view(WORD)
        words &= _keep(width)[lengths].view(WORD).reshape(words.shape)
        like = _alike(words, lengths, _hashes(words))
        first = np.flatnonzero(like == np.arange(len(like)))
        codes = np.empty(len(at), np.int32)
        codes[first] = self._read_each(window, at[first], lengths[first])
        return codes[like]

    def _read_each(self, window: Window, at: Positions, lengths: Positions) -> list[int]:
        return [self._codes[text] for text in window.texts(at, at + lengths)]


@cache
def _keep(width: int) -> NDArray[np.void]:
    """Return width + 1 masks of `width` bytes; mask k is 0xFF in its first k bytes and 0 behind them."""
    return (np.tri(width + 1, width, k=-1, dtype=np.uint8) * np.uint8(0xFF)).view(f"V{width}")[:, 0]


def _hashes(words: Words) -> Words:
    """Return a hash of each row; its upper bits are the good ones."""
    # Multiplying carries upwards only, so the upper half of each word is folded into the lower one before.
    hashes: Words = (words ^ (words >> _HALF)) @ _MULTIPLIERS[: words.shape[1]]
    return hashes


def _alike(words: Words, lengths: Positions, hashes: Words) -> Positions:
    """Return for each row the index of a row with the same words and length, the same one for all equal rows.

    For the texts a b a c, if a and c share a slot: every row writes its index into its slot, and the last one stays, so
    the rows read 3 1 3 3. Rows 0 and 2 differ from row 3, and are looked up again by the next bits of their hashes:
    2 1 2 3.
    """
    slots = (hashes >> (_WORD_BITS - _SLOT_BITS)).astype(np.int64)
    table = np.empty(_SLOTS, np.int64)
    table[slots] = np.arange(len(slots))
    like = table[slots]
    differs = lengths != lengths[like]
    differing = words != words.take(like, axis=0)
    if differing.any():
        differs |= differing.any(axis=1)
    if differs.any():
        rest = np.flatnonzero(differs)
        hashes = hashes[rest] << _SLOT_BITS
        # Without a bit left the hashes are equal: each row then stands for itself.
        like[rest] = rest[_alike(words[rest], lengths[rest], hashes)] if hashes.any() else rest
    return like
