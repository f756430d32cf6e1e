"""Eight characters at a time."""

from __future__ import annotations

import numpy as np
import pytest

from fleetpmap.smaps.text_buffer import WORD, decimal, first_set, hexadecimal


@pytest.mark.parametrize(
    ("text", "number"),
    [(b"       0", 0), (b"       7", 7), (b"    1204", 1204), (b"99999999", 99999999), (b"00000012", 12)],
)
def test_a_right_justified_number_is_read(text: bytes, number: int) -> None:
    """Up to eight digits behind spaces."""
    numbers, malformed = decimal(np.frombuffer(text, WORD))
    assert (numbers.tolist(), malformed.tolist()) == ([number], [False])


def with_every_byte_but(good: str, text: bytes, place: int) -> bytes:
    """The text as often as there are bytes that do not belong at that place, with each of them there."""
    bad = [byte for byte in range(256) if chr(byte) not in good]
    return b"".join(text[:place] + bytes([byte]) + text[place + 1 :] for byte in bad)


@pytest.mark.parametrize("place", [3, 7])
def test_a_byte_that_is_no_digit_is_malformed(place: int) -> None:
    """Between digits and at the end, whatever the byte: a space too."""
    words = np.frombuffer(with_every_byte_but("0123456789", b"  123456", place), WORD)
    assert len(words) == 246
    assert decimal(words)[1].all()


def test_only_spaces_stand_before_a_number() -> None:
    """A sign or a tab in front is not padding."""
    words = np.frombuffer(with_every_byte_but(" 0123456789", b"     123", 2), WORD)
    assert decimal(words)[1].all()


def test_eight_hex_digits_are_read() -> None:
    """Lower-case, the first the highest."""
    numbers, malformed = hexadecimal(np.frombuffer(b"55f523c908048000ffffffffabcdef09", WORD))
    assert malformed.tolist() == [False] * 4
    assert numbers.tolist() == [0x55F523C9, 0x8048000, 0xFFFFFFFF, 0xABCDEF09]


@pytest.mark.parametrize("place", [0, 3, 7])
def test_a_byte_that_is_no_hex_digit_is_malformed(place: int) -> None:
    """Whatever the byte: a capital too."""
    words = np.frombuffer(with_every_byte_but("0123456789abcdef", b"01abcdef", place), WORD)
    assert len(words) == 240
    assert hexadecimal(words)[1].all()


def test_the_first_byte_that_is_set() -> None:
    """Of one or more."""
    words = np.frombuffer(b"\1\0\0\0\0\0\0\0" + b"\0\0\0\1\0\0\1\1" + b"\0\0\0\0\0\0\0\1", WORD)
    assert first_set(words).tolist() == [0, 3, 7]
