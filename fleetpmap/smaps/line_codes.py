"""Texts that repeat, as codes.   fast ─► [linetexts]

A file has a hundred thousand mappings, but a few hundred different ends of mapping lines and fewer different VmFlags.
Every row's text is hashed to a slot of a table, the rows of one slot are compared byte for byte with one of them, and
only that one becomes a Python object and is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.text_buffer import NEWLINE, Positions, Window, first_of
from fleetpmap.smaps.words import WIDTH, WORD, Words

Codes = NDArray[np.int32]

_LONGEST = 1024
"""Bytes of the longest text looked at; what is longer gets no code."""

# Odd, and others in every run: a host cannot make texts that collide on purpose (which would cost time, not truth).
_MULTIPLIERS = np.frombuffer(os.urandom(_LONGEST), WORD) | np.uint64(1)
_HALF, _WORD_BITS = np.uint64(32), np.uint64(64)
_SLOTS = 2**12
"""Of the table of different texts: many times as many as a window usually has."""
_SLOT_BITS = np.uint64(_SLOTS.bit_length() - 1)


class _Codes(dict[bytes, int]):
    """Text to code. One that is not there yet is read; it is no text of one line if it has a newline."""

    def __init__(self, read: Callable[[bytes], int]) -> None:
        self._read = read

    def __missing__(self, text: bytes) -> int:
        code = self[text] = NULL if b"\n" in text else self._read(text)
        return code


class LineTexts:
    """Codes for the texts that run from given positions to the end of their lines.

    `read` gives the code of one text, or NULL if it means nothing; it is asked once for each different text. `usual` is
    the length, in bytes, that few texts exceed: those are looked at on their own.
    """

    def __init__(self, read: Callable[[bytes], int], *, usual: int) -> None:
        self._usual = usual
        self.codes = _Codes(read)
        """The code of each text, read when it is asked for."""

    def lengths(self, window: Window, at: Positions) -> Positions:
        """How many bytes stand before the next newline; more than `encode` looks at if there is none so near."""
        lengths = first_of(window.cut(at, self._usual + 2), NEWLINE)
        long = np.flatnonzero(lengths > self._usual)
        if len(long):
            lengths[long] = first_of(window.cut(at[long], _LONGEST + 2), NEWLINE)
        return lengths

    def encode(self, window: Window, at: Positions, lengths: Positions) -> Codes:
        """The code of the text of that length at each position.

        NULL where `read` says so, where a newline stands in the text, and for texts too long to be looked at here.
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
        width = -(-int(lengths.max(initial=1)) // WIDTH) * WIDTH
        words = window.cut(at, width).view(WORD)
        words &= _keep(width)[lengths].view(WORD).reshape(words.shape)
        like = _alike(words, lengths, _keys(words))
        first = np.flatnonzero(like == np.arange(len(like)))
        codes = np.empty(len(at), np.int32)
        codes[first] = self._read_each(window, at[first], lengths[first])
        return codes[like]

    def _read_each(self, window: Window, at: Positions, lengths: Positions) -> list[int]:
        return [self.codes[text] for text in window.texts(at, at + lengths)]


@cache
def _keep(width: int) -> NDArray[np.void]:
    """Items of `width` bytes: the one in slot k keeps the first k bytes."""
    return (np.tri(width + 1, width, k=-1, dtype=np.uint8) * np.uint8(0xFF)).view(f"V{width}")[:, 0]


def _keys(words: Words) -> Words:
    """A hash of each row, in the upper bits."""
    # Multiplying carries upwards only, so the upper half of each word is folded into the lower one before.
    keys: Words = (words ^ (words >> _HALF)) @ _MULTIPLIERS[: words.shape[1]]
    return keys


def _alike(words: Words, lengths: Positions, keys: Words) -> Positions:
    """For each row one of equal words and length: itself, or one that stands for many."""
    slots = (keys >> (_WORD_BITS - _SLOT_BITS)).astype(np.int64)
    table = np.empty(_SLOTS, np.int64)
    table[slots] = np.arange(len(slots))
    like = table[slots]
    differs = lengths != lengths[like]
    differing = words != words.take(like, axis=0)
    if differing.any():
        differs |= differing.any(axis=1)
    if differs.any():
        rest = np.flatnonzero(differs)
        keys = keys[rest] << _SLOT_BITS  # the next bits tell them apart
        like[rest] = rest[_alike(words[rest], lengths[rest], keys)] if keys.any() else rest
    return like
