"""Eight characters at a time."""

from __future__ import annotations

import numpy as np
import pytest

from fleetpmap.smaps.words import WORD, decimal, hexadecimal


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


def test_an_address_is_read_from_its_end() -> None:
    """Eight to sixteen hex digits; what stands before them does not count."""
    texts = b"-ffff55f523c9f000" + b"junk-here08048000" + b"-ffffffffff600000"
    words = np.frombuffer(b"".join(texts[start + 1 : start + 17] for start in (0, 17, 34)), WORD).reshape(3, 2)
    numbers, malformed = hexadecimal(words, np.array([12, 8, 16]))
    assert malformed.tolist() == [False, False, False]
    assert numbers.tolist() == [0x55F523C9F000, 0x8048000, 0xFFFFFFFFFF600000]


@pytest.mark.parametrize("place", [2, 15])
def test_a_byte_that_is_no_hex_digit_is_malformed(place: int) -> None:
    """In either half, whatever the byte: a capital too."""
    text = with_every_byte_but("0123456789abcdef", b"0123456789abcdef", place)
    words = np.frombuffer(text, WORD).reshape(240, 2)
    assert hexadecimal(words, np.full(240, 16))[1].all()


@pytest.mark.parametrize("width", [-3, 0, 7, 17])
def test_a_number_of_another_width_is_malformed(width: int) -> None:
    """No kernel prints an address of seven digits, or seventeen."""
    words = np.frombuffer(b"0123456789abcdef", WORD).reshape(1, 2)
    assert hexadecimal(words, np.array([width]))[1].tolist() == [True]
