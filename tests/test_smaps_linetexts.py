"""Texts that repeat, as codes."""

from __future__ import annotations

import numpy as np

from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.linetexts import _MULTIPLIERS, LineTexts, _group
from fleetpmap.smaps.window import Window
from fleetpmap.smaps.words import WORD


def test_each_different_text_is_read_once() -> None:
    """However often it stands there; the code is what `read` gives."""
    seen: list[bytes] = []

    def read(text: bytes) -> int:
        seen.append(text)
        return len(text)

    lines = [b"[heap]", b"", b"[heap]", b"/x" * 100, b"[stack]", b"/x" * 100, b"[heap]\0"]
    text = b"\n".join(lines) + b"\n"
    window = Window()
    window.load(np.frombuffer(text, np.uint8), 0, len(text))
    at = np.cumsum([0, *(len(line) + 1 for line in lines[:-1])])
    codes, ends = LineTexts(read, usual=64).encode(window, at)
    # The last differs from [heap] in its length only: no code is the safe answer.
    assert codes.tolist() == [6, 0, 6, 200, 7, 200, NULL]
    assert ends.tolist() == [6, 7, 14, 215, 223, 424, 432]
    assert sorted(text for text in seen if len(text) < 63) == [b"", b"[heap]", b"[stack]"]
    assert seen.count(b"/x" * 100) == 1


def test_texts_of_one_hash_are_told_apart() -> None:
    """The hash is only a hint: rows that collide are compared, and the one that differs gets no code from the other."""
    # The key is the sum of each word, its upper half folded into the lower, times its multiplier: a·b = b·a.
    first, second = (int(factor) for factor in _MULTIPLIERS[:2])
    words = np.array([[second ^ second >> 32, 0], [0, first ^ first >> 32]], WORD)
    _, group, equal = _group(words, np.array([16, 16]))
    assert group.tolist() == [0, 0]
    assert equal.tolist() == [True, False]
