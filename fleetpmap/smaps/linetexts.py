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
from fleetpmap.smaps.words import WORD, Flags, Words

Codes = NDArray[np.int32]

_LONGEST = 1024
"""Bytes looked at where a text does not end within the first few; what is longer still gets no code."""

# Odd, and others in every run: a host cannot make texts that collide on purpose (which would cost time, not truth).
_MULTIPLIERS = np.frombuffer(os.urandom(_LONGEST), WORD) | np.uint64(1)
_HALF = np.uint64(32)
_ROW = np.uint64(2**22 - 1)
"""The bits of a key that hold a row; a window has fewer."""


class LineTexts:
    """Codes for the texts that run from given positions to the end of their lines.

    `read` gives the code of one text, or NULL if it means nothing; it is asked once for each different text. `usual` is
    the length, in bytes, that nearly every text is shorter than: all are compared at this width.
    """

    def __init__(self, read: Callable[[bytes], int], *, usual: int) -> None:
        self._read = read
        self._usual = usual
        self._codes: dict[bytes, int] = {}

    def encode(self, window: Window, at: Positions) -> tuple[Codes, Positions]:
        """For each position its text's code, and where its newline stands.

        The code is NULL where `read` says so, and for texts too long to be looked at here.
        """
        if not len(at):
            return np.zeros(0, np.int32), at
        codes, lengths = self._encode(window, at, self._usual)
        long = np.flatnonzero(lengths == self._usual - 1)
        if len(long):
            codes[long], lengths[long] = self._encode(window, at[long], _LONGEST)
            codes[lengths == _LONGEST - 1] = NULL
        return codes, at + lengths

    def _encode(self, window: Window, at: Positions, width: int) -> tuple[Codes, Positions]:
        text = window.cut(at, width)
        lengths = first_of(text, NEWLINE)
        words = text.view(WORD)
        words &= _keep(width)[lengths].view(WORD).reshape(words.shape)
        representatives, group, equal = _group(words, lengths)
        known = [self._code(text[row, : lengths[row]].tobytes()) for row in representatives.tolist()]
        codes = np.array(known, np.int32)[group]
        codes[~equal] = NULL
        return codes, lengths

    def _code(self, text: bytes) -> int:
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = self._read(text)
        return code


@cache
def _keep(width: int) -> NDArray[np.void]:
    """Items of `width` bytes: the one in slot k keeps the first k bytes."""
    return (np.tri(width, k=-1, dtype=np.uint8) * np.uint8(0xFF)).view(f"V{width}")[:, 0]


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
