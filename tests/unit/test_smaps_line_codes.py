"""Texts that repeat, as codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.line_codes import _MULTIPLIERS, LineCodes, _alike, _hashes
from fleetpmap.smaps.text_buffer import WORD, Window


def encode(lines: list[bytes], read: Callable[[bytes], int]) -> list[int]:
    """The codes of these lines, all in one window."""
    text = b"\n".join(lines) + b"\n"
    window = Window()
    window.load(np.frombuffer(text, np.uint8), 0, len(text))
    at = np.cumsum([0, *(len(line) + 1 for line in lines[:-1])])
    texts = LineCodes(read, usual=64)
    lengths = texts.lengths(window, at)
    return texts.encode(window, at, lengths).tolist()


def test_each_different_text_is_read_once() -> None:
    """However often it stands there; the code is what `read` gives. A zero at the end is a byte like others."""
    seen: list[bytes] = []

    def read(text: bytes) -> int:
        seen.append(text)
        return len(text)

    lines = [b"[heap]", b"", b"[heap]", b"/x" * 100, b"[stack]", b"/x" * 100, b"[heap]\0", b"y" * 64, b"z" * 65]
    assert encode(lines, read) == [6, 0, 6, 200, 7, 200, 7, 64, 65]
    assert sorted(seen) == sorted({*lines})


def test_many_different_texts_are_told_apart() -> None:
    """More than the table has slots: those that share one are looked at again, by other bits of their hash."""
    lines = [b"/%d" % (number % 6000) for number in range(9000)]
    assert encode(lines, lambda text: int(text[1:])) == [number % 6000 for number in range(9000)]


def test_a_text_of_another_line_too_has_no_code() -> None:
    """Nor has one that is too long to be looked at."""
    text = b"ab\ncd\n" + b"x" * 1025 + b"\n"
    window = Window()
    window.load(np.frombuffer(text, np.uint8), 0, len(text))
    texts = LineCodes(len, usual=64)
    codes = texts.encode(window, np.array([0, 0, 3, 6]), np.array([2, 5, 2, 1025]))
    assert codes.tolist() == [2, NULL, 2, NULL]


def test_texts_of_one_hash_are_told_apart() -> None:
    """The hash is only a hint: each row is compared with the one that it is said to be like."""
    # The hash is the sum of each word, its upper half folded into the lower, times its multiplier: a·b = b·a.
    first, second = (int(factor) for factor in _MULTIPLIERS[:2])
    words = np.array([[second ^ second >> 32, 0], [0, first ^ first >> 32], [second ^ second >> 32, 0]], WORD)
    hashes = _hashes(words)
    assert len({*hashes.tolist()}) == 1
    like = _alike(words, np.array([16, 16, 16]), hashes)
    assert like.tolist() == [2, 1, 2]
