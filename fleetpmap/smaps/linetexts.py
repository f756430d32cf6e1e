"""Texts that repeat, as codes.   fast ─► [linetexts]

A file has a hundred thousand mappings, but a few hundred different ends of mapping lines and fewer different VmFlags.
Every row's text is hashed, the rows of one hash are compared byte for byte with the first of them, and only that one
becomes a Python object and is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.window import NEWLINE, Positions, Window, first_of
from fleetpmap.smaps.words import WIDTH, WORD, Flags, Words

Codes = NDArray[np.int32]

_LONGEST = 1024
"""Bytes of the longest text looked at; what is longer gets no code."""

# Odd, and others in every run: a host cannot make texts that collide on purpose (which would cost time, not truth).
_MULTIPLIERS = np.frombuffer(os.urandom(_LONGEST), WORD) | np.uint64(1)
_HALF = np.uint64(32)
_ROW = np.uint64(2**22 - 1)
"""The bits of a key that hold a row; a window has fewer."""


class LineTexts:
    """Codes for the texts that run from given positions to the end of their lines.

    `read` gives the code of one text, or NULL if it means nothing; it is asked once for each different text. `usual` is
    the length, in bytes, that few texts exceed: those are looked at on their own.
    """

    def __init__(self, read: Callable[[bytes], int], *, usual: int) -> None:
        self._read = read
        self._usual = usual
        self._codes: dict[bytes, int] = {}

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
            return self._encode(window, at, lengths, self._usual)
        codes = np.full(len(at), NULL, np.int32)
        codes[usual] = self._encode(window, at[usual], lengths[usual], self._usual)
        long = ~usual & (lengths <= _LONGEST)
        codes[long] = self._encode(window, at[long], lengths[long], _LONGEST)
        return codes

    def code(self, text: bytes) -> int:
        """The code of one text."""
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = NULL if b"\n" in text else self._read(text)
        return code

    def _encode(self, window: Window, at: Positions, lengths: Positions, width: int) -> Codes:
        if not len(at):
            return np.zeros(0, np.int32)
        if width < _LONGEST:
            width = max(-(-int(lengths.max()) // WIDTH) * WIDTH, WIDTH)
        text = window.cut(at, width)
        words = text.view(WORD)
        words &= _keep(width)[lengths].view(WORD).reshape(words.shape)
        representatives, group, equal = _group(words, lengths)
        known = [self.code(text[row, : lengths[row]].tobytes()) for row in representatives.tolist()]
        codes = np.array(known, np.int32)[group]
        codes[~equal] = NULL
        return codes


@cache
def _keep(width: int) -> NDArray[np.void]:
    """Items of `width` bytes: the one in slot k keeps the first k bytes."""
    return (np.tri(width + 1, width, k=-1, dtype=np.uint8) * np.uint8(0xFF)).view(f"V{width}")[:, 0]


def _group(words: Words, lengths: Positions) -> tuple[Positions, Positions, Flags]:
    """Rows of equal words and length: the first row of each group, each row's group, and whether it equals that row."""
    # Multiplying carries upwards only, so the upper half of each word is folded into the lower one before.
    keys = (words ^ (words >> _HALF)) @ _MULTIPLIERS[: words.shape[1]]
    # With the row in the lower bits no two keys are equal, and a group's first row comes first. Equal ones sort slowly.
    keys &= ~_ROW
    keys |= np.arange(len(keys), dtype=np.uint64)
    keys.sort()
    order = (keys & _ROW).astype(np.int64)
    keys &= ~_ROW
    is_first = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
    representatives = order[is_first]
    group = np.empty_like(order)
    group[order] = np.cumsum(is_first) - 1
    like = representatives[group]
    differs = words != words.take(like, axis=0)
    equal = lengths == lengths[like]
    if differs.any():
        equal &= ~differs.any(axis=1)
    return representatives, group, equal
