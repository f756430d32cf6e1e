"""All mapping lines of a window at once: the widths that they can have."""

from __future__ import annotations

import numpy as np
import pytest

from fleetpmap.smaps.columns import NULL
from fleetpmap.smaps.header_parser import HeaderColumns, read_headers
from fleetpmap.smaps.line_codes import LineCodes
from fleetpmap.smaps.text_buffer import Window


def headers_of(text: bytes) -> HeaderColumns:
    """The mapping lines of a text; a place's code is its length, NULL if it does not begin with a device."""
    window = Window()
    window.load(np.frombuffer(text, np.uint8), 0, len(text))
    return read_headers(window, LineCodes(lambda place: len(place) if b":" in place else NULL, usual=64))


@pytest.mark.parametrize(
    ("line", "start", "end", "offset"),
    [
        (b"55f523c9f000-55f523cc1000 r-xp 00001000 08:02 5", 0x55F523C9F000, 0x55F523CC1000, 0x1000),
        (b"08048000-08056000 r-xp 00000000 08:02 5", 0x8048000, 0x8056000, 0),
        (b"fffff000-100001000 rw-s 0000b000 08:02 5", 0xFFFFF000, 0x100001000, 0xB000),
        (b"ffff0000-ffff8000000000 r--p fabcde000 08:02 5", 0xFFFF0000, 0xFFFF8000000000, 0xFABCDE000),
        (b"ffffffffff600000-ffffffffff601000 --xp 00000000 08:02 5", 0xFFFFFFFFFF600000, 0xFFFFFFFFFF601000, 0),
        (
            b"7f0000000000-7f0000001000 rw-p fedcba9876543000 08:02 5",
            0x7F0000000000,
            0x7F0000001000,
            0xFEDCBA9876543000,
        ),
    ],
    ids=["usual", "32-bit", "one digit more", "many more", "vsyscall", "far in a file"],
)
def test_numbers_of_any_width(line: bytes, start: int, end: int, offset: int) -> None:
    """Each number ends where it ends, whatever stands in the lines around it."""
    usual = b"7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \nSize: 4 kB\n"
    headers = headers_of(usual + line + b"  /usr/lib/x86-64/a-b\n" + usual)
    assert headers.whole.tolist() == [True, True, True]
    assert headers.start.tolist() == [0x7F0000000000, start, 0x7F0000000000]
    assert headers.end.tolist() == [0x7F0000001000, end, 0x7F0000001000]
    assert headers.offset.tolist() == [0, offset, 0]
    assert headers.at.tolist() == [0, len(usual), len(usual) + len(line) + 22]
    assert headers.next_line.tolist() == [49, len(usual) + len(line) + 22, len(usual) + len(line) + 71]
    assert headers.places.tolist() == [8, 28, 8]


@pytest.mark.parametrize(
    "line",
    [
        b"7f000000000g-7f0000001000 r--p 00000000 08:02 5",
        b"1234567-7f0000001000 r--p 00000000 08:02 5",
        b"12345678901234567-7f0000001000 r--p 00000000 08:02 5",
        b"7F0000000000-7f0000001000 r--p 00000000 08:02 5",
        b" 7f0000000000-7f0000001000 r--p 00000000 08:02 5",
        b"Size-12345678-7f0000001000 r--p",
    ],
)
def test_a_line_that_begins_otherwise_is_no_mapping_line(line: bytes) -> None:
    """Eight to sixteen hex digits and a dash make it one."""
    assert headers_of(line + b"\nRss: 4 kB\n").at.tolist() == []


@pytest.mark.parametrize(
    "line",
    [
        b"7f0000000000-1234567 r--p 00000000 08:02 5",
        b"7f0000000000-12345678901234567 r--p 00000000 08:02 5",
        b"7f0000000000-7f000 001000 r--p 00000000 08:02 5",
        b"7f0000000000-7f0000001000 r--q 00000000 08:02 5",
        b"7f0000000000-7f0000001000 r--p 0000 08:02 5",
        b"7f0000000000-7f0000001000 r--p 0000000000000000a 08:02 5",
        b"7f0000000000-7f0000001000 r--p 00000000 0802 5",
        b"7f0000000000-",
    ],
)
def test_a_line_that_is_odd_behind_its_dash_is_left_to_the_general_path(line: bytes) -> None:
    """It is a mapping line, but nothing is said of it."""
    headers = headers_of(line + b"\nRss: 4 kB\n")
    assert (headers.at.tolist(), headers.whole.tolist()) == ([0], [False])


def test_a_line_that_begins_later_than_the_usual_width_says() -> None:
    """There is a newline thirteen bytes before the dash, and a nearer one."""
    headers = headers_of(b"Rss: 4 kB\nabc\n12345678-12349678 r--p 00000000 08:02 5\n")
    assert (headers.at.tolist(), headers.start.tolist()) == ([14], [0x12345678])
